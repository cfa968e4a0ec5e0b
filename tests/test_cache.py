"""The cache on disk: nothing is unpickled, nothing corrupt is served, nothing durable is lost."""

import logging
import os
import pickle
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import diskcache
import numpy as np
import pandas as pd
import pytest

from toolkit.data import BarCache, barfile
from toolkit.data.cache import BarDisk
from toolkit.data.freshness import Freshness
from toolkit.errors import CacheUnusable, CorruptValue, InvalidParameter, UnsafeValue

NAME = "live/tape/1d/AAPL"
NOON = pd.Timestamp("2026-11-25 12:00", tz="UTC")


def record(version: str = "0") -> Freshness:
    return Freshness("final", NOON, NOON, 0, version)


def columns(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    days = np.arange("2012-01-02", "2012-03-02", dtype="M8[D]").astype("M8[ns]")
    return {"day": days, "traded": rng.random((5, len(days))), "split": np.zeros(0)}


def value_file(cache: BarCache, name: str = NAME):
    """Where the bars of `name` lie."""
    return BarCache(cache.directory).entry(name).bars.path


class Bomb:
    """A pickle of it writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


# --- column files


def test_what_was_written_comes_back_bit_for_bit_and_read_only(tmp_path):
    path, meta = tmp_path / "a.val", {"symbol": "AAPL", "revision": 3}
    barfile.write(path, barfile.encoded(columns(), meta))
    found = barfile.read(path)
    assert found.meta == meta
    for name, column in columns().items():
        assert np.array_equal(found.columns[name], column) and found.columns[name].dtype == column.dtype
        assert not found.columns[name].flags.writeable
        assert found.columns[name].ctypes.data % 64 == 0 or column.size == 0


def test_any_flipped_or_missing_byte_is_noticed(tmp_path):
    content, rng = barfile.encoded(columns(), {"symbol": "AAPL"}), np.random.default_rng(5)
    spoiled = [content[:cut] for cut in (0, 1, 31, 32, 100, len(content) - 1)] + [content + b"\0", b"\0" * len(content)]
    for at in rng.integers(0, len(content), 300):
        flipped = bytearray(content)
        flipped[at] ^= 1 << int(rng.integers(0, 8))
        spoiled.append(bytes(flipped))
    for number, wrong in enumerate(spoiled):
        path = tmp_path / f"{number}.val"
        path.write_bytes(wrong)
        with pytest.raises(CorruptValue, match="set aside"):
            barfile.read(path)


def test_a_write_that_fails_leaves_no_file_behind(tmp_path):
    taken = tmp_path / "a.val"
    taken.mkdir()
    with pytest.raises(OSError):
        barfile.write(taken, barfile.encoded(columns(), {}))
    assert [path.name for path in tmp_path.iterdir()] == ["a.val"]


def test_arrays_that_could_hold_anything_are_refused():
    with pytest.raises(InvalidParameter, match="'x' is object"):
        barfile.encoded({"x": np.array([{}], object)}, {})


# --- no pickle


def test_a_planted_pickle_value_is_refused_and_never_run(tmp_path):
    proof = tmp_path / "ran"
    with diskcache.Cache(str(tmp_path / "bars" / "index")) as planted:
        planted["bars:" + NAME] = Bomb(proof)
        planted["fresh:" + NAME] = Bomb(proof)
    proof.unlink(missing_ok=True)
    cache = BarCache(tmp_path / "bars")
    assert cache.entry(NAME) == (None, None)
    assert cache.stats()["corrupt"] == 2 and not proof.exists()


def test_a_planted_pickle_key_is_refused_on_iteration_and_never_run(tmp_path):
    proof = tmp_path / "ran"
    with diskcache.Cache(str(tmp_path / "bars" / "index")) as planted:
        database = sqlite3.connect(tmp_path / "bars" / "index" / "cache.db")
        planted["bars:x"] = "y"
        database.execute("UPDATE Cache SET key = ?, raw = 0", (pickle.dumps(Bomb(proof)),))
        database.commit()
        database.close()
    cache = BarCache(tmp_path / "bars")
    with pytest.raises(UnsafeValue, match="key that is no text"):
        cache.names()
    cache.clear(bars=True)
    assert cache.names() == [] and not proof.exists()


@pytest.mark.parametrize("key", [("a", 1), b"a", 1, 1.0])
def test_keys_are_texts(tmp_path, key):
    with diskcache.Cache(str(tmp_path), disk=BarDisk) as index, pytest.raises(UnsafeValue, match="use a text"):
        index.set(key, "x")


@pytest.mark.parametrize("value", [{"a": 1}, 1, b"bytes", None, "long" * 10_000])
def test_values_are_short_texts_or_column_files(tmp_path, value):
    with diskcache.Cache(str(tmp_path), disk=BarDisk) as index, pytest.raises(UnsafeValue, match="column file"):
        index.set("key", value)


def test_an_index_that_points_outside_of_the_cache_is_not_followed(tmp_path):
    cache = BarCache(tmp_path / "bars")
    cache.put(NAME, record(), columns(), {})
    cache.close()
    outside = tmp_path / "outside.val"
    outside.write_bytes(barfile.encoded(columns(), {"name": NAME}))
    database = sqlite3.connect(tmp_path / "bars" / "index" / "cache.db")
    database.execute("UPDATE Cache SET filename = '../../outside.val' WHERE filename IS NOT NULL")
    database.commit()
    database.close()
    assert BarCache(tmp_path / "bars").entry(NAME).bars is None


# --- corruption


def spoil(path) -> None:
    content = bytearray(Path(path).read_bytes())
    content[-3] ^= 4
    os.remove(path)
    Path(path).write_bytes(content)


def test_a_corrupt_file_is_a_miss_set_aside_counted_and_said_once(tmp_path, caplog):
    cache = BarCache(tmp_path)
    cache.put(NAME, record(), columns(), {})
    cache.put("other", record(), columns(2), {})
    spoil(value_file(cache))
    fresh = BarCache(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert fresh.entry(NAME).bars is None
        assert fresh.entry(NAME, again=True).bars is None
    assert fresh.stats()["corrupt"] == 1 and len(caplog.records) == 1
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
    assert fresh.entry("other").bars is not None
    fresh.put(NAME, record(), columns(), {})
    assert np.array_equal(BarCache(tmp_path).entry(NAME).bars.columns["traded"], columns()["traded"])


def test_verify_looks_at_files_that_were_opened_before(tmp_path):
    cache = BarCache(tmp_path)
    path = cache.put(NAME, record(), columns(), {}).bars.path
    assert cache.verify() == {}
    status = os.stat(path)
    content = bytearray(Path(path).read_bytes())
    content[-3] ^= 4
    with open(path, "r+b") as file:  # in place, at the same time and size: only the checksum can tell
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert list(cache.verify()) == [NAME]
    assert cache.entry(NAME).bars is None and cache.names() == []


def test_a_file_that_belongs_to_another_symbol_is_not_served(tmp_path):
    cache = BarCache(tmp_path)
    one = cache.put(NAME, record(), columns(1), {}).bars.path
    other = cache.put("other", record(), columns(2), {}).bars.path
    os.replace(other, one)
    assert BarCache(tmp_path).entry(NAME).bars is None


def test_a_file_that_is_gone_is_a_miss(tmp_path):
    cache = BarCache(tmp_path)
    os.remove(cache.put(NAME, record(), columns(), {}).bars.path)
    assert BarCache(tmp_path).entry(NAME).bars is None


def test_a_broken_index_is_set_aside_and_begun_again(tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "cache.db").write_bytes(b"this is no database, " * 500)
    cache = BarCache(tmp_path)
    assert cache.entry(NAME) == (None, None) and cache.stats()["corrupt"] == 1
    assert cache.put(NAME, record(), columns(), {}).bars is not None
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


# --- places and lifetimes


def test_a_folder_that_cannot_be_written_is_named_with_the_cure(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheUnusable, match=r"file/bars cannot be opened.*name another"):
        BarCache(tmp_path / "file" / "bars")


def test_only_the_owner_may_look_into_the_folder(tmp_path):
    assert stat.S_IMODE(os.stat(BarCache(tmp_path / "bars").directory).st_mode) == 0o700


def test_clear_forgets_freshness_and_keeps_bars(tmp_path):
    cache = BarCache(tmp_path)
    cache.put(NAME, record(), columns(), {})
    cache.clear()
    found = cache.entry(NAME)
    assert found.record is None and np.array_equal(found.bars.columns["traded"], columns()["traded"])


def test_clearing_bars_moves_them_to_the_trash_and_arrays_in_use_stay_valid(tmp_path):
    cache = BarCache(tmp_path)
    held = cache.put(NAME, record(), columns(), {}).bars.columns["traded"]
    cache.clear(bars=True)
    assert cache.entry(NAME) == (None, None)
    assert np.array_equal(held, columns()["traded"])
    (kept,) = (tmp_path / "trash").iterdir()
    assert np.array_equal(barfile.read(kept).columns["traded"], columns()["traded"])


def test_arrays_in_use_survive_a_newer_version(tmp_path):
    cache = BarCache(tmp_path)
    held = cache.put(NAME, record("1"), columns(1), {}).bars.columns["traded"]
    cache.put(NAME, record("2"), columns(2), {})
    assert np.array_equal(held, columns(1)["traded"])


def test_what_another_process_stored_is_seen_when_asked_for_again(tmp_path):
    mine, theirs = BarCache(tmp_path), BarCache(tmp_path)
    mine.put(NAME, record("1"), columns(1), {})
    theirs.put(NAME, record("2"), columns(2), {})
    assert mine.entry(NAME).record.version == "1"
    assert mine.entry(NAME, again=True).record.version == "2"
    assert np.array_equal(mine.entry(NAME).bars.columns["traded"], columns(2)["traded"])


def test_memory_holds_the_latest_max_size_series(tmp_path):
    cache = BarCache(tmp_path, max_size=2)
    for number in range(4):
        cache.put(f"s{number}", record(), columns(number), {})
    assert cache.stats()["opened"] == 2
    assert np.array_equal(cache.entry("s0").bars.columns["traded"], columns(0)["traded"])


def test_threads_read_and_write_without_an_error_and_every_count_is_right(tmp_path):
    cache, failures = BarCache(tmp_path), []

    def work(number: int) -> None:
        try:
            for step in range(20):
                cache.put(f"s{number}", record(str(step)), columns(step), {})
                assert cache.entry(f"s{number}").record.version == str(step)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert cache.stats()["writes"] == 120 and len(cache.names()) == 6


INTERRUPTED = """
import os, signal, sys, threading
import numpy as np, pandas as pd
from toolkit.data import BarCache
from toolkit.data.freshness import Freshness
cache, now = BarCache(sys.argv[1]), pd.Timestamp("2026-11-25 12:00", tz="UTC")
record, columns = Freshness("final", now, now), {"traded": np.zeros((5, 50))}
cache.put("a", record, columns, {})
rng, stop = np.random.default_rng(3), threading.Event()
def disturb():
    for _ in range(80):
        stop.wait(0.0005 + 0.006 * rng.random())
        os.kill(os.getpid(), signal.SIGINT)
    stop.set()
armed, caught = False, 0
def interrupt(*arguments):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt
def attempt():
    global armed
    armed = True
    while not stop.is_set():
        cache.put("a", record, columns, {})
    armed = False
signal.signal(signal.SIGINT, interrupt)
thread = threading.Thread(target=disturb)
thread.start()
while not stop.is_set():
    try:
        attempt()
    except KeyboardInterrupt:
        caught += 1
signal.signal(signal.SIGINT, signal.SIG_IGN)
thread.join()
print(caught, flush=True)
sys.stdin.readline()
"""


def test_an_interrupt_at_any_instant_leaves_no_transaction_open(tmp_path):
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        caught = int(child.stdout.readline())
        # the interrupted process is still alive: whoever comes now must get the lock at once
        database = sqlite3.connect(tmp_path / "index" / "cache.db", timeout=0.5)
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
        database.close()
        child.communicate("\n", timeout=20)
    assert caught > 20
    assert BarCache(tmp_path).verify() == {}
