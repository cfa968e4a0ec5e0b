"""The promises of the original design, each measured: its plain engine beside the toolkit, in one table.

    python -m benchmarks.before_after [--quick] [--json FILE]

Both sides fetch from a loopback Yahoo and trade at a loopback Alpaca, in a process of its own, that take 50 ms an answer; each
has an account of its own there. A round is a session: both engines see a new bar (next day), look again (warm), and begin with
nothing (cold). They must want to hold the same symbols in every cycle. The market is synthetic: 50 symbols since 2016.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yfinance

from benchmarks.measure import options
from benchmarks.plain_engine import AskedAccount, KeptAccount, PlainEngine
from benchmarks.promises import BROKER, FEW, HERE, LATENCY, MANY, Key, kept, promises, table, written
from benchmarks.toolkit_engine import Ours, Standing
from toolkit import Bars, MarketData
from toolkit.data import BarCache, Calendar, SystemClock
from toolkit.data.sources.synthetic import SyntheticSource
from toolkit.data.sources.yahoo import YahooSource
from toolkit.testing.alpaca_server import AlpacaServer
from toolkit.testing.exchange import Exchange
from toolkit.testing.yahoo_server import LoopbackSession, YahooServer

SYMBOLS = [f"S{number:02d}" for number in range(50)]
EVENINGS = [close + pd.Timedelta("4h") for close in Calendar("XNYS").closes_between("2026-01-05", "2026-01-30")]
AGAIN = 7  # warm cycles of ours a round
CASES = (FEW, BROKER), (FEW, HERE), (MANY, BROKER)
PARTS = "cycle", "fetch", "indicators", "risk"


# ----------------------------------------------------------------------------------------------------------------- servers
def served() -> Bars:
    """The market of the benchmark, without its halts: windows over them are counted differently by the two sides."""
    with tempfile.TemporaryDirectory() as folder:
        cache = BarCache(folder)
        bars = MarketData(SyntheticSource(seed=3), cache, Standing(EVENINGS[-1])).bars(SYMBOLS, "2016-01-04")
        cache.close()
        filled = [pd.DataFrame(field.T).ffill().to_numpy().T for field in bars.traded]
        return replace(bars, traded=np.stack(filled))


def serve(pipe: Any) -> None:
    """Yahoo and any number of Alpacas: does what it is told through the pipe, and answers."""
    bars, accounts = served(), dict[str, AlpacaServer]()
    with contextlib.ExitStack() as stack:
        yahoo = stack.enter_context(YahooServer(bars, now=EVENINGS[0], latency=LATENCY))
        pipe.send(yahoo.port)
        while (told := pipe.recv()) is not None:
            what, value = told
            if what == "account":
                alpaca = AlpacaServer(bars, yahoo.now, yahoo.latency, limit=10**9, exchange=Exchange(bars))
                accounts[stack.enter_context(alpaca).url] = alpaca
                pipe.send(alpaca.url)
            elif what == "asked":
                asked = [request.path for request in accounts[value].log if request.method == "GET"]
                accounts[value].log.clear()
                pipe.send(asked)
            else:
                for server in (yahoo, *accounts.values()):
                    setattr(server, what, value)
                pipe.send(None)


@contextlib.contextmanager
def servers() -> Iterator[tuple[int, Callable[[str, Any], Any]]]:
    """Yahoo's port, and what tells the servers: a new `account`, what an account was `asked`, `now` and `latency`."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=serve, args=(other,))
    process.start()

    def tell(what: str, value: Any = None) -> Any:
        pipe.send((what, value))
        return pipe.recv()

    try:
        yield pipe.recv(), tell
    finally:
        pipe.send(None)
        process.join()


# --------------------------------------------------------------------------------------------------------------- measuring
class Pair(NamedTuple):
    """Both sides on the same symbols, and the addresses of their accounts at the broker, if they are there."""

    ours: Ours
    plain: PlainEngine
    urls: tuple[str, ...]


class Bench:
    """`pairs` holds seconds of ours and of plain by key, `counts` the questions of a warm cycle."""

    def __init__(self, work: Path, port: int, tell: Callable[..., Any]) -> None:
        self.work, self.port, self.tell, self.clock = work, port, tell, Standing(EVENINGS[0])
        self.pairs: dict[Key, list[tuple[float, float]]] = defaultdict(list)
        self.counts: dict[Key, list[tuple[float, float]]] = defaultdict(list)
        self._made = 0

    def fresh(self, size: int, where: str) -> Pair:
        """Both with a new account and nothing in the cache."""
        self._made += 1
        folder, symbols = self.work / str(self._made), SYMBOLS[:size]
        source = YahooSource(LoopbackSession(self.port), clock=self.clock, shared=folder / "pace")
        urls = (self.tell("account"), self.tell("account")) if where == BROKER else ()
        account = AskedAccount(urls[1]) if urls else KeptAccount()
        ours = Ours(folder, symbols, source, self.clock, urls[0] if urls else None)
        return Pair(ours, PlainEngine(symbols, LoopbackSession(self.port), account), urls)

    def timed(self, key: tuple[int, str, str], pair: Pair, again: int = 1) -> None:
        """One cycle of each, ours `again` times; SystemExit unless they want the same."""
        wanted, took = pair.plain.cycle(), []
        for _ in range(again):
            self.clock.skip(300.0)
            if (mine := pair.ours.cycle()) != wanted:
                raise SystemExit(f"the two sides disagree on {self.clock.time} about {sorted(wanted ^ mine)}")
            took.append(pair.ours.took)
        for part in PARTS:
            if part in pair.plain.took:
                self.pairs[(part, *key)].append((float(np.median([each[part] for each in took])), pair.plain.took[part]))

    def counted(self, size: int, pair: Pair) -> None:
        """What each asked the broker in the warm cycles since the last time, orders apart, by cycle."""
        ours, plain = (Counter(self.tell("asked", url)) for url in pair.urls)
        both = [each["/v2/account"] + each["/v2/positions"] for each in (ours, plain)]
        self.counts["account", size, BROKER, "warm"].append((both[0] / AGAIN, both[1]))
        self.counts["questions", size, BROKER, "warm"].append((ours.total() / AGAIN, plain.total()))

    def session(self, size: int, where: str, lasting: Pair) -> None:
        """A round: the new bar, then both from nothing, then both again."""
        pair = self.fresh(size, where)
        self.timed((size, where, "next day"), lasting)
        self.timed((size, where, "cold"), pair)
        differ = set(pair.ours.held()[0]) ^ {symbol for symbol, _, wanted in pair.plain.sent if wanted}
        if differ:
            raise SystemExit(f"the two sides ordered other symbols: {sorted(differ)}")
        for url in pair.urls:
            self.tell("asked", url)
        self.timed((size, where, "warm"), pair, AGAIN)
        if pair.urls:
            self.counted(size, pair)
        pair.ours.close()

    def run(self, rounds: int) -> None:
        """All rounds; the first session only begins what the later ones go on with."""
        lasting = {case: self.fresh(*case) for case in CASES}
        for number, evening in enumerate(EVENINGS[: rounds + 1]):
            self.clock.time = evening
            self.tell("now", evening)
            once = self.fresh(MANY, HERE)  # the servers put the bodies of the day together before anything is timed
            once.plain.cycle(), once.ours.cycle(), once.ours.close()
            for case, pair in lasting.items():
                if number:
                    self.session(*case, pair)
                else:
                    pair.plain.cycle(), pair.ours.cycle()
            print(f"session {number} of {rounds} done", file=sys.stderr)
        for pair in lasting.values():
            pair.ours.close()


def processes(bench: Bench, rounds: int) -> None:
    """CPU time and private memory of warm cycles, each side in fresh processes; the servers answer at once."""
    bench.tell("latency", 0.0)
    python, instant, port = [sys.executable, "-m"], bench.clock.time.isoformat(), str(bench.port)
    for size, number in [(size, number) for size in (FEW, MANY) for number in range(rounds)]:
        folder, symbols = str(bench.work / f"alone-{size}-{number}"), SYMBOLS[:size]
        mine = [*python, "benchmarks.toolkit_engine", port, bench.tell("account"), "40", folder, instant, *symbols]
        theirs = [*python, "benchmarks.plain_engine", port, bench.tell("account"), "2", *symbols]
        both = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for command in (mine, theirs)]
        for part in both[0]:
            bench.pairs[part, size, BROKER, "warm"].append((both[0][part], both[1][part]))


def main() -> int:
    args = options(__doc__.splitlines()[0])
    warnings.simplefilter("ignore")  # of yfinance under pandas 3
    rounds = 2 if args.quick else 3
    with tempfile.TemporaryDirectory() as folder, servers() as (port, tell):
        yfinance.set_tz_cache_location(str(Path(folder) / "tz"))
        bench = Bench(Path(folder), port, tell)
        bench.run(rounds)
        processes(bench, 2)
        measured = bench.pairs | bench.counts
    rows = [kept(promise, measured[promise.key]) for promise in promises()]
    print(table(rows).to_string(index=False))
    if args.json:
        args.json.write_text(json.dumps(written(rows, rounds, SystemClock().now()), indent=1) + "\n")
    return 0 if all(each.verdict != "missed" for each in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
