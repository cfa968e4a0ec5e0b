"""A slice of each disaster, with fixed seeds; `python -m tests.disasters` runs them whole. A failure names seed and trial."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import disasters
import pytest


@pytest.fixture(scope="module")
def clean():
    """A process without threads, from which the campaigns fork."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield lambda name, scale, seed, control=False: pool.submit(one, name, scale, seed, control).result(timeout=300)


def one(name, scale, seed, control):
    return disasters.run(name, scale, seed, disasters.CONTROLS[name][1] if control else None)


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


def test_no_interrupt_leaves_a_transaction_open_or_makes_another_process_wait(clean):
    outcome = clean("interrupts", 0.02, 24)
    assert outcome.violations == ()
    assert outcome.trials == 200


def test_neither_a_sleeper_nor_an_orphan_writes_into_the_ledger_of_another(clean):
    outcome = clean("writers", 0.02, 25)
    assert outcome.violations == ()
    assert outcome.trials == 20 and outcome.refusals == 60
