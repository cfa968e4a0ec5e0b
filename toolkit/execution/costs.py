"""What a trade costs, how large it may be, when it is made and given up, in people's units; `rules` hands it to the step."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, Literal

from toolkit.errors import InvalidParameter
from toolkit.kernels.account import LIMIT, MARKET, STOP, UNIT, Rules

KINDS = {"market": MARKET, "limit": LIMIT, "stop": STOP}


def check_numbers(owner: Any) -> None:
    """Refuses fields that are no numbers, negative or NaN; infinity means no limit, and -inf none on `min_cash`."""
    for field in fields(owner):
        name, value = f"{type(owner).__name__}.{field.name}", getattr(owner, field.name)
        if isinstance(field.default, bool):
            if not isinstance(value, bool):
                raise InvalidParameter(f"{name} is {value!r}", "use True or False")
        elif not isinstance(field.default, str):
            sound = isinstance(value, Real) and not isinstance(value, bool)
            if not (sound and (value >= 0.0 or (field.name == "min_cash" and value == -math.inf))):
                raise InvalidParameter(f"{name} is {value!r}", "use a number of at least 0")


def check_fractions(owner: Any, most: float, *names: str) -> None:
    """Refuses what looks like percent: from `most` on, unless it is infinite."""
    for name in names:
        value = getattr(owner, name)
        if most <= value < math.inf:
            raise InvalidParameter(f"{type(owner).__name__}.{name} is {value}", f"a fraction is meant: {value / 100:g}")


@dataclass(frozen=True)
class Costs:
    """Commission, slippage and financing; slippage works against us, but never takes a limit order beyond its limit.

    per_share: dollars a share; minimum: dollars a fill, the least that per_share comes to; per_order: dollars a fill; fee_bps:
    basis points of the notional (on top of the others: 0 for a broker that charges by the share); slippage_bps: basis points of
    the price; half_spread: dollars a share; impact: fraction of the price times the square of our share of the bar's volume;
    borrow: fraction a year of the value sold short; interest: fraction a year of borrowed cash.
    """

    per_share: float = 0.0
    minimum: float = 0.0
    per_order: float = 0.0
    fee_bps: float = 1.0
    slippage_bps: float = 5.0
    half_spread: float = 0.0
    impact: float = 0.0
    borrow: float = 0.0
    interest: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self)
        for name, value in vars(self).items():
            if value == math.inf or (name.endswith("_bps") and value >= 10_000.0):
                raise InvalidParameter(f"Costs.{name} is {value}", "use a finite number, in basis points one below 10,000")
        check_fractions(self, 10.0, "borrow", "interest")


@dataclass(frozen=True)
class Limits:
    """Economic limits of an account; none unless named.  What reduces a position is never limited.

    max_order_notional: dollars of one order; max_order_share, max_position, max_gross: fractions of equity of one order, in one
    symbol, in all symbols long and short; min_cash: fraction that orders leave free when they are decided (-inf: cash cuts at
    the fill alone); volume_share: fraction of a bar's volume that may be ours, the rest of an order waits; leverage: gross
    exposure that cash and margin carry, in equities (at 1 cash never goes below 0); allow_short; max_stale_sessions: a symbol
    that traded last before this many sessions is not traded (in the loop alone); max_net: fraction of equity of longs less
    shorts, to either side; max_turnover: fraction of equity that the orders of one close open or add; daily_loss, max_drawdown:
    fractions by which equity may lie below that of the close before, and below its highest so far: further down nothing is
    opened. A wish that was cut, also to nothing, is asked for again when its score changes.
    """

    max_order_notional: float = math.inf
    max_order_share: float = math.inf
    max_position: float = math.inf
    max_gross: float = math.inf
    min_cash: float = -math.inf
    volume_share: float = math.inf
    leverage: float = 1.0
    allow_short: bool = False
    max_stale_sessions: int = 10**9
    max_net: float = math.inf
    max_turnover: float = math.inf
    daily_loss: float = math.inf
    max_drawdown: float = math.inf

    def __post_init__(self) -> None:
        check_numbers(self)
        check_fractions(self, 10.0, "max_order_share", "max_position", "max_gross", "min_cash", "volume_share", "max_net")
        check_fractions(self, 10.0, "max_turnover")
        check_fractions(self, 1.0, "daily_loss", "max_drawdown")
        if not self.leverage < math.inf:
            raise InvalidParameter("Limits.leverage is infinite", "use a finite number, 1 for no margin")


# Of an engine, where its configuration names no other; and what is tighter where the money is real.
CAREFUL = Limits(
    25_000.0, 0.10, 0.20, 1.0, 0.02, max_stale_sessions=1, max_net=1.0, max_turnover=2.0, daily_loss=0.05, max_drawdown=0.20,
)  # fmt: skip
CAREFUL_LIVE = replace(
    CAREFUL, max_order_notional=5_000.0, max_order_share=0.02, max_position=0.10, max_turnover=0.5, daily_loss=0.02,
    max_drawdown=0.10,
)  # fmt: skip


@dataclass(frozen=True)
class Policy:
    """When a score becomes an order, and of what kind.

    A changed score trades, and with a `band` a weight that has drifted by more than that fraction of equity does too (0: at
    every bar). Orders that open or add are of `order_kind`: a limit lies `order_offset` (a fraction of the close) on the near
    side of the close, a stop on the far side. Orders that close are market orders. A day order dies with its bar.
    """

    whole_shares: bool = False
    band: float = math.inf
    order_kind: Literal["market", "limit", "stop"] = "market"
    order_offset: float = 0.0
    time_in_force: Literal["gtc", "day"] = "gtc"

    def __post_init__(self) -> None:
        check_numbers(self)
        for name, value, known in ("order_kind", self.order_kind, KINDS), ("time_in_force", self.time_in_force, ("gtc", "day")):
            if value not in known:
                raise InvalidParameter(f"Policy.{name} is {value!r}", f"use one of {', '.join(known)}")
        check_fractions(self, 1.0, "band", "order_offset")


@dataclass(frozen=True)
class Exits:
    """Exits inside a bar, as fractions of a price; infinity is none.  When a bar touches both, the worse one happens.

    stop_loss, take_profit: of the entry price; trailing: of the best price since the entry. A symbol that was left this way
    stays out until its score changes. What the volume lets through of a stop goes at once, the rest at the next opens.
    """

    stop_loss: float = math.inf
    take_profit: float = math.inf
    trailing: float = math.inf

    def __post_init__(self) -> None:
        check_numbers(self)
        for name, value in vars(self).items():
            if value == 0.0:
                raise InvalidParameter(f"Exits.{name} is 0", "use a fraction above 0, or leave it out")
        check_fractions(self, 1.0, "stop_loss", "trailing")
        check_fractions(self, 10.0, "take_profit")


def economics(limits: Limits | None, costs: Costs | None, policy: Policy | None, exits: Exits | None
              ) -> tuple[Limits, Costs, Policy, Exits]:  # fmt: skip
    """What was given, and what research takes where nothing was: no limits, the default costs; InvalidParameter for others."""
    given = ("limits", limits, Limits()), ("costs", costs, Costs()), ("policy", policy, Policy()), ("exits", exits, Exits())
    for name, value, default in given:
        if value is not None and not isinstance(value, type(default)):
            kind = type(default).__name__
            raise InvalidParameter(f"{name} is {value!r}", f"pass {name}={kind}(...), see help(toolkit.{kind})")
    return tuple(default if value is None else value for _, value, default in given)  # type: ignore[return-value]


def rules(costs: Costs, limits: Limits, policy: Policy = Policy(), exits: Exits = Exits(), *,
          bars_per_year: float = 252.0) -> Rules:  # fmt: skip
    """The same as scalars for the compiled step."""
    return Rules(
        per_share=float(costs.per_share),
        minimum=float(costs.minimum),
        per_order=float(costs.per_order),
        fee=costs.fee_bps / 10_000.0,
        slippage=costs.slippage_bps / 10_000.0,
        half_spread=float(costs.half_spread),
        impact=float(costs.impact),
        volume_share=float(limits.volume_share),
        borrow=costs.borrow / bars_per_year,
        interest=costs.interest / bars_per_year,
        leverage=float(limits.leverage),
        short=bool(limits.allow_short),
        lot=UNIT if policy.whole_shares else 1,
        stop_loss=float(exits.stop_loss),
        take_profit=float(exits.take_profit),
        trailing=float(exits.trailing),
        kind=KINDS[policy.order_kind],
        offset=float(policy.order_offset),
        day=policy.time_in_force == "day",
        band=float(policy.band),
        max_order=float(limits.max_order_notional),
        max_order_share=float(limits.max_order_share),
        max_position=float(limits.max_position),
        max_gross=float(limits.max_gross),
        min_cash=float(limits.min_cash),
        max_net=float(limits.max_net),
        max_turnover=float(limits.max_turnover),
        daily_loss=float(limits.daily_loss),
        max_drawdown=float(limits.max_drawdown),
    )
