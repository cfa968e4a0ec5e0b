"""The state of a project is one folder, whichever folder of the project one works in."""

from pathlib import Path

import pytest

from toolkit.data.places import state_folder


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", "setup.cfg"])
def test_a_notebook_in_a_subfolder_finds_the_state_of_the_project(tmp_path, mark):
    (tmp_path / mark).touch()
    deep = tmp_path / "notebooks" / "drafts"
    deep.mkdir(parents=True)
    assert state_folder(deep) == state_folder(tmp_path) == tmp_path / "state"


def test_the_nearest_project_wins(tmp_path):
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "research" / "notebooks"
    inner.mkdir(parents=True)
    (tmp_path / "research" / "state").mkdir()
    assert state_folder(inner) == tmp_path / "research" / "state"


def test_without_a_project_it_is_beside_the_work_and_asking_creates_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert state_folder() == Path.cwd() / "state"
    assert list(tmp_path.iterdir()) == []


def test_a_file_named_state_is_no_project(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    work = tmp_path / "work"
    work.mkdir()
    (work / "state").touch()
    assert state_folder(work) == tmp_path / "state"
