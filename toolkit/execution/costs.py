"""What a trade costs and how large it may be, in people's units; `rules` hands both to the compiled step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit.errors import InvalidParameter
from toolkit.kernels.account import UNIT, Rules


def check_numbers(owner: object) -> None:
    """Refuses fields that are negative or not a number; infinity means no limit."""
    for name, value in vars(owner).items():
        if not isinstance(value, bool) and not (isinstance(value, (int, float)) and value >= 0.0):
            raise InvalidParameter(f"{type(owner).__name__}.{name} is {value!r}", "use a number of at least 0")


@dataclass(frozen=True)
class Costs:
    """Commission and slippage of every fill."""

    per_share: float = 0.0  # dollars a share
    minimum: float = 0.0  # dollars an order, the least that per_share comes to
    fee_bps: float = 1.0  # basis points of the notional
    slippage_bps: float = 5.0  # basis points of the price, against us

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True)
class Limits:
    """Economic limits of an account; fractions are of its equity.  Sales that reduce a position are never limited."""

    max_order_notional: float = 25_000.0  # dollars of one purchase
    max_order_share: float = 0.10  # fraction of one purchase
    max_position: float = 0.20  # fraction in one symbol
    max_gross: float = 1.0  # fraction in all symbols
    min_cash: float = 0.02  # fraction that stays cash
    max_stale_sessions: int = 1  # a symbol that traded last before this many sessions is not traded

    def __post_init__(self) -> None:
        check_numbers(self)


def rules(costs: Costs, limits: Limits, *, whole_shares: bool = True, band: float = math.inf) -> Rules:
    """The same as scalars for the compiled step.  `band`: drift of a weight that triggers a trade, inf for never."""
    return Rules(
        per_share=float(costs.per_share),
        minimum=float(costs.minimum),
        fee=costs.fee_bps / 10_000.0,
        slippage=costs.slippage_bps / 10_000.0,
        lot=UNIT if whole_shares else 1,
        band=float(band),
        max_order=float(limits.max_order_notional),
        max_order_share=float(limits.max_order_share),
        max_position=float(limits.max_position),
        max_gross=float(limits.max_gross),
        min_cash=float(limits.min_cash),
    )
