"""A notebook as a program: run it with parameters, keep what it left, and say how it ended."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.reader import NotJSONError

from toolkit.cli.account import LEDGER, accounts_in
from toolkit.cli.kernel import Ending, execute
from toolkit.cli.page import page, without_widgets
from toolkit.cli.parameters import defaults, inject, parse, tagged
from toolkit.cli.run_record import record_of
from toolkit.cycle.booked import Books, books_of
from toolkit.cycle.config import Config, read_config
from toolkit.cycle.kept import TELEMETRY, keep, traded_with
from toolkit.data.places import state_folder
from toolkit.errors import InvalidParameter, ToolkitError
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account
from toolkit.plots.run_sections import RunRecord

SUMMARY = "summary"
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


@dataclass(frozen=True)
class Run:
    """What running a notebook gave: its ending, the text of its summary cells, and the files it left."""

    ending: Ending
    summary: str
    files: tuple[Path, ...]


def read(path: Path) -> NotebookNode:
    """The notebook at `path`. Raises InvalidParameter where there is none or it cannot be read."""
    cure = "pass the path of an .ipynb file"
    try:
        nb = nbformat.read(path, as_version=4)
        nbformat.validate(nb)
    except FileNotFoundError as error:
        raise InvalidParameter(f"there is no notebook {path}", cure) from error
    except (OSError, UnicodeDecodeError, NotJSONError, nbformat.ValidationError, AttributeError, KeyError) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise InvalidParameter(f"{path} cannot be read as a notebook ({why})", cure) from error
    nb.metadata.setdefault("kernelspec", dict(KERNEL))  # without one JupyterLab asks which kernel to use
    return nb


def write_whole(path: Path, text: str) -> None:
    """Writes `text` so that a reader, or a crash, meets the old file or the new one and never half of one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, path.stat().st_mode if path.exists() else 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def fresh_folder(out: Path) -> Path:
    """`out`, made if need be. Raises InvalidParameter if it holds files already or cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        occupied = any(out.iterdir())
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise InvalidParameter(f"folder {out} cannot be written ({error.strerror})", "name another with --out") from error
    if occupied:
        raise InvalidParameter(f"folder {out} is not empty, and its files could be lost", "name a new one with --out")
    return out.resolve()


def summary(nb: NotebookNode) -> str:
    """The text that the cells tagged `summary` have put out."""
    outputs = [output for at in tagged(nb, SUMMARY) for output in nb.cells[at].outputs]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return "\n".join(text.strip("\n") for text in texts if text)


def forget_outputs(nb: NotebookNode) -> None:
    """Empties the code cells: one that does not run must not show what an earlier run left in it."""
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def run(path: Path, texts: Mapping[str, str], every: float | None, out: Path) -> Run:
    """Runs the notebook with parameters as written in `texts`, and leaves it, its page and its exports in folder `out`.

    `every` [s] sets the notebook's parameter `every`. Where the notebook has a parameter `out` it gets the folder, for
    `engine.export(out)`. The notebook at `path` is not changed.
    Raises InvalidParameter, before anything runs, for a notebook, parameter or folder that will not do.
    """
    nb = read(path)
    known = defaults(nb)
    values = {name: parse(name, text, known) for name, text in texts.items()}
    if every is not None:
        if "every" not in known:
            raise InvalidParameter(f"{path.name} has no parameter `every`, it does not loop", "leave out --every")
        values["every"] = int(every) if every == int(every) else every
    folder = fresh_folder(out)
    if "out" in known:
        values["out"] = str(folder)
    inject(nb, values)
    forget_outputs(nb)
    executed = folder / path.name

    def save() -> None:
        write_whole(executed, nbformat.writes(without_widgets(nb)))

    save()
    try:
        ending = execute(nb, path.resolve().parent, save)
    finally:
        save()
    record = remember(folder, path, str(values.get("config") or known.get("config") or ""))
    write_whole(executed.with_suffix(".html"), page(nb, path.stem, path.resolve().parent, record, folder))
    return Run(ending, summary(nb), tuple(sorted(file for file in folder.rglob("*") if file.is_file())))


def remember(folder: Path, path: Path, config: str) -> RunRecord | None:
    """What the run in `folder` tells, once configuration, telemetry and versions lie beside its ledger; None without one.

    `config` is the file that the notebook at `path` read, relative to it: it is kept if the ledger was traded with it.
    """
    if not (folder / LEDGER).exists():
        return None
    try:
        books = books_of(folder / LEDGER)
    except ToolkitError:
        return record_of(folder, path.stem)  # which says it
    settings, home = configuration(path.resolve().parent / config, books) if config else None, state_folder(path.parent)
    state = home if settings is None else Path(settings.state)
    account = account_in(state, folder / LEDGER, books.account)
    keep(folder, settings, None if account is None else account / TELEMETRY)
    return record_of(folder, path.stem, state)


def configuration(path: Path, books: Books) -> Config | None:
    """The configuration in a file, if the books were traded with it."""
    try:
        settings = read_config(path)
    except ToolkitError:
        return None
    return settings if traded_with(settings, books) else None


def account_in(state: Path, ledger: Path, account: Account) -> Path | None:
    """The newest account folder below `state` whose ledger holds what the copy `ledger` holds; None if there is none."""
    asked = "SELECT name, mode, opened, session, cash FROM account"
    with closing(Ledger.read(ledger)) as copy:
        wanted = copy.rows(asked)
    for folder in reversed(accounts_in(state)):
        if folder.name.startswith(f"{account.mode}-{account.name}"):
            with suppress(ToolkitError), closing(Ledger.read(folder / LEDGER)) as there:
                if there.rows(asked) == wanted:
                    return folder
    return None


def refresh(path: Path) -> Run:
    """Runs the notebook as it is and writes it back with its new outputs; one that does not reach its end stays as it was."""
    nb = read(path)
    forget_outputs(nb)
    ending = execute(nb, path.resolve().parent, save=lambda: None)
    if ending.error or ending.stopped:
        return Run(ending, "", ())
    write_whole(path, nbformat.writes(without_widgets(nb)) + "\n")
    return Run(ending, summary(nb), (path,))
