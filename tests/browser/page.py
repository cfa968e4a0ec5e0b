"""One notebook in a page of JupyterLab: opened, run, stopped and read through its own commands and its own model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

READY = """async path => {
    const app = window.jupyterapp;
    if (!app) return false;
    await app.restored;
    const needed = ['editmenu:clear-all', 'notebook:run-all-cells', 'notebook:interrupt-kernel'];
    if (!needed.every(each => app.commands.hasCommand(each))) return false;
    const widget = [...app.shell.widgets('main')].find(each => each.context && each.context.path === path);
    if (!widget) return false;
    await widget.context.ready;
    await widget.sessionContext.ready;
    app.shell.activateById(widget.id);
    const kernel = widget.sessionContext.session && widget.sessionContext.session.kernel;
    return app.shell.currentWidget === widget && !!kernel && kernel.status === 'idle';
}"""  # a command that comes before the kernel opens a dialog, and nothing runs
CELLS = "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.toJSON().cells"
STATUS = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status"
COMMAND = "([name, values]) => { window.jupyterapp.commands.execute(name, values); }"
RUN = """name => {
    window.ran = false;
    window.jupyterapp.commands.execute(name).finally(() => { window.ran = true; });
}"""
SELECT = """index => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = index;
    notebook.deselectAll();
}"""
SHUTDOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
HEIGHT = """() => {
    const cells = document.querySelector('.jp-Notebook .jp-WindowedPanel-viewport');
    return Math.ceil(cells.getBoundingClientRect().height);
}"""
BROKEN = "() => [...document.querySelectorAll('.jp-OutputArea img')].filter(i => !(i.complete && i.naturalWidth)).length"
CUT = """() => [...document.querySelectorAll('.jp-OutputArea-output')].filter(o => o.scrollWidth > o.clientWidth + 1)
    .map(o => o.innerText.slice(0, 80))"""
LOOK = 0.2  # seconds between looks
TALLEST = 16_000  # pixels: Chromium draws no taller picture


class Notebook:
    """A notebook at `path` below the server's folder, in a page of a browser."""

    def __init__(self, page: Any, path: str) -> None:
        self.page, self.path = page, path

    def open(self, url: str, token: str) -> None:
        """Opens it in a workspace of its own, waits for its kernel, and clears its outputs."""
        workspace = Path(self.path).stem
        self.page.goto(f"{url}/lab/workspaces/{workspace}-{time.monotonic_ns()}/tree/{self.path}?token={token}")
        self.until(READY, self.path, 90.0)
        self.command("editmenu:clear-all")
        self.until(f"() => ({CELLS})().every(c => !c.outputs || (!c.outputs.length && c.execution_count === null))", None, 10.0)

    def command(self, name: str, **values: Any) -> None:
        """Starts one of JupyterLab's commands."""
        self.page.evaluate(COMMAND, [name, values])

    def start(self, command: str = "notebook:run-all-cells") -> None:
        """Starts to run cells."""
        self.page.evaluate(RUN, command)

    def finish(self, seconds: float) -> None:
        """Waits until what was started has ended and the kernel is idle."""
        self.until("() => window.ran", None, seconds)
        self.until(f"() => ({STATUS})() === 'idle'", None, seconds)

    def run(self, index: int, seconds: float) -> None:
        """Runs one cell, by its place among all cells."""
        self.page.evaluate(SELECT, index)
        self.start("notebook:run-cell")
        self.finish(seconds)

    def until(self, script: str, argument: Any, seconds: float) -> None:
        """Waits for a script to be true; it may be async, which the wait of playwright itself does not await."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(script, argument):
            if time.monotonic() > end:
                raise TimeoutError(f"{self.path}: not in {seconds:g} s: {script[:100]}")
            self.page.wait_for_timeout(1000 * LOOK)

    def cells(self) -> list[dict]:
        """The cells as JupyterLab holds them, in view or not."""
        return self.page.evaluate(CELLS)

    def code(self) -> list[dict]:
        """The cells of code that are not empty."""
        return [cell for cell in self.cells() if cell["cell_type"] == "code" and cell["source"].strip()]

    def picture(self, path: Path) -> None:
        """Writes the notebook as it is shown, from the top on."""
        path.parent.mkdir(parents=True, exist_ok=True)
        height = self.page.evaluate(HEIGHT) + 200
        self.page.set_viewport_size({"width": 1400, "height": min(height, TALLEST)})
        self.page.evaluate(SELECT, 0)
        self.page.evaluate("() => { document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0; }")
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=path)

    def broken_pictures(self) -> int:
        """How many pictures of the outputs are not shown."""
        return self.page.evaluate(BROKEN)

    def cut_outputs(self) -> list[str]:
        """How the outputs begin that are wider than their place."""
        return self.page.evaluate(CUT)

    def close(self) -> None:
        """Ends the kernel and closes the page."""
        try:
            self.page.evaluate(SHUTDOWN)
        finally:
            self.page.close()


def text(cell: dict) -> str:
    """What a cell shows, as text."""
    shown = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell["outputs"]]
    return "".join("".join(each) for each in shown)


def errors(cells: list[dict]) -> list[str]:
    """What the cells raised."""
    return [output["ename"] for cell in cells for output in cell["outputs"] if output["output_type"] == "error"]
