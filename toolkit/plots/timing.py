"""compare({...}): interleaved timings with verdicts that a test can hold on to.

Every number that varies from run to run is marked, with ≈ in text and <span class="t"> in HTML; nbval blanks the marked
ones and nothing else. A verdict ("compiled at least 2x faster than loop: yes") carries no mark, so it is compared.
"""

from __future__ import annotations

import html
import random
import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from toolkit.cycle.durations import MARK, approximate
from toolkit.errors import InvalidParameter
from toolkit.plots.style import BLUE, TIMINGS, canvas, tidy


def times(ratio: float) -> str:
    """A ratio to three digits, whole from 100 on."""
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.3g}"


def in_html(varying: str) -> str:
    """A value that varies from run to run, marked for the reader and for the notebook tests."""
    return f'<span class="t">{MARK}{html.escape(varying.removeprefix(MARK))}</span>'


@dataclass(frozen=True)
class Comparison:
    """Seconds a call of each function, one value a round; the first function is the baseline."""

    seconds: dict[str, np.ndarray]
    checked: bool

    @property
    def baseline(self) -> str:
        """Label of the function that the others are measured against."""
        return next(iter(self.seconds))

    def typical(self, label: str) -> float:
        """Lower quartile of the seconds a call; under a busy processor medians wander tenfold, this by 1 or 2 %."""
        return float(np.quantile(self._of(label), 0.25))

    def ratio(self, label: str) -> tuple[float, float, float]:
        """Times faster than the baseline, with the low and high end of the 95 % bootstrap interval over rounds."""
        base, own = self._of(self.baseline), self._of(label)
        rounds = np.random.default_rng(0).integers(0, len(own), (2000, len(own)))  # drawn together: rounds are pairs
        drawn = np.quantile(base[rounds], 0.25, axis=1) / np.quantile(own[rounds], 0.25, axis=1)
        low, high = np.quantile(drawn, (0.025, 0.975))
        return self.typical(self.baseline) / self.typical(label), float(low), float(high)

    def faster(self, label: str, at_least: float = 1.0) -> str:
        """The verdict, a sentence without a varying number: yes if the low end of the interval clears `at_least`.

        Claim half of what you see: a machine under load still has to say yes.
        """
        verdict = "yes" if self.ratio(label)[1] >= at_least else "NO"
        return f"{label} at least {at_least:g}x faster than {self.baseline}: {verdict}"

    def _of(self, label: str) -> np.ndarray:
        if label not in self.seconds:
            raise InvalidParameter(f"there is no function {label!r}", f"pass one of {', '.join(self.seconds)}")
        return self.seconds[label]

    def __repr__(self) -> str:
        equal = "equal" if self.checked else "not checked"
        lines = [f"{len(self.seconds)} functions, baseline {self.baseline}, results {equal}"]
        for label in self.seconds:  # in the given order: sorted by speed they would change places
            speed, low, high = self.ratio(label)
            spread = f"{MARK}[{times(low)}, {times(high)}]"
            lines.append(f"  {label}: {approximate(self.typical(label))} {MARK}{times(speed)}x {spread}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        slowest = max(map(self.typical, self.seconds))
        rows = "".join(self._row(label, slowest) for label in self.seconds)
        equal = "results equal" if self.checked else "results not checked"
        heads = "".join(f"<th>{head}</th>" for head in ("", "a call", "fastest – p90", "speed-up", "95 % interval", ""))
        return f"<table><caption>{equal}</caption><tr>{heads}</tr>{rows}</table>"

    def _row(self, label: str, slowest: float) -> str:
        speed, low, high = self.ratio(label)
        fastest, p90 = np.quantile(self.seconds[label], (0.0, 0.9))
        spread = f"{in_html(approximate(fastest))} – {in_html(approximate(p90))}"
        share = f'<span class="t"><meter min="0" max="1" value="{self.typical(label) / slowest:.3f}"></meter></span>'
        cells = (in_html(approximate(self.typical(label))), spread, in_html(f"{times(speed)}×"),
                 in_html(f"[{times(low)}, {times(high)}]"), share)  # fmt: skip
        note = " (baseline)" if label == self.baseline else ""
        return f"<tr><th>{html.escape(label)}{note}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Seconds a call on a logarithmic axis: boxes span the quartiles, whiskers the 5th to the 95th percentile."""
        ax = ax or canvas(7, 0.5 * len(self.seconds) + 0.9)
        ax.set_gid(TIMINGS)
        ax.boxplot(
            list(self.seconds.values()), orientation="horizontal", tick_labels=list(self.seconds), whis=(5, 95),
            widths=0.5, showfliers=False, patch_artist=True,
            boxprops={"facecolor": BLUE, "alpha": 0.35}, medianprops={"color": "black"},
        )  # fmt: skip
        ax.set_xscale("log")
        ax.invert_yaxis()
        ax.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: approximate(seconds).removeprefix(MARK)))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel("time a call (logarithmic)", fontsize=9)
        return tidy(ax)


def compare(
    functions: Mapping[str, Callable[..., Any]],
    *args: Any,
    rounds: int = 40,
    block: float = 0.002,
    check: bool | Callable[[Any], Any] = True,
    rtol: float = 1e-9,
) -> Comparison:
    """Times the functions on `args` in interleaved, shuffled rounds, so that drift of the machine hits all alike.

    A round calls each function for about `block` seconds: shorter than a scheduler's slice, so that most blocks meet no
    other process. The results must be equal to `rtol` first; `check` may be a function that takes from a result what is
    to be compared, or False.
    Raises InvalidParameter without functions and where a result differs from the baseline's.
    """
    if not functions or rounds < 2:
        raise InvalidParameter(f"{len(functions)} functions in {rounds} rounds", "pass at least 1 function and 2 rounds")
    timers = {label: timeit.Timer(partial(function, *args)) for label, function in functions.items()}
    first = {label: function(*args) for label, function in functions.items()}  # compiles and warms up as well
    if check:
        _agree({label: check(result) if callable(check) else result for label, result in first.items()}, rtol)
    calls = {label: max(1, int(block / max(timer.timeit(1), 1e-9))) for label, timer in timers.items()}
    seconds: dict[str, list[float]] = {label: [] for label in timers}
    shuffled, shuffle = list(timers), random.Random(0).shuffle
    for _ in range(rounds):
        shuffle(shuffled)
        for label in shuffled:
            seconds[label].append(timers[label].timeit(calls[label]) / calls[label])
    return Comparison({label: np.array(values) for label, values in seconds.items()}, bool(check))


def _agree(results: Mapping[str, Any], rtol: float) -> None:
    baseline = next(iter(results))
    for label, result in results.items():
        try:
            np.testing.assert_allclose(result, results[baseline], rtol=rtol)
        except (AssertionError, TypeError, ValueError) as error:
            why = next(line for line in str(error).splitlines() if line.strip())
            raise InvalidParameter(
                f"{label} returns something else than {baseline} ({why})", "compare functions of equal results"
            ) from error
