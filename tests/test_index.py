"""The index: nothing is unpickled, nothing corrupt is served, and what breaks is made again from the files."""

import logging
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys

import diskcache
import numpy as np
import pytest
from small_cache import NAME, columns, index_sql, put, record, spoil, stored, value_file

from toolkit.data import BarCache, barfile
from toolkit.data.disk import BarDisk
from toolkit.data.folder import value_files
from toolkit.errors import UnsafeValue


class Bomb:
    """A pickle of it writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_files_of_a_series_whose_listed_file_is_gone_stay_and_the_newest_is_taken_up(tmp_path):
    cache = BarCache(tmp_path / "bars")
    put(cache)
    file = value_file(cache)
    for name in ("aaaaaaaaaaaa", "bbbbbbbbbbbb"):
        shutil.copy(file, file.with_name(f"{file.name.partition('-')[0]}-{name}.val"))
    file.unlink()
    cache._index.mend()
    assert len(list(value_files(tmp_path / "bars" / "index"))) == 2
    assert len(cache.files(NAME)) == 1


# --- no pickle


def test_a_planted_pickle_value_is_refused_and_never_run(tmp_path):
    proof = tmp_path / "ran"
    with diskcache.Cache(str(tmp_path / "bars" / "index")) as planted:
        planted["bars:" + NAME] = Bomb(proof)
        planted["fresh:" + NAME] = Bomb(proof)
    proof.unlink(missing_ok=True)
    cache = BarCache(tmp_path / "bars")
    assert cache.record(NAME) is None and cache.files(NAME) == ()
    assert cache.stats()["corrupt"] == 2 and not proof.exists()


def test_a_planted_pickle_key_is_refused_on_iteration_and_never_run(tmp_path):
    proof, cache = tmp_path / "ran", BarCache(tmp_path / "bars")
    put(cache)
    index_sql(cache, "UPDATE Cache SET key = ?, raw = 0 WHERE key LIKE 'fresh%'", (pickle.dumps(Bomb(proof)),))
    with pytest.raises(UnsafeValue, match="key that is no text"):
        cache.names()
    cache.clear(bars=True)
    assert cache.names() == [] and not proof.exists()


@pytest.mark.parametrize("key", [("a", 1), b"a", 1, 1.0])
def test_keys_are_texts(tmp_path, key):
    with diskcache.Cache(str(tmp_path), disk=BarDisk) as index, pytest.raises(UnsafeValue, match="use a text"):
        index.set(key, "x")


@pytest.mark.parametrize("value", [{"a": 1}, 1.5, b"bytes", None, "long" * 10_000])
def test_values_are_counts_short_texts_or_column_files(tmp_path, value):
    with diskcache.Cache(str(tmp_path), disk=BarDisk) as index, pytest.raises(UnsafeValue, match="column file"):
        index.set("key", value)


@pytest.mark.parametrize("place", ["../../outside.val", "/etc/hostname", "\0.val"])
def test_an_index_that_points_outside_of_the_cache_is_not_followed(tmp_path, place):
    cache = BarCache(tmp_path / "bars")
    put(cache)
    (tmp_path / "outside.val").write_bytes(barfile.encoded(columns(2), {"kind": "bars", "name": NAME, "part": ""}))
    index_sql(cache, "UPDATE Cache SET filename = ? WHERE filename IS NOT NULL", (place,))
    assert np.array_equal(stored(cache), columns(1)["traded"]) and cache.stats()["corrupt"] == 1  # found in its place


# --- corruption


def test_a_corrupt_file_is_a_miss_set_aside_counted_and_said_once(tmp_path, caplog):
    cache = BarCache(tmp_path)
    put(cache)
    put(cache, 2, "other")
    spoil(value_file(cache))
    fresh = BarCache(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert fresh.files(NAME) == () and fresh.files(NAME) == ()
    assert fresh.stats()["corrupt"] == 1 and len(caplog.records) == 1
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
    assert np.array_equal(stored(fresh, "other"), columns(2)["traded"])
    put(fresh, 3)
    assert np.array_equal(stored(BarCache(tmp_path)), columns(3)["traded"])


def test_verify_looks_at_files_that_were_opened_before(tmp_path):
    cache = BarCache(tmp_path)
    put(cache)
    path = value_file(cache)
    assert cache.verify() == {}
    status = os.stat(path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    with open(path, "r+b") as file:  # in place, at the same time and size: only the checksum can tell
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert list(cache.verify()) == ["bars:" + NAME]
    assert cache.files(NAME) == () and cache.names() == []


def test_a_file_that_belongs_to_another_symbol_is_not_served(tmp_path):
    cache = BarCache(tmp_path)
    put(cache)
    put(cache, 2, "other")
    os.replace(value_file(cache, "other"), value_file(cache))
    assert BarCache(tmp_path).files(NAME) == ()


def test_a_file_that_is_gone_is_a_miss(tmp_path):
    cache = BarCache(tmp_path)
    put(cache)
    value_file(cache).unlink()
    assert cache.files(NAME) == ()


def test_a_changed_digit_in_a_freshness_record_makes_it_void(tmp_path):
    cache = BarCache(tmp_path)
    put(cache)
    change = "UPDATE Cache SET value = replace(value, '\"misses\": 0', '\"misses\": 1') WHERE key LIKE 'fresh%'"
    index_sql(cache, change)
    assert cache.record(NAME, again=True) is None


@pytest.mark.parametrize("damage", [b"this is no database, " * 500, b"", b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_broken_index_is_made_again_from_the_value_files(tmp_path, damage):
    cache = BarCache(tmp_path)
    for number in range(4):
        put(cache, number, f"s{number}")
    cache.close()
    (tmp_path / "index" / "cache.db").write_bytes(damage)
    (tmp_path / "index" / "cache.db-wal").unlink(missing_ok=True)
    again = BarCache(tmp_path)
    assert again.names() == ["s0", "s1", "s2", "s3"]
    for number in range(4):
        assert np.array_equal(stored(again, f"s{number}"), columns(number)["traded"])
        assert again.record(f"s{number}") == record()


def test_an_index_that_breaks_under_a_living_cache_is_made_again(tmp_path):
    cache = BarCache(tmp_path)
    put(cache)
    cache.close()
    with open(tmp_path / "index" / "cache.db", "r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 8000)
    assert np.array_equal(stored(cache), columns()["traded"])
    assert cache.record(NAME, again=True) == record() and cache.stats()["corrupt"] == 1


def test_a_row_that_is_lost_is_taken_up_again_from_its_file(tmp_path):
    cache = BarCache(tmp_path)
    put(cache)
    cache.close()
    index_sql(cache, "DELETE FROM Cache WHERE key LIKE 'bars%'")
    assert np.array_equal(stored(BarCache(tmp_path)), columns()["traded"])


def test_what_a_killed_writer_left_is_removed_and_what_is_referred_to_stays(tmp_path):
    cache = BarCache(tmp_path)
    put(cache, 1)
    live = value_file(cache)
    shutil.copy(live, live.with_name(live.name.partition("-")[0] + "-0123.val"))
    live.with_name(live.name + ".tmp").write_bytes(b"half")
    (tmp_path / "locks" / "busy-1-1").touch()  # as whoever is killed while writing leaves it
    again = BarCache(tmp_path)
    assert list(value_files(tmp_path / "index")) == [live]
    assert np.array_equal(stored(again), columns()["traded"])


# --- a living process


def test_a_folder_deleted_under_a_living_cache_is_noticed_and_nothing_is_lost_silently(tmp_path, caplog):
    cache = BarCache(tmp_path / "bars")
    put(cache)
    shutil.rmtree(tmp_path / "bars")
    put(cache, 2)
    assert any("deleted or replaced" in each.message for each in caplog.records)
    assert np.array_equal(stored(BarCache(tmp_path / "bars")), columns(2)["traded"])


def test_a_folder_replaced_under_a_living_cache_is_noticed(tmp_path):
    cache, other = BarCache(tmp_path / "bars"), BarCache(tmp_path / "other")
    put(cache, 1)
    put(other, 2)
    shutil.rmtree(tmp_path / "bars")
    os.rename(tmp_path / "other", tmp_path / "bars")
    assert np.array_equal(stored(cache), columns(2)["traded"])


INTERRUPTED = """
import os, signal, sys, threading
import numpy as np, pandas as pd
from toolkit.data import BarCache
from toolkit.data.freshness import Freshness
cache, now = BarCache(sys.argv[1]), pd.Timestamp("2026-11-25 12:00", tz="UTC")
record, parts = Freshness("final", now, now), {"": ({"traded": np.zeros((5, 50))}, {})}
cache.put("a", record, parts)
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
        cache.put("a", record, parts)
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
