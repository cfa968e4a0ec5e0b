"""What a past cycle did, done again from what was kept, and compared bit for bit.

    replay(-1, ledger, config)      # the last cycle of the ledger

Each stage begins with what the ledger kept, not with what the stage before has made of it again, so that a difference shows
where it arose: the bars by their fingerprint, ages, jumps and volumes as those bars have them, cash and holdings as the events
booked until then add up to, the strategy on the bars, the sizing on its scores, the orders from the scores and weights that
were kept, the gate's verdicts on the situation that was kept.  What nobody can tell again (the broker's side, switches, the
highest equity, what had been ordered that day) is taken as it was kept.  The gate's second look, just before sending, saw
another instant and is not repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd

from toolkit.cycle.config import Config
from toolkit.cycle.modes import clock_of, market_of
from toolkit.cycle.named import sizing_of, strategy_of
from toolkit.cycle.replayed import Difference, Replayed, differing
from toolkit.cycle.turn import Leg, closing_first, judge, plan, superseded
from toolkit.data import Bars, MarketData, ReplayClock
from toolkit.data.intervals import bars_per_year
from toolkit.data.sources.named import source_of
from toolkit.errors import DataUnavailable, LedgerError
from toolkit.execution import entries
from toolkit.execution.arming import config_hash
from toolkit.execution.audit import snapshot
from toolkit.execution.costs import rules
from toolkit.execution.gate import Gate
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Order
from toolkit.execution.schema import nan
from toolkit.execution.situation import quotes, remembered
from toolkit.risk.sizing import Sizing, sized
from toolkit.signals.generator import Scoring, SignalGenerator
from toolkit.signals.strategies import strategy_name

FOREVER = 3e9  # seconds: what is stored is looked at, the source is not asked whether there is more
BARS, SIGNALS, DECISIONS = ("bars",), ("scores", "weights"), ("orders", "verdicts")
IDLE = "no order was planned and no score moved, so no situation was kept; the bars alone are compared"
OTHER = "the configuration is not the one that the cycle ran with"
LOST = "no situation was kept, by a toolkit that kept none yet if not lost: all but the bars could not be compared"
CURE = "`toolkit ledger show` names them"
ORDERS = """SELECT i.id, i.symbol, i.side, i.qty, i.reference, i.wanted, i.cut_by, i.kind, i.level, i.day, e.after
FROM intents i JOIN order_events e ON e.id = i.id WHERE i.cycle = ? AND e.before = '' ORDER BY i.rowid"""
VERDICTS = """SELECT i.side, i.symbol, v.code, v.measured, v.cap FROM verdicts v JOIN intents i ON i.id = v.id
WHERE i.cycle = ? AND v.stage = 'plan' ORDER BY v.seq"""
REPLACED = "SELECT id FROM order_events WHERE after = 'CANCELED' AND detail = ? ORDER BY seq"
PLANNED_AT = """SELECT min(e.at) FROM order_events e JOIN intents i ON i.id = e.id
WHERE i.cycle = ? AND e.before = '' AND e.at <> ''"""
FOLDED = "SELECT symbol, coalesce(sum(qty), 0), coalesce(sum(cash), 0) FROM events WHERE seq <= ? GROUP BY symbol"
HELD = "SELECT symbol FROM events WHERE symbol IS NOT NULL AND session < ? GROUP BY symbol HAVING sum(qty) <> 0"
Values = dict[str, Any]


def replay(cycle: str | int, ledger: Ledger, config: Config, *, strategy: Scoring | None = None, sizing: Sizing | None = None,
           bars: Bars | MarketData | None = None, interval: str = "1d") -> Replayed:  # fmt: skip
    """Does a cycle again: `cycle` is its key, or its number from 1 on, or from -1 backwards.

    What the configuration names is used. A strategy or sizing that was given in Python has to be given again, and so have
    `bars` (of `interval`), or the MarketData, that came from elsewhere than its source. Nothing is written. Raises LedgerError
    for a cycle that is not there.
    """
    with snapshot(ledger):
        key, session, fingerprint, kept = _kept(ledger, cycle)
        symbols = symbols_of(ledger, config, session, kept)
        at, written = _instant(ledger, key, kept), _written(ledger, key)
        booked = kept.get("booked", 0) if kept is not None else 0  # 0: by a toolkit that did not number them yet
        folded = ledger.rows(FOLDED, booked)
    known, found = _bars_again(config, bars, symbols, session, fingerprint, at)
    count = sum(name.endswith(" id") for name in written[0])
    if kept is None:
        if count:
            found.append(Difference("orders", f"what {count} of them were decided on", "not kept", "not to be compared"))
        return Replayed(key, session, BARS, tuple(found), count, LOST if count else IDLE)
    compared: tuple[str, ...] = BARS
    if known is not None and not found:
        compared, found = (*compared, "quotes"), _quotes(known, kept)
    if booked:
        compared, found = (*compared, "account"), found + _account(kept, folded)
    if known is not None:
        compared, found = compared + SIGNALS, found + _signals(config, known, kept, strategy, sizing)
    compared, found = compared + DECISIONS, found + _decisions(config, symbols, kept, key, written, interval)
    note = OTHER if kept.get("config", "") not in {"", config_hash(config.model_dump(mode="json"))} else ""
    decided, asked = key.rsplit("|", 2)[0], strategy_name(strategy if strategy is not None else strategy_of(config))
    if known is not None and decided != asked:
        note = f"it was decided by {decided}, and {asked} was asked to repeat it: pass the former as `strategy`"
    return Replayed(key, session, compared, tuple(found), count, note)


def symbols_of(ledger: Ledger, config: Config, session: pd.Timestamp, kept: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The symbols of a cycle's bars in their order: as they were kept, else as configuration and account tell them."""
    if kept is not None and "symbols" in kept:
        return tuple(kept["symbols"])
    if kept is not None:
        others = (kept["quotes"][0].keys() | kept["scores"].keys()) - set(config.symbols)
        return (*(symbol for symbol in config.symbols if symbol in kept["scores"]), *sorted(others))
    held = {symbol for (symbol,) in ledger.rows(HELD, session.isoformat())}
    return (*config.symbols, *sorted(held - set(config.symbols)))


def market_at(config: Config) -> MarketData:
    """The market of a configuration at the end of its time: bars that are stored are looked at, the session cuts."""
    source = source_of(config.source)
    clock = clock_of(config, source.delay)
    while isinstance(clock, ReplayClock) and clock.advance():
        pass
    return market_of(config, source, clock)


def bars_at(market: MarketData, symbols: Sequence[str], session: pd.Timestamp, as_of: pd.Timestamp | None = None) -> Bars:
    """Daily bars up to a session as they are stored, or were at the instant `as_of`; only what never was is fetched."""
    return market.bars(symbols, end=session, ttl=FOREVER, as_of=as_of)


# ------------------------------------------------------------------------------------------------------------ stages
def _bars_again(config: Config, given: Bars | MarketData | None, symbols: tuple[str, ...], session: pd.Timestamp,
                fingerprint: str, at: pd.Timestamp | None) -> tuple[Bars | None, list[Difference]]:  # fmt: skip
    """The bars as they are stored now, or as they were then where that fits better; None if there are none any more."""
    try:
        if isinstance(given, Bars):
            whole = given if given.symbols == symbols else given.select([s for s in symbols if s in given.symbols])
            known = whole.rows(0, int(whole.index.searchsorted(session, "right")))
        else:
            market = market_at(config) if given is None else given
            known = bars_at(market, symbols, session)
            if known.fingerprint != fingerprint and at is not None:
                known = bars_at(market, symbols, session, at)
    except DataUnavailable as error:
        return None, [Difference("bars", "fingerprint", fingerprint, f"not to be had ({error})")]
    kept = {"symbols": symbols, "last": session, "fingerprint": fingerprint}
    again = {"symbols": known.symbols, "last": known.index[-1] if len(known) else None, "fingerprint": known.fingerprint}
    return known if len(known) else None, differing("bars", kept, again)


def _quotes(known: Bars, kept: Mapping[str, Any]) -> list[Difference]:
    """Ages, jumps and volumes; by how many sessions the bars ended early then, nobody knows now, but it was one number."""
    seen, (ages, jumps, volumes, _) = quotes(known), kept["quotes"]
    early = max(0, min((ages[s] - age for s, age in seen.ages.items() if s in ages), default=0))
    again = {"age": {s: age + early for s, age in seen.ages.items()}, "jump": seen.jumps, "volume": seen.volumes}
    return [
        d for name, was in zip(again, (ages, jumps, volumes), strict=True)
        for d in differing("quotes", {f"{name} of {s}": x for s, x in was.items()},
                           {f"{name} of {s}": x for s, x in again[name].items()})
    ]  # fmt: skip


def _account(kept: Mapping[str, Any], folded: Sequence[tuple[str | None, int, int]]) -> list[Difference]:
    """Cash and what was held, against the sums of the events that had been booked."""
    _, _, cash, _, positions, _ = kept["account"]
    was = {"micro-dollars": cash} | {f"micro-shares of {symbol}": qty for symbol, qty, *_ in positions if qty}
    held = {f"micro-shares of {symbol}": qty for symbol, qty, _ in folded if symbol is not None and qty}
    return differing("account", was, {"micro-dollars": sum(moved for _, _, moved in folded)} | held)


def _signals(config: Config, known: Bars, kept: Mapping[str, Any], strategy: Scoring | None, sizing: Sizing | None
             ) -> list[Difference]:  # fmt: skip
    """Scores and weights at the last bar."""
    names = [symbol for symbol in known.symbols if symbol in kept["scores"]]
    asked = known if tuple(names) == known.symbols else known.select(names)
    scores = SignalGenerator(strategy_of(config) if strategy is None else strategy).scores(asked)
    weights = sized(sizing or sizing_of(config), scores, asked)
    found = differing("scores", kept["scores"], scores.iloc[-1].to_dict())
    return found + differing("weights", kept["weights"], weights.iloc[-1].to_dict())


def _decisions(config: Config, symbols: tuple[str, ...], kept: Mapping[str, Any], key: str,
               written: tuple[Values, Values, Values], interval: str) -> list[Difference]:  # fmt: skip
    """Orders, those they replace, and the gate's verdicts, from scores, weights and situation as they were kept."""
    costs, limits, policy, exits = config.economics()
    gate = Gate(limits, rules(costs, limits, policy, exits, bars_per_year=bars_per_year(interval)), config.operational())
    situation = remembered(kept)
    leg = Leg(*kept["leg"]) if kept.get("leg") else None
    wish = plan(kept["scores"], kept["weights"], situation.account, gate.rules, key, symbols, situation.past, leg)
    wish = closing_first(wish, situation)
    verdicts = judge(wish, situation, gate)
    orders = _fields([(v.order, "PLANNED" if v.passed else "DENIED") for v in verdicts] + [(o, "CUT") for o in wish.cut])
    said = {f"{v.order.side} {v.order.symbol}": str((v.code, v.measured, v.limit)) for v in verdicts}
    replaced = {f"end of {order}": "asked for" for order in superseded(wish, verdicts, situation.account)}
    return [d for was, now in zip(written, (orders, replaced, said), strict=True)
            for d in differing("verdicts" if now is said else "orders", was, now)]  # fmt: skip


def _fields(orders: Sequence[tuple[Order, str]]) -> Values:
    """Every field of each order, by side, symbol and name."""
    values: Values = {}
    for o, outcome in orders:
        fields = {"id": o.id, "micro-shares": o.qty, "reference": o.reference, "wanted": o.wanted, "cut by": o.limit,
                  "kind": o.kind, "level": o.level, "day": o.day, "outcome": outcome}  # fmt: skip
        values |= {f"{o.side} {o.symbol} {name}": value for name, value in fields.items()}
    return values


# ------------------------------------------------------------------------------------------------------ what was kept
def _kept(ledger: Ledger, cycle: str | int) -> tuple[str, pd.Timestamp, str, Values | None]:
    """Key, session, fingerprint of the bars, and situation of a cycle."""
    keys = [key for (key,) in ledger.rows("SELECT key FROM cycles ORDER BY rowid")]
    if isinstance(cycle, int):
        at = cycle - 1 if cycle > 0 else len(keys) + cycle
        if cycle == 0 or not 0 <= at < len(keys):
            raise LedgerError(f"cycle {cycle} is not among the {len(keys)} of {ledger.path}", CURE)
        cycle = keys[at]
    if cycle not in keys:
        near = get_close_matches(cycle, keys, n=1)
        raise LedgerError(f"cycle {cycle!r} is not in {ledger.path}", f"did you mean {near[0]!r}?" if near else CURE)
    ((session, bars, packed),) = ledger.rows("SELECT session, bars, situation FROM cycles WHERE key = ?", cycle)
    return str(cycle), pd.Timestamp(session), bars, entries.situation_of(packed)


def _instant(ledger: Ledger, key: str, kept: Mapping[str, Any] | None) -> pd.Timestamp | None:
    """When the cycle was planned; None if nothing tells."""
    at = kept["at"] if kept is not None and "at" in kept else ledger.rows(PLANNED_AT, key)[0][0]
    return None if at is None else pd.Timestamp(at)


def _written(ledger: Ledger, key: str) -> tuple[Values, Values, Values]:
    """Orders of a cycle as they were planned, orders whose end it asked for, and the verdicts."""
    orders = [
        (Order(name, key, symbol, side, qty, price, wanted, cut, kind, nan(level), bool(day)), outcome)
        for name, symbol, side, qty, price, wanted, cut, kind, level, day, outcome in ledger.rows(ORDERS, key)
    ]
    replaced = {f"end of {order}": "asked for" for (order,) in ledger.rows(REPLACED, key)}
    return _fields(orders), replaced, {f"{side} {symbol}": str(tuple(v)) for side, symbol, *v in ledger.rows(VERDICTS, key)}
