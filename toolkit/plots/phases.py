"""%%phases: one line under a cell that says what its time went into.

    %load_ext toolkit.plots.phases

    %%phases
    engine.run_continuous()

    fetch 2 ms · hits 5 of 5 · kernels 3 ms · signals 1 ms · risk 1 ms · execution 4 ms · calls 0 · total 12 ms

What was not measured is not printed: a phase that no layer has entered, counts that nobody kept.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from IPython.core.displayhook import DisplayHook
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from toolkit.cycle.durations import approximate
from toolkit.data.work import PHASES, Work, watch


def line(work: Work) -> str:
    """The phases that were measured, exclusive of each other, with the hits after the fetch; requests; the whole cell."""
    return " · ".join(said(work))


def said(work: Work) -> Iterator[str]:
    """What the line consists of."""
    for phase in PHASES:
        if phase in work.seconds:
            yield f"{phase} {approximate(work.seconds[phase])}"
        if phase == "fetch" and {"hits", "misses"} & work.counts.keys():
            hits = work.counts.get("hits", 0)
            yield f"hits {hits:,} of {hits + work.counts.get('misses', 0):,}"
    if "calls" in work.counts:
        yield f"calls {work.counts['calls']:,}"
    yield f"total {approximate(work.total)}"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Makes %%phases known to a shell."""

    def phases(options: str, cell: str) -> None:
        """Runs the cell and prints its fetch, hits, kernels, signals, risk, execution, calls and total.

        An error of the cell goes on as it is, after the line. The time to read and compile the cell is not in it.
        """
        if options.strip():
            raise UsageError(f"%%phases takes no options, it is given {options.strip()!r}")
        steps = compiled(shell, cell)
        try:
            with watch() as work:
                for step in steps:
                    shell.ex(step)
        finally:
            print(line(work))

    shell.register_magic_function(phases, "cell", "phases")  # type: ignore[arg-type]


def compiled(shell: InteractiveShell, cell: str) -> list:
    """The cell as the shell would run it: all statements, and a last expression apart, whose value is displayed.

    It keeps a name of its own, so that tracebacks and debuggers find its lines. `await` is a SyntaxError, as under %%time.
    """
    code = shell.transform_cell(cell)
    name = shell.compile.cache(code, shell.execution_count, raw_code=cell)
    tree = shell.transform_ast(shell.compile.ast_parse(code, name))
    last: list[ast.stmt] = []
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not DisplayHook.semicolon_at_end_of_expression(code):
        last = [tree.body.pop()]
    steps = [shell.compile(ast.Module(tree.body, []), name, "exec")]  # type: ignore[arg-type]
    return [*steps, shell.compile(ast.Interactive(last), name, "single")] if last else steps  # type: ignore[arg-type]
