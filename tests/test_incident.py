"""A past cycle again: the same bit for bit, and where something was changed since, the stage that it changed is named."""

import datetime as dt
import json
import sqlite3
import zlib

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import SYMBOLS, random_bars
from toolkit.cli import main
from toolkit.cycle.config import checked_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.incident import replay
from toolkit.cycle.replayed import Difference, Replayed, differing
from toolkit.cycle.revealed import Revealed
from toolkit.errors import LedgerError
from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT

SPRING = {"start": dt.date(2012, 5, 1), "end": dt.date(2012, 7, 31)}


@pytest.fixture
def engine(values):
    """A quarter of bundled prices, traded."""
    made = TradingEngine.from_values(**values, **SPRING)
    made.run_continuous()
    yield made
    made.close()


def deciding(ledger):
    """Numbers of the cycles that kept a situation."""
    rows = ledger.rows("SELECT situation IS NOT NULL FROM cycles ORDER BY rowid")
    return [number for number, (kept,) in enumerate(rows, 1) if kept]


def stages(replayed):
    return list(dict.fromkeys(difference.stage for difference in replayed.found))


def test_every_cycle_of_a_quarter_comes_out_again_bit_for_bit(engine):
    count = engine.ledger.rows("SELECT count(*) FROM cycles")[0][0]
    again = [replay(number, engine.ledger, engine.config) for number in range(1, count + 1)]
    assert count == 64 and [each for each in again if not each.same] == []
    assert sum(each.orders for each in again) == engine.ledger.rows("SELECT count(*) FROM intents")[0][0] > 5
    assert [n for n, each in enumerate(again, 1) if "scores" in each.compared] == deciding(engine.ledger)


def test_limits_shorts_and_denials_come_out_again_of_given_bars_and_functions(values):
    bars, rng = random_bars(3, actions=False), np.random.default_rng(3)
    wishes = pd.DataFrame(rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], (len(bars), 4)), bars.index, list(bars.symbols))
    given = {"strategy": lambda bars: wishes.loc[bars.index], "sizing": lambda scores, bars: 0.6 * scores}
    market = Revealed(bars, 100)
    values |= {"symbols": list(bars.symbols), "risk": {"allow_short": True, "leverage": 2.0, "max_gross": 1.5}}
    values |= {"calendar": "XNYS", "operations": {"orders_cycle": 1}}
    engine = TradingEngine(checked_config(values), **given, market=market, clock=market.clock)
    engine.run_continuous()
    codes = dict(engine.ledger.rows("SELECT code, count(*) FROM verdicts WHERE stage = 'plan' GROUP BY code"))
    assert codes[""] > 20 and codes["MAX_ORDERS_CYCLE"] > 20
    again = [replay(number, engine.ledger, engine.config, **given, bars=bars) for number in deciding(engine.ledger)]
    assert len(again) > 40 and [each for each in again if not each.same] == []
    engine.close()


def test_a_cycle_that_decided_nothing_says_that_it_kept_no_situation(engine):
    idle = next(n for n in range(1, 64) if n not in deciding(engine.ledger))
    again = replay(idle, engine.ledger, engine.config)
    assert again.same and again.compared == ("bars",) and "no situation was kept" in str(again)


def test_another_strategy_is_a_difference_of_scores_and_not_of_orders(engine):
    def contrary(bars):
        return pd.DataFrame(-0.25, bars.index, list(bars.symbols))

    again = replay(deciding(engine.ledger)[0], engine.ledger, engine.config, strategy=contrary)
    assert not again.same and stages(again) == ["scores", "weights"]
    assert set(again.differences["again"][again.differences["stage"] == "scores"]) == {-0.25}


def test_who_decided_is_said_where_another_strategy_is_asked(engine):
    def other(bars):
        return bars.close * 0.0

    number = deciding(engine.ledger)[0]
    assert "decided by trend_and_rsi(), and other" in str(replay(number, engine.ledger, engine.config, strategy=other))
    assert "decided by" not in str(replay(number, engine.ledger, engine.config))


def test_another_sizing_is_a_difference_of_weights_alone(engine):
    number = deciding(engine.ledger)[0]
    again = replay(number, engine.ledger, engine.config, sizing=lambda scores, bars: 0.01 * scores)
    assert stages(again) == ["weights"]


def test_other_limits_are_a_difference_of_orders_and_verdicts(engine):
    number = deciding(engine.ledger)[0]
    tight = checked_config({**engine.config.model_dump(), "risk": {"max_order_share": 0.01}})
    assert stages(replay(number, engine.ledger, tight))[0] == "orders"
    few = checked_config({**engine.config.model_dump(), "operations": {"max_order_qty": 1.0}})
    denied = replay(number, engine.ledger, few)
    assert set(stages(denied)) == {"orders", "verdicts"} and "MAX_ORDER_QTY" in str(denied)


def test_one_changed_price_is_a_difference_of_the_fingerprint(engine):
    number = deciding(engine.ledger)[0]
    bars = engine.data_cache.bars(SYMBOLS)
    traded = bars.traded.copy()
    traded[3, 0, 10] = np.nextafter(traded[3, 0, 10], np.inf)
    other = type(bars).from_frame(
        {
            s: pd.DataFrame(traded[:, n].T, bars.index, ["open", "high", "low", "close", "volume"])
            for n, s in enumerate(SYMBOLS)
        },
        actions=bars.events(),
    )
    again = replay(number, engine.ledger, engine.config, bars=other)
    assert stages(again)[0] == "bars" and [d.what for d in again.found if d.stage == "bars"] == ["fingerprint"]


def rewritten(engine, number, change):
    """The cycle again from a copy of the ledger in which somebody has changed its situation."""
    key, packed = engine.ledger.rows("SELECT key, situation FROM cycles WHERE rowid = ?", number)[0]
    kept = json.loads(zlib.decompress(packed))
    change(kept)
    copy = engine.ledger.copy_to(engine.folder / "copy.sqlite")
    with sqlite3.connect(copy) as db:
        db.execute("UPDATE cycles SET situation = ? WHERE key = ?", (zlib.compress(json.dumps(kept).encode()), key))
    db.close()
    ledger = Ledger.read(copy)
    try:
        return replay(key, ledger, engine.config)
    finally:
        ledger.close()


def test_one_bit_of_a_kept_weight_is_found(engine):
    again = rewritten(engine, deciding(engine.ledger)[0], lambda kept: kept["weights"].update(AAPL=np.nextafter(0.2, 1.0)))
    assert [d.what for d in again.found if d.stage == "weights"] == ["AAPL"]


def test_the_symbols_that_were_kept_are_believed_and_another_configuration_is_noted(engine):
    number = deciding(engine.ledger)[0]
    assert rewritten(engine, number, lambda kept: kept.update(symbols=SYMBOLS, at="2012-05-01T20:00:00+00:00")).same
    fewer = rewritten(engine, number, lambda kept: kept.update(symbols=SYMBOLS[::-1], config="0" * 32))
    assert not fewer.same and stages(fewer)[0] == "bars"
    assert "the configuration is not the one that the cycle ran with" in str(fewer)


FALSIFIED = {
    "age of AAPL": lambda kept: kept["quotes"][0].update(AAPL=7),
    "jump of AAPL": lambda kept: kept["quotes"][1].update(AAPL=1.0),
    "volume of AAPL": lambda kept: kept["quotes"][2].update(AAPL=1e12),
    "volume of IBM": lambda kept: kept["quotes"][2].pop("IBM"),
    "micro-dollars": lambda kept: kept["account"].__setitem__(2, kept["account"][2] + UNIT),
    "micro-shares of AAPL": lambda kept: kept["account"][4].append(["AAPL", 5 * UNIT, 1.0, 1.0, None, None, None, 0]),
}


@pytest.mark.parametrize("what", FALSIFIED)
def test_a_kept_situation_that_bars_and_events_contradict_is_found(engine, what):
    """At the first decision nothing is held yet, so that the shares are too many."""
    again = rewritten(engine, deciding(engine.ledger)[0], FALSIFIED[what])
    found = [d.what for d in again.found if d.stage in {"quotes", "account"}]
    assert found == [what] and {"quotes", "account"} <= set(again.compared)


def test_bars_that_ended_early_by_one_number_for_all_are_no_difference(engine):
    early = lambda kept: kept["quotes"][0].update({s: age + 2 for s, age in kept["quotes"][0].items()})  # noqa: E731
    assert "quotes" not in stages(rewritten(engine, deciding(engine.ledger)[0], early))


def test_a_situation_of_an_earlier_toolkit_is_compared_without_the_account(engine):
    again = rewritten(engine, deciding(engine.ledger)[0], lambda kept: kept.pop("booked"))
    assert again.same and "account" not in again.compared and "verdicts" in again.compared


def test_orders_without_a_situation_are_not_the_same_and_what_cannot_be_compared_is_said(engine):
    key, orders = engine.ledger.rows("SELECT cycle, count(*) FROM intents GROUP BY cycle ORDER BY rowid LIMIT 1")[0]
    copy = engine.ledger.copy_to(engine.folder / "copy.sqlite")
    with sqlite3.connect(copy) as db:
        db.execute("UPDATE cycles SET situation = NULL WHERE key = ?", (key,))
    db.close()
    ledger = Ledger.read(copy)
    again = replay(key, ledger, engine.config)
    ledger.close()
    assert not again.same and again.orders == orders and again.compared == ("bars",)
    said = f"orders: what {orders} of them were decided on was not kept, it is not to be compared"
    assert said in str(again) and "all but the bars could not be compared" in str(again)


def test_the_account_of_a_later_decision_is_the_fold_of_what_was_booked_by_then(engine):
    """Fills that were booked later are no part of it."""
    for number in deciding(engine.ledger):
        again = replay(number, engine.ledger, engine.config)
        assert again.same and "account" in again.compared


@pytest.mark.parametrize("cycle, said", [(0, "cycle 0 is not among the 64"), (65, "cycle 65 is not among the 64"),
                                         (-65, "cycle -65"), ("trend", "'trend' is not in")])  # fmt: skip
def test_a_cycle_that_is_not_there_is_an_error_with_its_value(engine, cycle, said):
    with pytest.raises(LedgerError, match=said):
        replay(cycle, engine.ledger, engine.config)


def test_a_key_that_is_nearly_right_is_told_the_right_one(engine):
    key = engine.ledger.rows("SELECT key FROM cycles WHERE rowid = 1")[0][0]
    with pytest.raises(LedgerError, match="did you mean 'trend_and_rsi"):
        replay(key.replace("20:00", "21:00"), engine.ledger, engine.config)


def test_minus_one_is_the_last_cycle_and_nothing_is_written(engine):
    before = engine.ledger.path.with_name("ledger.sqlite-wal").stat().st_mtime_ns
    last = engine.ledger.rows("SELECT key FROM cycles ORDER BY rowid DESC LIMIT 1")[0][0]
    assert replay(-1, engine.ledger, engine.config).cycle == last
    assert engine.ledger.path.with_name("ledger.sqlite-wal").stat().st_mtime_ns == before


def test_nan_is_nan_and_minus_zero_is_zero_and_what_is_missing_differs():
    nan = float("nan")
    assert differing("scores", {"A": nan, "B": 0.0, "C": 1.0}, {"A": nan, "B": -0.0, "D": 2.0}) == [
        Difference("scores", "C", 1.0, "nothing"),
        Difference("scores", "D", "nothing", 2.0),
    ]


def test_a_replayed_cycle_prints_and_shows_its_differences_without_being_taken_for_html():
    one = Replayed("k", pd.Timestamp("2012-05-01"), ("bars",), (Difference("bars", "<b>", 1, "$2 & $3"),))
    assert repr(one).splitlines()[-1] == "  bars: <b> was 1, it is $2 & $3"
    html = one._repr_html_()
    assert "&lt;b&gt;" in html and "$2 &amp; $3" in html and "mathjax_ignore" in html


def test_an_order_that_would_end_another_is_compared_too(engine):
    number = deciding(engine.ledger)[0]
    key = engine.ledger.rows("SELECT key FROM cycles WHERE rowid = ?", number)[0][0]
    order = engine.ledger.rows("SELECT id FROM intents LIMIT 1")[0][0]
    copy = engine.ledger.copy_to(engine.folder / "copy.sqlite")
    with sqlite3.connect(copy) as db:
        row = order, "ACCEPTED", "CANCELED", key, ""
        db.execute("INSERT INTO order_events(id, before, after, detail, at) VALUES (?,?,?,?,?)", row)
    db.close()
    ledger = Ledger.read(copy)
    assert [d.what for d in replay(key, ledger, engine.config).found] == [f"end of {order}"]
    ledger.close()


def test_bars_that_the_source_has_rewritten_since_are_found_again_as_they_were(world, values):
    clock, tape, market = world
    values |= {"symbols": ["AAA", "BBB"], "mode": "paper"}
    rising = {"strategy": lambda bars: np.sign(bars.close.diff(5)).fillna(0.0)}
    engine = TradingEngine(checked_config(values), **rising, market=market, clock=clock, source=tape)
    assert engine.run_cycle().turn.orders != ()
    before = market.bars(["AAA", "BBB"])
    tape.scale, clock.time = 1.5, clock.time + pd.Timedelta("2D")
    after = market.bars(["AAA", "BBB"], end=before.index[-1])
    assert (after.traded[3] != before.traded[3]).all() and after.fingerprint != before.fingerprint
    again = replay(-1, engine.ledger, engine.config, **rising, bars=market)
    assert again.same and "scores" in again.compared
    engine.close()


# --- the command


@pytest.fixture
def written(engine, values, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({**values, **SPRING}))
    return path


def test_the_command_finds_the_newest_run_of_its_account_and_is_exit_0_if_the_same(engine, written, capsys):
    number = deciding(engine.ledger)[-1]
    assert main(["replay", str(written), str(number)]) == 0
    printed = capsys.readouterr().out
    assert (
        "the same, bit for bit" in printed and "compared: bars, quotes, account, scores, weights, orders, verdicts" in printed
    )


def test_the_command_is_exit_1_with_the_differences_if_it_differs(engine, written, values, capsys):
    values["risk"] = {"max_order_share": 0.01}
    written.write_text(yaml.safe_dump({**values, **SPRING}))
    number = deciding(engine.ledger)[0]
    assert main(["replay", str(written), str(number), "--ledger", str(engine.folder)]) == 1
    assert "NOT THE SAME in " in capsys.readouterr().out


@pytest.mark.parametrize("line, status, said", [
    ("config.yaml 9999", 1, "cycle 9999 is not among the 64"),
    ("config.yaml", 2, "the following arguments are required: CYCLE"),
    ("nowhere.yaml last", 2, "nowhere.yaml cannot be read"),
    (". last", 2, ". is no config file"),
    ("config.yaml last --ledger nowhere", 1, "there is nothing at nowhere"),
])  # fmt: skip
def test_a_wrong_argument_is_one_sentence(written, tmp_path, monkeypatch, capsys, line, status, said):
    monkeypatch.chdir(tmp_path)
    assert main(["replay", *line.split()]) == status
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and said in printed.err
