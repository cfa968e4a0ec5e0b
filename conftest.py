"""The names that examples in docstrings use, and two repairs of nbval 0.11 (setup.cfg pins it).

Notebooks are compared as JupyterLab shows them: a trailing `;` hides a result (nbval issue 194: it runs cells without history,
where IPython ignores the sign), and display updates and clear_output act on the outputs that are compared (nbval drops these
messages).
"""

from pathlib import Path

import pandas as pd
import pytest

SANITIZE = Path(__file__).parent / "tests" / "nbval.cfg"


def pytest_configure(config):
    """What nbval blanks before it compares, found from any folder."""
    if hasattr(config.option, "nbval_sanitize_with") and not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(SANITIZE)


@pytest.fixture(autouse=True)
def names(doctest_namespace):
    doctest_namespace["pd"] = pd


try:
    from nbformat import from_dict
    from nbval.kernel import RunningKernel
    from nbval.plugin import IPyNbCell, IPyNbFile
except ImportError:  # without nbval there is nothing to repair
    pass
else:
    run_cell, read_message = IPyNbCell.runtest, IPyNbFile.get_kernel_message
    HANDLED = "comm_handled"  # nbval skips messages whose type begins with comm

    def execute_cell_input(self, cell_input, allow_stdin=None):
        self.asked = self.kc.execute(cell_input, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)
        return self.asked

    def runtest(self):
        self.parent.cell, self.parent.clear_next = self, False
        return run_cell(self)

    def get_kernel_message(self, timeout=None, stream="iopub"):
        message = read_message(self, timeout, stream)
        if message["parent_header"].get("msg_id") != self.kernel.asked:
            return message
        kind, content, outputs = message["msg_type"], message["content"], self.cell.test_outputs
        displayed = self.__dict__.setdefault("displayed", {})
        display_id = content.get("transient", {}).get("display_id")
        if kind == "clear_output":
            message["msg_type"] = HANDLED
            if content["wait"]:
                self.clear_next = True
            else:
                outputs.clear()
        elif kind == "update_display_data":
            message["msg_type"] = HANDLED
            for shown in displayed.get(display_id, ()):
                shown.clear()
                shown.update(from_dict(content["data"]))
        elif kind in ("display_data", "execute_result", "stream", "error"):
            if self.clear_next:
                outputs.clear()
                self.clear_next = False
            if kind == "display_data":
                content["data"] = from_dict(content["data"])  # the object that nbval keeps, so that updates reach it
                displayed.setdefault(display_id, []).append(content["data"])
        return message

    RunningKernel.execute_cell_input = execute_cell_input
    IPyNbCell.runtest, IPyNbFile.get_kernel_message = runtest, get_kernel_message
