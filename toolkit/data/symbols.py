"""What may be a symbol: one rule for every place where one enters."""

from __future__ import annotations

import re
from collections.abc import Iterable

from toolkit.errors import InvalidSymbol

PATTERN = re.compile(r"[A-Z0-9^][A-Z0-9.^=-]{0,19}")


def checked_symbol(symbol: str) -> str:
    """`symbol` itself; raises InvalidSymbol for anything that could not be one, a path for instance.

    >>> checked_symbol("BRK-B")
    'BRK-B'
    """
    if isinstance(symbol, str) and PATTERN.fullmatch(symbol):
        return symbol
    cure = "a symbol has 1 to 20 of A-Z 0-9 . ^ = - and starts with a letter, a digit or ^"
    if isinstance(symbol, str):
        guess = symbol.strip().upper().replace("/", "-")
        if PATTERN.fullmatch(guess):
            cure = f"write {guess!r}"
    raise InvalidSymbol(f"symbol {symbol!r} is not allowed", cure, symbol=str(symbol))


def checked_symbols(symbols: str | Iterable[str]) -> tuple[str, ...]:
    """The symbols as a tuple, a single text as one symbol; raises InvalidSymbol if empty, doubled or not allowed."""
    several = (symbols,) if isinstance(symbols, str) else tuple(symbols)
    if not several:
        raise InvalidSymbol("symbols is empty", "name at least one, e.g. ['AAPL']")
    for symbol in several:
        checked_symbol(symbol)
    if len(set(several)) < len(several):
        doubled = next(symbol for symbol in several if several.count(symbol) > 1)
        raise InvalidSymbol(f"symbols holds {doubled!r} twice", "name each symbol once", symbol=doubled)
    return several
