"""The panel: one file for a universe, the same bits as assembling it, and another file as soon as one symbol changes."""

import numpy as np
from tape import utc

from toolkit.data import BarCache, MarketData
from toolkit.data.panel import open_panel, panel_path, store_panel

UNIVERSE = [f"S{number}" for number in range(20)]


def again(market):
    """After a restart: the first question that finds all of it on disk."""
    return MarketData(market.source, BarCache(market.cache.directory), market.clock)


def panels(market):
    return sorted((market.cache.directory / "panels").glob("*.panel"))


def test_a_panel_gives_back_every_bit_and_everything_that_belongs_to_it(tmp_path, bundled):
    path = panel_path(tmp_path, ["a"])
    store_panel(path, bundled, "sample")
    found = open_panel(path)
    assert found.fingerprint == bundled.fingerprint and found.index.equals(bundled.index)
    assert np.array_equal(found.actions, bundled.actions) and found.issues == bundled.issues
    assert dict(found.provenance) == dict(bundled.provenance) and repr(found) == repr(bundled)
    assert not found.traded.flags.owndata and not found.traded.flags.writeable
    assert found.select("IBM").fingerprint == bundled.select("IBM").fingerprint


def test_a_universe_is_assembled_once_and_opened_by_the_next_process(world):
    clock, tape, market = world
    before = market.bars(UNIVERSE)
    assert panels(market) == []  # just fetched: this process has it in memory
    assert again(market).bars(UNIVERSE).fingerprint == before.fingerprint and len(panels(market)) == 1
    third = again(market)
    third.cache.files = None  # nothing but the panel is opened
    assert third.bars(UNIVERSE).fingerprint == before.fingerprint


def test_one_new_bar_or_revision_makes_another_panel(world):
    clock, tape, market = world
    for instant, scale, newest in (
        ("2026-11-25 21:30", 1.0, "25"),
        ("2026-11-27 18:21", 1.0, "27"),
        ("2026-11-30 21:30", 1.01, "30"),
    ):
        clock.time, tape.scale = utc(instant), scale
        market.bars(UNIVERSE)
        assert str(again(market).bars(UNIVERSE).index[-1])[8:10] == newest
    assert again(market).bars(UNIVERSE).provenance["S7"].revision == 1 and len(panels(market)) == 3


def test_a_corrupt_panel_is_made_again(world):
    clock, tape, market = world
    before = market.bars(UNIVERSE)
    again(market).bars(UNIVERSE)
    (path,) = panels(market)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.unlink()
    path.write_bytes(content)
    assert again(market).bars(UNIVERSE).fingerprint == before.fingerprint and tape.meter.calls == 20
    assert panels(market) == [path]


def test_only_the_newest_panels_are_kept(tmp_path, bundled):
    for number in range(12):
        store_panel(panel_path(tmp_path, [str(number)]), bundled.tail(5), "sample")
    assert len(list(tmp_path.glob("*.panel"))) == 8
