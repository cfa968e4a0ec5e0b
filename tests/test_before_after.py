"""The plain engine is a fair other side: it wants and says the same, and the table says missed where it is missed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yfinance
from loopback import SYMBOLS

from benchmarks.plain_engine import AskedAccount, KeptAccount, PlainEngine, risk_report, wants
from benchmarks.promises import FEW, MANY, Promise, kept, promises, table
from benchmarks.toolkit_engine import Ours, Standing, looked
from toolkit import YahooSource, trend_and_rsi
from toolkit.risk.cached import CycleRisk
from toolkit.testing.alpaca_server import AlpacaServer
from toolkit.testing.yahoo_server import YahooServer

NOW = pd.Timestamp("2013-03-02 12:00", tz="UTC")  # a Saturday: the anchor of the bundled prices is over
RESULT = json.loads((Path(__file__).parents[1] / "benchmarks" / "before_after.json").read_text())
PROMISED = {
    "data fetching time": {("cold", 5): 0.80, ("cold", 50): 0.90, ("warm", 5): 0.99, ("warm", 50): 0.99},
    "indicator calculation": {(when, n): 0.98 for when in ("cold", "next day", "warm") for n in (5, 50)},
    "risk calculation": {("cold", 5): 0.95, ("cold", 50): 0.95},
    "account and position calls": {("warm", 5): 0.90, ("warm", 50): 0.90},
    "whole cycle, 5 symbols": {("cold", 5): 0.80, ("warm", 5): 0.99},
    "memory": {("warm", 50): 0.50},
    "CPU time a warm cycle": {("warm", 5): 0.95, ("warm", 50): 0.95},
}
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")


@pytest.fixture
def yahoo(bundled, tmp_path):
    yfinance.set_tz_cache_location(str(tmp_path / "tz"))
    with YahooServer(bundled, now=NOW) as server:
        yield server


def source(yahoo, clock, folder):
    return YahooSource(yahoo.session(), clock=clock, shared=folder / "pace")


# ------------------------------------------------------------------------------------------------------------- both engines
def test_the_plain_rules_want_what_the_strategy_wants_at_every_close_of_a_year(bundled):
    scores = trend_and_rsi(bundled)
    for symbol in ("AAPL", "IBM", "MSFT"):
        close = bundled.close[symbol]
        wanted = [wants(close.iloc[:k]) for k in range(len(close) - 250, len(close) + 1)]
        assert wanted == (scores[symbol].iloc[-251:] == 1.0).to_list()
        assert 0 < sum(wanted) < len(wanted)


def test_both_engines_hold_the_same_from_nothing_and_again(yahoo, tmp_path):
    clock = Standing(NOW)
    ours = Ours(tmp_path, SYMBOLS, source(yahoo, clock, tmp_path), clock)
    plain = PlainEngine(SYMBOLS, yahoo.session(), KeptAccount())
    wanted = plain.cycle()
    assert wanted and wanted < set(SYMBOLS)
    assert ours.cycle() == wanted == ours.cycle() == plain.cycle()
    assert set(ours.held()[0]) == wanted == set(plain.account.positions())
    ours.close()


def test_both_engines_order_the_same_symbols_at_a_broker(yahoo, bundled, tmp_path):
    pytest.importorskip("alpaca")
    clock = Standing(NOW)
    with AlpacaServer(bundled, NOW) as mine, AlpacaServer(bundled, NOW) as theirs:
        ours = Ours(tmp_path, SYMBOLS, source(yahoo, clock, tmp_path), clock, mine.url)
        plain = PlainEngine(SYMBOLS, yahoo.session(), AskedAccount(theirs.url))
        assert ours.cycle() == plain.cycle()
        ordered = [{each.ticket.symbol for each in server.exchange.orders.values()} for server in (mine, theirs)]
        assert ordered[0] == ordered[1] == set(ours.held()[0]) != set()
        ours.close()


def test_the_plain_engine_keeps_nothing_and_asks_for_the_account_at_each_decision(yahoo, bundled):
    pytest.importorskip("alpaca")
    with AlpacaServer(bundled, NOW) as alpaca:
        plain = PlainEngine(SYMBOLS, yahoo.session(), AskedAccount(alpaca.url))
        plain.cycle()  # here yfinance asks once for the time zone of each symbol, which it keeps
        for _ in range(2):
            yahoo.log.clear(), alpaca.log.clear()
            plain.cycle()
            asked = [request.path for request in alpaca.log]
            assert sorted(yahoo.charts) == SYMBOLS
            assert asked == ["/v2/account", "/v2/positions"] * len(SYMBOLS)


def test_the_plain_engine_makes_a_risk_report_for_each_trade_and_none_without(yahoo):
    plain = PlainEngine(SYMBOLS, yahoo.session(), KeptAccount())
    assert len(plain.reports) == 0
    assert len(plain.cycle()) == len(plain.reports) > 0
    plain.cycle()
    assert not plain.reports


def test_both_risk_reports_say_the_same(bundled):
    dollars = pd.Series({"AAPL": 30_000.0, "IBM": 20_000.0, "MSFT": 10_000.0})
    plain = risk_report(bundled.close, dollars, 100_000.0, bundled.close["IBM"])
    ours = looked(CycleRisk(unit="dollars", benchmark="IBM").update(bundled, dollars.to_dict(), 100_000.0))
    theirs = {"var_95": "var_95%", "var_99": "var_99%", "herfindahl": "concentration"}
    for name in ("volatility", "leverage", "var_95", "var_99", "beta", "drawdown", "herfindahl"):
        assert ours[name] == pytest.approx(plain[theirs.get(name, name)], rel=1e-9), name
    np.testing.assert_allclose(np.asarray(ours["correlation"].matrix), plain["correlation"], atol=1e-9)


# ---------------------------------------------------------------------------------------------------------------- the table
def test_a_promise_is_met_only_if_the_low_end_of_the_interval_is():
    promise = Promise("fetch", "-70%", "fetch", FEW, "cold", 0.80)
    clearly, hardly, not_at_all = [(1.0, 10.0)] * 4, [(1.0, 10.0), (1.0, 4.0)] * 2, [(2.0, 1.0)] * 4
    rows = [kept(promise, pairs) for pairs in (clearly, hardly, not_at_all)]
    shown = table(rows)
    assert shown["verdict"].to_list() == ["met", "missed", "missed"]
    assert shown["change"].to_list() == ["-90.0%", "-85.7%", "+100.0%"]


def test_a_promise_that_is_reached_exactly_is_met():
    counts = Promise("account", "-80%", "account", MANY, "warm", 0.90, unit="calls")
    assert kept(counts, [(10.0, 100.0)]).verdict == "met"
    assert kept(counts, [(11.0, 100.0)]).verdict == "missed"


def test_the_promises_are_those_of_the_design():
    measured = {}
    for promise in promises():
        if promise.reach is not None:
            measured.setdefault(promise.name, {})[promise.when, promise.size] = promise.reach
    assert measured == PROMISED


def test_the_result_has_every_promised_row_once():
    expected = [(each.name, each.size, each.when, each.where) for each in promises()]
    found = [(row["promise"], row["symbols"], row["when"], row["account"]) for row in RESULT["rows"]]
    assert found == expected and len(set(found)) == len(found)


def test_the_result_says_missed_where_it_is_missed():
    for row in RESULT["rows"]:
        if row["to_reach"] is None:
            assert row["verdict"] == ""
        else:
            reached = 1.0 - 1.0 / row["low"] >= row["to_reach"] - 1e-9
            assert row["verdict"] == ("met" if reached else "missed"), row["promise"]
        assert row["ratio"] == pytest.approx(row["peer_s"] / row["ours_s"])


def test_the_result_names_date_versions_cores_and_system_and_nothing_else_of_the_machine():
    about = {name: value for name, value in RESULT.items() if name not in ("rows", "versions")}
    assert set(about) == {"date", "command", "rounds", "latency_s", "cores", "system", "python"}
    assert about["system"].split()[0] in {"Linux", "Darwin"} and isinstance(about["cores"], int)
    assert str(Path.home()) not in json.dumps(RESULT) and "/" not in json.dumps(RESULT)
