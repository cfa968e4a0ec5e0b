"""Yahoo's bars as a source, daily and intraday, through the session of yfinance, as traded.

The chart is read as JSON rather than through `yfinance.download`, which makes one empty frame of ten kinds of failure,
keeps bad replies in its memory, and retries at once. So errors are told apart here at the level of HTTP.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
import pandas as pd
import platformdirs
import tenacity
from yfinance.data import YfData, new_session

from toolkit.data.clock import Clock, SystemClock
from toolkit.data.meter import Meter
from toolkit.data.pace import Pace
from toolkit.data.sources import History
from toolkit.data.sources.yahoo_chart import CURE, NoRows, Passing, Rows, history_of, rows_of
from toolkit.errors import DataUnavailable, InvalidParameter, ToolkitError, UnknownSymbol

log = logging.getLogger(__name__)

CHART = "https://query2.finance.yahoo.com/v8/finance/chart/"
TRIES, DEADLINE = 3, 30.0
DAY = pd.Timedelta(days=1)
REACH: dict[str, pd.Timedelta | None] = {
    "1d": None,
    "1m": 7 * DAY,
    **dict.fromkeys(("2m", "5m", "15m", "30m"), 60 * DAY),
    "1h": 730 * DAY,
}
KEPT_MINUTES, A_REQUEST = 30 * DAY, 7 * DAY
"""Yahoo keeps minute bars for 30 days and serves little more than 7 of them in one reply."""
# Sessions of a date lie within this much before and after its day in UTC, wherever the exchange is.
AROUND = pd.Timedelta("12h")


class YahooSource:
    """Bars, splits and dividends from Yahoo; one `session` (curl_cffi) and one pace for all threads.

    At most `rate` requests a second after the first `burst`; a rest that Yahoo asks for is kept by all processes through
    the file `shared` (in the user's cache folder, if none is named). Each request has `timeout` seconds, each symbol 30:
    what may pass is tried three times with random pauses. `meter` counts all requests, those for a crumb too.
    Raises UnknownSymbol for a symbol that Yahoo does not know, DataUnavailable for the rest.
    """

    name = "yahoo"
    edition = ""
    delay = pd.Timedelta("20min")

    def __init__(
        self,
        session: Any = None,
        timeout: float = 10.0,
        clock: Clock = SystemClock(),
        rate: float = 5.0,
        burst: int = 50,
        shared: Path | None = None,
    ) -> None:
        self._session = session if session is not None else new_session()
        self._timeout, self._clock = timeout, clock
        self.meter = Meter()
        shared = shared if shared is not None else Path(platformdirs.user_cache_dir("toolkit")) / "yahoo.not_before"
        self.pace = Pace(rate, burst, clock, shared)
        self._crumb: dict[str, str] = {}
        self._own = threading.local()

    def reach(self, interval: str) -> pd.Timedelta | None:
        if interval not in REACH:
            raise InvalidParameter(f"interval is {interval!r}", f"pass one of {', '.join(REACH)}")
        return REACH[interval]

    def fetch(self, symbol: str, start: pd.Timestamp, end: pd.Timestamp, interval: str) -> History:
        self.reach(interval)
        now = self._clock.now().tz_localize(None)
        self._own.deadline = self._clock.monotonic() + DEADLINE
        try:
            queries = list(_queries(start, end, interval, now))
            pieces = self._pieces(symbol, queries, interval)
            pieces += self._since(symbol, queries[-1]["period2"], pieces[-1].live)
        finally:
            del self._own.deadline
        return history_of(symbol, pieces, start, end, interval, now)

    def _since(self, symbol: str, period2: int, live: int) -> list[Rows]:
        """The splits since a range that ended before the newest trade, without bars: its prices are adjusted for them, too."""
        if live <= period2:
            return []
        try:
            rows = self._patiently(symbol, _query(period2 + 1, live, "1d"), "1d")
        except NoRows:
            return []
        return [rows._replace(stamps=rows.stamps[:0], block=rows.block[:, :0])]

    def _pieces(self, symbol: str, queries: list[dict[str, Any]], interval: str) -> list[Rows]:
        pieces, empty = [], NoRows(f"{symbol}: no session lies in the range asked for", symbol)
        for query in queries:
            try:
                pieces.append(self._patiently(symbol, query, interval))
            except NoRows as error:  # of several weeks one may be without a session
                empty = error
        if not pieces:
            raise empty
        return pieces

    def _patiently(self, symbol: str, query: dict[str, Any], interval: str) -> Rows:
        retrying = tenacity.Retrying(
            stop=lambda state: state.attempt_number >= TRIES or self._left() <= state.upcoming_sleep,
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=8),
            retry=tenacity.retry_if_exception_type(Passing),
            sleep=self._clock.sleep,
            reraise=True,
        )
        return retrying(lambda: rows_of(symbol, _checked(symbol, self._ask(symbol, query)), interval))

    def _left(self) -> float:
        """Seconds that this thread's symbol has left; another's use of yfinance in this process has all of them."""
        deadline = getattr(self._own, "deadline", None)
        return DEADLINE if deadline is None else deadline - self._clock.monotonic()

    def _ask(self, symbol: str, query: dict[str, Any]) -> Any:
        url = CHART + quote(symbol)
        try:
            reply = self._send(self._session.get, url, params=query | self._crumb)
            return self._with_crumb(url, query) if reply.status_code in (401, 403) else reply
        except ToolkitError:
            raise
        except Exception as error:  # curl_cffi and yfinance share no base class for what can fail on the wire
            raise Passing(f"{symbol}: Yahoo was not reached ({type(error).__name__}: {error})", symbol) from error

    def _with_crumb(self, url: str, query: dict[str, Any]) -> Any:
        """The reply with yfinance's cookie and crumb; the crumb that was accepted goes with all later requests."""
        self._crumb = {}
        YfData.cache_get.cache_clear()  # it remembers replies, bad ones included
        reply = YfData(session=_Counted(self._session, self._send)).get(url, params=query, timeout=self._timeout)
        crumb = parse_qs(urlsplit(str(reply.url)).query).get("crumb")
        if reply.status_code == 200 and crumb:
            self._crumb = {"crumb": crumb[0]}
        return reply

    def _send(self, request: Callable[..., Any], url: str, timeout: float = DEADLINE, **options: Any) -> Any:
        """One request, counted, in its turn and in time; what came of it sets the pace of the next ones."""
        self.pace.check(self._left())
        self.meter.count()
        self.pace.wait(self._left())
        left = self._left()
        if left <= 0:
            raise DataUnavailable(f"{url.rpartition('/')[2]}: Yahoo has not answered within {DEADLINE:g} s", CURE)
        try:
            reply = request(url, timeout=min(timeout, self._timeout, left), **options)
        except Exception:
            self.pace.failed()
            raise
        if reply.status_code in (429, 503):
            self.pace.limited(_seconds(reply.headers.get("Retry-After"), self._clock.now()))
        elif reply.status_code >= 500:
            self.pace.failed()
        else:
            self.pace.answered()
        return reply


class _Counted:
    """A session as yfinance sees it while it fetches cookie and crumb: its requests are counted and paced like ours."""

    def __init__(self, session: Any, send: Callable[..., Any]) -> None:
        self._session, self._send = session, send

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # yfinance takes only sessions of the libraries that it knows
        return type(self._session)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get(self, url: str, **options: Any) -> Any:
        return self._send(self._session.get, url, **options)

    def post(self, url: str, **options: Any) -> Any:
        return self._send(self._session.post, url, **options)


def _query(first: int, last: int, interval: str) -> dict[str, Any]:
    """Both ends, in seconds, are included."""
    bounds: dict[str, Any] = {"period1": first, "period2": last, "interval": interval}
    return bounds | {"includePrePost": "false", "events": "div,splits,capitalGains"}


def _queries(start: pd.Timestamp, end: pd.Timestamp, interval: str, now: pd.Timestamp) -> Iterator[dict[str, Any]]:
    """One query, or several for more minutes than a reply holds; none for minutes still to come."""
    first, last = start - DAY, end + 2 * DAY
    if interval != "1d":
        kept = KEPT_MINUTES if interval == "1m" else REACH[interval]
        first, last = start - AROUND, end + DAY + AROUND
        if kept is not None and last > now - kept:  # else a replay of the past, on a server that has it
            first = max(first, now - kept + pd.Timedelta("5min"))
    step = A_REQUEST if interval == "1m" else last - first
    while first < last:
        until = min(first + step, last)
        yield _query(int(first.timestamp()), int(until.timestamp()) - (until < last), interval)
        first = until
        if first > now:
            return


def _read(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except ValueError:  # a NaN or an Infinity is not JSON; a single such price is judged with its row
        return json.loads(body)


def _checked(symbol: str, reply: Any) -> dict[str, Any]:
    """The one result in `reply`; raises for anything that is not a chart of `symbol`."""
    status = reply.status_code
    if status == 429 or status >= 500:
        raise Passing(f"{symbol}: Yahoo answered {status}", symbol)
    if status in (401, 403):
        raise DataUnavailable(f"{symbol}: Yahoo refuses with {status}, with a fresh crumb, too", CURE, symbol=symbol)
    try:
        chart = _read(reply.content)["chart"]
        error, results = chart.get("error"), chart.get("result")
        if status == 404 and error and error.get("code") == "Not Found":
            raise UnknownSymbol(f"{symbol}: Yahoo does not know it", "check the spelling", symbol=symbol)
        if status == 400 and "exist for startDate" in str(error):
            raise NoRows(f"{symbol}: Yahoo has no row of it from then on", symbol)
        if status >= 400:
            raise DataUnavailable(f"{symbol}: Yahoo answered {status}: {error}", CURE, symbol=symbol)
        if error:
            raise Passing(f"{symbol}: Yahoo answered with the error {error}", symbol)
        result = results[0]
        other = str(result["meta"]["symbol"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        log.debug("%s: no chart in %r", symbol, reply.content[:200])
        what = f"{symbol}: Yahoo answered {status} with what is no chart ({type(error).__name__}: {error})"
        raise Passing(what, symbol) from error
    if other.upper() != symbol:
        raise Passing(f"{symbol}: Yahoo answered with bars of {other}", symbol)
    return result


def _seconds(header: str | None, now: pd.Timestamp) -> float | None:
    """A Retry-After, which may be a number of seconds or a date; None if there is none that can be read."""
    if not header:
        return None
    try:
        return float(header)
    except ValueError:
        pass
    try:
        return max((pd.Timestamp(parsedate_to_datetime(header)) - now).total_seconds(), 0.0)
    except (ValueError, TypeError):  # TypeError: a date without zone
        return None
