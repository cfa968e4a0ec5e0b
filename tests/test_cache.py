"""The cache on disk: durable parts, a record of freshness, a place that can be full, read-only or not allowed."""

import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from small_cache import NAME, columns, put, record, stored

from toolkit.data import BarCache, barfile
from toolkit.data.folder import file_system, refuse_network
from toolkit.errors import CacheUnusable

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/me/local ext4 rw 0 0
tmpfs /with\\040space tmpfs rw 0 0
"""


# --- parts and records


def test_parts_come_back_in_the_order_asked_for_and_only_changed_ones_are_written(tmp_path):
    cache = BarCache(tmp_path)
    parts = {year: (columns(int(year)), {}) for year in ("2011", "2012")}
    cache.put(NAME, record(parts=("2011", "2012")), parts)
    before = [file.path for file in cache.files(NAME, ("2011", "2012"))]
    cache.put(NAME, record("0.0.1", ("2011", "2012")), {"2012": (columns(7), {})})
    after = cache.files(NAME, cache.record(NAME).parts)
    assert after[0].path == before[0] and after[1].path != before[1]
    assert np.array_equal(after[0].columns["traded"], columns(2011)["traded"])
    assert np.array_equal(after[1].columns["traded"], columns(7)["traded"])
    assert cache.names() == [NAME] and len(cache.parts(NAME)) == 2


def test_the_journal_keeps_what_was_superseded_in_order(tmp_path):
    cache = BarCache(tmp_path)
    for number in range(3):
        cache.put(NAME, record(), {"": (columns(number + 1), {})}, (number, columns(number), {}))
    entries = cache.journal(NAME, 3)
    assert [np.array_equal(entry.columns["traded"], columns(n)["traded"]) for n, entry in enumerate(entries)] == [True] * 3


def test_what_another_process_stored_is_seen_when_asked_for_again(tmp_path):
    mine, theirs = BarCache(tmp_path), BarCache(tmp_path)
    put(mine, 1, version="0.0.1")
    put(theirs, 2, version="0.0.2")
    assert mine.record(NAME).version == "0.0.1"
    assert mine.record(NAME, again=True).version == "0.0.2"
    assert np.array_equal(stored(mine), columns(2)["traded"])


def test_arrays_in_use_survive_a_newer_version_and_the_trash(tmp_path):
    cache = BarCache(tmp_path)
    put(cache, 1)
    held = stored(cache)
    put(cache, 2)
    cache.clear(bars=True)
    assert np.array_equal(held, columns(1)["traded"])


def test_clear_forgets_freshness_and_keeps_bars(tmp_path):
    cache = BarCache(tmp_path)
    put(cache)
    cache.clear()
    assert cache.record(NAME) is None and np.array_equal(stored(cache), columns()["traded"])


def test_clearing_bars_moves_them_to_the_trash(tmp_path):
    cache = BarCache(tmp_path)
    put(cache)
    cache.clear(bars=True)
    assert cache.record(NAME) is None and stored(cache) is None
    (kept,) = (tmp_path / "trash").iterdir()
    assert np.array_equal(barfile.read(kept).columns["traded"], columns()["traded"])


def test_clearing_a_beginning_leaves_the_rest(tmp_path):
    cache = BarCache(tmp_path)
    put(cache, 1, "live/tape/1d/A")
    put(cache, 2, "live/other/1d/A")
    cache.clear(bars=True, beginning="live/tape/")
    assert cache.names() == ["live/other/1d/A"]


# --- counts


def test_counts_of_all_processes_add_up(tmp_path):
    first, second = BarCache(tmp_path), BarCache(tmp_path)
    put(first)
    for cache in (first, second):
        cache.record(NAME)
        cache.record("absent")
        cache.flush()
    assert second.totals() == {"hits": 2, "misses": 2, "writes": 1, "corrupt": 0}


def test_threads_read_and_write_without_an_error_and_every_count_is_right(tmp_path):
    cache, failures = BarCache(tmp_path), []

    def work(number: int) -> None:
        try:
            for step in range(20):
                put(cache, step, f"s{number}", f"0.0.{step}")
                assert cache.record(f"s{number}").version == f"0.0.{step}"
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert cache.stats()["writes"] == 120 and len(cache.names()) == 6


# --- places


def test_a_folder_that_cannot_be_made_is_named_with_the_cure(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheUnusable, match=r"file/bars cannot be created.*name another"):
        BarCache(tmp_path / "file" / "bars")


def test_only_the_owner_may_look_into_the_folder(tmp_path):
    assert stat.S_IMODE(os.stat(BarCache(tmp_path / "bars").directory).st_mode) == 0o700


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/you/x", "nfs4"), ("/home/me/local/x", "ext4"), ("/homestead", "ext4"), ("/with space/x", "tmpfs")],
)
def test_the_longest_mount_point_above_a_path_says_what_holds_it(path, kind):
    assert file_system(Path(path), MOUNTS) == kind


def test_a_network_file_system_is_refused_in_a_sentence():
    with pytest.raises(CacheUnusable, match=r"/home/you is on a network file system \(nfs4\).*local disk"):
        refuse_network(Path("/home/you"), MOUNTS)


def test_past_the_quota_nothing_is_stored_and_nothing_is_deleted(tmp_path):
    put(BarCache(tmp_path))
    full = BarCache(tmp_path, quota=1_000_000)
    with pytest.raises(CacheUnusable, match=r"would hold .* MB, its quota is 1.0 MB.*quota_mb"):
        put(full, 2, "other")
    assert np.array_equal(stored(full), columns()["traded"])


def test_a_cache_opened_read_only_serves_bars_and_records_and_stores_nothing(tmp_path):
    cache = BarCache(tmp_path)
    put(cache, 1)
    put(cache, 2, "other")
    cache.close()
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    shelf = BarCache(tmp_path, readonly=True)
    assert np.array_equal(stored(shelf), columns(1)["traded"]) and shelf.record("other") == record()
    assert shelf.names() == [NAME, "other"] and shelf.verify() == {}
    with pytest.raises(CacheUnusable, match="read-only"):
        put(shelf, 3)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


NOBODY = """
import sys
sys.path[:0] = {path!r}
import pandas, numba, diskcache, exchange_calendars  # before the rights are given away
from toolkit.data import BarCache
import os
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
cache = BarCache(sys.argv[1])
print(cache.readonly, cache.names(), len(cache.files("a")))
"""


def test_a_folder_without_the_right_to_write_is_opened_read_only():
    with tempfile.TemporaryDirectory() as folder:
        cache = BarCache(Path(folder) / "bars")
        put(cache, 1, "a")
        cache.close()
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        run = subprocess.run([sys.executable, "-c", NOBODY.format(path=sys.path), str(Path(folder) / "bars")],
                             capture_output=True, text=True, timeout=60)  # fmt: skip
        for path in [Path(folder), *Path(folder).rglob("*")]:
            path.chmod(0o755)
    assert run.stdout.split() == ["True", "['a']", "1"], run.stderr


def test_a_file_of_another_version_of_the_toolkit_is_set_aside(tmp_path):
    cache = BarCache(tmp_path)
    cache.put(NAME, record(), {"": (columns(), {"schema": 1})})
    assert cache.files(NAME) == () and cache.files(NAME) == ()
    assert len(list((tmp_path / "quarantine").iterdir())) == 1 and cache.stats()["corrupt"] == 1
