"""A slice of each campaign, with fixed seeds; `make soak` runs them whole. A failure names its seed and trial."""

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import campaigns
import forks
import pytest
import spoilt

from toolkit.data import barfile
from toolkit.data.folder import value_files


@pytest.fixture(scope="module")
def clean():
    """A process without threads and with no file verified, from which the campaigns fork."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield lambda campaign, *arguments: pool.submit(campaign, *arguments).result(timeout=120)


def test_no_spoiled_file_gives_a_wrong_value_a_crash_or_a_hang_and_all_recovers(clean, tmp_path):
    outcome = clean(spoilt.corruptions, 200, 11, tmp_path)
    assert outcome.violations == ()
    assert outcome.fetched_again > 20 and outcome.unnoticed > 20


def ended_in_the_middle() -> list:
    def killed():
        os.kill(os.getpid(), signal.SIGKILL)

    return forks.in_turn([lambda: [1], killed, lambda: [2], lambda: 1 / 0, os._exit, lambda: [3], lambda: os._exit(5)])


def test_who_shares_a_process_with_one_that_ends_it_is_served_by_another(clean):
    first, killed, second, raised, exited, third, last = clean(ended_in_the_middle)
    assert [first, second, third] == [[1], [2], [3]]
    assert killed == "crashed with status 9" and last == f"crashed with status {5 << 8}"
    assert "ZeroDivisionError" in raised and "TypeError" in exited
    assert {spoilt.judged(said) for said in (killed, raised, exited, last)} == {"violation"}


def test_a_killed_writer_loses_nothing_that_it_acknowledged_and_leaves_nothing_behind(clean, tmp_path):
    outcome = clean(campaigns.kills, 40, 12, tmp_path)
    assert outcome.violations == ()
    assert outcome.acknowledged > outcome.trials  # a slow disk lets few through before the kill


@pytest.mark.parametrize("mounting", [True, False])
def test_on_a_full_disk_old_bars_are_read_new_ones_served_and_clearing_makes_room(clean, tmp_path, mounting):
    outcome = clean(campaigns.full_disk, tmp_path, mounting)
    assert outcome.violations == ()
    assert outcome.kind == "limit" or outcome.stored_before > 10


def test_in_a_crowd_with_kills_the_others_read_whole_values_without_an_error(clean, tmp_path):
    outcome = clean(campaigns.crowd, 8, 600, 13, tmp_path)
    assert outcome.violations == ()
    assert outcome.killed == 2 and outcome.reads > 2500 and outcome.writes > 100


def test_ctrl_c_at_any_instant_of_a_write_leaves_no_transaction_open(clean, tmp_path):
    assert clean(campaigns.interrupts, 150, 14, tmp_path).violations == ()


def planted(folder: Path) -> tuple[dict, dict]:
    """What is served of a sound cache, and of one whose files were written anew with a price of their own."""
    place = folder / "closed"
    spoilt.furnish(place)
    before = spoilt.serve(place)
    for path in [*value_files(place / "index"), *(place / "panels").glob("*.panel")]:
        file = barfile.read(path)
        traded = file.columns["traded"].copy()
        traded[..., 3] += 0.01
        path.unlink()
        barfile.write(path, barfile.encoded({**file.columns, "traded": traded}, file.meta))
    return before, spoilt.serve(place)


def test_the_campaign_sees_a_wrong_price_under_a_right_checksum(clean, tmp_path):
    sound, planted_one = clean(planted, tmp_path)
    assert sound == {"wrong": [], "errors": [], "calls": 0, "corrupt": 0}
    assert len(planted_one["wrong"]) == len(spoilt.DAILY) + 15 + len(spoilt.HOURLY) + 1
    assert spoilt.judged([planted_one, planted_one]) == "violation"
