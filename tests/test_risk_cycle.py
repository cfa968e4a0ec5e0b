"""The risk of each cycle: made again only for what changed, and every count told."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import InvalidParameter, InvalidSymbol, InvalidWindow
from toolkit.risk import CycleRisk, Limit, risk_report

HELD = {"AAPL": 40.0, "GOOG": 10.0, "IBM": 50.0, "MSFT": 100.0}


def test_nothing_changed_is_the_very_same_report(bundled):
    risk = CycleRisk()
    first = risk.update(bundled, HELD, 1e5)
    assert risk.update(bundled, dict(HELD), 1e5) is first
    assert risk.update(bundled.until("2099-01-01"), HELD, 1e5) is first
    assert risk.stats() == {"hits": 2, "misses": 1, "history_hits": 0, "history_misses": 1, "kept": 1}


def test_a_fill_makes_the_report_again_and_finds_its_covariance(bundled):
    risk = CycleRisk()
    before = risk.update(bundled, HELD, 1e5)
    after = risk.update(bundled, {**HELD, "IBM": 60.0}, 1e5)
    assert after is not before and after.history is before.history
    assert risk.stats() == {"hits": 0, "misses": 2, "history_hits": 1, "history_misses": 1, "kept": 1}
    assert after.exposure.gross > before.exposure.gross


def test_another_equity_is_another_report(bundled):
    risk = CycleRisk()
    first, second = (risk.update(bundled, HELD, equity) for equity in (1e5, 2e5))
    assert first.exposure.leverage == 2.0 * second.exposure.leverage and risk.stats()["misses"] == 2


def test_told_of_a_fill_it_forgets_the_report(bundled):
    risk = CycleRisk()
    first = risk.update(bundled, HELD, 1e5)
    risk.invalidate()
    assert risk.update(bundled, HELD, 1e5) is not first
    risk.clear()
    assert risk.stats()["kept"] == 0


def test_a_new_bar_and_a_changed_price_are_a_new_history(bundled):
    risk = CycleRisk()
    risk.update(bundled.until("2012-06-01"), HELD, 1e5)
    risk.update(bundled.until("2012-06-04"), HELD, 1e5)
    traded = bundled.until("2012-06-04").traded.copy()
    traded[3, 0, 100] *= 1.0 + 1e-12
    other = bundled.until("2012-06-04")
    risk.update(other.rows(0, len(other), traded), HELD, 1e5)
    assert risk.stats()["history_misses"] == 3 and risk.stats()["history_hits"] == 0


def test_only_so_many_histories_are_kept_and_the_latest_stay(bundled):
    risk = CycleRisk(keep=2)
    views = [bundled.until(day) for day in ("2012-06-01", "2012-06-04", "2012-06-05")]
    for view in (*views, views[2], views[1], views[0]):
        risk.update(view, {**HELD, "IBM": risk.misses + 1.0}, 1e5)
    assert risk.stats()["kept"] == 2
    assert risk.stats()["history_hits"] == 2 and risk.stats()["history_misses"] == 4


def test_it_says_what_a_report_made_from_nothing_says(bundled):
    limits = [Limit("leverage", 0.5), Limit("cvar_99", 0.01)]
    risk = CycleRisk(limits, benchmark="IBM")
    for day in ("2012-06-01", "2012-06-04"):
        cached = risk.update(bundled.until(day), HELD, 1e5)
    fresh = risk_report(bundled.until(day), HELD, 1e5, unit="shares", benchmark="IBM", limits=limits)
    np.testing.assert_array_equal(cached.tails, fresh.tails)
    np.testing.assert_array_equal(cached.headroom, fresh.headroom)
    np.testing.assert_array_equal(cached.stress["return"], fresh.stress["return"])


def test_breaches_are_noted_bar_by_bar_and_shown_in_the_report(bundled):
    risk = CycleRisk([Limit("leverage", 1.0)])
    equities = {"2012-06-01": 1e6, "2012-06-04": 1e4, "2012-06-05": 9e3, "2012-06-06": 1e6}
    for day, equity in equities.items():
        report = risk.update(bundled.until(day), HELD, equity)
    (breach,) = risk.breaches
    assert [f"{when:%Y-%m-%d}" for when in (breach.began, breach.ended)] == ["2012-06-04", "2012-06-06"]
    assert breach.worst > 3.0 and report.breaches == risk.breaches and len(report.breached) == 1
    assert not report.headroom["breached"].any()


def test_the_highest_equity_is_remembered_for_the_drawdown(bundled):
    risk = CycleRisk([Limit("drawdown", 0.1)])
    for day, equity in {"2012-06-01": 1e5, "2012-06-04": 1.2e5, "2012-06-05": 9e4}.items():
        report = risk.update(bundled.until(day), HELD, equity)
    assert report.measure("drawdown") == pytest.approx(0.25) and report.headroom["breached"].all()


def test_a_refused_value_leaves_no_trace(bundled):
    risk = CycleRisk([Limit("leverage", 1e-9)])
    with pytest.raises(InvalidSymbol, match="'XYZ' is held"):
        risk.update(bundled, {"XYZ": 1.0}, 1e5)
    with pytest.raises(InvalidParameter, match="equity is -1.0"):
        risk.update(bundled, HELD, -1.0)
    with pytest.raises(InvalidParameter, match="bars hold no bar"):
        risk.update(bundled.until("1990-01-01"), {}, 1e5)
    assert risk.breaches == () and risk.stats()["misses"] == 0
    with pytest.raises(InvalidWindow, match="keep is 0"):
        CycleRisk(keep=0)


def test_an_empty_account_has_no_risk(bundled):
    report = CycleRisk([Limit("leverage", 1.0), Limit("days_to_exit", 1.0)]).update(bundled, {}, 1e5)
    assert report.exposure.gross == 0.0 and not report.headroom["breached"].any()
