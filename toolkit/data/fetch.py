"""Many symbols at once: threads over one source, a progress bar, and failures kept apart symbol by symbol."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import joblib
from tqdm.auto import tqdm

from toolkit.data.series import Series
from toolkit.errors import DataUnavailable, ToolkitError

log = logging.getLogger(__name__)


def fetch_all(
    symbols: Sequence[str], fetch: Callable[[str], Series], n_jobs: int
) -> Iterator[tuple[str, Series | ToolkitError]]:
    """Each symbol with its series or with the error that it ended in, as they arrive; one failure stops no other."""

    def attempt(symbol: str) -> tuple[str, Series | ToolkitError]:
        try:
            return symbol, fetch(symbol)
        except ToolkitError as error:
            return symbol, error
        except Exception as error:  # a source is foreign code: whatever it raises belongs to this symbol alone
            log.exception("the source failed on %s", symbol)
            what = f"{symbol}: the source failed with {type(error).__name__}: {error}"
            return symbol, DataUnavailable(what, "see the log, then mend the source", symbol=symbol)

    if len(symbols) == 1:
        yield attempt(symbols[0])
        return
    threads = joblib.Parallel(n_jobs=n_jobs, backend="threading", return_as="generator_unordered")
    arriving = threads(joblib.delayed(attempt)(symbol) for symbol in symbols)
    # A single wave of threads is over at once, and a bar that only sometimes shows would change a notebook's outputs.
    alone = len(symbols) <= n_jobs
    yield from tqdm(arriving, total=len(symbols), desc="fetching bars", unit="symbol", leave=False, disable=alone)
