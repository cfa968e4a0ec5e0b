"""Parameters of a notebook: what its cell tagged `parameters` assigns, and the cell that overrides some of it."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from typing import Any

import nbformat
from nbformat import NotebookNode

from toolkit.errors import InvalidParameter

PARAMETERS, INJECTED = "parameters", "injected-parameters"
KINDS = {bool: "True or False", int: "a whole number", float: "a number", list: "a list", tuple: "a tuple", dict: "a dict"}


def tagged(nb: NotebookNode, tag: str) -> list[int]:
    """Positions of the code cells with that tag."""
    cells = enumerate(nb.cells)
    return [at for at, cell in cells if cell.cell_type == "code" and tag in cell.metadata.get("tags", [])]


def defaults(nb: NotebookNode) -> dict[str, Any]:
    """Names that the parameters cell assigns, with their values; None where a value is not a literal. {} without such a cell.

    Raises InvalidParameter if the cell is not plain Python.
    """
    found: dict[str, Any] = {}
    for at in tagged(nb, PARAMETERS):
        try:
            statements = ast.parse(nb.cells[at].source).body
        except SyntaxError as error:
            raise InvalidParameter(
                f"the parameters cell is not plain Python ({error.msg}, line {error.lineno})", "keep only assignments in it"
            ) from error
        for statement in statements:
            if isinstance(statement, ast.Assign):
                targets, value = statement.targets, statement.value
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                targets, value = [statement.target], statement.value
            else:
                continue
            found |= {target.id: _literal(value) for target in targets if isinstance(target, ast.Name)}
    return found


def _literal(value: ast.expr | str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def parse(name: str, text: str, known: Mapping[str, Any]) -> Any:
    """Value of the parameter `name` written as `text`: a Python literal of the default's kind, or the text itself.

    Raises InvalidParameter for an unknown name and for a value of another kind than the default.
    """
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        cure = f"did you mean {close[0]}? " if close else ""
        raise InvalidParameter(
            f"the notebook has no parameter {name!r}",
            f"{cure}It has {', '.join(known)}" if known else "tag the cell that assigns its parameters `parameters`",
        )
    default = known[name]
    if isinstance(default, str):
        return text
    value = _literal(text)
    if value is None and text.strip() != "None":
        value = text
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if default is not None and value is not None and type(value) is not type(default):
        raise InvalidParameter(
            f"parameter {name} is {text!r}", f"it must be {KINDS.get(type(default), 'a literal')}, like {default!r}"
        )
    return value


def inject(nb: NotebookNode, values: Mapping[str, Any]) -> None:
    """Puts a cell that assigns `values` right after the parameters cell, in place of one that an earlier run put there."""
    for at in reversed(tagged(nb, INJECTED)):
        del nb.cells[at]
    if not values:
        return
    source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    cell = nbformat.v4.new_code_cell(source, id=INJECTED, metadata={"tags": [INJECTED]})
    nb.cells.insert(tagged(nb, PARAMETERS)[-1] + 1, cell)
