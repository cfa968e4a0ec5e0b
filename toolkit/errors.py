"""What can go wrong, as sentences that carry the values and the cure."""

from __future__ import annotations


class ToolkitError(Exception):
    """Base of all errors of the toolkit: what was wrong, with its value, and what to do about it.

    >>> raise InvalidParameter("window is 0, it must be a whole number of at least 1", "pass e.g. window=20")
    Traceback (most recent call last):
    ...
    toolkit.errors.InvalidParameter: window is 0, it must be a whole number of at least 1; pass e.g. window=20
    """

    code = "TOOLKIT"

    def __init__(self, what: str, cure: str, *, symbol: str | None = None) -> None:
        super().__init__(what, cure)
        self.what, self.cure, self.symbol = what, cure, symbol

    def __str__(self) -> str:
        return f"{self.what}; {self.cure}"


class InvalidParameter(ToolkitError, ValueError):
    """A parameter outside of what is allowed."""

    code = "INVALID_PARAMETER"


class InvalidWindow(InvalidParameter):
    """A window, span or lookback that is not a whole number of at least 1 (or what the indicator needs)."""

    code = "INVALID_WINDOW"


class InvalidSymbol(InvalidParameter):
    """A text that cannot be a symbol, a path for instance."""

    code = "INVALID_SYMBOL"


class InvalidRange(InvalidParameter):
    """A start that is not before its end."""

    code = "INVALID_RANGE"


class InvalidBars(ToolkitError, ValueError):
    """Prices that cannot be: negative, not finite, high below low, doubled or unsorted labels."""

    code = "BAD_BAR"


class MixedBars(InvalidBars):
    """Symbols of different calendars or currencies in one Bars."""

    code = "MIXED_BARS"


class DataUnavailable(ToolkitError):
    """The source did not answer, or not in a form that could be read; asking again may help."""

    code = "DATA_UNAVAILABLE"


class UnknownSymbol(DataUnavailable):
    """The source says that it does not know the symbol; remembered for a day."""

    code = "UNKNOWN_SYMBOL"


class EmptyRange(DataUnavailable):
    """The source knows the symbol, but there is no bar in the range asked for."""

    code = "EMPTY_RANGE"


class BudgetSpent(DataUnavailable):
    """As many requests as a cycle may make have been made; stored bars are served, or the cycle is refused."""

    code = "BUDGET_SPENT"


class StrategyFailed(ToolkitError):
    """A strategy that raised, or that has no opinion on any bar."""

    code = "STRATEGY"


class Uncertified(StrategyFailed):
    """A strategy without a certificate that it sees no later bar, asked to trade."""

    code = "UNCERTIFIED"


class CacheUnusable(ToolkitError):
    """The cache folder cannot be created, opened or written."""

    code = "CACHE_UNUSABLE"


class UnsafeValue(ToolkitError):
    """A value or key in the cache that is not one of our column files; it is refused, never executed."""

    code = "UNSAFE_VALUE"


class CorruptValue(UnsafeValue):
    """A column file whose bytes do not match its checksum."""

    code = "CORRUPT_VALUE"


class ConfigError(ToolkitError):
    """A configuration that cannot be read: file, key, value and what is allowed."""

    code = "CONFIG"


class LedgerError(ToolkitError):
    """A ledger that does not hold together, or does not fit what is asked of it."""

    code = "LEDGER"


class LedgerMismatch(LedgerError):
    """A ledger of another account, mode or schema."""

    code = "LEDGER_MISMATCH"


class LedgerLocked(LedgerError):
    """Another process is the writer of this ledger."""

    code = "LEDGER_LOCKED"


class BrokerUnavailable(ToolkitError):
    """A broker did not answer in time, or not in a form that could be read; asking again may help."""

    code = "BROKER_UNAVAILABLE"


class BrokerRefused(ToolkitError):
    """A broker answered that it will not: wrong keys, no permission, a request that it does not understand."""

    code = "BROKER_REFUSED"


class NotArmed(ToolkitError):
    """Trading with real money was asked for, and not all of its five conditions hold."""

    code = "LIVE_NOT_ARMED"


class Halted(ToolkitError):
    """The account was halted, and a person has to lift it."""

    code = "HALTED"
