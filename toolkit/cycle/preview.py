"""What the next cycle would trade, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from toolkit.cycle.report import held_beside
from toolkit.cycle.turn import Leg, Plan, closing_first, judge, last_row, past_of, plan
from toolkit.cycle.watch import doubtful
from toolkit.execution.lifecycle import denied, legs
from toolkit.execution.orders import Account, Order, untypeset
from toolkit.execution.schema import UNSENT, UNSURE
from toolkit.execution.situation import quotes
from toolkit.kernels.account import UNIT
from toolkit.risk.sizing import sized

if TYPE_CHECKING:
    from toolkit.cycle.engine import TradingEngine


@dataclass(frozen=True, repr=False)
class Preview:
    """Scores, weights and orders of the close of `session`; `done` says that this cycle has been traded already."""

    session: pd.Timestamp
    scores: Mapping[str, float]
    weights: Mapping[str, float]
    account: Account
    orders: tuple[Order, ...]
    done: bool
    denials: Mapping[str, str] = field(default_factory=dict)  # what the gate says, by symbol
    notes: tuple[str, ...] = ()  # what is to be known of the strategy

    def frame(self) -> pd.DataFrame:
        """One row a symbol: score, target weight and held weight (fractions of equity), order in shares, and the reason."""
        orders = {o.symbol: o for o in self.orders}
        rows = []
        for symbol, score in self.scores.items():
            position, order = self.account.positions.get(symbol), orders.get(symbol)
            held = position.value / UNIT / self.account.equity if position else 0.0
            shares = 0.0 if order is None else (order.qty if order.side == "buy" else -order.qty) / UNIT
            traded = position.score if position else 0.0
            rows.append((symbol, score, self.weights[symbol], held, shares, self._why(score, traded, order)))
        columns = ["symbol", "score", "target", "held", "order", "why"]
        return pd.DataFrame(rows, columns=columns).set_index("symbol")

    def _why(self, score: float, traded: float, order: Order | None) -> str:
        if score != score:
            return "no opinion yet"
        if order is None:
            return "score unchanged" if score == traded else "already at the target"
        if order.symbol in self.denials:
            return self.denials[order.symbol]
        if traded != traded:
            return "asked again: the last order did not reach the market, or closed alone"
        return f"score from {traded:g} to {score:g}" + (f", cut by {order.limit}" if order.limit else "")

    def __str__(self) -> str:
        state = "traded already" if self.done else "not sent"
        head = "\n".join([f"preview of {self.session:%Y-%m-%d} ({state})", *self.notes])
        return f"{head}\n{self.frame().round(4).to_string()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        state = "traded already" if self.done else "not sent"
        notes = "".join(f"<br>{escape(note)}" for note in self.notes)
        head = f"<b>preview of {self.session:%Y-%m-%d}</b> ({state}){notes}"
        return untypeset(f"{head}{self.frame().round(4).to_html()}")


def previewed(engine: TradingEngine) -> Preview:
    """What the next cycle of the engine would trade: a plan that waits to be sent, or one that it would make now."""
    known = engine.bars()
    bars = engine.scored(known)
    scores = engine.signal_generator.scores(bars)
    weights, key = sized(engine.sizing, scores, bars), engine.cycle_key(bars)
    planned = legs(engine.ledger, key)
    account, status = engine.broker.after(known), engine.ledger.cycle_status(planned[-1]) if planned else None
    past, now = past_of(engine.ledger, known.index[-1], key), engine.ledger.account()
    if account.session != now.session:  # as it will be settled
        (close,) = engine.ledger.rows("SELECT close_equity FROM account")[0]
        past = past._replace(before=close or now.worth, highest=max(past.highest, account.worth))
    wish, name = Plan(), engine.signal_generator.name
    notes = engine.standing(refuse=False) + engine.watch.took_over(name)
    if status == "planned":
        key = planned[-1]
        wish = Plan(tuple(engine.ledger.orders_in(*UNSENT, *UNSURE, cycle=key)))
        notes += ("planned already: these orders wait to be sent, or are looked up",)
    elif status is None and engine.late(known):
        notes += ("the next open has passed: nothing would be planned",)
    elif status is None or (again := {} if engine.late(known) else denied(engine.ledger, planned)):
        leg = Leg(key, again) if status else None
        wish = plan(last_row(scores), last_row(weights), account, engine.rules, key, bars.symbols, past, leg)
        notes += ("denied before: these orders are sent once the gate lets them pass",) * bool(wish.orders and leg)
    seen = quotes(known, engine.missing(known), doubtful(known) | engine.broker.apart(known))
    situation = engine.watch.look(seen, known.index[-1], key, [o.symbol for o in wish.orders])
    situation = replace(situation, account=account, day_equity=past.before, peak=past.highest)
    wish = closing_first(wish, situation)
    verdicts = judge(wish, situation, engine.gate)
    denials = {v.order.symbol: str(v) for v in verdicts if not v.passed}
    notes += held_beside(account, engine.config.symbols)
    said = last_row(scores), last_row(weights)
    done = status == "done" and not wish.orders
    return Preview(bars.index[-1], *said, account, wish.orders + wish.cut, done, denials, notes)
