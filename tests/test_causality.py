"""Leaks planted one by one are found, with their bar, symbol and size; what has none passes."""

import functools
import importlib
import math
import sys
import threading
from array import array
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from types import MappingProxyType, ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from every import EVERY

from conftest import random_bars
from toolkit.data import Bars
from toolkit.errors import InvalidParameter, StrategyFailed
from toolkit.signals import examples
from toolkit.signals import indicators as ta
from toolkit.signals.causality import replayed
from toolkit.signals.causality.apart import apart
from toolkit.signals.causality.certification import certify
from toolkit.signals.causality.invariance import in_other_shares
from toolkit.signals.rules import above
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import Strategy

check = functools.partial(certify, state=False, progress=False)


def kinds(strategy, bars):
    return set(check(strategy, bars).kinds)


def quiet(seed=1, n_symbols=3, n_bars=90):
    """A market without halts and actions, so that what is expected can be read off the definition."""
    return random_bars(seed, n_symbols=n_symbols, n_bars=n_bars, halts=False, actions=False)


def unit(frame):
    """Any numbers brought into [-1, 1], one by one."""
    return np.sign(frame)


def residual(y):
    x = np.arange(len(y)) - (len(y) - 1) / 2
    return y - y.mean() - x * (x @ y) / max(x @ x, 1.0)


# ---------------------------------------------------------------------------------------------------------------- leaks
LEAKS = {
    "tomorrow's return": lambda bars: unit(bars.close.pct_change(fill_method=None).shift(-1)),
    "tomorrow's open": lambda bars: unit(bars.open.shift(-1) - bars.close),
    "z-score of the whole sample": lambda bars: unit((bars.close - bars.close.mean()) / bars.close.std()),
    "centred window": lambda bars: unit(bars.close - bars.close.rolling(5, center=True).mean()),
    "bfill": lambda bars: unit(bars.close.diff()[bars.index.day_of_week == 4].reindex(bars.index).bfill()),
    "interpolation": lambda bars: unit(bars.close[::5].reindex(bars.index).interpolate().diff()),
    "weekly closes labelled by the begin of the week": lambda bars: unit(
        bars.close / bars.close.resample("W-MON", label="left", closed="left").last().reindex(bars.index, method="ffill") - 1
    ),
    "weekly closes brought back to days": lambda bars: unit(bars.close.resample("W").transform("last") / bars.close - 1),
    "rank over time": lambda bars: bars.close.rank(pct=True),
    "volume of tomorrow": lambda bars: unit(bars.volume.shift(-1) - bars.volume),
    "share of all volume": lambda bars: unit(bars.volume / bars.volume.sum() - 0.01),
    "distance to the lowest close of all": lambda bars: (bars.close - bars.close.min()) / bars.close.expanding().max(),
    "expanding from the end": lambda bars: unit(bars.close - bars.close[::-1].expanding().min()[::-1]),
    "Fourier smoothing": lambda bars: unit(bars.close - np.fft.irfft(np.fft.rfft(bars.close, axis=0)[:5], len(bars), axis=0)),
    "a fit to the whole history": lambda bars: unit(bars.close.apply(residual)),
    "the last row": lambda bars: unit(bars.close - bars.close.iloc[-1]),
}  # fmt: skip


@pytest.fixture(scope="module")
def market():
    bars = quiet()
    frame = {s: pd.DataFrame({f: bars.traded_frame(f)[s] for f in ("open", "high", "low", "close")}) for s in bars.symbols}
    rng = np.random.default_rng(3)
    return Bars.from_frame({s: each.assign(volume=rng.integers(1e5, 1e6, len(each)) * 1.0) for s, each in frame.items()})


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(market, leak):
    certificate = check(LEAKS[leak], market)
    assert not certificate.passed
    assert certificate.kinds == ("FUTURE",)
    assert certificate.leaking.any()


def test_it_names_the_first_bar_the_symbol_and_the_size():
    bars = quiet(n_symbols=2, n_bars=40)

    def strategy(bars):
        scores = 0.0 * bars.close
        scores.iloc[:, 1] = (0.25 * (bars.close.index <= "2011-01-20") + 0.5 * (np.arange(len(bars)) < len(bars) - 3)).astype(
            float
        )
        return scores

    # the last three bars lack 0.5 that they get three bars later: the first bar is the first with that fate
    certificate = check(strategy, bars)
    leak = certificate.leaks[0]
    assert (leak.bar, leak.symbol, leak.then, leak.later, leak.kind) == ("2011-01-03", "S1", 0.25, 0.75, "FUTURE")
    assert leak.size == 0.5
    assert str(leak) == "FUTURE S1 2011-01-03: 0.25 when it was the last bar, 0.75 once later bars were known"
    assert certificate.leaking.tolist() == [[False] * 40, [True] * 37 + [False] * 3]


def test_a_past_that_is_told_anew_is_a_leak_though_the_last_bar_is_right():
    bars = quiet(n_symbols=1, n_bars=30)

    def repainted(bars):  # bar 5 scores 1 when it is the last, and in the end, but not when there are 20 bars
        scores = bars.close * 0.0 + 1.0
        if len(bars) == 20:
            scores.iloc[5] = 0.0
        return scores

    (leak,) = check(repainted, bars).leaks
    assert (leak.kind, leak.bar, leak.then, leak.later) == ("FUTURE", str(bars.index[5])[:10], 0.0, 1.0)


def test_the_last_bar_of_a_leak_into_the_last_bar_alone_is_found():
    bars = quiet(n_symbols=1, n_bars=30)

    def once(bars):
        scores = bars.close * 0.0
        if len(bars) == 30:
            scores.iloc[17] = 1.0
        return scores

    (leak,) = check(once, bars).leaks
    assert (leak.bar, leak.then, leak.later) == (str(bars.index[17])[:10], 0.0, 1.0)


# --------------------------------------------------------------------------------------------------------- second frames
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


# ------------------------------------------------------------------------------------- no way from a prefix to what follows
WAYS_OUT = {
    "adjusted prices of the whole": lambda bars: bars.whole.adjusted[3],
    "traded prices of the whole": lambda bars: bars.whole._traded[3],
    "what an array is a view of": lambda bars: rooted(bars.traded)[3],
    "what a frame is a view of": lambda bars: rooted(bars.close.to_numpy()).reshape(len(bars.symbols), -1),
    "what lies behind an array": lambda bars: np.lib.stride_tricks.as_strided(bars.traded[3], (3, len(bars) + 1)),
}  # fmt: skip


def rooted(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


@pytest.mark.parametrize("way", WAYS_OUT)
def test_no_prefix_leads_to_the_bars_that_follow(way):
    def strategy(bars):
        ahead = WAYS_OUT[way](bars)
        ahead = unit(np.diff(ahead, axis=1, append=ahead[:, -1:]))[:, : len(bars)]
        return pd.DataFrame(ahead.T, index=bars.index, columns=list(bars.symbols))

    assert kinds(strategy, quiet(n_bars=60)) == {"FUTURE"}


@pytest.mark.parametrize("count", [
    lambda bars: len(bars.whole.chain), lambda bars: len(bars.whole.known), lambda bars: rooted(bars.scale).shape[-1],
    lambda bars: len(rooted(bars.index.asi8)), lambda bars: len(rooted(bars.actions)),
], ids=["chain", "known", "scale", "index", "actions"])  # fmt: skip
def test_no_prefix_tells_how_many_bars_or_actions_follow(count):
    bars = random_bars(3, n_symbols=2, n_bars=60)
    assert len(bars.actions) > 2
    certificate = check(lambda bars: bars.close * 0.0 + count(bars) / 1000.0, bars)
    assert certificate.kinds == ("FUTURE",)


def test_a_prefix_has_the_bits_of_the_whole():
    bars = random_bars(3, n_symbols=4, n_bars=50)
    for n in 1, 20, 50:
        alone = apart(bars, n)
        np.testing.assert_array_equal(alone.adjusted, bars.adjusted[:, :, :n])
        np.testing.assert_array_equal(alone.traded * alone.scale[[0, 0, 0, 0, 1]], alone.adjusted)
        assert alone.index.equals(bars.index[:n]) and (alone.known_at == bars.known_at[:n]).all()
        assert alone.fingerprint == bars.rows(0, n).fingerprint
        assert not any(np.shares_memory(alone.traded, each) for each in (bars.traded, bars.adjusted))
        assert not any(array.flags.writeable for array in (alone.traded, alone.scale, alone.actions, alone.adjusted))


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


# ----------------------------------------------------------------------------------------------- state, chance, failures
def test_chance_is_found():
    rng = np.random.default_rng(1)
    certificate = check(lambda bars: bars.close * 0.0 + rng.uniform(-1, 1, bars.close.shape), quiet())
    assert certificate.kinds == ("RANDOM",) and not certificate.level_independent
    assert "when asked first" in str(certificate) and certificate.needs not in str(certificate)


def test_chance_from_a_seed_inside_is_none():
    assert check(lambda bars: bars.close * 0.0 + np.random.default_rng(1).uniform(-1, 1, bars.close.shape), quiet()).passed


def test_a_count_of_calls_is_found():
    calls = []

    def counting(bars):
        calls.append(1)
        return bars.close * 0.0 + len(calls) % 2

    assert kinds(counting, quiet()) == {"RANDOM"}


def test_what_was_learned_from_later_bars_and_is_kept_is_found():
    kept: dict = {}

    def learning(bars):
        if "mean" not in kept:
            kept["mean"] = bars.close.mean()
        return unit(bars.close / kept["mean"] - 1.0)

    @functools.lru_cache
    def spread(key):
        return key.bars.close.diff().std()

    class Alike:  # to a memory each is the first
        def __init__(self, bars):
            self.bars = bars

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 0

    def recalled(bars):
        return 1.0 * (bars.close.diff() > spread(Alike(bars)))

    bars = quiet()
    assert "FUTURE" in kinds(learning, bars) and "FUTURE" in kinds(recalled, bars)


class Kept:
    frame = None


def test_later_bars_that_are_kept_where_no_copy_reaches_are_found(monkeypatch):
    """In a class, in a module of Python's, in a thread: whoever is asked first before it has seen them answers otherwise."""
    local = threading.local()

    def remembering(get, put):
        def strategy(bars):
            if get() is None or len(get()) < len(bars):
                put(bars.close.copy())
            return unit(get().shift(-1) - get()).reindex(bars.index)

        return strategy

    monkeypatch.setattr(math, "kept", None, raising=False)
    monkeypatch.setattr(Kept, "frame", None)
    for strategy in (
        remembering(lambda: getattr(local, "frame", None), lambda frame: setattr(local, "frame", frame)),
        remembering(lambda: math.kept, lambda frame: setattr(math, "kept", frame)),
        remembering(lambda: Kept.frame, lambda frame: setattr(Kept, "frame", frame)),
    ):
        assert kinds(strategy, quiet()) == {"FUTURE"}


LATEST = None


def test_a_name_that_is_bound_anew_is_as_it_was():
    cell = None

    def globally(bars):
        global LATEST
        if LATEST is None:
            LATEST = bars.close.mean()
        return unit(bars.close / LATEST - 1.0)

    def around(bars):
        nonlocal cell
        if cell is None:
            cell = bars.close.mean()
        return unit(bars.close / cell - 1.0)

    class Model:
        def __call__(self, bars):
            if not hasattr(self, "mean"):
                self.mean = bars.close.mean()
            return unit(bars.close / self.mean - 1.0)

    for strategy in globally, around, Model():
        assert "FUTURE" in kinds(strategy, quiet())


def test_a_memory_in_a_class_is_said():
    class Memory:
        known: dict = {}

    def remembering(bars):
        return Memory.known.setdefault(bars.fingerprint, unit(bars.close.diff()))

    certificate = check(remembering, quiet())
    assert certificate.passed and "what it keeps between calls in a class" in str(certificate)


def test_one_that_keeps_something_is_said_to_become_another_strategy():
    class Counter:
        calls = 0

        def __call__(self, bars):
            self.calls += 1
            return unit(bars.close.diff())

    (remark,) = check(Counter(), quiet()).remarks
    assert "make it anew to trade it" in remark


def test_scores_that_never_differ_are_said_to_show_nothing():
    certificate = check(lambda bars: bars.close * 0.0 + 1.0, quiet())
    assert certificate.passed and "  remark   no score differs from another" in str(certificate)
    assert "no score differs" in certificate._repr_html_()


def test_a_memory_of_what_was_computed_passes():
    kept: dict = {}

    def remembering(bars):
        if bars.fingerprint not in kept:
            kept[bars.fingerprint] = unit(bars.close.diff())
        return kept[bars.fingerprint]

    assert check(remembering, quiet()).passed


def test_one_that_raises_on_history_that_it_scores_later_is_found():
    def raising(bars):
        if len(bars) == 25:
            raise ZeroDivisionError("no 26th bar")
        return unit(bars.close.diff())

    certificate = check(raising, quiet(n_symbols=1))
    assert certificate.kinds == ("RAISES",)
    leak = certificate.leaks[0]
    assert leak.bar == str(quiet().index[24])[:10] and np.isnan(leak.then) and np.isnan(leak.size)
    assert "raised when it was the last bar" in str(leak) and "(ZeroDivisionError: no 26th bar)" in str(leak)


def test_one_that_raises_on_the_first_bars_where_it_has_no_opinion_passes():
    def picky(bars):
        if len(bars) <= 20:
            raise ValueError("too short")
        return unit(bars.close - bars.close.shift(20))

    assert check(picky, quiet()).passed


def test_one_that_raises_on_everything_or_scores_nothing_is_refused():
    with pytest.raises(StrategyFailed, match="raised ZeroDivisionError"):
        check(lambda bars: 1 / 0, quiet())
    with pytest.raises(StrategyFailed, match="has no score for any of 90 bars"):
        check(lambda bars: bars.close * np.nan, quiet())
    with pytest.raises(InvalidParameter, match="is to be certified on a DataFrame; pass Bars"):
        check(lambda bars: bars.close, quiet().close)
    with pytest.raises(InvalidParameter, match="a strategy is a int"):
        check(3, quiet())


# ---------------------------------------------------------------------------------------------------------------- level
LEVELS = {
    "a level of price": lambda bars: 1.0 * (bars.close > 100.0),
    "rank of symbols by price": lambda bars: bars.close.rank(axis=1) / len(bars.symbols),
    "index weighted by price": lambda bars: bars.close * 0.0 + unit(bars.close.sum(axis=1).diff()).to_numpy()[:, None],
    "a level of volume": lambda bars: 1.0 * (bars.volume > 5e5),
    "a move in dollars": lambda bars: unit(bars.close.diff() - 1.0),
}


@pytest.mark.parametrize("level", LEVELS)
def test_a_dependence_on_the_level_of_prices_is_found(market, level):
    certificate = check(LEVELS[level], market)
    assert certificate.kinds == ("LEVEL",) and not certificate.level_independent


@pytest.mark.parametrize("level", [2.0, 1000.0])
def test_a_level_is_found_from_far_above_and_from_far_below(level):
    assert kinds(lambda bars: 1.0 * (bars.close > level), quiet(n_symbols=1)) == {"LEVEL"}


@pytest.mark.parametrize("strategy", [
    lambda bars: unit(bars.close * bars.volume - (bars.close * bars.volume).rolling(5).mean()),
    lambda bars: np.log(bars.close).diff().clip(-1, 1),
    lambda bars: bars.close.pct_change(fill_method=None).rank(axis=1, pct=True),
    lambda bars: 1.0 * (bars.traded_frame("close") > 50.0),
], ids=["dollar volume", "log returns", "rank of returns", "price as traded"])  # fmt: skip
def test_what_does_not_depend_on_the_level_passes(market, strategy):
    assert check(strategy, market).passed


def test_other_shares_keep_dollars_and_returns_to_the_bit_and_change_levels_both_ways():
    bars = random_bars(4, n_symbols=9)
    for sign in 1, -1:
        other = in_other_shares(bars, sign)
        pd.testing.assert_frame_equal(other.close * other.volume, bars.close * bars.volume, check_exact=True)
        ratio = other.close / bars.close
        assert (np.exp2(np.round(np.log2(ratio.mean()))) == ratio.mean()).all() and (ratio.std() == 0.0).all()
        assert (ratio.mean() > 1).any() and (ratio.mean() < 1).any() and other.fingerprint != bars.fingerprint
        pd.testing.assert_frame_equal(other.traded_frame("close"), bars.traded_frame("close"), check_exact=True)


# -------------------------------------------------------------------------------------------------------------- history
def test_history_is_the_window_of_what_looks_back_a_window():
    bars = quiet(n_bars=160)
    assert check(lambda bars: unit(bars.close - bars.close.shift(12)), bars).history == 12
    declared = Strategy("up", IndicatorSet({"mean": ta.sma(17)}), lambda now, before, held: np.sign(now["close"] - now["mean"]))
    assert check(declared, bars).history == 16  # 17 closes, the bar's own among them


def test_what_never_forgets_says_so():
    bars = quiet(n_bars=160)
    certificate = check(lambda bars: (bars.close.diff() > 0).cumsum() / 1000.0, bars)
    assert certificate.passed and certificate.history is None and certificate.settled is None
    assert "all there is" in str(certificate)


def test_what_forgets_but_for_rounding_says_so():
    bars = quiet(n_bars=400)
    certificate = check(lambda bars: (bars.close / bars.close.rolling(20).mean() - 1.0).clip(-1, 1), bars)
    assert certificate.passed and certificate.history is None and certificate.settled == 19
    assert "19 bars, then its scores depend on where history starts by rounding alone" in str(certificate)


# ------------------------------------------------------------------------------------------------------------- declared
def test_a_rule_that_keeps_something_is_found():
    bars = quiet()

    def counting():
        calls = []

        def rule(now, before, held):
            calls.append(1)
            return np.full(len(held), len(calls) % 2 * 1.0)

        return rule

    def ahead():
        future, at = iter(np.sign(bars.close.diff().shift(-1)).to_numpy()), []

        def rule(now, before, held):
            at.append(next(future))
            return at[-1]

        return rule

    members = IndicatorSet({"mean": ta.sma(3)})
    for rule in counting(), ahead():
        assert check(Strategy("keeps", members, rule), bars).kinds == ("RANDOM",)


def test_a_rule_with_a_declared_memory_passes_and_one_that_leaves_chance_in_it_does_not():
    members = IndicatorSet({"mean": ta.sma(3)})

    def highest(now, before, held, memory):
        return np.sign(now["close"] - memory[0]), np.fmax(memory, now["close"])

    assert check(Strategy("highest", members, highest, memory=1), quiet()).passed
    rng = np.random.default_rng(1)
    noisy = Strategy("noisy", members, lambda now, before, held, memory: (held, rng.random(memory.shape)), memory=1)
    assert check(noisy, quiet()).kinds == ("RANDOM",)


def test_a_rule_that_looks_at_a_level_is_found():
    rule = Strategy("dear", IndicatorSet({"mean": ta.sma(3)}), lambda now, before, held: 1.0 * (now["mean"] > 50.0))
    assert check(rule, quiet()).kinds == ("LEVEL",)


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


def test_a_stream_that_parts_from_its_batch_is_found(monkeypatch):
    """The batch is made to look ahead by one bar, which is what no stream can do."""
    honest = replayed.values
    monkeypatch.setattr(replayed, "values", lambda s, bars: {k: np.roll(v, -1, axis=2) for k, v in honest(s, bars).items()})
    declared = Strategy("up", IndicatorSet({"mean": ta.sma(3)}), lambda now, before, held: np.sign(now["close"] - now["mean"]))
    certificate = check(declared, quiet())
    assert certificate.kinds == ("FUTURE",) and "indicator mean" in str(certificate)


def test_a_condition_is_certified_as_both_of_its_forms():
    certificate = check(above(ta.sma(3), ta.sma(9)), quiet(n_bars=160))
    assert certificate.passed and certificate.declared and certificate.history == 8


# ----------------------------------------------------------------------------------------------------------- no alarms
def readable(name):
    declared = EVERY[name]
    return declared.of("high", "volume") if declared.inputs == ("x", "y") else declared


def outputs(value):
    return value if isinstance(value, tuple) else (value,)


def rises(name):
    """The share of outputs that rose less that of those that fell, as a plain function and declared."""
    declared, key = readable(name), name.split(",")[0].replace(" ", "_")

    def plain(bars):
        return sum(np.sign(each.diff()) for each in outputs(IndicatorSet({key: declared})(bars)[key])) / len(declared.places)

    def rule(now, before, held):
        pairs = zip(outputs(now[key]), outputs(before[key]), strict=True)
        return sum(np.sign(a - b) for a, b in pairs) / len(declared.places)

    return plain, Strategy(f"rising {key}", IndicatorSet({key: declared}), rule)


@pytest.mark.parametrize("name", EVERY)
def test_no_indicator_raises_a_false_alarm(name):
    bars = random_bars(11, n_symbols=3, n_bars=80)
    plain, declared = rises(name)
    for strategy in plain, declared:
        certificate = check(strategy, bars)
        assert certificate.passed, str(certificate)


def test_no_indicator_raises_a_false_alarm_on_real_prices(bundled):
    keys = {name: name.replace(", ", "_").replace(" ", "_") for name in EVERY}
    members = IndicatorSet({key: readable(name) for name, key in keys.items()})

    def rule(now, before, held):
        votes = [np.sign(a - b) for key in keys.values() for a, b in zip(outputs(now[key]), outputs(before[key]), strict=True)]
        return np.nanmean([np.zeros(len(held)), *votes], axis=0)

    certificate = check(Strategy("all rise", members, rule), bundled)
    assert certificate.passed, str(certificate)


@pytest.mark.parametrize("strategy", [
    examples.trend_and_rsi, examples.cross_sectional_momentum, examples.bollinger_reversion,
    functools.partial(examples.bollinger_reversion, short=True), examples.breakout_with_atr, examples.declared_trend_and_rsi(),
    examples.declared_bollinger_reversion(), examples.declared_breakout_with_atr(),
], ids=lambda each: getattr(each, "name", None) or getattr(each, "__name__", "partial"))  # fmt: skip
def test_the_examples_pass(strategy, bundled):
    bars = random_bars(5, n_symbols=4, n_bars=330)
    assert check(strategy, bars).passed
    assert check(strategy, bundled if isinstance(strategy, Strategy) else bundled.tail(300)).passed


def test_a_few_bars_are_too_few_to_pass():
    bars = quiet(n_bars=40)
    certificate = check(lambda bars: unit(bars.close.shift(-1) - bars.close).fillna(0.0), bars.rows(0, 1))  # no leak can show
    assert certificate.kinds == ("SHORT",) and certificate.n_bars == 1
    certificate = check(lambda bars: unit(bars.close), bars.rows(0, 19))
    assert certificate.kinds == ("SHORT",) and certificate.history == 0
    assert str(certificate).startswith("TOO SHORT <lambda>: it scores too few bars to tell\n")
    assert (
        "  SHORT S0 2011-01-27: the last bar (19 bars from the first score on, 20 are needed)" in str(certificate).splitlines()
    )
    assert "TOO SHORT</b> &lt;lambda&gt;: it scores" in certificate._repr_html_()
    assert check(lambda bars: unit(bars.close), bars.rows(0, 20)).passed
    late = check(lambda bars: unit(bars.close)[bars.index > "2011-02-01"].reindex(bars.index), bars)
    assert late.kinds == ("SHORT",) and "(18 bars from the first score on, 20 are needed)" in str(late)
    with pytest.raises(StrategyFailed, match="no score for any of 0 bars"):
        check(lambda bars: bars.close * 0.0, bars.rows(0, 0))


def test_minute_bars_are_cut_at_the_instant():
    index = pd.date_range("2024-01-02 14:30", periods=78, freq="5min", tz="UTC")
    rng = np.random.default_rng(1)
    close = 50.0 + rng.standard_normal(78).cumsum() * 0.1
    frame = pd.DataFrame({"open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 1e4}, index=index)
    bars, second = Bars.from_frame(frame, symbol="X", interval="5m"), pd.DataFrame({"X": close[::-1]}, index=index)
    assert kinds(lambda bars: unit(second.shift(-1).reindex(bars.index) - second.reindex(bars.index)), bars) == {"FUTURE"}
    assert check(lambda bars: unit(second.diff().reindex(bars.index)), bars).passed
    assert check(lambda bars: unit(second.shift(-1).reindex(bars.index)), bars).leaks[0].bar == "2024-01-02 14:30"
