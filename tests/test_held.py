"""What a strategy holds beside its bars is cut at the same bar, in whatever shape it is held, or named."""

import functools
import importlib
import sys
from array import array
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from types import MappingProxyType, ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from suspects import check, kinds, quiet, unit

from toolkit.signals import indicators as ta
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import Strategy


def holding(second):
    """Functions over a second frame, by how they hold it; cutting bars alone cannot show a shift before the reindexing."""

    @dataclass
    class Held:
        frame: pd.DataFrame

    def closed_over(bars, take):
        return unit(take(second, bars))

    def by_default(bars, take, frame=second):
        return unit(take(frame, bars))

    def bound(frame, bars, take):
        return unit(take(frame, bars))

    box, record = {"prices": [second]}, Held(second)

    def inside(bars, take):
        return unit(take(box["prices"][0], bars))

    def of_record(bars, take):
        return unit(take(record.frame, bars))

    @functools.lru_cache
    def remembered():
        return second

    def by_memory(bars, take):
        return unit(take(remembered(), bars))

    def helper():
        return second

    def by_helper(bars, take):
        return unit(take(helper(), bars))

    return {"cell": closed_over, "default": by_default, "partial": functools.partial(bound, second), "container": inside,
            "dataclass": of_record, "memory": by_memory, "helper": by_helper}  # fmt: skip


TAKEN = {
    "shifted, then reindexed": lambda frame, bars: frame.shift(-1).reindex(bars.index) - frame.reindex(bars.index),
    "reindexed, then shifted": lambda frame, bars: frame.reindex(bars.index).shift(-1) - frame.reindex(bars.index),
}
WAYS = ("cell", "default", "partial", "container", "dataclass", "memory", "helper")


@pytest.mark.parametrize("take", TAKEN)
@pytest.mark.parametrize("way", WAYS)
def test_a_leak_through_a_second_frame_is_found_however_it_is_held(way, take):
    bars = quiet(n_bars=40)
    frame = quiet(seed=2, n_bars=60).close  # goes on after the bars
    assert kinds(functools.partial(holding(frame)[way], take=TAKEN[take]), bars) == {"FUTURE"}


@pytest.mark.parametrize("way", WAYS)
def test_a_second_frame_that_is_only_looked_back_at_passes(way):
    bars = quiet(n_bars=40)
    frame = quiet(seed=2, n_bars=60).close
    strategy = functools.partial(holding(frame)[way], take=lambda frame, bars: frame.shift(1).diff().reindex(bars.index))
    certificate = check(strategy, bars)
    assert certificate.passed and certificate.held


GLOBAL_FRAME = quiet(seed=2, n_bars=60).close


def reads_a_global(bars):
    return unit(GLOBAL_FRAME.shift(-2).reindex(bars.index) - GLOBAL_FRAME.reindex(bars.index))


def aware(frame):
    return frame.tz_localize("UTC")


SHAPES = {
    "series": lambda f: f["S0"],
    "symbols as rows": lambda f: f.T,
    "long": lambda f: f.stack(),
    "periods": lambda f: f.set_axis(f.index.to_period("D")),
    "dates": lambda f: f.set_axis(f.index.date),
    "unsorted": lambda f: f[::-1],
    "time zone": aware,
    "bars": lambda f: quiet(seed=2, n_bars=60),
    "array": lambda f: f.to_numpy()[:40],
    "transposed array": lambda f: f.to_numpy()[:40].T,
    "no labels": lambda f: f.iloc[:40].reset_index(drop=True),
}
BACK = {
    "series": lambda f: f.to_frame().to_numpy() * np.ones(3),
    "symbols as rows": lambda f: f.T,
    "long": lambda f: f.unstack(),
    "periods": lambda f: f.set_axis(f.index.to_timestamp()),
    "dates": lambda f: f.set_axis(pd.DatetimeIndex(f.index)),
    "unsorted": lambda f: f[::-1],
    "time zone": lambda f: f.tz_localize(None),
    "bars": lambda f: f.close,
    "array": lambda f: f,
    "transposed array": lambda f: f.T,
    "no labels": lambda f: f.to_numpy(),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("ahead", "expected"), [(1, {"FUTURE"}), (0, set())])
def test_what_was_known_is_cut_in_whatever_shape_it_is_held(shape, ahead, expected):
    bars = quiet(n_bars=40)
    held, back = SHAPES[shape](quiet(seed=2, n_bars=60).close), BACK[shape]

    def strategy(bars):
        values = np.asarray(back(held), dtype=float)
        change = np.diff(values, axis=0, prepend=values[:1])
        change = np.concatenate([change[ahead:], np.full((ahead, 3), np.nan)])[: len(bars)]
        return pd.DataFrame(unit(change), index=bars.index, columns=list(bars.symbols))

    assert kinds(strategy, bars) == expected


def test_a_global_frame_is_cut_too():
    certificate = check(reads_a_global, quiet(n_bars=40))
    assert certificate.kinds == ("FUTURE",) and certificate.held == ("GLOBAL_FRAME",)
    assert reads_a_global.__globals__["GLOBAL_FRAME"] is GLOBAL_FRAME and len(GLOBAL_FRAME) == 60


def test_a_leak_into_the_last_bar_from_beyond_it_is_found():
    bars, frame = quiet(n_bars=40), quiet(seed=2, n_bars=60).close

    def last_alone(bars):
        ahead = unit(frame.shift(-1).reindex(bars.index) - frame.reindex(bars.index))
        return ahead.mul(1.0 * (bars.index == "2011-02-25"), axis=0).fillna(0.0)

    assert {leak.bar for leak in check(last_alone, bars).leaks} == {"2011-02-25"} == {str(bars.index[-1])[:10]}


def test_a_frame_in_a_module_of_the_users_is_cut_and_the_module_is_left_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "lab_for_causality.py").write_text("FRAME = None\ndef ahead(): return FRAME.shift(-1) - FRAME\n")
    monkeypatch.syspath_prepend(tmp_path)
    lab = importlib.import_module("lab_for_causality")
    monkeypatch.setitem(sys.modules, "lab_for_causality", lab)  # forgotten after the test
    lab.FRAME = quiet(seed=2, n_bars=60).close
    certificate = check(lambda bars: unit(lab.ahead().reindex(bars.index)), quiet(n_bars=40))
    assert certificate.kinds == ("FUTURE",) and certificate.held == ("FRAME",) and len(lab.FRAME) == 60


def test_a_decorated_function_is_looked_through():
    frame = quiet(seed=2, n_bars=60).close

    def signs(function):
        @functools.wraps(function)
        def wrapper(bars):
            return np.sign(function(bars))

        return wrapper

    @signs
    def strategy(bars):
        return (frame.shift(-1) - frame).reindex(bars.index)

    assert kinds(strategy, quiet(n_bars=40)) == {"FUTURE"}


def test_what_is_held_by_an_instance_is_cut_too():
    class Model:
        def __init__(self, frame):
            self.frame = frame

        def score(self, bars):
            return unit(self.frame.shift(-1).reindex(bars.index) - self.frame.reindex(bars.index))

        __call__ = score

    bars, frame = quiet(n_bars=40), quiet(seed=2, n_bars=60).close
    assert kinds(Model(frame).score, bars) == kinds(Model(frame), bars) == {"FUTURE"}


def test_weekly_figures_known_from_their_label_on_pass():
    bars = quiet(n_bars=40)
    weekly = quiet(seed=2, n_bars=60).close.resample("W-FRI").last()
    assert check(lambda bars: unit(weekly.diff().reindex(bars.index, method="ffill")), bars).passed
    assert not check(lambda bars: unit(weekly.diff().reindex(bars.index, method="bfill")), bars).passed


def test_a_table_without_times_stays_whole():
    weights = pd.Series([0.1, 0.2, 0.3], index=["S0", "S1", "S2"])
    certificate = check(lambda bars: unit(bars.close.diff()) * weights, quiet(n_bars=40))
    assert certificate.passed and certificate.held == ()


# ------------------------------------------------------------------------------------------- other shapes of what is held
T = 80
SECOND = quiet(seed=2, n_bars=T + 20).close
PRICES = SECOND["S0"]


def dated(labels):
    return PRICES.set_axis(labels)


class Slots:
    __slots__ = ("frame",)

    def __init__(self, frame):
        self.frame = frame


@dataclass(frozen=True, slots=True)
class Record:
    frame: pd.Series


HELD = {  # what is held, and the prices in it
    "dates as text": (dated(PRICES.index.strftime("%Y-%m-%d")), lambda held: held),
    "dates as text without hyphens": (dated(PRICES.index.strftime("%Y%m%d")), lambda held: held),
    "instants as text": (dated(PRICES.index.strftime("%Y-%m-%dT00:00:00Z")), lambda held: held),
    "dates as whole numbers": (dated(PRICES.index.strftime("%Y%m%d").astype(int)), lambda held: held),
    "dates as categories": (dated(pd.CategoricalIndex(PRICES.index)), lambda held: held),
    "days as intervals": (dated(pd.IntervalIndex.from_arrays(PRICES.index, PRICES.index + pd.Timedelta("1D"), closed="left")),
                          lambda held: held),
    "a column of dates": (PRICES.rename_axis("date").reset_index(), lambda held: held["S0"]),
    "a column of dates as text": (pd.DataFrame({"Date": PRICES.index.strftime("%Y-%m-%d"), "x": PRICES.to_numpy()}),
                                  lambda held: held["x"]),
    "a long table": (SECOND.rename_axis("date").reset_index().melt("date"), lambda held: held[held.variable == "S0"]["value"]),
    "a list": (PRICES.tolist()[:T], lambda held: held), "a tuple": (tuple(PRICES[:T]), lambda held: held),
    "a list of lists": ([[x] for x in PRICES[:T]], lambda held: [each[0] for each in held]),
    "an array of Python": (array("d", PRICES[:T]), lambda held: held),
    "a dict by date": (PRICES.to_dict(), lambda held: list(held.values())),
    "a dict by date as text": ({str(day)[:10]: x for day, x in PRICES.items()}, lambda held: list(held.values())),
    "bars in the middle": (np.broadcast_to(PRICES[:T].to_numpy()[None, :, None], (2, T, 3)).copy(), lambda held: held[1, :, 2]),
    "OrderedDict": (OrderedDict(x=PRICES), lambda held: held["x"]),
    "defaultdict": (defaultdict(list, x=PRICES), lambda held: held["x"]),
    "MappingProxyType": (MappingProxyType({"x": PRICES}), lambda held: held["x"]),
    "SimpleNamespace": (SimpleNamespace(x=PRICES), lambda held: held.x), "deque": (deque([PRICES], 3), lambda held: held[0]),
    "slots": (Slots(PRICES), lambda held: held.frame), "a record with slots": (Record(PRICES), lambda held: held.frame),
    "seven deep": ({"a": [{"b": ({"c": [PRICES]},)}]}, lambda held: held["a"][0]["b"][0]["c"][0]),
}  # fmt: skip


def after(prices, ahead, bars):
    """The sign of the change to the next price, or from the one before."""
    values = np.asarray(prices, dtype=float)
    change = np.diff(values, append=np.nan) if ahead else np.diff(values, prepend=np.nan)
    rows = np.full(len(bars), np.nan)
    rows[: len(change)] = np.sign(change[: len(bars)])
    return pd.DataFrame({symbol: rows for symbol in bars.symbols}, index=bars.index)


@pytest.mark.parametrize("shape", HELD)
@pytest.mark.parametrize(("ahead", "expected"), [(True, {"FUTURE"}), (False, set())])
def test_what_is_dated_or_has_an_entry_a_bar_is_cut_whatever_it_is_kept_in(shape, ahead, expected):
    held, prices = HELD[shape]
    certificate = check(lambda bars: after(prices(held), ahead, bars), quiet(n_bars=T))
    assert set(certificate.kinds) == expected and certificate.held and not certificate.uncut, str(certificate)


NOT_CUT = {
    "a list that is longer": (PRICES.tolist(), "held (list of 100)"),
    "an array that is shorter": (PRICES.to_numpy()[: T - 1], f"held (ndarray of {T - 1})"),
    "a Series without labels": (PRICES.reset_index(drop=True), "held (Series of 100)"),
    "a dict by something else": ({n: x for n, x in enumerate(PRICES)}, "held (dict of 100)"),
    "a list in a dict": ({"x": PRICES.tolist()}, "held['x'] (list of 100)"),
    "year, month and day": (dated([PRICES.index.year, PRICES.index.month, PRICES.index.day]), "held (Series of 100)"),
    "a window over a frame": (SECOND.rolling(3), "held (Rolling of 100 x 3)"),
    "a memory": (memoryview(PRICES.to_numpy()), "held (memoryview of 100)"),
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_CUT)
def test_what_is_large_and_cannot_be_cut_is_named(what):
    held, name = NOT_CUT[what]
    certificate = check(lambda bars: unit(bars.close.diff()) * bool(held is not None), quiet(n_bars=T))
    assert certificate.passed and certificate.uncut == (name,)
    assert f"  unseen   held, not cut: {name}; what the strategy reads from files" in str(certificate)
    assert "held, not cut: " in certificate._repr_html_()


def test_what_a_class_of_the_users_holds_is_named():
    class Model:
        frame, window = SECOND, 3

        def __call__(self, bars):
            return unit(bars.close.diff(self.window))

    assert check(Model(), quiet(n_bars=T)).uncut == ("Model.frame (DataFrame of 100 x 3)",)
    assert check(lambda bars: unit(bars.close.diff(Model.window)), quiet(n_bars=T)).uncut == (
        "Model.frame (DataFrame of 100 x 3)",
    )


@pytest.mark.parametrize("held", [
    {"fast": 5, "slow": 20, "names": ["a", "b"]}, list(range(64)), "x" * 500, np.arange(30.0), {"2011": 1.0},
    {symbol: {"sector": "x", "weight": 0.1} for symbol in "ABC"}, pd.Series(1.0, index=list("ABC")),
    pd.DataFrame({"date": ["soon", "late"]}),
], ids=["config", "windows", "text", "weights", "year", "nested", "series", "words"])  # fmt: skip
def test_a_setting_is_neither_cut_nor_named(held):
    certificate = check(lambda bars: unit(bars.close.diff()) * bool(held is not None), quiet(n_bars=T))
    assert certificate.passed and certificate.held == () and certificate.uncut == () and certificate.remarks == ()


def test_symbols_in_a_dict_that_are_all_cut_are_not_named():
    frames = {f"X{n}": PRICES.tail(30) for n in range(70)}
    certificate = check(lambda bars: unit(bars.close.diff()) * bool(frames), quiet(n_bars=T))
    assert certificate.passed and len(certificate.held) == 70 and certificate.uncut == ()


def test_what_a_method_reads_that_the_strategy_calls_is_cut():
    class Model:
        def __call__(self, bars):
            return self.ahead(bars)

        def ahead(self, bars):
            return unit(GLOBAL_FRAME.shift(-1) - GLOBAL_FRAME).reindex(bars.index)

    assert kinds(Model(), quiet(n_bars=40)) == {"FUTURE"}


def test_what_is_looked_up_by_its_name_is_cut():
    module = ModuleType("mine_by_name")
    module.frame = GLOBAL_FRAME
    bars = quiet(n_bars=40)
    assert kinds(lambda bars: unit(globals()["GLOBAL_FRAME"].diff().shift(-1)).reindex(bars.index), bars) == {"FUTURE"}
    assert kinds(lambda bars: unit(getattr(module, "frame").diff().shift(-1)).reindex(bars.index), bars) == {"FUTURE"}  # noqa: B009


@pytest.mark.parametrize("shape", ["a list", "a dict by date", "MappingProxyType", "slots", "a column of dates"])
@pytest.mark.parametrize(("ahead", "expected"), [(1, ("FUTURE",)), (0, ())])
def test_a_rule_that_holds_later_prices_is_cut_at_its_bar(shape, ahead, expected):
    held, prices = HELD[shape]

    def rule(now, before, given, memory):
        at = np.where(np.isnan(memory), 0, memory + 1)
        known = np.asarray(prices(held), dtype=float)
        here, there = int(at[0, 0]), min(int(at[0, 0]) + ahead, T - 1)
        return np.full(len(given), np.sign(known[there] - known[here] + 0.5 * (1 - ahead))), at

    certificate = check(Strategy("counts", IndicatorSet({"mean": ta.sma(3)}), rule, memory=1), quiet(n_bars=T))
    assert certificate.kinds == expected and certificate.held and certificate.uncut == ()


def test_what_a_rule_holds_that_cannot_be_cut_is_named():
    changes = PRICES.pct_change()
    table = {round(now, 12): np.sign(then) for now, then in zip(changes, changes.shift(-1), strict=True)}

    def rule(now, before, held):
        return np.full(len(held), table.get(round(float(now["close"][0] / before["close"][0] - 1.0), 12), 0.0))

    certificate = check(Strategy("looks up", IndicatorSet({"mean": ta.sma(3)}), rule), quiet(seed=2, n_bars=T))
    assert certificate.uncut == ("table (dict of 100)",) and "held, not cut: table (dict of 100)" in str(certificate)
