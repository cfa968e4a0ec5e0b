"""Every notebook runs from top to bottom where a person runs it."""

from pathlib import Path

import pytest
from page import errors

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "runs" / "browser"
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
LONGEST = 300.0  # seconds


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_run_all_cells_numbers_every_cell_and_shows_every_output_whole(opened, name):
    notebook = opened(name)
    notebook.start()
    notebook.finish(LONGEST)
    code = notebook.code()
    notebook.picture((PICTURES / name).with_suffix(".png"))
    assert errors(code) == []
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert notebook.broken_pictures() == 0 and notebook.cut_outputs() == []
