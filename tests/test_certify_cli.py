"""`toolkit certify`: the verdict is the exit status, and the certificate is where the engine looks for it."""

from functools import partial

import numpy as np
import pytest

from toolkit.cli import main
from toolkit.cycle import named
from toolkit.signals.causality.certificate import Certificate
from toolkit.signals.causality.identity import identity
from toolkit.signals.strategies import trend_and_rsi

CONFIG = """
symbols: [AAPL, IBM]
source: sample
cache: {directory: cache}
state: state
strategy:
  name: %s
  parameters: %s
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name="trend_and_rsi", parameters="{fast: 4}"):
        (tmp_path / "config.yaml").write_text(CONFIG % (name, parameters))
        return tmp_path

    return write


def tomorrow(bars):
    return np.sign(bars.close.shift(-1) - bars.close)


def test_a_strategy_that_passes_is_exit_0_and_its_certificate_is_found_by_its_identity(here, capsys):
    folder = here()
    assert main(["certify", "config.yaml", "--symbols", "MSFT"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("PASSED trend_and_rsi(fast=4): no bar of ") and "bars of MSFT, " in printed
    kept = Certificate.read(folder / "state", identity(partial(trend_and_rsi, fast=4)))
    assert kept is not None and kept.passed and kept.symbols == ("MSFT",)
    assert printed.splitlines()[-1] == f"kept in {folder}/state/certificates/{kept.identity}.json"
    assert not list((folder / "state").glob("replay-*"))  # no account is opened


def test_a_strategy_that_leaks_is_exit_1(here, capsys, monkeypatch):
    monkeypatch.setitem(named.STRATEGIES, "tomorrow", tomorrow)
    folder = here("tomorrow", "{}")
    assert main(["certify", "config.yaml"]) == 1
    assert "FUTURE AAPL " in capsys.readouterr().out
    assert not Certificate.read(folder / "state", identity(tomorrow)).passed


@pytest.mark.parametrize(("line", "said"), [
    ("certify", "the following arguments are required: CONFIG"),
    ("certify nowhere.yaml", "nowhere.yaml"),
    ("certify config.yaml --symbols", "expected at least one argument"),
    ("certify config.yaml --symbols ../x", "symbols is ['../x']"),
])  # fmt: skip
def test_a_wrong_argument_is_one_sentence_and_exit_2(here, capsys, line, said):
    here()
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("error: ") and printed.err.count("\n") == 1 and said in printed.err


def test_an_unknown_strategy_is_said_with_those_that_are_known(here, capsys):
    here("moon", "{}")
    assert main(["certify", "config.yaml"]) == 2
    assert "strategy.name is 'moon'; use one of trend_and_rsi" in capsys.readouterr().err


def test_help_teaches(capsys):
    assert main(["certify", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "\n  toolkit certify notebooks/trading_config.yaml" in shown and "exit status: 0 passed, 1 it leaks" in shown
