"""A paper account over a seeded market, one turn a session, from where its ledger stands: started and killed by test_turn."""

import sys
from pathlib import Path

from test_turn import LIMITS, RULES, strategy

from conftest import random_bars
from toolkit.cycle.engine import last_row
from toolkit.cycle.turn import turn
from toolkit.execution.brokers.paper import PaperBroker
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.risk.sizing import equal_weight


def main(folder: str, seed: str) -> None:
    bars, sizing = random_bars(int(seed)), equal_weight()
    ledger = Ledger.open(Path(folder), account="t", mode="paper", cash=50_000.0)
    for session in bars.index:
        if ledger.cycle_status(str(session)) != "done":
            known = bars.until(session)
            scores = strategy(known)
            turn(known, last_row(scores), last_row(sizing(scores, known)), key=str(session),
                 desk=PaperBroker(ledger, RULES), ledger=ledger, gate=Gate(LIMITS, RULES))  # fmt: skip
            print(session, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
