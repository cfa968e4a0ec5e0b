"""When the limits of the whole account were broken, told from its ledger, against what the loop itself saw at every close."""

from contextlib import closing

import pandas as pd
import pytest

from toolkit.cycle.breaches import breaches_of, exposures
from toolkit.cycle.engine import TradingEngine
from toolkit.risk.limits import Limit


@pytest.fixture
def run(values):
    """An engine after a replay, with the account and the equity after each cycle."""
    with closing(TradingEngine.from_values(**values)) as engine:
        seen = []
        engine.run_continuous(on_cycle=lambda report: seen.append((report.session, engine.broker.account(), report.equity)))
        yield engine, seen


def test_exposures_are_those_that_the_account_had_at_each_close(run):
    engine, seen = run
    bars = engine.bars()
    close, found = bars.traded_frame("close"), exposures(engine.ledger, bars)
    for session, account, equity in seen:
        values = {s: p.qty / 1e6 * close.loc[session, s] / equity for s, p in account.positions.items() if p.qty}
        expected = [sum(map(abs, values.values())), abs(sum(values.values())), max(map(abs, values.values()), default=0.0)]
        assert found.loc[session, ["leverage", "net", "largest"]].to_numpy() == pytest.approx(expected, abs=1e-12)
    assert found["largest"].max() > 0.1


def test_a_breach_begins_at_the_first_close_above_its_limit_and_ends_at_the_first_within(run):
    engine, seen = run
    bars, curve = engine.bars(), pd.Series([e for *_, e in seen], [session for session, *_ in seen])
    largest = exposures(engine.ledger, bars)["largest"]
    most = float(largest.quantile(0.8))
    found = breaches_of(engine.ledger, bars, [Limit("largest", most), Limit("drawdown", 1.0), Limit("herfindahl", 0.0)], curve)
    assert found and {breach.measure for breach in found} == {"largest"}
    above = largest > most
    assert [breach.began for breach in found] == list(above.index[above & ~above.shift(1, fill_value=False)])
    assert max(breach.worst for breach in found) == largest.max()


def test_an_account_that_never_traded_broke_nothing(values):
    with closing(TradingEngine.from_values(**values)) as engine:
        assert breaches_of(engine.ledger, engine.bars(), [Limit("largest", 0.2)], pd.Series(dtype=float)) == ()
