"""Column files: what was written comes back, anything else is refused."""

import numpy as np
import pytest
from small_cache import columns

from toolkit.data import barfile
from toolkit.errors import CorruptValue, InvalidParameter


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


def test_a_header_is_remembered_of_the_newest_file_alone_among_those_of_one_name(tmp_path):
    for version in range(5):
        path = tmp_path / f"own-{version}.val"
        barfile.write(path, barfile.encoded(columns(), {"version": version}))
        assert barfile.read(path).meta == {"version": version}
    barfile.write(tmp_path / "other-0.val", barfile.encoded(columns(), {}))
    barfile.read(tmp_path / "other-0.val")
    assert sorted(name for folder, name in barfile._verified if folder == str(tmp_path)) == ["other", "own"]
