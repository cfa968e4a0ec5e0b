"""Machine code on disk is never older than the sources."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.kernels import jit

KERNELS = Path(jit.__file__).parent
SOURCES = sorted(path.name for path in KERNELS.glob("*.py"))

CALLED = "from toolkit.kernels.jit import compiled\n\n\n@compiled()\ndef price(x):\n    return x + 1.0\n"
CALLER = (
    "from toolkit.kernels.called import price\nfrom toolkit.kernels.jit import compiled\n\n\n"
    "@compiled()\ndef worth(x):\n    return 10.0 * price(x)\n\n\nprint(worth(2.0), sum(worth.stats.cache_hits.values()))\n"
)


@pytest.fixture
def copy(tmp_path):
    """The kernels in a package of their own, and nothing else of the toolkit."""
    folder = tmp_path / "toolkit" / "kernels"
    shutil.copytree(KERNELS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "toolkit" / "__init__.py").touch()
    return folder


@pytest.mark.parametrize("name", SOURCES)
def test_editing_any_file_of_the_kernels_changes_the_cache_folder(copy, name):
    before = jit.source_hash(copy)
    assert before == jit.source_hash(KERNELS)
    (copy / name).write_text((copy / name).read_text() + "\n# edited\n")
    assert jit.source_hash(copy) != before


def test_a_new_or_renamed_file_changes_the_cache_folder(copy):
    before = jit.source_hash(copy)
    (copy / "new.py").touch()
    added = jit.source_hash(copy)
    (copy / "new.py").rename(copy / "newer.py")
    assert len({before, added, jit.source_hash(copy)}) == 3


def test_an_edited_callee_in_another_file_is_noticed(copy, tmp_path):
    """Numba alone would go on running the old machine code of the caller."""
    (copy / "called.py").write_text(CALLED)
    (copy / "caller.py").write_text(CALLER)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}

    def worth() -> str:
        command = [sys.executable, "-c", "import toolkit.kernels.caller"]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
        ).stdout

    assert [worth(), worth()] == ["30.0 0\n", "30.0 1\n"]
    (copy / "called.py").write_text(CALLED.replace("1.0", "5.0"))
    assert worth() == "70.0 0\n"


def test_without_a_writable_cache_the_kernels_still_compile_and_the_log_says_so(tmp_path, monkeypatch, caplog):
    occupied = tmp_path / "occupied"
    occupied.touch()
    monkeypatch.setattr(jit.platformdirs, "user_cache_dir", lambda name: str(occupied))
    with caplog.at_level(logging.WARNING):
        folder = jit.cache_folder()
    assert Path(folder).is_dir() and "compiled again in each process" in caplog.text
