"""A slice of each disaster, with fixed seeds; `python -m tests.disasters` runs them whole. A failure names seed and trial."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import disasters
import pytest
from disasters import shim, strace, tracing
from disasters.power import FILES, calls
from disasters.syscalls import some
from disasters.world import world
from ledger_bugs import bug, planted

from toolkit.execution import entries, ledger

BUGS = {
    "a commit that failed counts as made": (
        ledger, "Ledger.transaction", "self._abandon(db, committing)\n",
        "self._abandon(db, committing)\n            if committing: return\n",
    ),
    "a settlement is written in two transactions": (
        entries, "settle", "    _outcomes(db, orders, text",
        '    db.execute("COMMIT"); db.execute("BEGIN IMMEDIATE")\n    _outcomes(db, orders, text',
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def apart():
    """A process without threads, from which the campaigns fork."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield lambda act, *values: pool.submit(act, *values).result(timeout=300)


@pytest.fixture
def clean(apart):
    return lambda name, scale, seed, control=False, by="": apart(one, name, scale, seed, control, by)


def one(name, scale, seed, control, by):
    return disasters.run(name, scale, seed, disasters.CONTROLS[name][1] if control else None, by)


def test_no_kill_or_lost_reply_loses_or_doubles_an_order_or_a_fill(clean):
    outcome = clean("kills", 0.03, 21)
    assert outcome.violations == ()
    assert outcome.trials == 300 and outcome.fills > 100 and outcome.lost_replies > 10


def test_the_loop_without_a_journal_orders_twice_under_the_same_kills(clean):
    outcome = clean("kills", 0.03, 21, control=True)
    assert outcome.duplicated > 5 and len(outcome.violations) > 5


def test_no_power_loss_takes_back_a_commit_that_was_acknowledged(clean):
    outcome = clean("power", 0.05, 22)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.violations == ()
    assert outcome.trials > 400 and outcome.acknowledged > 100


def test_the_replay_of_power_losses_sees_what_synchronous_normal_loses(clean):
    outcome = clean("power", 0.05, 22, control=True)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.lost > 5 and outcome.spoiled == 0


def test_a_failed_or_last_write_leaves_a_ledger_that_goes_on_as_if_nothing_had_happened(clean):
    outcome = clean("syscalls", 1 / 60, 23)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.violations == ()
    assert outcome.typed_errors > 5 and outcome.killed > 5


# ------------------------------------------------------------------------------- where there is no strace: the shim in SQLite
def chosen_without_strace():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        strace.missing.cache_clear()
        by, _ = tracing.tracer()
    strace.missing.cache_clear()
    return by, shim.missing()


def with_a_bug(name, slice_):
    with planted(bug(name, BUGS[name])):
        return disasters.run("syscalls", slice_, 23, by="shim")


def changes(by, folder):
    """What a new ledger and a few cycles do to their files, and how many bytes at which offset."""
    place, market = folder / by, world(23, 12)
    _, made = tracing.tracer(by)[1].recorded(lambda writable: some(market, place, writable, 7))
    steps, written = [], set()
    for kind, name, *values in calls(made, place):
        if kind == "pwrite64":
            written.add(name)
            values[0] = len(values[0])
        # A file opened as new may be there, one that Python removes may not; a sync of a folder may be part of another.
        if kind in {"rename", "acknowledged"} or (name in FILES and kind != "openat" and (kind != "unlink" or name in written)):
            steps.append(("sync" if kind in {"fsync", "fdatasync"} else kind, name, *values))
    return steps


@pytest.fixture
def shimmed(apart, clean):
    """The campaigns by the shim, also where strace is."""
    if reason := apart(shim.missing):
        pytest.skip(reason)
    return lambda name, scale, seed, control=False: clean(name, scale, seed, control, "shim")


def test_without_strace_the_shim_is_taken(apart):
    by, missing = apart(chosen_without_strace)
    assert by == ("strace" if missing else "shim")


def test_the_shim_sees_the_same_changes_in_the_same_order_as_strace(apart, shimmed, tmp_path):
    if reason := apart(strace.missing):
        pytest.skip(reason)
    ours, theirs = (apart(changes, by, tmp_path) for by in ("shim", "strace"))
    assert ours == theirs
    assert {step[0] for step in ours} == {"pwrite64", "sync", "ftruncate", "unlink", "rename", "acknowledged"}


def test_the_shim_finds_no_commit_taken_back_and_sees_what_synchronous_normal_loses(shimmed):
    outcome, control = shimmed("power", 0.02, 22), shimmed("power", 0.02, 22, control=True)
    assert outcome.violations == () and outcome.trials > 150 and outcome.acknowledged > 100
    assert control.lost > 5 and control.spoiled == 0


def test_a_write_that_the_shim_fails_or_makes_the_last_leaves_a_ledger_that_goes_on(shimmed):
    outcome = shimmed("syscalls", 1 / 100, 23)
    assert outcome.violations == ()
    assert outcome.typed_errors > 1 and outcome.killed > 1


@pytest.mark.parametrize("name, slice_, least", zip(BUGS, (1 / 100, 1 / 50), (1, 3), strict=True), ids=("unsure", "halved"))
def test_the_failures_of_the_shim_are_noticed_by_a_ledger_that_takes_no_heed_of_them(apart, shimmed, name, slice_, least):
    assert len(apart(with_a_bug, name, slice_).violations) >= least


def test_no_interrupt_leaves_a_transaction_open_or_makes_another_process_wait(clean):
    outcome = clean("interrupts", 0.02, 24)
    assert outcome.violations == ()
    assert outcome.trials == 200


def test_neither_a_sleeper_nor_an_orphan_writes_into_the_ledger_of_another(clean):
    outcome = clean("writers", 0.02, 25)
    assert outcome.violations == ()
    assert outcome.trials == 20 and outcome.refusals == 60
