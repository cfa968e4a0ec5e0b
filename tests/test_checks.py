"""Operational limits: every code with its sentence, what only closes passes where it may, and NaN is denied everywhere."""

import json
import math
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from conftest import random_bars
from toolkit.data import Bars
from toolkit.errors import InvalidParameter
from toolkit.execution.brokers.values import Asset
from toolkit.execution.checks import LIVE, PAPER, Operations
from toolkit.execution.costs import CAREFUL, CAREFUL_LIVE, Costs, Limits, rules
from toolkit.execution.gate import CURES, Gate
from toolkit.execution.orders import Account, Order, Position
from toolkit.execution.situation import Quotes, Situation, Today, quotes, recorded, remembered
from toolkit.kernels.account import UNIT

IBM = Position("IBM", 50 * UNIT, 100.0, 100.0)
ACCOUNT = Account("demo", "live", 95_000 * UNIT, {"IBM": IBM})
QUOTES = Quotes({"IBM": 0, "MSFT": 0}, {"IBM": 1.01, "MSFT": 0.99}, {"IBM": 1e6, "MSFT": 1e6})
CALM = Situation(ACCOUNT, QUOTES, peak=100_000 * UNIT, day_equity=100_000 * UNIT, buying_power=1e6)
BUY = Order("tk1-b", "k", "IBM", "buy", 10 * UNIT, 100.0, 10 * UNIT)
SELL = Order("tk1-s", "k", "IBM", "sell", 10 * UNIT, 100.0, 10 * UNIT)
OTHER = Order("tk1-o", "j", "IBM", "buy", 5 * UNIT, 100.0, 5 * UNIT)
FREE = Limits(allow_short=True, leverage=2.0, max_stale_sessions=1)
BOUND = replace(FREE, max_net=1.0, max_turnover=2.0, daily_loss=0.05, max_drawdown=0.20)


def verdict(order, situation, bounds=PAPER):
    """Under operational limits, or those of paper and economic ones."""
    operations, limits = (bounds, FREE) if isinstance(bounds, Operations) else (PAPER, bounds)
    return Gate(limits, rules(Costs(), limits), operations).review([order], situation)[0]


def after(**changes):
    return replace(CALM, **changes)


def quoted(**changes):
    return replace(CALM, quotes=replace(QUOTES, **changes))


POOR = replace(ACCOUNT, cash=85_000 * UNIT)
CASES = {
    "KILL_SWITCH": (SELL, after(kill="KILL in paper-demo: fire"), PAPER, "measured KILL in paper-demo: fire"),
    "HALT": (SELL, after(standing="HALT", why="a fall"), PAPER, "measured a fall vs limit ACTIVE"),
    "REDUCE_ONLY": (BUY, after(standing="REDUCE_ONLY", why="by hand"), PAPER, "measured by hand"),
    "LIVE_NOT_ARMED": (SELL, after(unarmed=("TK_LIVE", "a token")), LIVE, "3 of 5 conditions; missing: TK_LIVE, a token"),
    "MARKET_CLOSED": (BUY, after(clash="next open 14:30 there, 13:30 here"), PAPER, "14:30 there"),
    "CLOCK_SKEW": (BUY, after(skew=-31.0), PAPER, "measured -31.0 s vs limit 30 s"),
    "SYMBOL_FROZEN": (SELL, quoted(suspect={"IBM": "5 there, 4 here"}), PAPER, "measured 5 there, 4 here"),
    "SPLIT_DUE": (SELL, after(splits={"IBM": "a split of 2 for 1"}), PAPER, "a split of 2 for 1 vs limit no split"),
    "SPLITS_UNKNOWN": (SELL, after(splits=None), PAPER, "no answer about splits since its close"),
    "DUPLICATE": (BUY, after(today=Today(unsure=(OTHER,))), PAPER, "tk1-o of unknown fate"),
    "SELF_CROSS": (SELL, after(account=replace(ACCOUNT, waiting=(OTHER,))), PAPER, "buy 5 waits (tk1-o)"),
    "PARENT_EXCEEDED": (BUY, after(today=Today(sent={("IBM", "buy"): UNIT})), PAPER, "11 shares vs limit 10 decided"),
    "ASSET_UNKNOWN": (SELL, after(assets={}), PAPER, "not known to the broker"),
    "ASSET_NOT_TRADABLE": (SELL, after(assets={"IBM": Asset("IBM", False)}), PAPER, "not tradable"),
    "ASSET_NOT_FRACTIONABLE": (
        replace(BUY, qty=UNIT // 2, wanted=UNIT), after(assets={"IBM": Asset("IBM")}), PAPER, "0.5 shares",
    ),
    "ASSET_NOT_SHORTABLE": (replace(SELL, qty=60 * UNIT), after(assets={"IBM": Asset("IBM")}), PAPER, "10 shares short"),
    "BAR_JUMP": (BUY, quoted(jumps={"IBM": 1.41}), PAPER, "1.41:1 in one bar vs limit 40%"),
    "PRICE_COLLAR": (replace(BUY, kind="limit", level=94.0), CALM, PAPER, "limit 94.00 is -6.0% of 100.00 vs limit 5.0%"),
    "MAX_ORDER_QTY": (replace(BUY, qty=10_001 * UNIT, reference=1.0), CALM, PAPER, "10,001 shares vs limit 10,000"),
    "ADV_SHARE": (BUY, quoted(volumes={"IBM": 199.0}), PAPER, "10 shares of 199 vs limit 5.00%"),
    "MAX_ORDERS_CYCLE": (BUY, CALM, replace(PAPER, orders_cycle=0), "order 1 vs limit 0"),
    "MAX_ORDERS_DAY": (BUY, after(today=Today(500)), PAPER, "order 501 vs limit 500"),
    "MAX_ORDERS_SYMBOL_DAY": (BUY, after(today=Today(by_symbol={"IBM": 20})), PAPER, "order 21 vs limit 20"),
    "ORDER_RATE": (BUY, after(pause=10.5), PAPER, "10.5 s to wait"),
    "DAILY_LOSS": (BUY, after(account=replace(ACCOUNT, cash=89_900 * UNIT), peak=0), BOUND, "5.10% since the session before"),
    "MAX_DRAWDOWN": (BUY, after(peak=126_000 * UNIT), BOUND, "20.63% below the highest equity vs limit 20.00%"),
    "STALE_DATA": (BUY, quoted(ages={"IBM": 2}), replace(PAPER, fresh_share=0.0), "last bar 2 sessions ago vs limit 1"),
    "UNIVERSE_PARTIAL": (BUY, quoted(ages={"IBM": 0, "MSFT": 1}), PAPER, "50% fresh vs limit 90%"),
    "MAX_TURNOVER_DAY": (BUY, after(today=Today(turnover=199_500.0 * UNIT)), BOUND, "200.50% vs limit 200.00%"),
    "MAX_NET": (BUY, CALM, replace(BOUND, max_net=0.05), "6.00% vs limit 5.00%"),
    "BUYING_POWER": (BUY, after(buying_power=1_000.0), PAPER, "$1,000.00 vs limit $980.00"),
    "NOT_FINITE": (replace(BUY, reference=math.nan), CALM, PAPER, "10 at nan"),
}  # fmt: skip


@pytest.mark.parametrize("code", CASES)
def test_each_code_denies_in_one_sentence_with_measured_limit_and_cure(code):
    order, situation, bounds, said = CASES[code]
    found = verdict(order, situation, bounds)
    side = f"{order.side} {order.qty / UNIT:,.10g}"
    assert str(found).startswith(f"RISK_DENIED[{code}] IBM {side}: measured ")
    assert said in str(found) and str(found).endswith(f"; {CURES[code]}")


@pytest.mark.parametrize("streak", [0, 0.0, 0.5, 2.5])
def test_a_streak_is_a_whole_number_of_at_least_one(streak):
    with pytest.raises(InvalidParameter, match=f"error_streak is {streak}; use a whole number from 1 on, or inf"):
        Operations(error_streak=streak)
    assert Operations(error_streak=1).error_streak == Operations(error_streak=1.0).error_streak and Operations()


@pytest.mark.parametrize("standing", ["HALU", "halt", "active", ""])
@pytest.mark.parametrize("order", [BUY, SELL])
def test_a_standing_that_is_none_sends_nothing(standing, order):
    said = str(verdict(order, after(standing=standing, why="a fall")))
    assert said.startswith("RISK_DENIED[HALT]") and f"the standing {standing!r}, which is none" in said


def test_there_is_a_case_for_every_code_that_the_gate_knows():
    economic = {"MAX_ORDER_NOTIONAL", "MAX_POSITION", "MAX_GROSS", "MIN_CASH", "SHORT_NOT_ALLOWED"}  # tests/test_gate.py
    assert set(CASES) | economic == set(CURES) and len(CURES) >= 30


def test_the_calm_order_passes_under_the_limits_of_paper_and_of_live():
    assert verdict(BUY, CALM).passed and verdict(BUY, replace(CALM, unarmed=()), LIVE).passed


CLOSING = ["REDUCE_ONLY", "BAR_JUMP", "ADV_SHARE", "DAILY_LOSS", "MAX_DRAWDOWN", "UNIVERSE_PARTIAL", "MAX_TURNOVER_DAY",
           "MAX_NET", "BUYING_POWER", "MAX_ORDER_QTY"]  # fmt: skip


@pytest.mark.parametrize("code", CLOSING)
def test_what_only_closes_passes_the_limits_that_are_there_to_keep_risk_small(code):
    _, situation, bounds, _ = CASES[code]
    assert verdict(SELL, situation, bounds).passed


NUMBERS = {"skew": "CLOCK_SKEW", "pause": "ORDER_RATE", "peak": "MAX_DRAWDOWN", "day_equity": "DAILY_LOSS"}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_situation_that_is_nan_is_denied(name):
    assert verdict(BUY, after(**{name: math.nan}), BOUND).code == NUMBERS[name]


@pytest.mark.parametrize(
    "situation, code",
    [
        (quoted(jumps={"IBM": math.nan}), "BAR_JUMP"),
        (quoted(jumps={}), "BAR_JUMP"),
        (quoted(volumes={"IBM": math.nan}), "ADV_SHARE"),
        (quoted(volumes={}), "ADV_SHARE"),
        (quoted(ages={}), "STALE_DATA"),
        (after(buying_power=math.nan), "BUYING_POWER"),
    ],
)
def test_what_is_not_known_is_denied(situation, code):
    assert verdict(BUY, situation, replace(PAPER, fresh_share=0.0)).code == code
    assert verdict(replace(BUY, kind="limit", level=math.nan), CALM).code == "PRICE_COLLAR"
    assert verdict(BUY, after(today=Today(turnover=math.nan)), BOUND).code == "MAX_TURNOVER_DAY"


@pytest.mark.parametrize("name", [f.name for f in fields(Operations)])
def test_a_limit_that_is_negative_or_nan_is_refused(name):
    for bad in (-1.0, math.nan, "5"):
        with pytest.raises(InvalidParameter, match=name):
            Operations(**{name: bad})


def test_a_limit_in_percent_is_taken_for_a_mistake():
    with pytest.raises(InvalidParameter, match=r"a fraction is meant: 0.05"):
        Limits(daily_loss=5.0)


def test_live_is_tighter_than_paper_in_every_limit():
    for tight, loose in (LIVE, PAPER), (CAREFUL_LIVE, CAREFUL):
        for f in fields(tight):
            assert getattr(tight, f.name) <= getattr(loose, f.name), f.name


def test_orders_of_one_plan_are_counted_together():
    bound = replace(FREE, max_turnover=0.025)
    gate = Gate(bound, rules(Costs(), bound), replace(PAPER, orders_cycle=2))
    many = [replace(BUY, id=f"tk1-{s}", symbol=s) for s in ("IBM", "MSFT", "A", "B")]
    seen = after(quotes=Quotes(*(dict.fromkeys(["IBM", "MSFT", "A", "B"], value) for value in (0, 1.0, 1e6))))
    assert [v.code for v in gate.review(many, seen)] == ["", "", "MAX_ORDERS_CYCLE", "MAX_ORDERS_CYCLE"]
    loose = replace(gate, operations=replace(gate.operations, orders_cycle=9))
    assert [v.code for v in loose.review(many, seen)] == ["", "", "MAX_TURNOVER_DAY", "MAX_TURNOVER_DAY"]


def test_an_order_in_doubt_takes_the_room_of_what_it_opens_and_makes_none():
    opens, closes = replace(OTHER, symbol="A"), replace(OTHER, side="sell", qty=50 * UNIT)
    shorts = replace(opens, side="sell")
    gross, net = replace(FREE, max_gross=0.055), replace(FREE, max_net=0.055)
    for doubt, most, limits in (
        (opens, 0, gross),
        (closes, 5, gross),
        (shorts, 0, gross),
        (opens, 0, net),
        (closes, 5, net),
        (shorts, 5, net),
    ):
        seen, codes = after(today=Today(unsure=(doubt,))), []
        for qty in (1, 5, 6):
            order = replace(BUY, symbol="MSFT", qty=qty * UNIT, wanted=qty * UNIT)
            codes.append(verdict(order, seen, limits).code)
        assert [qty for qty, code in zip((1, 5, 6), codes, strict=True) if not code] == [q for q in (1, 5, 6) if q <= most]
        assert set(codes) - {""} == {"MAX_GROSS" if limits is gross else "MAX_NET"}


def test_quotes_are_those_of_a_look_at_each_symbol_by_itself():
    bars = random_bars(5, n_symbols=6, n_bars=90)
    seen = quotes(bars)
    for symbol in bars.symbols:
        n = bars.symbols.index(symbol)
        close = pd.Series(bars.adjusted[3, n]).dropna()
        events = bars.events()[bars.events()["symbol"] == symbol]
        later = [events["split"][events["date"] > day].prod() for day in bars.index[-20:]]
        volume = pd.Series(bars.traded[4, n][-20:] * later).median()  # in the shares of the last bar
        assert seen.ages[symbol] == 89 - close.index[-1] and seen.volumes[symbol] == pytest.approx(volume, rel=1e-12)
        assert seen.jumps[symbol] == close.iloc[-1] / close.iloc[-2]
    assert seen.fresh == np.mean([age == 0 for age in seen.ages.values()])


def alone(close, volume=1e6, **split):
    """Bars of one symbol from its closes; `split`: new shares for one old, and the bar of it."""
    index = pd.bdate_range("2012-01-03", periods=len(close))
    frame = pd.DataFrame(dict.fromkeys(["open", "high", "low", "close"], close) | {"volume": volume}, index)
    frame.loc[frame["close"].isna()] = math.nan
    table = {"date": [index[split["at"]]], "symbol": ["A"], "split": [split["ratio"]], "dividend": [0.0]} if split else None
    return Bars.from_frame(frame, symbol="A", actions=None if table is None else pd.DataFrame(table))


def test_the_close_before_is_found_however_long_a_symbol_was_halted():
    """25 sessions without a trade, and then ten times the price: a reverse split that no source lists."""
    assert quotes(alone([2.0] * 30 + [math.nan] * 25 + [20.0])).jumps == {"A": 10.0}
    assert quotes(alone([math.nan] * 30 + [20.0])).jumps == {}, "the first close of all has none before it"


def test_volumes_before_a_split_are_counted_in_shares_of_today():
    """1 for 10 five sessions ago: 200,000 old shares a day are 20,000 of the new ones, which is what is traded now."""
    bars = alone([2.0] * 50 + [20.0] * 6, [2e5] * 50 + [2e4] * 6, at=50, ratio=0.1)
    assert quotes(bars).volumes["A"] == pytest.approx(2e4, rel=1e-12)
    assert quotes(bars).jumps["A"] == 1.0


def test_a_situation_survives_being_written_down():
    full = replace(
        CALM, today=Today(3, {"IBM": 3}, 1e3, (OTHER,), {("IBM", "buy"): UNIT}), assets={"IBM": Asset("IBM"), "X": None},
        unarmed=("a",), account=replace(ACCOUNT, session=pd.Timestamp("2012-03-01"), waiting=(replace(OTHER, level=1.5),)),
    )  # fmt: skip
    written = json.dumps(recorded(full, {"IBM": 1.0}, {"IBM": math.nan}))
    assert repr(remembered(json.loads(written))) == repr(full)  # NaN has a repr, and no equal
