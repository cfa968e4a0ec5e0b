"""What only a person does in a notebook: moves the controls of a panel, and presses the stop button."""

import re
from contextlib import closing

import pytest
from page import CELLS, errors, text

from toolkit.execution.audit import verify
from toolkit.execution.ledger import Ledger

SHOWN = """async () => {
    const image = document.querySelector('img.widget-image');
    if (!image || !image.complete || !image.naturalWidth) return '';
    const bytes = await (await fetch(image.src)).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    return [...digest].map(each => each.toString(16).padStart(2, '0')).join('');
}"""
STOP = ".jp-NotebookPanel-toolbar [data-command='notebook:interrupt-kernel']"


def place(cells: list[dict], piece: str) -> int:
    """Where the cell of code with this piece stands."""
    return next(n for n, cell in enumerate(cells) if cell["cell_type"] == "code" and piece in cell["source"])


@pytest.fixture
def explored(opened):
    """The notebook of signals with the panel drawn, and no other cell run than it needs."""
    notebook = opened("01_explore_signals.ipynb")
    for piece in ("import matplotlib", "panel(bars"):
        notebook.run(place(notebook.cells(), piece), 120.0)
    assert errors(notebook.code()) == []
    return notebook


def changed(notebook, before: str) -> str:
    """The digest of the panel's picture once it is another than `before`."""
    notebook.until(f"async before => {{ const now = await ({SHOWN})(); return now !== '' && now !== before; }}", before, 60.0)
    return notebook.page.evaluate(SHOWN)


def test_the_panel_draws_another_symbol_and_another_window(explored):
    page = explored.page
    first = changed(explored, "")
    page.locator(".widget-dropdown select").select_option("IBM")
    ibm = changed(explored, first)
    page.locator(".widget-dropdown select").select_option("AAPL")
    assert changed(explored, ibm) == first
    fast = page.locator(".widget-slider", has_text="fast")
    assert fast.locator(".widget-readout").inner_text() == "5"
    fast.locator(".noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    explored.until("([name, value]) => [...document.querySelectorAll('.widget-slider')].some(each => each.innerText.trim()"
                   ".replace(/\\s+/g, ' ') === `${name} ${value}`)", ["fast", "6"], 10.0)  # fmt: skip
    assert len({first, ibm, changed(explored, first)}) == 3


def test_the_stop_button_ends_the_loop_and_the_cells_below_report_a_whole_account(opened, project):
    notebook = opened("02_paper_trading.ipynb")
    notebook.start()
    loop = place(notebook.cells(), "run_continuous")
    notebook.until(f"n => {{ const cell = ({CELLS})()[n]; return cell.outputs.length > 1; }}", loop, 120.0)
    notebook.page.locator(STOP).first.click()
    notebook.finish(120.0)
    code = notebook.code()
    assert errors(code) == []
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    told = text(code[place(code, "engine.summary()")])
    cycles = int(re.search(r"^cycles\s+(\d+), .*; stopped by hand$", told, re.M)[1])
    assert 0 < cycles < 271
    assert "problems found: none" in text(code[place(code, "verify(")])
    newest = sorted(project.glob("state/replay-demo*/ledger.sqlite"))[-1]
    with closing(Ledger.read(newest)) as ledger:
        assert verify(ledger) == []
