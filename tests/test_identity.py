"""The identity of a strategy changes with whatever its scores could change with, and with nothing else."""

import copy
import functools
import importlib
import linecache
import os
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from toolkit.errors import InvalidParameter
from toolkit.signals.causality.identity import identity
from toolkit.signals.indicators import rsi, sma
from toolkit.signals.rules import above
from toolkit.signals.sets import IndicatorSet
from toolkit.signals.strategies import Strategy, trend_and_rsi

module = importlib.import_module("toolkit.signals.causality.identity")  # the package hands on a function of that name
MINE = """
import numpy as np
import functools

LEVEL = 3

def deeper(x): return x + LEVEL
def helper(x): return deeper(x) * 2
def unrelated(x): return x
def strategy(bars, span=20, *, scale=1.0):
    return helper(bars.close.rolling(span).mean()) * scale
def recursive(n): return n if n < 1 else other(n - 1)
def other(n): return recursive(n - 1)
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A module of the user's, written and imported afresh, from text."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str):
        (tmp_path / "mine_for_identity.py").write_text(text)
        sys.modules.pop("mine_for_identity", None)
        linecache.clearcache()
        importlib.invalidate_caches()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        return importlib.import_module("mine_for_identity")

    yield write
    sys.modules.pop("mine_for_identity", None)


def typed(text: str, name: str = "f", **names):
    """A function as a notebook or a prompt defines it: without a source file."""
    space = {"__name__": "__main__", "np": np, **names}
    exec(compile(textwrap.dedent(text), "<cell>", "exec"), space)
    return space[name]


def test_it_is_32_hex_digits():
    assert len(identity(trend_and_rsi)) == 32 and int(identity(trend_and_rsi), 16) >= 0


CHANGES = {
    "a constant in the function": ("span).mean()", "span).max()"),
    "a helper": ("* 2", "* 3"),
    "a helper of the helper": ("x + LEVEL", "x - LEVEL"),
    "a global value that a helper reads": ("LEVEL = 3", "LEVEL = 4"),
    "a whole number become a fraction": ("LEVEL = 3", "LEVEL = 3.0"),
    "a default": ("span=20", "span=21"),
    "a default of a keyword": ("scale=1.0", "scale=2.0"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_it_changes_with(written, what):
    before = identity(written(MINE).strategy)
    assert MINE.count(CHANGES[what][0]) == 1
    assert identity(written(MINE.replace(*CHANGES[what])).strategy) != before


def test_a_module_reloaded_without_change_keeps_it_and_so_do_comments_and_other_functions(written):
    before = identity(written(MINE).strategy)
    assert identity(written(MINE).strategy) == before
    assert identity(written("# a remark\n\n" + MINE).strategy) == before
    assert identity(written(MINE.replace("def unrelated(x): return x", "def unrelated(x): return -x")).strategy) == before


def test_an_edit_of_the_file_that_was_not_imported_changes_nothing(written, tmp_path):
    strategy = written(MINE).strategy
    before = identity(strategy)
    (tmp_path / "mine_for_identity.py").write_text(MINE.replace("* 2", "* 3"))
    linecache.checkcache()
    assert identity(strategy) == before  # what runs is what was imported


def test_functions_that_call_each_other_have_one(written):
    before = identity(written(MINE).recursive)
    changed = MINE.replace("recursive(n - 1)", "recursive(n - 2)")
    assert identity(written(changed).recursive) != before == identity(written(MINE).recursive)


def test_what_an_own_module_that_is_read_as_an_attribute_holds_counts(written):
    def of(text):
        return identity(typed("def f(bars): return mine.helper(bars)", mine=written(text)))

    assert of(MINE) == of(MINE) != of(MINE.replace("x + LEVEL", "x - LEVEL"))
    assert of(MINE) == of(MINE.replace("span=20", "span=30"))

    def closed_over(text):
        mine = written(text)
        return identity(lambda bars: mine.helper(bars))

    assert closed_over(MINE) == closed_over(MINE) != closed_over(MINE.replace("x + LEVEL", "x - LEVEL"))


def closing_over(value):
    return lambda bars: value


VALUES = [
    (1, 2), (1, True), (0.0, -0.0), ("a", "b"), ((1, 2), (1, 3)), ([1], (1,)), ({"a": 1}, {"a": 2}), ({1, 2}, {1, 3}),
    (np.arange(3), np.arange(3) + 1), (np.arange(3), np.arange(3.0)), (np.zeros((2, 3)), np.zeros((3, 2))),
    (np.array(["x", None], object), np.array(["y", None], object)),
    (pd.Series([1.0, 2.0]), pd.Series([1.0, 2.0], index=[1, 2])),
    (pd.DataFrame({"a": [1.0], "b": ["x"]}), pd.DataFrame({"a": [1.0], "b": ["y"]})),
    (pd.date_range("2020", periods=3), pd.date_range("2020", periods=3, tz="UTC")),
    (pd.Series(["x", "y"], dtype="category"), pd.Series(["x", "z"], dtype="category")),
    (pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-02")), (IndicatorSet({"a": sma(3)}), IndicatorSet({"a": sma(4)})),
    (np.random.default_rng(1), np.random.default_rng(2)), (functools.partial(max, 1), functools.partial(max, 2)),
    (np.sin, np.cos), (max, min),
]  # fmt: skip


@pytest.mark.parametrize(("one", "another"), VALUES, ids=[f"{type(one).__name__} {n}" for n, (one, _) in enumerate(VALUES)])
def test_it_changes_with_a_value_closed_over(one, another):
    assert identity(closing_over(one)) != identity(closing_over(another))
    assert identity(closing_over(one)) == identity(closing_over(copy.deepcopy(one)))


def test_sets_hash_alike_however_they_were_filled():
    names = [f"S{n}" for n in range(50)]
    assert identity(closing_over(set(names))) == identity(closing_over(set(reversed(names))))


def test_bars_closed_over_are_known_by_their_fingerprint(bundled):
    assert identity(closing_over(bundled)) != identity(closing_over(bundled.until("2012-01-03")))


def test_a_bound_parameter_counts_and_an_empty_partial_is_the_function():
    assert identity(functools.partial(trend_and_rsi, fast=4)) != identity(functools.partial(trend_and_rsi, fast=3))
    assert identity(functools.partial(trend_and_rsi)) == identity(trend_and_rsi)
    one, other = functools.partial(trend_and_rsi, fast=4, slow=9), functools.partial(trend_and_rsi, slow=9, fast=4)
    assert identity(one) == identity(other)


def test_two_lambdas_of_one_line_differ():
    first, second = (lambda bars: bars.close, lambda bars: bars.open)
    assert identity(first) != identity(second)


def test_a_declared_strategy_counts_members_rule_and_memory():
    def rule(level):
        return lambda now, before, held: np.where(now["rsi"] < level, 1.0, 0.0)

    declared = Strategy("dip", IndicatorSet({"rsi": rsi(14)}), rule(30))
    assert identity(declared) == identity(Strategy("dip", IndicatorSet({"rsi": rsi(14)}), rule(30)))
    assert identity(declared) != identity(Strategy("dip", IndicatorSet({"rsi": rsi(13)}), rule(30)))
    assert identity(declared) != identity(Strategy("dip", IndicatorSet({"rsi": rsi(14)}), rule(31)))
    assert identity(declared) != identity(Strategy("dip", IndicatorSet({"rsi": rsi(14)}), rule(30), memory=1))


def test_looking_at_indicators_changes_nothing(bundled):
    declared = Strategy("up", IndicatorSet({"fast": sma(3)}), lambda now, before, held: np.sign(now["close"] - now["fast"]))
    before = identity(declared)
    declared.indicators.compute(bundled)
    declared(bundled.until("2001-01-03"))
    assert identity(declared) == before


def test_a_condition_counts_its_windows():
    assert identity(above(sma(3), sma(9))) == identity(above(sma(3), sma(9))) != identity(above(sma(3), sma(8)))


class Model:
    """A model with a state."""

    def __init__(self, weight):
        self.weight = weight

    def score(self, bars):
        return self.weight * bars.close

    __call__ = score


@dataclass
class Settings:
    window: int


def test_the_state_of_an_instance_counts():
    assert identity(Model(1.0).score) == identity(Model(1.0).score) != identity(Model(2.0).score)
    assert identity(Model(1.0)) != identity(Model(2.0))
    assert identity(closing_over(Settings(3))) == identity(closing_over(Settings(3))) != identity(closing_over(Settings(4)))


def test_the_code_of_the_class_of_an_instance_counts():
    text = "class M:\n    def score(self, bars): return self.part(bars)\n    def part(self, bars): return {}\nf = M().score"
    assert identity(typed(text.format(1))) == identity(typed(text.format(1))) != identity(typed(text.format(2)))


def test_a_function_typed_at_a_prompt_has_one():
    assert identity(typed("def f(bars): return bars.close + 1")) == identity(typed("def f(bars): return bars.close + 1"))
    assert identity(typed("def f(bars): return bars.close + 1")) != identity(typed("def f(bars): return bars.close + 2"))
    text = "def f(bars): return bars.close + [level for _ in range(3)][0]"
    assert identity(typed(text, level=1)) != identity(typed(text, level=2))


def test_decorated_and_remembered_functions_are_looked_through():
    def f(level):
        @functools.lru_cache
        def remembered(x):
            return x + level

        return lambda bars: remembered(bars)

    def compiled(level):
        numba = importlib.import_module("numba")
        return closing_over(numba.njit(typed(f"def f(x): return x + {level}")))

    assert identity(f(1)) == identity(f(1)) != identity(f(2))
    assert identity(compiled(1)) == identity(compiled(1)) != identity(compiled(2))


def test_it_changes_with_versions_and_with_our_sources(monkeypatch):
    before = identity(trend_and_rsi)
    monkeypatch.setattr(module, "versions", lambda: {"pandas": "99"})
    assert identity(trend_and_rsi) != before
    monkeypatch.undo()
    monkeypatch.setattr(module, "sources", lambda: ("edited",))
    assert identity(trend_and_rsi) != before


def test_what_holds_itself_or_cannot_be_pickled_has_one_too():
    circle: list = [1]
    circle.append(circle)
    assert identity(closing_over(circle)) == identity(closing_over(circle))
    assert len(identity(closing_over([threading.Lock(), iter([1]), sys.stdin, (n for n in [1])]))) == 32


FRESH = """
import numpy as np, pandas as pd, functools
from toolkit.signals.causality.identity import identity
from toolkit.signals import Strategy, IndicatorSet, indicators, trend_and_rsi
from enum import Enum
class Side(Enum):
    LONG = 1
class Model:
    names = {"x", "y", "z"}
    def __init__(self): self.weights = {"a": np.arange(3.0)}; self.side = Side.LONG
    def score(self, bars): return bars.close * self.weights["a"][0] + (len(self.names) in {"p", "q", "r"})
frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}, index=pd.date_range("2020", periods=2, tz="America/New_York"))
def helper(x): return x + frame["a"].iloc[0]
def plain(bars, window=5): return helper(bars.close.rolling(window).mean()) if window in {"u", "v", "w"} else None
declared = Strategy("up", IndicatorSet({"m": indicators.macd()}), lambda now, before, held: np.sign(now["m"].signal))
for each in plain, functools.partial(plain, window=7), Model().score, declared, trend_and_rsi:
    print(identity(each))
"""


def test_it_is_the_same_in_every_process():
    def run(seed: str) -> str:
        done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "PYTHONHASHSEED": seed})  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = run("1")
    assert len(set(first.split())) == 5 and run("2") == first


def test_what_cannot_be_called_is_refused():
    with pytest.raises(InvalidParameter, match="a strategy is a DataFrame; pass a function of bars"):
        identity(pd.DataFrame())


def test_what_a_proxy_a_view_of_memory_and_a_remembered_partial_hold_counts():
    for make in (
        lambda n: closing_over(MappingProxyType({"a": n})),
        lambda n: closing_over(memoryview(bytes([n]))),
        lambda n: functools.lru_cache(functools.partial(trend_and_rsi, fast=n)),
    ):
        assert identity(make(1)) == identity(make(1)) != identity(make(2))


def test_a_helper_that_is_looked_up_by_its_name_counts():
    text = 'def f(bars): return globals()["helper"](bars)\ndef helper(bars): return bars.close * {}'
    assert identity(typed(text.format(1))) == identity(typed(text.format(1))) != identity(typed(text.format(2)))


def test_a_docstring_changes_nothing_unless_the_code_reads_it():
    def said(text, body="bars.close"):
        return identity(typed(f'def f(bars):\n    "{text}"\n    return {body}'))

    assert said("one") == said("another")
    assert said("close", 'bars["close"]') != said("open", 'bars["open"]')


def test_columns_of_plain_numbers_are_hashed_by_their_bits(monkeypatch):
    """Value by value it takes seconds for 500 symbols."""
    frame = pd.DataFrame({"a": np.arange(5000.0), "b": np.arange(5000)})
    met = []
    digest = module.Tree.digest
    monkeypatch.setattr(module.Tree, "digest", lambda tree, value: met.append(1) or digest(tree, value))
    identity(closing_over(frame))
    assert len(met) < 500
