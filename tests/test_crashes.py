"""A loop that is really killed ends the year as one that nobody touched, and its picture says where it died."""

from contextlib import closing

import matplotlib

matplotlib.use("Agg")
import pandas as pd
import pytest

from toolkit.errors import InvalidParameter, LedgerError
from toolkit.execution.audit import verify
from toolkit.execution.ledger import Ledger
from toolkit.plots.lives import lives as drawn
from toolkit.testing.clocks import HandClock
from toolkit.testing.crashes import FIRST, LAST, MARKS, Death, account_in, deaths, engine_in, lived, lives

SEED, KILLS = 18, 3  # the last death finds an order that was marked SENDING and had not arrived


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a year with three deaths, and what was told of its lives."""
    folder = tmp_path_factory.mktemp("killed")
    return folder, lives(folder, SEED, KILLS)


@pytest.fixture(scope="module")
def peace(tmp_path_factory):
    """The folder of the same year in one process."""
    folder = tmp_path_factory.mktemp("peace")
    with closing(engine_in(folder)) as engine:
        engine.run_continuous()
    return folder


def table(folder, name, *columns):
    with closing(Ledger.read(account_in(folder))) as ledger:
        return ledger.frame(name)[list(columns)]


def test_a_year_with_kills_ends_as_a_year_in_peace_to_the_micro_dollar(killed, peace):
    folder, _ = killed
    equity = table(peace, "cycles", "session", "equity")
    assert len(equity) == 251 and equity.equals(table(folder, "cycles", "session", "equity"))
    booked = "id", "session", "kind", "symbol", "order_id", "qty", "cash", "fee", "price"
    assert table(folder, "events", *booked).equals(table(peace, "events", *booked))


def test_each_order_reached_the_broker_once_whoever_sent_it(killed, peace):
    folder, _ = killed
    asked = "id", "symbol", "side", "qty", "status"
    assert table(folder, "intents", *asked).equals(table(peace, "intents", *asked))
    assert set(table(folder, "arrived", "id")["id"]) == set(table(peace, "arrived", "id")["id"])


def test_a_ledger_that_was_killed_three_times_holds_together_and_nothing_stayed_open(killed):
    folder, told = killed
    with closing(Ledger.read(account_in(folder))) as ledger:
        assert verify(ledger) == []
    died = told.iloc[:-1]
    assert len(died) == KILLS and "SENDING" in died["open"].iloc[-1]
    assert ((died["open"] == "") == (died["resolved"] == "")).all()
    assert told["open"].iloc[-1] == "" and told["to"].iloc[-1] == LAST


def test_the_same_seed_dies_at_the_same_statement(killed, tmp_path):
    _, told = killed
    again = lived(tmp_path, deaths(SEED, KILLS)[0])
    assert (again["statements"], again["before"]) == tuple(told.loc[1, ["statements", "before"]])


def test_a_plan_that_its_process_did_not_live_to_commit_is_not_there(tmp_path):
    told = lived(tmp_path, Death(FIRST, "plan", 3))
    assert told["inside"] and table(tmp_path, "intents", "id").empty and table(tmp_path, "order_events", "id").empty


def test_a_life_that_ends_otherwise_than_it_was_told_is_an_error(killed):
    folder, _ = killed
    with pytest.raises(LedgerError, match="ended with 0"):
        lived(folder, Death(LAST + pd.Timedelta("1D"), "cycle", 0))


def test_deaths_lie_one_in_each_part_of_the_year_and_are_counted_from_each_mark():
    drawn_up = deaths(7, 6)
    assert drawn_up == deaths(7, 6) != deaths(8, 6)
    sessions = [death.session for death in drawn_up]
    assert sessions == sorted(sessions) and sessions[0] >= FIRST and sessions[-1] < LAST
    assert [death.since for death in drawn_up] == list(MARKS) * 2


@pytest.mark.parametrize("kills", [0, 61])
def test_a_number_of_kills_that_cannot_be_is_refused(tmp_path, kills):
    with pytest.raises(InvalidParameter, match=f"kills is {kills}"):
        lives(tmp_path, 0, kills)


DAYS = pd.bdate_range("2012-03-01", periods=6)
EQUITY = pd.Series([100.0, 101.0, 102.0, 101.0, 103.0, 104.0], DAYS)
TOLD = pd.DataFrame({"to": DAYS[[1, 2, 4, 5]], "open": ["", "2 PLANNED, 1 SENDING", "1 ABSENT", ""]})


def test_each_death_is_marked_at_its_session_by_the_gravest_of_what_was_open():
    marks = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in drawn(EQUITY, TOLD).get_lines()}
    assert marks["killed with nothing open"] == ([1], [101.0])
    assert marks["killed with an order on its way"] == ([2], [102.0])
    assert marks["killed with an order planned"] == ([4], [103.0])
    assert marks["killed"][1] == EQUITY.tolist()


def test_a_year_that_nobody_killed_is_drawn_upbelow_and_a_life_on_another_day_is_refused():
    lines = drawn(EQUITY, TOLD, EQUITY + 1.0).get_lines()
    assert [line.get_label() for line in lines][:2] == ["never killed", "killed"]
    with pytest.raises(InvalidParameter, match="a life ended on 2012-03-01"):
        drawn(EQUITY.iloc[1:], TOLD.assign(to=DAYS[[0, 2, 4, 5]]))


def test_a_clock_that_is_moved_by_hand_sleeps_at_once():
    clock = HandClock("2012-03-01 21:00Z")
    clock.sleep(3600.0)
    assert clock.now() == clock.horizon() == pd.Timestamp("2012-03-01 22:00", tz="UTC") and clock.monotonic() == 3600.0
