"""People's own frames, checked and laid out as the block of a Bars."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from toolkit.data.adjust import EVENT, FIELDS
from toolkit.data.symbols import checked_symbol, checked_symbols
from toolkit.errors import InvalidBars, InvalidParameter

# Prices adjusted elsewhere carry rounding: a high that misses the close by less than this fraction is no contradiction.
TOLERANCE = 1e-6


def block_of(
    frame: pd.DataFrame | Mapping[str, pd.DataFrame], symbol: str | None, interval: str
) -> tuple[tuple[str, ...], pd.DatetimeIndex, np.ndarray]:
    """Symbols, index and the block (5, n_symbols, n_bars) of `frame`; see `Bars.from_frame`.

    Raises InvalidBars with symbol, label, value and cure.
    """
    frames = _by_symbol(frame, symbol)
    symbols = checked_symbols(frames)
    for name, own in frames.items():
        _check_index(name, own.index, interval)
    index = next(iter(frames.values())).index
    for own in frames.values():
        index = index.union(own.index)
    index = pd.DatetimeIndex(index.as_unit("ns"), freq=None)
    block = np.full((len(FIELDS), len(symbols), len(index)), np.nan)
    for k, (name, own) in enumerate(frames.items()):
        values = _fields(name, own)
        check_prices(name, own.index, values)
        labels = own.index.as_unit("ns")
        block[:, k, slice(None) if labels.equals(index) else index.get_indexer(labels)] = values
    return symbols, index, block


def _by_symbol(frame: pd.DataFrame | Mapping[str, pd.DataFrame], symbol: str | None) -> dict[str, pd.DataFrame]:
    if not isinstance(frame, pd.DataFrame):
        if not isinstance(frame, Mapping):
            what = f"frame is a {type(frame).__name__}"
            raise InvalidParameter(what, "pass a DataFrame or a mapping of them by symbol")
        return dict(frame)
    if isinstance(frame.columns, pd.MultiIndex):
        named = [{str(label).lower() for label in frame.columns.get_level_values(level)} for level in (0, 1)]
        level = 1 if set(FIELDS) <= named[0] else 0
        return {str(name): frame.xs(name, axis=1, level=level) for name in frame.columns.unique(level)}
    if symbol is None:
        raise InvalidParameter("symbol is None", "name what the frame holds, e.g. symbol='AAPL'")
    return {symbol: frame}


def _fields(symbol: str, frame: pd.DataFrame) -> np.ndarray:
    names = [str(column).lower() for column in frame.columns]
    for name in FIELDS:
        if names.count(name) != 1:
            what = f"{symbol}: column {name!r} occurs {names.count(name)} times among {', '.join(names)}"
            raise InvalidBars(what, f"give each of {', '.join(FIELDS)} once", symbol=symbol)
    if all(kind == np.float64 for kind in frame.dtypes):  # four times as fast as column by column
        return np.ascontiguousarray(frame.to_numpy()[:, [names.index(name) for name in FIELDS]].T)
    columns = {name: column for name, (_, column) in zip(names, frame.items()) if name in FIELDS}
    try:
        return np.array([columns[name].to_numpy(dtype=float, na_value=np.nan) for name in FIELDS])
    except (TypeError, ValueError) as error:
        raise InvalidBars(f"{symbol}: {error}", "convert the columns to numbers", symbol=symbol) from error


def _check_index(symbol: str, index: pd.Index, interval: str) -> None:
    def wrong(what: str, cure: str) -> InvalidBars:
        return InvalidBars(f"{symbol}: {what}", cure, symbol=symbol)

    checked_symbol(symbol)
    if not isinstance(index, pd.DatetimeIndex):
        raise wrong(f"the index is {index.dtype}, not dates", "set it with pd.to_datetime")
    if len(index) == 0:
        raise wrong("there is no row", "pass at least one bar")
    if index.hasnans:
        raise wrong("the index holds NaT", "drop those rows")
    if interval == "1d" and index.tz is not None:
        raise wrong(f"daily labels have time zone {index.tz}", "label by session date: frame.tz_localize(None)")
    if interval == "1d" and not index.is_normalized:
        label = index[index != index.normalize()][0]
        raise wrong(f"label {label} is no date", "normalize the index, or pass interval=, e.g. '1h'")
    if interval != "1d" and str(index.tz) != "UTC":
        raise wrong(f"intraday labels have time zone {index.tz}", "label by opening instant: frame.tz_convert('UTC')")
    if index.has_duplicates:
        raise wrong(f"label {index[index.duplicated()][0]} occurs twice", "keep one row a label")
    if not index.is_monotonic_increasing:
        label = index[1:][np.diff(index.asi8) < 0][0]
        raise wrong(f"label {label} is out of order", "sort the frame: frame.sort_index()")


def check_prices(symbol: str, index: pd.DatetimeIndex, values: np.ndarray) -> None:
    """Raise InvalidBars for the first of `values` (5, n_bars) that cannot be; a bar that is NaN throughout may."""
    empty = np.isnan(values).all(axis=0)
    opens, high, low, close = values[:4]
    impossible = "drop the row, or make it NaN for a halt"
    checks = [
        (0, ~np.isfinite(values) & ~empty, "is not finite", "fill it, or make the whole row NaN for a halt"),
        (0, values[:4] <= 0, "is not above 0", impossible),
        (4, values[4:] < 0, "is negative", impossible),
        (1, (high < low)[None], "is below the low", impossible),
        (1, (high < np.maximum(opens, close) * (1 - TOLERANCE))[None], "is below the open or close", impossible),
        (2, (low > np.minimum(opens, close) * (1 + TOLERANCE))[None], "is above the open or close", impossible),
    ]
    for offset, wrong, reason, cure in checks:
        if wrong.any():
            bar, name = np.argwhere(wrong.T)[0]
            value = values[offset + name, bar]
            what = f"{symbol}: {FIELDS[offset + name]} on {index[bar]} is {value}, which {reason}"
            raise InvalidBars(what, cure, symbol=symbol)


def events_of(actions: pd.DataFrame | None, symbols: tuple[str, ...]) -> list[np.ndarray]:
    """The rows of `actions` (date, symbol, split, dividend) as one EVENT array a symbol, sorted by date."""
    if actions is None:
        return [np.zeros(0, EVENT) for _ in symbols]
    missing = [name for name in ("date", "symbol", "split", "dividend") if name not in actions.columns]
    if missing:
        raise InvalidBars(f"actions lack the column {missing[0]!r}", "give date, symbol, split and dividend")
    split, dividend = actions["split"].to_numpy(float), actions["dividend"].to_numpy(float)
    wrong = ~((split > 0) & np.isfinite(split) & (dividend >= 0) & np.isfinite(dividend))
    if wrong.any():
        what = f"action {actions[wrong].iloc[0].to_dict()} cannot be"
        raise InvalidBars(what, "splits are above 0, dividends at least 0")
    strange = actions[~actions["symbol"].isin(symbols)]
    if len(strange):
        what = f"action {strange.iloc[0].to_dict()} names a symbol that has no prices"
        raise InvalidBars(what, f"name one of {', '.join(symbols[:8])}")
    events = []
    for symbol in symbols:
        own = actions[actions["symbol"] == symbol].sort_values("date")
        if own["date"].duplicated().any():
            label = own["date"][own["date"].duplicated()].iloc[0]
            raise InvalidBars(f"{symbol}: two actions on {label}", "give one row a date", symbol=symbol)
        table = np.zeros(len(own), EVENT)
        table["date"] = pd.to_datetime(own["date"]).to_numpy().astype("M8[ns]")
        table["split"], table["dividend"] = own["split"].to_numpy(float), own["dividend"].to_numpy(float)
        events.append(table)
    return events
