"""The broker that a configuration names, with its desk and the conditions of trading real money."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from toolkit.cycle.config import Config
from toolkit.cycle.named import sizing_of, strategy_of
from toolkit.data import Clock
from toolkit.errors import ConfigError, NotArmed
from toolkit.execution import arming
from toolkit.execution.brokers.alpaca import AlpacaBroker
from toolkit.execution.brokers.desk import BrokerDesk
from toolkit.execution.brokers.values import Purse
from toolkit.execution.credentials import Keys, alpaca_keys
from toolkit.execution.ledger import Ledger
from toolkit.kernels.account import UNIT
from toolkit.risk.sizing import Sizing
from toolkit.signals.causality import identity
from toolkit.signals.generator import Scoring


@dataclass
class Venue:
    """A broker for one configuration."""

    config: Config
    broker: AlpacaBroker
    keys: Keys
    clock: Clock
    trades: str  # `traded` of what the orders come from
    environment: Mapping[str, str] | None = field(repr=False)  # None: the process's; never in a variable, tracebacks show those

    def desk(self, ledger: Ledger) -> BrokerDesk:
        return BrokerDesk(ledger, self.broker, self.clock)

    @cached_property
    def purse(self) -> Purse:
        """The broker's account as it was at the start."""
        return self.broker.purse()

    @property
    def number(self) -> str:
        """The number of the account that the keys belong to."""
        return self.purse.number

    def opening_cash(self) -> float:
        """Dollars in the account; ConfigError if it is not the account that the configuration names."""
        named = self.config.broker.account
        if named and self.number != named:
            what = f"broker.account is {named!r}, the keys are those of {self.number!r}"
            raise ConfigError(what, "use the keys of that account, or name this one")
        return self.purse.cash / UNIT

    def unarmed(self, ledger: Ledger, now: pd.Timestamp) -> tuple[str, ...] | None:
        """The conditions of live trading that do not hold; None for money that is not real."""
        real = self.broker.live or self.config.mode == "live"
        return tuple(arming.missing(self.standing(ledger), now)) if real else None

    def standing(self, ledger: Ledger) -> arming.Standing:
        """What there is to be seen of the five conditions."""
        mode = ledger.account().mode
        config, said = self.config, (os.environ if self.environment is None else self.environment).get("TK_LIVE", "")
        return arming.Standing(
            config.mode, config.broker.account, self.trades, said, self.number, mode, ledger.path.parent, self.keys.secret,
        )  # fmt: skip


def traded(config: Config, strategy: Scoring | None = None, sizing: Sizing | None = None) -> str:
    """A hash of all that decides what is traded: the configuration, strategy and sizing with their parameters, as they are now.

    A strategy or sizing that is not given is the one that the configuration names.
    """
    chosen = strategy_of(config) if strategy is None else strategy
    parts: dict[str, Callable] = {"strategy": chosen, "sizing": sizing_of(config) if sizing is None else sizing}
    return arming.config_hash(config.model_dump(mode="json") | {name: identity(part) for name, part in parts.items()})


def armed(venue: Venue | None, ledger: Ledger, now: pd.Timestamp, hours: float) -> pd.Timestamp:
    """Writes the token of a venue, good for `hours`; the instant until which. NotArmed says what else is missing."""
    if venue is None:
        what = "trading live is not armed: the broker is our own, or was handed in beside the configuration"
        raise NotArmed(what, "write `mode: live`, and let the configuration name the broker")
    return arming.arm(venue.standing(ledger), now, pd.Timedelta(hours=hours) if 0.0 < hours <= 12.0 else pd.NaT)


def connected(config: Config, clock: Clock, environment: Mapping[str, str] | None, strategy: Scoring | None = None,
              sizing: Sizing | None = None) -> Venue | None:  # fmt: skip
    """The broker of the modes `broker-paper` and `live`; None for our own paper broker and for replays.

    Orders come from the strategy and sizing that the configuration names, where none are given.
    """
    if config.mode not in {"broker-paper", "live"}:
        return None
    exits = [name for name, value in vars(config.exits).items() if value < math.inf]
    if exits:
        what = f"exits.{exits[0]} is {getattr(config.exits, exits[0])}, and no broker of ours makes exits inside a bar"
        raise ConfigError(what, f"leave exits out in mode {config.mode}, or let the strategy close the position")
    if config.order_kind != "market" and config.time_in_force != "day" and not config.whole_shares:
        what = f"a {config.order_kind} order for a fraction of a share ends with the day at {config.broker.name}"
        raise ConfigError(what, "set time_in_force: day, or whole_shares: true")
    keys = alpaca_keys() if environment is None else alpaca_keys(environment)
    live = config.mode == "live"
    broker = AlpacaBroker(keys.key, keys.secret, live=live, url=config.broker.url, clock=clock,
                          rate=config.broker.requests_per_minute)  # fmt: skip
    return Venue(config, broker, keys, clock, traded(config, strategy, sizing), environment)
