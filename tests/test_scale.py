"""The same sweep on other processes: the same bits, bars that travel as a path, and an error where it cannot be read."""

import os
from collections.abc import Iterator

import joblib
import numpy as np
import pandas as pd
import pytest

pytest.importorskip("distributed")
import dask
from distributed import Client, LocalCluster

from conftest import random_bars
from toolkit.cycle.sent import received, send
from toolkit.cycle.sweep import sweep
from toolkit.data import Bars
from toolkit.errors import DataUnavailable, StrategyFailed
from toolkit.signals.indicators import sma
from toolkit.signals.rules import above

CROSSOVER = above(lambda fast: sma(fast), lambda slow: sma(slow))
PAIRS = {"fast": list(range(2, 12)), "slow": list(range(13, 23))}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Client]:
    """Two workers in processes of their own on this machine; gone when the tests are over."""
    here = str(tmp_path_factory.mktemp("dask"))
    settings = {"distributed.comm.timeouts.connect": "30s", "distributed.worker.daemon": True}
    with dask.config.set(settings), LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None, local_directory=here
    ) as two, Client(two, timeout="60s") as client:  # fmt: skip
        yield client


def averaged(bars: Bars, window: int) -> pd.DataFrame:
    return (bars.close > bars.close.rolling(window).mean()).astype(float)


CASES = {
    "compiled": (CROSSOVER, PAIRS, {}),
    "each symbol": (CROSSOVER, PAIRS, {"each_symbol": True}),
    "a function": (averaged, {"window": list(range(2, 30))}, {"start": "2011-03-01"}),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_cluster_of_two_processes_gives_the_bits_of_this_one(case, cluster, tmp_path):
    (strategy, grid, settings), bars = CASES[case], random_bars(21, n_symbols=5)
    here = sweep(strategy, grid, bars, state=False, **settings)
    shared = tmp_path / "shared"
    shared.mkdir()
    with joblib.parallel_config(backend="dask"):
        there = sweep(strategy, grid, bars, state=False, folder=shared, **settings)
    np.testing.assert_array_equal(there.sums.rows, here.sums.rows)
    pd.testing.assert_frame_equal(there.frame, here.frame, check_exact=True)
    assert not list(shared.iterdir())  # what was written for the workers is gone


def test_a_worker_reads_the_bars_once_for_all_of_its_parts(cluster, tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()

    def told(bars: Bars, window: int) -> pd.DataFrame:
        with open(seen / f"{os.getpid()}", "a") as file:
            file.write(f"{id(bars)} ")
        return bars.close * 0.0

    with joblib.parallel_config(backend="dask"):
        sweep(told, {"window": list(range(64))}, random_bars(2), state=False)
    assert str(os.getpid()) not in os.listdir(seen)
    assert {len(set((seen / name).read_text().split())) for name in os.listdir(seen)} == {1}


def test_a_path_that_a_worker_cannot_read_is_said_with_the_cure(tmp_path):
    path = send(random_bars(2), tmp_path)
    path.unlink()
    with pytest.raises(DataUnavailable, match=r"cannot read the bars at .*folder=\) in a file system that all workers share"):
        received(str(path))


def test_a_worker_that_cannot_read_the_bars_stops_the_sweep_with_that_error(cluster, tmp_path, monkeypatch):
    def gone(bars: Bars, folder: object) -> str:
        return str(tmp_path / "gone.bars")

    monkeypatch.setattr("toolkit.cycle.sweep.send", gone)  # as if the folder were not shared
    with joblib.parallel_config(backend="dask"), pytest.raises(DataUnavailable, match="pass sweep"):
        sweep(CROSSOVER, PAIRS, random_bars(2), state=False)


def raising(bars: Bars, window: int) -> pd.DataFrame:
    raise ZeroDivisionError("by window")


def test_what_a_strategy_raises_on_a_worker_is_said_here(cluster):
    with joblib.parallel_config(backend="dask"), pytest.raises(StrategyFailed, match="raised ZeroDivisionError"):
        sweep(raising, {"window": [3, 4]}, random_bars(2), state=False)


def test_processes_of_joblib_itself_serve_as_well():
    bars = random_bars(21, n_symbols=3)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        there = sweep(CROSSOVER, PAIRS, bars, state=False)
    np.testing.assert_array_equal(there.sums.rows, sweep(CROSSOVER, PAIRS, bars, state=False).sums.rows)


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_bars_arrive_as_they_were_sent(tmp_path, zone):
    bars = random_bars(4)
    if zone:
        index = pd.date_range("2011-01-03 14:30", periods=160, freq="5min", tz=zone)
        bars = Bars(bars.symbols, index, bars.traded, bars.scale, bars.actions, "5m", delay=pd.Timedelta("20min"))
    arrived = received(str(send(bars.until(bars.known_at[120]), tmp_path)))
    assert arrived.fingerprint == bars.until(bars.known_at[120]).fingerprint
    assert arrived.index.equals(bars.index[:121])
    assert arrived.index.dtype == bars.index.dtype
    assert arrived.delay == bars.delay
    np.testing.assert_array_equal(arrived.close, bars.close[:121])
    assert not arrived.traded.flags.writeable
