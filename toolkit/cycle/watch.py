"""What watches over an account: the situation that the gate judges, the falls and rejections that halt it, and who is told."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from toolkit.cycle.connected import Venue
from toolkit.cycle.report import held_beside, held_silent, held_unpriced
from toolkit.cycle.telemetry import CycleRow, Telemetry
from toolkit.cycle.turn import Turn, situated
from toolkit.data import Bars, Calendar, Clock
from toolkit.data.clock import utc64
from toolkit.execution.brokers import Desk
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.execution.situation import Quotes, Situation, sessions_since
from toolkit.execution.standing import ACTIVE, HALT, Switches
from toolkit.kernels.account import UNIT
from toolkit.risk.cached import CycleRisk
from toolkit.risk.limits import Limit
from toolkit.risk.report import RiskReport

log = logging.getLogger(__name__)
MINUTE = pd.Timedelta("1min")
DOUBTFUL = {"SPLIT_SUSPECT", "ANOTHER_SERIES"}  # issues of bars


def doubtful(bars: Bars) -> dict[str, str]:
    """Symbols whose bars may not be what they seem, and why: they are not traded until that is settled."""
    return {issue.symbol: str(issue) for issue in bars.issues if issue.code in DOUBTFUL}


@dataclass
class Watch:
    """One account's; `on_halt` is called with the reason when the account halts."""

    ledger: Ledger
    desk: Desk
    switches: Switches
    gate: Gate
    clock: Clock
    venue: Venue | None
    on_halt: Callable[[str], object] | None

    def __post_init__(self) -> None:
        limits = {"leverage": self.gate.limits.max_gross, "largest": self.gate.limits.max_position}
        self.risk = CycleRisk([Limit(name, most) for name, most in limits.items() if most < math.inf])

    def risk_of(self, bars: Bars) -> RiskReport | None:
        """The risk of what is held at the last bar, made again where bars or holdings changed; None with nothing held."""
        account = self.desk.account()
        held = {s: p.qty / UNIT for s, p in account.positions.items() if p.qty and s in bars.symbols}
        return self.risk.update(bars, held, account.equity) if held and account.equity > 0.0 else None

    def took_over(self, strategy: str) -> tuple[str, ...]:
        """What a report has to say where another strategy traded the account until now; parameters do not tell two apart."""
        last = self.ledger.rows("SELECT key FROM cycles ORDER BY rowid DESC LIMIT 1")
        before, session = last[0][0].rsplit("|", 2)[:2] if last else (strategy, "")
        if before.partition("(")[0] == strategy.partition("(")[0]:
            return ()
        said = f"{strategy} takes over: {before} traded this account until {session}; what that one ordered is taken back"
        log.warning("%s; give each strategy an account of its own (`account:`)", said)
        return (said,)

    def look(self, seen: Quotes, session: pd.Timestamp, key: str, symbols: Sequence[str]) -> Situation:
        """What the gate looks at: the account, the switches, the conditions of live trading, the broker's side."""
        found = situated(self.ledger, self.desk, seen, session, key, symbols)
        unarmed = found.unarmed if self.venue is None else self.venue.unarmed(self.ledger, self.clock.now())
        standing, why = self.switches.stands(found.standing, found.why)
        kill = self.switches.pulled() or found.kill
        return replace(found, kill=kill, standing=standing, why=why, unarmed=unarmed, clash=self._clash())

    def _clash(self) -> str:
        """Where the broker's clock and the calendar disagree about the next open, "" where they do not."""
        told = None if self.venue is None else self.desk.outlook([]).next_open
        if self.venue is None or told is None:
            return ""
        days, now = Calendar(self.venue.config.calendar), self.clock.now()
        at = int(np.searchsorted(days.opens, utc64(now), "right"))
        if at == len(days.opens):
            return f"calendar {days.name} ends before {now}"
        expected = days.open_instant(at)
        apart = abs(told - expected) > MINUTE
        return (
            f"next open {told:%Y-%m-%d %H:%M} UTC at the broker, {expected:%Y-%m-%d %H:%M} UTC in the calendar" if apart else ""
        )

    def judge(self, outcome: Turn) -> None:
        """Forgets the risk after fills; halts the account after too deep a fall, or too many rejected orders in a row."""
        if outcome.fills:
            self.risk.invalidate()
        operations = self.gate.operations
        most, streak = self.gate.limits.max_drawdown if operations.drawdown_halts else math.inf, operations.error_streak
        (peak,) = self.ledger.rows("SELECT coalesce(peak, 0) FROM account")[0]
        equity = self.desk.account().equity
        if peak and most < math.inf and not 1.0 - equity * UNIT / peak <= most:
            self._halt(f"equity ${equity:,.2f} is {1.0 - equity * UNIT / peak:.1%} below its highest", "gate")
        if streak < math.inf:
            last = self.ledger.rows(
                "SELECT status FROM intents WHERE sent > (SELECT coalesce(max(at), '') FROM standings)"
                " ORDER BY sent DESC, rowid DESC LIMIT ?",
                int(streak),
            )  # those that a person has looked at, when a halt was lifted, are behind us
            if len(last) == streak and all(status == "REJECTED" for (status,) in last):
                self._halt(f"the broker rejected {len(last)} orders in a row", "gate")

    def said(self, bars: Bars, symbols: Sequence[str], missing: int) -> tuple[str, ...]:
        """What a report has to say of holdings that nobody decides about, and of the standing."""
        account = self.desk.account()
        silent = held_silent(account, sessions_since(bars, missing), self.gate.limits.max_stale_sessions)
        return held_beside(account, symbols) + silent + held_unpriced(account) + self.told()

    def halt(self, why: str) -> None:
        """Nothing is sent any more until a person lifts it with `toolkit resume`; tells `on_halt`."""
        self._halt(why, "engine")
        self.tell()

    def _halt(self, why: str, who: str) -> None:
        self.ledger.stand(HALT, why, who)

    def failed(self, error: Exception, telemetry: Telemetry) -> None:
        """A cycle that raised leaves a row too, and a halt of it is told; what fails of that is logged."""
        try:
            self.tell()
            account, code = self.ledger.account(), getattr(error, "code", type(error).__name__)
            day = "" if account.session is None else account.session.isoformat()
            telemetry.write(CycleRow(session=day, equity=account.equity, status=f"failed: {code}"))
        except Exception:  # whatever broke the cycle may break this too: it ends no loop before it has counted its failures
            log.exception("the failed cycle leaves no row")

    def tell(self) -> None:
        """Calls `on_halt` for a halt that nobody was told of yet; what cannot be told is told at the next look."""
        rows = self.ledger.rows(
            "SELECT s.seq, s.why FROM standings s, account a WHERE a.standing = 'HALT' AND s.after = 'HALT'"
            " AND s.seq > coalesce(a.told, 0) ORDER BY s.seq DESC LIMIT 1"
        )
        if not rows or self.on_halt is None:
            return
        try:
            self.on_halt(rows[0][1])
        except Exception:  # the account is halted all the same, and the loop goes on
            log.exception("on_halt could not tell that the account halted: %s", rows[0][1])
        else:
            with self.ledger.transaction() as db:
                db.execute("UPDATE account SET told = ?", (rows[0][0],))

    def told(self) -> tuple[str, ...]:
        """The standing in words, if it is not ACTIVE, and switches; a halt is told to `on_halt`."""
        self.tell()
        now, why = self.switches.stands(*self.ledger.standing)
        pulled = self.switches.pulled()
        said = (f"{now}: {why}; `toolkit resume` lifts it",) if now != ACTIVE else ()
        return said + ((f"KILL_SWITCH: {pulled}",) if pulled else ())
