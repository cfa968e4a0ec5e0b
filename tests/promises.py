"""What execution promises, measured: one table, a row a promise, from one command.

    python -m tests.promises [--scale 0.03] [--seed 1] [ROW ...]

At scale 1 the campaigns are whole (`make soak`); the default is a slice of a few minutes. A row is met if nothing bad was
counted, and if its control, where it has one, failed as it must. The exit status is 1 if a row is missed. Two rows run at a
time, each in a process of its own, and are printed as they end; `s` is how long a row took, `cpu s` what it and its children
computed. What went wrong in a row is told on the error stream.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import disasters  # noqa: E402
import measures  # noqa: E402
import simulation  # noqa: E402
import soak  # noqa: E402


class Row(NamedTuple):
    """What was tried, how often, and what went wrong; `control` is what must fail, and how often it did."""

    what: str
    trials: str
    bad: str
    met: bool
    control: str = ""


Measure = Callable[[float, int, Path], Row]


def told(row: str, *wrong: object) -> None:
    """Says what went wrong in a row, where it can be looked into."""
    for each in wrong:
        print(f"{row}: {each}", file=sys.stderr, flush=True)


def campaign(name: str, what: str) -> Measure:
    """A disaster, and its control."""

    def measured(scale: float, seed: int, folder: Path) -> Row:
        outcome = disasters.run(name, scale, seed)
        failed, said = True, ""
        if name in disasters.CONTROLS:
            title, control = disasters.CONTROLS[name]
            found = disasters.run(name, scale, seed, control)
            failed, said = len(found.violations) > 0, f"{title}: {len(found.violations)} of {found.trials} fail"
        bad = len(outcome.violations)
        told(name, *outcome.violations[:10])
        trials = f"{outcome.trials:,}" if outcome.trials else "not possible on this machine"
        return Row(what, trials, f"{bad}", bad == 0 and failed and outcome.trials > 0, said)

    return measured


def suite(what: str, *files: str) -> Measure:
    """Test files of their own; each of their tests is a trial."""

    def measured(scale: float, seed: int, folder: Path) -> Row:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(HERE / name) for name in files)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent)
        counts = dict.fromkeys(("passed", "failed", "error"), 0)
        counts |= {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout.splitlines()[-1])}
        bad = counts["failed"] + counts["error"]
        if done.returncode:
            told(" ".join(files), done.stdout[-4_000:])
        return Row(what, f"{counts['passed'] + bad:,} tests", f"{bad}", done.returncode == 0 and counts["passed"] > 0)

    return measured


def command(what: str, trials: Callable[[float], int], *arguments: str) -> Measure:
    """A command that takes a number of trials and exits with 1 where one went wrong."""

    def measured(scale: float, seed: int, folder: Path) -> Row:
        count = trials(scale)
        asked = [part.format(count=count, seed=seed, scale=scale) for part in arguments]
        done = subprocess.run([sys.executable, "-m", *asked], capture_output=True, text=True, cwd=HERE.parent)
        if done.returncode:
            told(" ".join(asked), done.stdout[-4_000:], done.stderr[-4_000:])
        last = (done.stdout.strip() or done.stderr.strip() or "nothing was said").splitlines()[-1]
        return Row(what, f"{count:,}", "0" if done.returncode == 0 else last[:100], done.returncode == 0)

    return measured


def soaked(scale: float, seed: int, folder: Path) -> Row:
    found = soak.soak(max(200, round(10_000 * scale)), seed, folder)
    bad = found.without_status + found.descriptors + len(found.unsound)
    what = "cycles of one loop, 20% of fetches faulty: without a status, descriptors, memory (below 5%)"
    short = found.cycles < 2 * soak.SETTLED  # still warming up
    memory = "not judged" if short else f"{found.memory:+.1%}"
    counts = f"{found.without_status}, {found.descriptors}, {memory}"
    return Row(what, f"{found.cycles:,}", counts, bad == 0 and (short or found.memory < 0.05))


def judged(scale: float, seed: int, folder: Path) -> Row:
    """Every order of years that the row `years` does not simulate, and then whether the oracle would have noticed."""
    logging.disable(logging.WARNING)
    first = simulation.CONTROLLED * (10_000 + seed)  # a year with a control
    years = [simulation.simulate(first + n) for n in range(max(2, round(50 * scale)))]
    wrong = [f"seed {year.seed}: {each}" for year in years for each in year.wrong]
    told("oracle", *wrong[:10])
    sent, found = (sum(year.counts[what] for year in years) for what in ("sent", "over a tenth"))
    tests = suite("", "test_oracle.py")(scale, seed, folder)
    met = not wrong and sent > 0 and found > 0 and tests.met
    what = "orders that were sent in simulated years, judged again by an oracle: over a limit"
    control = f"a tenth of a limit: {found} over it; limits broken one by one: {tests.bad} of {tests.trials} not noticed"
    return Row(what, f"{sent:,} orders", f"{len(wrong)}", met, control)


def asked(scale: float, seed: int, folder: Path) -> Row:
    found = measures.requests(bundled(folder), folder)
    counts = f"{found.idle}, {found.yahoo}, {found.alpaca}, {found.reconcile}, {found.order:g}"
    met = found.idle == 0 and found.yahoo == len(measures.SYMBOLS) and found.alpaca == 2 and found.same == 1
    return Row(
        "requests, most: nothing due, due at Yahoo (4), at Alpaca (2 pages), books (6), an order (2)",
        f"{found.cycles} cycles", counts, met and found.reconcile <= 6 and found.order <= 2,
    )  # fmt: skip


def account(scale: float, seed: int, folder: Path) -> Row:
    ours, plain = measures.questions(bundled(folder), folder)
    fewer = 1.0 - ours / plain
    what = "account and position calls against the plain loop (80% fewer)"
    return Row(what, f"{plain} calls", f"{fewer:.0%} fewer ({ours})", ours > 0 and fewer >= 0.8)


def restart(scale: float, seed: int, folder: Path) -> Row:
    paper = measures.seconds_to_ready(measures.filled(folder / "paper", 100_000))
    broker = measures.seconds_to_ready_at_a_broker(folder / "broker", bundled(folder), 100_000)
    what = "restart of an engine to ready, 100,000 orders in the ledger: on paper, at a broker (2 s)"
    return Row(what, "1 of each", f"{paper:.2f} s, {broker:.2f} s", max(paper, broker) < 2.0)


def bundled(folder: Path):
    from toolkit.data import BarCache, MarketData, SampleSource

    return MarketData(SampleSource(), BarCache(folder / "bars")).bars(measures.SYMBOLS)


ROWS: dict[str, Measure] = {
    "kills": campaign("kills", "kill -9 in a paper cycle, 10% of replies lost: orders lost, doubled, fills not booked"),
    "syscalls": campaign("syscalls", "every write and sync of a cycle fails or is the last"),
    "power": campaign("power", "power lost: acknowledged commits lost"),
    "machine": command("steps of the ledger's state machine", lambda scale: max(5_000, round(1e6 * scale)),
                       "tests.simulation", "machine", "--steps", "{count}", "--seed", "{seed}"),
    "bugs": suite("seeded bugs of the ledger that are not caught", "test_ledger_machine.py"),
    "years": command("years from a seed, faults and crashes, one of 20 run again: unsound, not the same bits",
                     lambda scale: max(2, round(1_000 * scale)),
                     "tests.simulation", "years", "--years", "{count}", "--seed", "{seed}"),
    "faults": suite("faults of Alpaca's answers: two orders, a wait over 15 s; plain alpaca-py fails",
                    "test_broker_faults.py"),
    "oracle": judged,
    "interrupts": campaign("interrupts", "Ctrl-C and SIGTERM in cache and ledger work: transactions left open"),
    "writers": campaign("writers", "two writers of one ledger: commits of the one that was taken over"),
    "arming": suite("incomplete arming, 31 ways and more: let through", "test_arming.py"),
    "soak": soaked,
    "requests": asked,
    "account": account,
    "restart": restart,
    "cache": command("a cache that is spoilt, killed, full, crowded, interrupted: wrong bars, or none without a word",
                     lambda scale: round(20_000 * scale), "tests.campaigns", "--scale", "{scale}"),
    "frames": command("frames of all kinds into every indicator: neither values nor a sentence",
                      lambda scale: round(100_000 * scale), "tests.fuzz", "--frames", "{count}"),
}  # fmt: skip
LONGEST = "machine", "years", "cache", "frames", "kills", "soak", "writers", "syscalls"  # they begin first


def timed(name: str, scale: float, seed: int) -> tuple[Row, float, float]:
    """The row, the seconds that it took, and those that this process and its children computed."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="toolkit-promise-") as folder:
        try:
            row = ROWS[name](scale, seed, Path(folder))
        except Exception as error:  # the other rows go on
            told(name, traceback.format_exc())
            row = Row(name, "", f"{type(error).__name__}: {error}"[:100], False)
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return row, time.perf_counter() - start, sum(each.ru_utime + each.ru_stime for each in spent)


def apart(name: str, scale: float, seed: int) -> tuple[Row, float, float]:
    """The same in a fresh process: the campaigns fork, and a soak measures its own memory."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as one:
        return one.submit(timed, name, scale, seed).result()


def table(names: list[str], scale: float, seed: int) -> Iterator[Row]:
    """Measures the rows, two at a time, and prints each when it ends."""
    print(f"{'promise':<92} {'tried':>12}  {'bad':<22} {'':<7} {'s':>6} {'cpu s':>6}  control", flush=True)
    with ThreadPoolExecutor(2) as two:
        longest_first = sorted(names, key=lambda name: LONGEST.index(name) if name in LONGEST else len(LONGEST))
        for ended in as_completed([two.submit(apart, name, scale, seed) for name in longest_first]):
            row, took, spent = ended.result()
            shown = f"{row.what:<92} {row.trials:>12}  {row.bad:<22} {'met' if row.met else 'MISSED':<7}"
            print(f"{shown} {took:6.1f} {spent:6.1f}  {row.control}", flush=True)
            yield row


def main() -> int:
    parser = argparse.ArgumentParser(description="what execution promises, measured")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"some of {', '.join(ROWS)} (default: all)")
    parser.add_argument("--scale", type=float, default=0.03, help="fraction of the whole campaigns (default 0.03)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    unknown = set(args.rows) - set(ROWS)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))} is none of {', '.join(ROWS)}")
    start = time.monotonic()
    met = [row.met for row in table(args.rows or list(ROWS), args.scale, args.seed)]
    print(f"{sum(met)} of {len(met)} met in {(time.monotonic() - start) / 60.0:.1f} min at scale {args.scale:g}")
    return int(not all(met))


if __name__ == "__main__":
    raise SystemExit(main())
