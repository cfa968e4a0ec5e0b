"""Many symbols at once: threads over one source, a progress bar, and failures kept apart symbol by symbol."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import joblib
import pandas as pd
from tqdm.auto import tqdm

from toolkit.data.sources import BatchSource, History, Source
from toolkit.data.validate import validated
from toolkit.data.work import carried, waiting
from toolkit.errors import DataUnavailable, ToolkitError

log = logging.getLogger(__name__)
Fetched = TypeVar("Fetched")
Result = TypeVar("Result")


def in_parallel(
    groups: Sequence[Sequence[str]],
    fetch: Callable[[Sequence[str]], Fetched],
    store: Callable[[Fetched], Mapping[str, Result]],
    n_jobs: int,
    leave: Callable[[], None],
) -> Iterator[tuple[str, Result]]:
    """What `store` makes of each group that threads have fetched, as it arrives; a bar shows above one wave of threads.

    Only the calling thread stores, so that the others need not wait for the disk or for each other; they call `leave` at the
    end of the last wave.
    """
    if len(groups) == 1:
        yield from store(fetch(groups[0])).items()
        return
    # No more threads than groups: each leaves an arena of the C library behind, which keeps what was freed in it.
    threads = joblib.Parallel(n_jobs=min(n_jobs, len(groups)), backend="threading", return_as="generator_unordered")
    total, begun = sum(map(len, groups)), itertools.count(1)

    def fetched(group: Sequence[str]) -> Fetched:
        number = next(begun)
        try:
            return fetch(group)
        finally:
            if number > len(groups) - n_jobs:
                leave()

    # A single wave of threads is over at once, and a bar that only sometimes shows would change a notebook's outputs.
    with tqdm(total=total, desc="fetching bars", unit="symbol", leave=False, disable=len(groups) <= n_jobs) as bar:
        for arrived in threads(joblib.delayed(carried(fetched))(group) for group in groups):
            answers = store(arrived)
            bar.update(len(answers))
            yield from answers.items()


def asked(
    source: Source, symbols: Sequence[str], start: pd.Timestamp, end: pd.Timestamp, interval: str
) -> dict[str, History | ToolkitError]:
    """For each symbol its validated history, or the error that it ended in; one failure stops no other."""
    if len(symbols) > 1 and isinstance(source, BatchSource):
        try:
            with waiting(*symbols):
                replies = dict(source.fetch_many(symbols, start, end, interval))
        except Exception as error:
            return {symbol: _failure(symbol, error) for symbol in symbols}
        missing = DataUnavailable(f"{source.name} did not answer", "ask again later")
        return {symbol: _checked(symbol, replies.get(symbol, missing), interval) for symbol in symbols}
    answers: dict[str, History | ToolkitError] = {}
    for symbol in symbols:
        try:
            with waiting(symbol):
                reply = source.fetch(symbol, start, end, interval)
            answers[symbol] = _checked(symbol, reply, interval)
        except Exception as error:
            answers[symbol] = _failure(symbol, error)
    return answers


def _checked(symbol: str, reply: History | ToolkitError, interval: str) -> History | ToolkitError:
    try:
        return reply if isinstance(reply, ToolkitError) else validated(reply, symbol, interval)
    except Exception as error:
        return _failure(symbol, error)


def _failure(symbol: str, error: Exception) -> ToolkitError:
    if isinstance(error, ToolkitError):
        return error
    # A source is foreign code: whatever it raises belongs to this symbol alone.
    log.error("the source failed on %s", symbol, exc_info=error)
    what = f"{symbol}: the source failed with {type(error).__name__}: {error}"
    return DataUnavailable(what, "see the log, then mend the source", symbol=symbol)
