"""Runs the cells of a notebook in a kernel of its own; SIGTERM and Ctrl-C interrupt the kernel, not the run.

An interrupt ends the loop that is running, a cell tagged `loop` that has not begun is left out, the cells after it report on
what was done, and the file is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from toolkit.cycle.loop import ENDS
from toolkit.plots.panel import PROGRESS_MIME

LOOP = "loop"
SETTLE = 0.1  # seconds between a signal and the interrupt: a cell that has just started must be inside its own code
AUTOSAVE = 10.0  # seconds
BAR = "cycle {n_fmt} of {total_fmt} {bar} {percentage:3.0f}% [{elapsed}<{remaining}]"
ENDLESS = "cycle {n_fmt} [{elapsed}]"  # in real time
SAID = re.compile("^" + ENDS.format(".+") + "\n", re.MULTILINE)


@dataclass(frozen=True)
class Ending:
    """How a run ended: an error in words with the cell it came from, or a stop by hand, or neither."""

    error: str | None = None
    stopped: bool = False
    reported: bool = True  # False where the cells after the stop could not run


class ThisInterpreter(KernelSpecManager):
    """One kernel, whatever name is asked for: the Python that runs this program, with this program's packages."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Spec of an ipykernel under `sys.executable`."""
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


class Stop:
    """Signals into interrupts of the running cell: one that comes between two cells waits for the next one.

    The third signal ends a kernel that does not listen.
    """

    def __init__(self, kernel: AsyncKernelManager) -> None:
        self.kernel, self.asked = kernel, 0
        self._running = self._waiting = False

    def ask(self) -> None:
        """The handler of the signals."""
        self.asked += 1
        if self.asked > 2:
            asyncio.ensure_future(self.kernel.shutdown_kernel(now=True))
        else:
            self._waiting = True
            self._later()

    def started(self) -> None:
        """The kernel has begun to run a cell."""
        self._running = True
        self._later()

    def ended(self) -> None:
        """The kernel has finished the cell."""
        self._running = False

    def _later(self) -> None:
        if self._waiting:
            asyncio.get_running_loop().call_later(SETTLE, self._interrupt)

    def _interrupt(self) -> None:
        if self._waiting and self._running:
            self._waiting = False
            asyncio.ensure_future(self.kernel.interrupt_kernel())


class Client(NotebookClient):
    """nbclient that tells when a cell has begun and shows the progress of its loop in the terminal."""

    def __init__(self, nb: NotebookNode, kernel: AsyncKernelManager, started: Callable[[], None]) -> None:
        super().__init__(nb, km=kernel, timeout=None, record_timing=False)
        self._started = started
        self._bar: tqdm | None = None

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Takes in one message of the kernel."""
        if msg["msg_type"] == "execute_input":
            self._started()
        elif progress := msg["content"].get("data", {}).get(PROGRESS_MIME):
            self._advance(progress)
        elif msg["msg_type"] == "stream" and (told := SAID.search(msg["content"]["text"])):
            print(told[0], end="", file=sys.stderr, flush=True)  # to who can put the file there; the page names no folder
            msg["content"]["text"] = SAID.sub("", msg["content"]["text"])
            if not msg["content"]["text"]:
                return None
        return super().process_message(msg, cell, cell_index)

    def _advance(self, progress: dict[str, int | None]) -> None:
        if self._bar is None:
            self._bar = tqdm(total=progress["total"], file=sys.stderr, bar_format=BAR if progress["total"] else ENDLESS)
        self._bar.n = progress["done"]
        self._bar.refresh()

    def close(self) -> None:
        """Leaves the progress bar as it is and stops listening to the kernel."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self.kc is not None:
            self.kc.stop_channels()


async def _run(nb: NotebookNode, folder: Path, save: Callable[[], None]) -> Ending:
    kernel = AsyncKernelManager(kernel_spec_manager=ThisInterpreter())
    stop = Stop(kernel)
    client = Client(nb, kernel, stop.started)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    # At the default level each start prints that local sockets are not encrypted.
    await kernel.start_kernel(cwd=str(folder), extra_arguments=["--IPKernelApp.log_level=ERROR"])
    saving = asyncio.ensure_future(_autosave(save))
    try:
        await client.async_start_new_kernel_client()
        return await _cells(nb, client, stop, save)
    finally:
        saving.cancel()
        client.close()
        with contextlib.suppress(RuntimeError):  # a kernel that has died already
            await kernel.shutdown_kernel()


async def _autosave(save: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(AUTOSAVE)
        save()


async def _cells(nb: NotebookNode, client: Client, stop: Stop, save: Callable[[], None]) -> Ending:
    loops, cut = any(_is_loop(cell) for cell in nb.cells), False
    for index, cell in enumerate(nb.cells):
        if stop.asked and _is_loop(cell):
            continue
        try:
            await client.async_execute_cell(cell, index)
        except CellExecutionError as error:
            if error.ename != "KeyboardInterrupt":
                return Ending(_sentence(cell, error), stopped=bool(stop.asked), reported=False)
            cut = cut or (loops and not _is_loop(cell))  # not the loop was stopped, but another cell
        except DeadKernelError:
            return Ending(f"the kernel died in cell {client.code_cells_executed}", stopped=bool(stop.asked), reported=False)
        finally:
            stop.ended()
            save()
    return Ending(stopped=bool(stop.asked), reported=not cut)


def _is_loop(cell: NotebookNode) -> bool:
    return LOOP in cell.metadata.get("tags", [])


def _sentence(cell: NotebookNode, error: CellExecutionError) -> str:
    said = " ".join(str(error.evalue).split())
    return f"cell {cell.execution_count} raised {error.ename}: {said}"


def execute(nb: NotebookNode, folder: Path, save: Callable[[], None]) -> Ending:
    """Runs all cells of `nb` in place, in `folder`; calls `save` after each cell and every ten seconds."""
    return asyncio.run(_run(nb, folder, save))
