"""A desk in front of a broker: its executions become events of the ledger, once each, and its books are compared with ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from toolkit.data import Bars
from toolkit.data.clock import Clock
from toolkit.errors import BrokerRefused, BrokerUnavailable, LedgerMismatch
from toolkit.execution import folding, splits
from toolkit.execution.brokers import Broker, comparison, news
from toolkit.execution.brokers.values import Activity, Answer, Asset, Holding, Outlook, Purse, Report
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Account, Fill, Order, Position, shares
from toolkit.execution.schema import UNSURE, WAITING
from toolkit.execution.standing import HALT
from toolkit.kernels.account import UNIT

log = logging.getLogger(__name__)
MONTH, OVERLAP = pd.Timedelta("31D"), pd.Timedelta("1D")  # how far back news are asked for again: they come late
DRIFT, DRIFTED = 0.01, 3  # fraction of equity, and number of symbols, beyond which books that differ halt
LASTING = pd.Timedelta("1min")  # how long they may differ, and at one look: news may come a moment late
CASH = ""  # under no symbol


@dataclass
class BrokerDesk:
    """The account is the fold of what the broker told; `reconcile` asks for the news, `settle` marks to the bars' closes."""

    ledger: Ledger
    broker: Broker
    clock: Clock

    sure = False

    def __post_init__(self) -> None:
        if self.live and (mode := self.ledger.account().mode) != "live":
            what = f"{self.ledger.path} is of mode {mode!r}, and {self.broker.name} has real money"
            raise LedgerMismatch(what, "real money is traded through a configuration of `mode: live`, see `toolkit arm`")
        self._assets: dict[str, Asset | None] = {}
        drift, opened = self.ledger.rows("SELECT drift, opened FROM account")[0]
        self._start = pd.Timestamp(0, tz="UTC") if opened is None else pd.Timestamp(opened)
        kept: dict[str, Any] = json.loads(drift) if drift else {}
        self._off = int(kept.pop(CASH, 0))  # micro-dollars that the broker had more when it was last asked
        self._kept, self._turned = self._off, False  # as it is in the ledger; whether anything was reconciled
        self._frozen: dict[str, str] = {}  # symbols on which the books differ, and how
        self._apart: dict[str, str] = {}  # since when, ISO; earlier toolkits did not keep it
        for symbol, (said, since) in {s: (x, "") if isinstance(x, str) else x for s, x in kept.items()}.items():
            self._frozen[symbol], self._apart[symbol] = said, since
        self._outlook: Outlook | None = None
        self._ending, self._others = set[str](), list[Report]()  # symbols of orders that end; orders of others that wait
        self._splitting: dict[tuple[pd.Timestamp, pd.Timestamp], Mapping[str, str] | None] = {}
        self._purse: Purse | None = None  # as `reconcile` saw it

    @property
    def live(self) -> bool:
        return getattr(self.broker, "live", True) is not False

    def account(self) -> Account:
        return self.ledger.account()

    def forget(self) -> None:
        """Nothing is remembered of the account."""

    @property
    def calls(self) -> int:
        return self.broker.meter.calls

    def allow(self, requests: int | None) -> None:
        self.broker.meter.allow(requests)

    def submit(self, order: Order) -> Answer:
        if self._outlook is not None and order.side == "buy":  # until the broker is asked again
            self._outlook = replace(self._outlook, buying_power=self._outlook.buying_power - order.notional)
        return self.broker.submit(order)

    def find(self, order: str) -> Answer | None:
        found = self.broker.find(order)
        status = "REJECTED" if found and found.status == "REJECTED" else "ACCEPTED"
        return None if found is None else Answer(status, found.said, found.broker_id)

    def cancel(self, order: str) -> Answer:
        self._ending |= {symbol for (symbol,) in self.ledger.rows("SELECT symbol FROM intents WHERE id = ?", order)}
        return self.broker.cancel(order)

    def ending(self) -> set[str]:
        """Symbols of orders that were cancelled here and that the broker has not been seen to end."""
        return self._ending

    def outlook(self, symbols: Iterable[str]) -> Outlook:
        """Buying power, clock and cash, asked for once after each `reconcile`, and assets, each asked for once."""
        unseen = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._assets]
        alone = ["clock"] * (self._outlook is None) + ["purse"] * (self._outlook is None and self._purse is None)
        with self.broker.ahead(alone=alone, symbols=unseen):  # each stands for itself
            if self._outlook is None:
                clock = self.broker.clock()  # first: no other answer lies between it and ours
                skew, purse = (clock.now - self.clock.now()).total_seconds(), self._purse or self.broker.purse()
                self._outlook = Outlook(None, purse.buying_power / UNIT, skew, clock.next_open, blocked=purse.blocked)
                self._compared(purse, self._turned)
            for symbol in unseen:
                self._assets[symbol] = self.broker.asset(symbol)
        accepts, pause = self.broker.accepts(self.clock.now()), self.broker.pause()  # after all that was asked
        frozen, others, assets = dict(self._frozen), tuple(self._others), dict(self._assets)
        told = replace(self._outlook, frozen=frozen, others=others, assets=assets, accepts=accepts, pause=pause)
        return replace(told, crosses=getattr(self.broker, "crosses", True))

    def settle(self, bars: Bars) -> list[Fill]:
        """Marks positions to the closes up to the last bar; the fills were booked by `reconcile` and are returned here."""
        account = self.ledger.account()
        if account.session is not None and account.session >= bars.index[-1]:
            return []
        marked = folding.marked(account, bars, self._bases(account, bars))
        self._price(account, {symbol: position.mark for symbol, position in marked.items()})
        self.ledger.settle(bars.index[-1], [], marked.values(), [])
        return folding.fills_since(self.ledger, account.session)

    def after(self, bars: Bars) -> Account:
        account = self.ledger.account()  # what the broker has filled since is booked by the next cycle
        positions = account.positions | folding.marked(account, bars, self._bases(account, bars))
        return replace(account, positions=positions, session=bars.index[-1])

    def splitting(self, session: pd.Timestamp) -> Mapping[str, str] | None:
        """Between a close of today and what is sent today there is none; else the broker is asked, once a reconciliation.

        What was sent before the night of a split is for the broker to split, as it tells (`news.resize`).
        """
        today, close = folding.day_of(self.clock.now()), folding.day_of(session)
        if today <= close:
            return {}
        if (close, today) not in self._splitting:
            opens = self.outlook([]).next_open
            last = today if opens is None else max(today, folding.day_of(opens))
            try:
                due = self.broker.splits(close + OVERLAP, last)
                self._splitting[close, today] = {symbol: f"a split of {split}" for symbol, split in due.items()}
            except (BrokerUnavailable, BrokerRefused) as error:
                log.warning("splits since %s are not known (%s)", close, error)
                self._splitting[close, today] = None
        return self._splitting[close, today]

    def apart(self, bars: Bars) -> dict[str, str]:
        return splits.apart(self._bases(self.ledger.account(), bars))

    def _bases(self, account: Account, bars: Bars) -> dict[str, splits.Basis]:
        return splits.bases(self.ledger, account, bars, self._start)

    def reconcile(self, watched: bool = False) -> list[str]:
        """Books the broker's news and compares its books with ours; asked again at once, it changes nothing.

        Orders of ours that we never planned halt the account, and so do holdings that differ for a minute, and at a second
        look, or cash that differs at two, by more than 1% of equity, or in more than three symbols; a difference freezes its
        symbol. Where a person is at it (`watched`), holdings that differ halt nothing. An order that was cancelled here and
        waits there is cancelled again. At most five requests at Alpaca; six with those of `outlook`, and
        one that `splitting` makes where orders are sent on a later day than that of their close.

        Activities, orders and positions are asked for at once: looks at several instants, as they were one after the other, and
        what follows is the same whichever is the older. A fill that is told before its order shows is booked, and becomes the
        order's later (`entries.name`); an order that ended stays open until all that it filled is told; a fill that only one of
        activities and positions knows is a drift until the next look. The purse follows, where something was booked.
        """
        since, self._splitting = self._since(), {}
        with self.broker.ahead(since):
            known, told = self._booked(), self._news(since)
            reports = self.broker.orders(since)
            self._adopt(reports)
            said = news.resize(self.ledger, reports, told)
            news.book(self.ledger, told)
            news.end(self.ledger, reports)
            said += self._strangers(reports) + self._still_there(reports) + self._drift(self.broker.positions(), watched)
        changed = self._booked() != known or self._frozen or self._off
        self._purse = self.broker.purse() if changed else None
        said += self._short_of_cash()
        self._outlook, self._turned = None, True
        return said

    def _booked(self) -> int:
        return self.ledger.rows("SELECT count(*) FROM events")[0][0]

    def _news(self, since: pd.Timestamp) -> list[Activity]:
        """Activities since the ledger began; those of its first day that have no hour, and were there then, are its cash."""
        start = self._start
        told = [a for a in self.broker.activities(since) if a.at >= (start if a.kind == "fill" else start - OVERLAP)]
        if self._booked() <= 1 and self.ledger.account().session is None:  # the first transfer alone
            before = [a for a in told if a.kind != "fill" and a.at < start]
            self.ledger.book([replace(folding.event_of(a, None, Position("")), qty=0, cash=0, fee=0) for a in before], [])
        return [a for a in told if a.at >= start or a.at >= start.tz_convert(splits.EASTERN).normalize()]

    def _since(self) -> pd.Timestamp:
        """From when on news may be unknown: the oldest order that is not over, or the last news, and a day before.

        What was sent and given up may turn up for a month. Books that differ ask a month back: what is told late, or out of
        order, explains most differences.
        """
        states = (*UNSURE, *WAITING, "ABSENT")
        these = f"status IN ({','.join('?' * len(states))}) OR status = 'ABANDONED' AND sent >= ?"
        month = (self.clock.now() - MONTH).isoformat()
        (open_,) = self.ledger.rows(f"SELECT min(sent) FROM intents WHERE {these}", *states, month)[0]
        (last,) = self.ledger.rows("SELECT max(session) FROM events WHERE kind <> 'adoption'")[0]
        instants = [pd.Timestamp(open_)] if open_ else []
        instants += [pd.Timestamp(last).tz_localize("UTC")] if last else [self.clock.now()]
        return min(instants) - (MONTH if self._frozen or self._off else OVERLAP)

    def _adopt(self, reports: list[Report]) -> None:
        """Orders that we gave up, or were not sure of, and that the broker has after all."""
        states = self._states(reports)
        for report in reports:
            status = states.get(report.id) if report.id.startswith(comparison.OURS) else None
            if status in {*UNSURE, "ABSENT", "ABANDONED"} and report.status != "REJECTED":
                self.ledger.move(report.id, "ACCEPTED", "turned up at the broker", report.replaced_by or report.broker_id)
                states[report.id] = "ACCEPTED"
                if status == "ABANDONED" and report.waits:
                    self.broker.cancel(report.id)

    def _states(self, reports: list[Report]) -> dict[str, str]:
        """States of the orders that were planned here."""
        return {order.id: order.status for order in news.among(self.ledger, reports).values()}

    def _strangers(self, reports: list[Report]) -> list[str]:
        orphans, self._others = comparison.strangers(reports, self._states(reports))
        for report in orphans:
            self._halt(f"order {report.id} is at the broker, the ledger never planned it: {comparison.ALONE}")
        return comparison.strangers_said(orphans, self._others)

    def _still_there(self, reports: list[Report]) -> list[str]:
        """Orders of ours that are over here and wait there: a cancellation was lost."""
        states = self._states(reports)
        left = [r for r in reports if r.waits and states.get(r.id) in {"CANCELED", "EXPIRED", "ABANDONED"}]
        self._ending = {r.symbol for r in left}
        for report in left:
            self.broker.cancel(report.id)
        return [f"CANCELED AGAIN: {r.side} {shares(r.qty)} {r.symbol} waits at the broker ({r.id})" for r in left]

    def _short_of_cash(self) -> list[str]:
        """Cash that differs, asked for where something was booked or differed before; it halts at the second look."""
        ours, before = self.ledger.account(), self._off
        if self._purse is None:
            return []
        self._compared(self._purse)
        if not self._off:
            return []
        said = comparison.cash_said(self._off)
        if before and not abs(self._off) <= DRIFT * ours.equity * UNIT:
            self._halt(f"cash differs: {said}")
        return [f"CASH: {said}"]

    def _drift(self, holdings: list[Holding], watched: bool) -> list[str]:
        account, before, now = self.ledger.account(), self._frozen, self.clock.now()
        self._price(account, {h.symbol: h.price for h in holdings})
        found = comparison.differences(account, holdings)
        self._frozen = {symbol: each.said for symbol, each in found.items()}
        differ = [f"{symbol} {why}" for symbol, why in self._frozen.items()]
        self._apart = {symbol: self._apart.get(symbol, now.isoformat()) for symbol in found}
        late = (now - LASTING).isoformat()
        lasting = [each.worth for symbol, each in found.items() if symbol in before and self._apart[symbol] <= late]
        if self._frozen != before:
            self._keep()
        if lasting and not watched and (not sum(lasting) <= DRIFT * account.equity or len(lasting) > DRIFTED):
            self._halt(f"holdings differ: {'; '.join(differ)} (see `toolkit ledger adopt`)")
        return [f"DRIFT: {each}" for each in differ]

    def _compared(self, purse: Purse, keep: bool = True) -> None:
        """Cash that differs by more than a dollar is kept as drift is: the next process asks a month back as well."""
        off = purse.cash - self.ledger.account().cash
        self._off = off if abs(off) > UNIT else 0
        if keep and self._off != self._kept:
            self._keep()

    def _keep(self) -> None:
        with self.ledger.transaction() as db:
            differ: dict[str, Any] = {symbol: (said, self._apart[symbol]) for symbol, said in self._frozen.items()}
            differ |= {CASH: str(self._off)} if self._off else {}
            db.execute("UPDATE account SET drift = ?", (json.dumps(differ),))
        self._kept = self._off

    def _price(self, account: Account, prices: Mapping[str, float]) -> None:
        """Marks what was held without a price."""
        if first := folding.first_marks(account, prices):
            self.ledger.book([], first)

    def _halt(self, why: str) -> None:
        self.ledger.stand(HALT, why, "reconciliation")
