"""A slice of the ledger's machine, and the bugs that it has to notice; `python -m tests.simulation machine` is the whole."""

import logging
import re
from pathlib import Path

import ledger_machine
import pytest
from hypothesis.errors import HypothesisException
from ledger_bugs import BUGS, planted

from toolkit.errors import ToolkitError
from toolkit.execution import schema

DRAWN = re.compile(r"^ +(\S+) --> (\w+)", re.MULTILINE)


@pytest.fixture(autouse=True)
def silence():
    """Thousands of lost answers are reported otherwise."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def test_a_ledger_holds_together_through_every_order_of_events():
    ledger_machine.run(5_000)


def test_the_diagram_has_the_arrows_of_the_ledger_and_those_of_its_machine():
    drawn = DRAWN.findall((Path(schema.__file__).parent / "README.md").read_text())
    arrows = [(before.replace("[*]", ""), after) for before, after in drawn]
    assert len(arrows) == len(set(arrows))
    assert set(arrows) == ledger_machine.LEGAL == {(a, b) for a, following in schema.NEXT.items() for b in following}


def test_there_are_at_least_twenty_bugs():
    assert len(BUGS) >= 20 and len({bug.name for bug in BUGS}) == len(BUGS)


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_the_machine_notices_that(bug):
    with planted(bug), pytest.raises((AssertionError, ToolkitError, pytest.fail.Exception)) as noticed:
        ledger_machine.run(2_000)
    assert not isinstance(noticed.value, HypothesisException) and "has no" not in str(noticed.value)
