"""The page of a run: round trips that agree with the backtest's, and HTML that says everything, loads nothing, runs nothing."""

import re
from contextlib import closing
from dataclasses import asdict
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import random_bars
from toolkit.cli.run_record import record_of
from toolkit.cycle import booked
from toolkit.cycle.backtest import backtest
from toolkit.cycle.booked import books_of, round_trips
from toolkit.cycle.config import checked_config, read_config
from toolkit.cycle.engine import TradingEngine
from toolkit.cycle.kept import config_text
from toolkit.cycle.named import strategy_of
from toolkit.cycle.revealed import Revealed
from toolkit.cycle.telemetry import CycleRow, Telemetry
from toolkit.execution.checks import Operations
from toolkit.execution.costs import Costs, Limits
from toolkit.execution.orders import Account
from toolkit.plots.run_page import run_article, run_page
from toolkit.plots.run_sections import SECTIONS, RunRecord, Times
from toolkit.signals.causality import certify
from toolkit.signals.causality.certificate import Certificate, Leak

COSTS = Costs(per_share=0.01, fee_bps=2.0, slippage_bps=5.0, borrow=0.1, interest=0.05)
FREE = Limits(np.inf, np.inf, np.inf, np.inf, -np.inf, allow_short=True, leverage=2.0, max_stale_sessions=10**6)
EVIL = '<script>alert("x")</script>&'


def restless(bars):
    """Long, short or out by the last three moves."""
    return np.sign(bars.close.pct_change(fill_method=None)).rolling(3).mean().round().fillna(0.0)


def looped(bars, folder):
    """The books of a loop over random bars, long and short, with splits and dividends; and the engine's account."""
    market = Revealed(bars)
    config = checked_config({
        "symbols": list(bars.symbols), "cash": 50_000.0, "state": str(folder), "risk": asdict(FREE), "costs": asdict(COSTS),
        "operations": asdict(Operations()), "whole_shares": False,
    })  # fmt: skip
    engine = TradingEngine(config, strategy=restless, clock=market.clock, market=market)
    for _ in range(len(market.clock)):
        engine.run_cycle()
        market.clock.advance()
    books = books_of(engine.ledger.path)
    engine.close()
    return books


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    bars = random_bars(7, n_symbols=3, n_bars=120)
    return bars, looped(bars, tmp_path_factory.mktemp("state"))


def events(*rows):
    """Events of one symbol: kind, session, micro-shares, micro-dollars, price."""
    columns = ["kind", "session", "qty", "cash", "price"]
    return pd.DataFrame(rows, columns=columns).assign(symbol="A", fee=0, slip=0, reason="", id=range(len(rows)))


def record(**parts):
    missing = {part: f"no {part} {EVIL}" for part in ("books", "times", "risk", "certificate", "versions")}
    return RunRecord(**{"title": "A run", "config": "", **missing, **parts})


# ---------------------------------------------------------------------------------------------------------- round trips
def test_round_trips_are_those_of_the_backtest(wild):
    bars, books = wild
    theirs = backtest(restless, bars, costs=COSTS, limits=FREE, cash=50_000.0, state=False).trades
    ours = round_trips(books.tables["events"], booked.marks_of(books.account))
    assert len(ours) > 20 and {"long", "short"} == set(ours["side"]) and (books.tables["events"]["kind"] == "split").any()
    order = ["entered", "symbol", "side"]
    ours, theirs = (table.sort_values(order, kind="stable").reset_index(drop=True) for table in (ours, theirs))
    names = ["symbol", "side", "entered", "left", "shares", "entry", "exit", "profit", "return"]
    pd.testing.assert_frame_equal(ours[names], theirs[names], check_dtype=False, check_index_type=False, rtol=1e-6)


def test_round_trips_and_what_has_no_symbol_are_the_equity(wild):
    _, books = wild
    moved = books.tables["events"]
    trips = round_trips(moved, booked.marks_of(books.account))
    beside = moved[moved["symbol"].isna()]["cash"].sum() / 1e6
    assert trips["profit"].sum() + beside == pytest.approx(books.account.equity, abs=1e-6)


def test_a_split_on_the_way_rescales_what_was_bought_before_it():
    trip = round_trips(
        events(("fill", "2012-01-03", 10_000_000, -1_000_000_000, 100.0), ("split", "2012-01-05", 10_000_000, 0, None),
               ("dividend", "2012-01-06", 0, 20_000_000, None), ("fill", "2012-01-13", -20_000_000, 1_200_000_000, 60.0)),
        {},
    ).iloc[0]  # fmt: skip
    assert (trip["shares"], trip["entry"], trip["exit"], trip["days"]) == (20.0, 50.0, 60.0, 10)
    assert (trip["profit"], trip["return"]) == (220.0, 0.22)  # 10 a share of 20, and 20 of dividends, on 1000


def test_one_fill_that_closes_and_opens_belongs_to_both_trips_in_its_parts():
    trips = round_trips(
        events(("fill", "2012-01-03", 10_000_000, -1_000_000_000, 100.0),
               ("fill", "2012-01-04", -15_000_000, 1_650_000_000, 110.0)),
        {"A": 100.0},
    )  # fmt: skip
    assert trips["side"].tolist() == ["long", "short"] and trips["shares"].tolist() == [10.0, 5.0]
    assert trips["profit"].tolist() == [100.0, 50.0] and trips["left"].isna().tolist() == [False, True]


def test_an_open_trip_is_worth_its_mark_and_has_no_exit():
    (trip,) = round_trips(events(("fill", "2012-01-03", 2_000_000, -200_000_000, 100.0)), {"A": 90.0}).to_dict("records")
    assert trip["profit"] == -20.0 and trip["return"] == -0.1 and pd.isna(trip["left"]) and np.isnan(trip["exit"])


def test_denials_and_cuts_are_counted_with_the_latest_measure():
    intents = pd.DataFrame({"id": ["a", "b", "c"], "symbol": ["A", "B", "A"], "cut_by": ["", "MAX_POSITION", "MAX_POSITION"],
                            "status": ["DENIED", "CUT", "FILLED"], "qty": [5_000_000, 0, 3_000_000],
                            "wanted": [5_000_000, 4_000_000, 9_000_000]})  # fmt: skip
    verdicts = pd.DataFrame({"id": ["a", "b", "a"], "code": ["STALE_DATA", "", "STALE_DATA"], "measured": ["2", "", "3"],
                             "cap": ["1"] * 3})  # fmt: skip
    assert booked.denials_of(intents, verdicts).to_numpy().tolist() == [["STALE_DATA", 2, "3", "1", "A"]]
    assert booked.cuts_of(intents).to_numpy().tolist() == [["MAX_POSITION", 2, "9 shares", "3 shares", "A, B"]]


# ---------------------------------------------------------------------------------------------------- the configuration
def test_the_configuration_that_is_kept_reads_back_and_tells_no_secret(tmp_path):
    values = {
        "symbols": ["ON", "YES", "BRK-B", "NULL", "AAPL"], "mode": "broker-paper", "cash": 1e16 / 1e7, "band": 1e16,
        "start": pd.Timestamp("2012-02-01").date(), "state": str(tmp_path / "state"),
        "strategy": {"name": "trend_and_rsi", "parameters": {"fast": 5}},
        "broker": {"account": "PA37SECRET", "url": "https://me:hush@example.org/v2?key=hush"},
        "cache": {"directory": str(tmp_path / "cache")},
    }  # fmt: skip
    config = checked_config(values)
    (tmp_path / "config.yaml").write_text(text := config_text(config))
    assert not any(secret in text for secret in ("SECRET", "hush", str(tmp_path)))
    again = read_config(tmp_path / "config.yaml", state=config.state)
    hidden = {"broker": {"account", "url"}, "cache": {"directory"}}
    assert again.model_dump(exclude=hidden) == config.model_dump(exclude=hidden)
    assert again.broker.url == "https://example.org/v2"


# -------------------------------------------------------------------------------------------------------------- the page
class Elements(HTMLParser):
    """Names, attributes and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.names, self.attributes, self.words = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def full(wild):
    """The page of the wild loop, with telemetry, a certificate that leaks, and hostile texts."""
    _, books = wild
    kept = Telemetry()
    for n, (session, equity) in enumerate(booked.equity_by_session(books.tables["cycles"]).items()):
        times = {"data_fetch_time": 0.001, "execution_time": 0.002, "total_cycle_time": 0.004 + 1e-5 * n}
        kept.write(CycleRow(session=session.isoformat(), equity=equity, benchmark=1e5 + n, bars_hits=1, **times), {EVIL: 0.1})
    leak = Leak("2012-01-03", "A", 0.5, 1.0, note=EVIL)
    certificate = Certificate(EVIL, "0" * 32, 10, ("A",), "2012-01-03", "2012-02-03", "", (leak,), 5, 5, {})
    verdicts = books.tables["verdicts"]
    denied = verdicts.assign(code=["STALE_DATA"] + [""] * (len(verdicts) - 1), measured=EVIL, cap="1 session")
    books = books._replace(tables={**books.tables, "verdicts": denied}, wrong=(f"cash is {EVIL}",))
    times = Times(kept.frame(), kept.percentiles(), kept.slowest(), 3)
    parts = {"books": books, "times": times, "certificate": certificate, "config": f"symbols: [{EVIL}]"}
    return run_page(record(**parts, versions={EVIL: EVIL}, title=EVIL))


def test_every_section_is_there_under_its_anchor_and_in_the_contents(full):
    page = Elements(full)
    anchors = [value for tag, name, value in page.attributes if tag == "section" and name == "id"]
    assert anchors == list(SECTIONS)
    assert [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")] == [f"#{a}" for a in anchors]
    assert "this cannot be shown" not in full and page.names.count("svg") == 2


def test_the_page_loads_nothing_and_runs_nothing(full):
    page = Elements(full)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.names)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    sources = [value for _, name, value in page.attributes if name in {"src", "href", "xlink:href", "srcset", "data"}]
    assert sources and all(value.startswith(("#", "data:image/png;base64,")) for value in sources)
    assert not re.search(r"@import|https?://|url\((?!#)", full) and "default-src 'none'" in full


def test_hostile_texts_are_text(full):
    assert "".join(Elements(full).words).count(EVIL) >= 8 and "<script" not in full


def test_ids_are_there_once_and_every_reference_has_its_target(full):
    page = Elements(full)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', full))
    assert {one or other for one, other in wanted} <= set(ids)


def test_figures_take_the_colours_of_the_page(full):
    drawn = "".join(re.findall(r"<svg.*?</svg>", full, flags=re.S))
    assert "currentColor" in drawn and "#000000" not in drawn and "#ffffff" not in drawn.lower()
    assert "prefers-color-scheme: dark" in full and "@media print" in full and "break-inside:avoid" in full


def test_many_round_trips_are_shown_by_their_ten_best_and_ten_worst(wild, full):
    _, books = wild
    trips = round_trips(books.tables["events"], booked.marks_of(books.account))
    section = full[full.index('id="trades"') : full.index('id="costs"')]
    assert f"{len(trips)} round trips" in section and section.count("<tr>") == 22
    assert f"${trips['profit'].max():,.2f}" in section and f"\u2212${-trips['profit'].min():,.2f}" in section


def test_what_is_missing_is_told_in_its_place():
    page = run_article(record(config_note=f"no configuration {EVIL}"), notebook=True)
    words = "".join(Elements(page).words)
    for part in ("times", "risk", "certificate", "configuration", "versions"):
        assert f"no {part} {EVIL}" in words
    assert words.count(f"no books {EVIL}") == 5 and 'href="#notebook"' in page


def test_a_section_that_cannot_be_made_takes_no_other_with_it(wild):
    _, books = wild
    broken = books._replace(tables={**books.tables, "events": pd.DataFrame({"kind": ["fill"]})})
    page = run_page(record(books=broken))
    assert page.count("this cannot be shown (") == 3 and "Equity and drawdown by session" in page


def test_an_account_that_never_traded_says_so(tmp_path):
    tables = {name: table.iloc[:0] for name, table in looped(random_bars(1, 2, 30), tmp_path).tables.items()}
    page = run_page(record(books=booked.Books(Account("demo", "replay", 10**11, {}), ("HALT", EVIL), tables, ())))
    assert "this cannot be shown" not in page and "Nothing was traded" in page and "0 sessions settled" in page
    assert "The account stands HALT" in page and not (Path("state") / "certificates").exists()


# ------------------------------------------------------------------------------------------- a strategy given in Python
LOUD = partial(restless)
PAPER = {"symbols": ["AAPL"], "mode": "paper", "account": "mine", "state": "state"}


@pytest.fixture
def mine(bundled):
    """The folder of a run of a strategy given in Python, without a cycle, where the one of the configuration is certified."""
    config = checked_config(PAPER)
    certify(strategy_of(config), bundled.rows(2800, 3000), state=Path("state"))
    with closing(TradingEngine(config, strategy=LOUD)) as engine:
        engine.export(folder := Path("runs"))
    return folder


def words_of(record, anchor):
    html = run_page(record)
    return " ".join(Elements(html[html.index(f'<section id="{anchor}"') :].split("</section>")[0]).words)


def test_the_certificate_of_a_page_is_of_the_strategy_that_was_given_in_python(mine, bundled):
    before = record_of(mine, "mine", Path("state"))
    assert "There is none for restless()" in words_of(before, "certificate")
    found = certify(LOUD, bundled.rows(2800, 3000), state=Path("state"))
    after = record_of(mine, "mine", Path("state"))
    assert after.certificate.identity == found.identity and after.certificate.strategy == "restless()"
    assert "trend_and_rsi" not in words_of(after, "certificate")
    assert "Strategy given in Python: restless()" in words_of(after, "configuration")


def test_a_certificate_of_another_state_of_it_is_shown_as_such(mine, bundled):
    found = certify(LOUD, bundled.rows(2800, 3000), state=Path("state"))
    (mine / "strategy.json").write_text((mine / "strategy.json").read_text().replace(found.identity, "0" * 32))
    assert "ANOTHER state" in words_of(record_of(mine, "mine", Path("state")), "certificate")


def test_a_run_of_the_strategy_in_the_configuration_keeps_none_and_an_old_folder_is_shown_as_before(mine):
    (mine / "strategy.json").unlink()
    old = record_of(mine, "mine", Path("state"))
    assert old.certificate.strategy.startswith("trend_and_rsi") and old.config_note == ""
    with closing(TradingEngine(checked_config(PAPER | {"account": "theirs"}))) as engine:
        engine.export("theirs")
    assert not (Path("theirs") / "strategy.json").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"name": "x"}', '{"name": "x", "identity": "../../x"}', "[" * 100_000])
def test_a_damaged_name_of_the_strategy_is_a_sentence(mine, text):
    (mine / "strategy.json").write_text(text)
    said = record_of(mine, "mine", Path("state"))
    assert isinstance(said.certificate, str) and re.search("cannot be read|identity is", said.certificate)
