"""Where the durable state of a project lies, wherever in it one works: in a notebook's folder, or at the top."""

from __future__ import annotations

from pathlib import Path

STATE = "state"
MARKS = STATE, ".git", "pyproject.toml", "setup.cfg"  # what the top folder of a project has


def state_folder(start: Path | None = None) -> Path:
    """The `state` folder of the project around `start` (default: the working directory); asking does not create it.

    The project is the nearest folder upwards that has a `state` folder, `.git`, `pyproject.toml` or `setup.cfg`; without
    one it is `start` itself.
    """
    here = Path.cwd() if start is None else Path(start).resolve()
    return next((folder for folder in (here, *here.parents) if is_project(folder)), here) / STATE


def is_project(folder: Path) -> bool:
    """Whether one of MARKS is in the folder; a file that is named `state` is none."""
    return any((folder / mark).is_dir() if mark == STATE else (folder / mark).exists() for mark in MARKS)
