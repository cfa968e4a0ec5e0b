"""What empyrical measures too; skipped where it is missing, since it excludes the peewee that is pinned here for yfinance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from toolkit.risk import risk_report
from toolkit.risk.tails import next_bar

empyrical = pytest.importorskip(
    "empyrical", reason="empyrical-reloaded asks for peewee<3.17.4; constraints.txt has a later one"
)
BOOK = {"AAPL": 40_000.0, "GOOG": 10_000.0, "IBM": 30_000.0, "MSFT": -20_000.0}


@pytest.fixture(scope="module")
def report(bundled):
    return risk_report(bundled, BOOK, 100_000.0, benchmark="IBM")


@pytest.mark.parametrize("level", [0.95, 0.99])
def test_var_and_cvar_differ_by_the_convention_at_the_edge_alone(level):
    """empyrical's VaR lies between two returns, ours is one of them; its CVaR means over a whole number of returns."""
    returns = 0.0005 + 0.01 * np.random.default_rng(0).standard_t(4, 504)
    var, cvar = next_bar(returns, "historical", level)
    losses = np.sort(-returns)
    at = int(np.searchsorted(losses, var))
    assert losses[at - 1] <= -empyrical.value_at_risk(returns, cutoff=1.0 - level) <= losses[at + 1]
    assert cvar == pytest.approx(-empyrical.conditional_value_at_risk(returns, cutoff=1.0 - level), rel=0.03)


def test_beta_volatility_and_drawdown_are_those_of_empyrical(report, bundled):
    returns = bundled.close[list(BOOK)].pct_change().iloc[-504:]
    whole = pd.Series(returns.to_numpy() @ report.weights, index=returns.index)
    for name, own in {**returns, "portfolio": whole}.items():
        assert report.beta[name] == pytest.approx(empyrical.beta(own, returns["IBM"]), rel=1e-9)
        assert report.volatility.loc[name, "close"] == pytest.approx(empyrical.annual_volatility(own), rel=1e-9)
    assert report.drawdowns.deepest == pytest.approx(-empyrical.max_drawdown(report.returns), rel=1e-9)
