"""A Yahoo on the loopback interface, as a kit: the real yfinance and curl_cffi talk to it over real sockets.

    with YahooServer(bars, now=pd.Timestamp("2012-06-01 21:00", tz="UTC")) as yahoo:
        clock = SkippingClock(yahoo.now)
        source = YahooSource(session=yahoo.session(), clock=clock)
        yahoo.fault("429", times=2, symbol="AAPL", retry_after=7)
        market = MarketData(source, BarCache(folder), ReplayClock([yahoo.now]))
        market.bars(["AAPL", "IBM"])  # waits 14 s on `clock`, which takes none
        yahoo.charts, [request.query for request in yahoo.log]

It answers the v8 chart, the cookie and the crumb, compressed where that is asked for, on connections that stay open.
`bars` are what it serves, `intraday` bars of further intervals. `now`, `latency` in seconds and `rate` (requests, seconds)
may be changed while it runs, splits and dividends announced. Faults are queued with `fault`, or strike at random with
the probabilities of `random_faults`, the same ones for each `seed`. `clock` is what `rate` is measured by.
"""

from __future__ import annotations

import gzip
import json
import math
import random
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping

import pandas as pd

from toolkit.data import Bars
from toolkit.data.clock import Clock, SystemClock, utc
from toolkit.errors import InvalidParameter
from toolkit.testing.yahoo_chart import acted, chart, not_found, refused
from toolkit.testing.yahoo_faults import CONTENT_FAULTS
from toolkit.testing.yahoo_wire import TRANSPORT_FAULTS, Fault, LoopbackSession, Request, Server, handler


class SkippingClock:
    """A clock that stands still and moves when it is slept, so that pauses cost no time; `slept` lists them. Thread-safe."""

    namespace = "live"

    def __init__(self, start: pd.Timestamp) -> None:
        self.start, self.slept = utc(start), list[float]()
        self._passed = 0.0
        self._lock = threading.Lock()

    def now(self) -> pd.Timestamp:
        return self.start + pd.Timedelta(seconds=self._passed)

    def horizon(self) -> pd.Timestamp:
        return self.now()

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._passed += seconds


class YahooServer:
    """Serves `bars` as Yahoo would at the instant `now`; a context manager that listens on 127.0.0.1 alone."""

    def __init__(
        self,
        bars: Bars,
        now: pd.Timestamp,
        latency: float = 0.0,
        *,
        intraday: Iterable[Bars] = (),
        rate: tuple[int, float] | None = None,
        random_faults: Mapping[str, float] | None = None,
        seed: int = 0,
        clock: Clock = SystemClock(),
    ) -> None:
        self.now, self.latency, self.rate = now, latency, rate
        self.random_faults, self.seed, self._clock = _known_faults(random_faults or {}), seed, clock
        self.log: list[Request] = []
        self._intraday = {each.interval: each for each in intraday}
        self.bars = bars
        self._faults: list[Fault] = []
        self._counts: Counter[str] = Counter()
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = Server(("127.0.0.1", 0), handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> YahooServer:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def bars(self) -> Bars:
        """What it serves."""
        return self._bars

    @bars.setter
    def bars(self, bars: Bars) -> None:
        self._bars = bars
        self._bodies: dict[tuple, tuple[bytes, bytes]] = {}

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_address[1]

    def session(self) -> LoopbackSession:
        """A session for YahooSource or for `yfinance.Ticker(symbol, session=...)`."""
        return LoopbackSession(self.port)

    @property
    def charts(self) -> list[str]:
        """Symbols of all charts that were asked for, in order."""
        return [request.symbol for request in self.log if request.symbol]

    def announce_split(self, symbol: str, date: pd.Timestamp | str, ratio: float, applied: bool = True) -> None:
        """From `date` on, `symbol` trades in `ratio` new shares for one; not `applied`: listed only, until `heal`."""
        self.bars = acted(self.bars, symbol, date, split=ratio)
        if not applied:
            self.fault("split_not_applied", times=1_000_000, symbol=symbol)

    def announce_dividend(self, symbol: str, date: pd.Timestamp | str, amount: float) -> None:
        """`symbol` pays `amount` a share of before any split of that day."""
        self.bars = acted(self.bars, symbol, date, dividend=amount)

    def fault(
        self, kind: str, times: int = 1, symbol: str | None = None, retry_after: float | str | None = None
    ) -> None:  # fmt: skip
        """Let the next `times` charts fail: one of TRANSPORT_FAULTS or CONTENT_FAULTS; 429 and 503 may name a time."""
        _known_faults({kind: 1.0})
        with self._lock:
            self._faults.append(Fault(kind, times, symbol, retry_after))

    def heal(self) -> None:
        """Forget all faults that have not struck yet, the random ones too."""
        with self._lock:
            self._faults.clear()
            self.random_faults = {}

    def due_fault(self, symbol: str) -> Fault | None:
        """The fault that a chart of `symbol` suffers now; it counts as used."""
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fault.symbol in (None, symbol):
                    fault.times -= 1
                    return fault
            rest = self._rest()
            if rest > 0:
                return Fault("429", 1, symbol, rest)
            self._counts[symbol] += 1  # the same faults strike whatever the order of the symbols
            dice = random.Random(f"{self.seed} {symbol} {self._counts[symbol]}").random()
            for kind, probability in self.random_faults.items():
                dice -= probability
                if dice < 0:
                    return Fault(kind, 1, symbol, None)
        return None

    def _rest(self) -> int:
        """Whole seconds until `rate` allows one more request; 0 counts it as made."""
        if self.rate is None:
            return 0
        (requests, seconds), now = self.rate, self._clock.monotonic()
        while self._recent and now - self._recent[0] >= seconds:
            self._recent.popleft()
        if len(self._recent) >= requests:
            return max(math.ceil(seconds - (now - self._recent[0])), 1)
        self._recent.append(now)
        return 0

    def answer(self, symbol: str, query: dict[str, str], fault: str | None) -> tuple[int, bytes, bytes]:
        """Status of a chart, its JSON plain and compressed, spoiled by a content fault if one is named."""
        bodies, interval = self._bodies, query.get("interval", "1d").replace("60m", "1h")
        bars = self.bars if interval == self.bars.interval else self._intraday.get(interval)
        if bars is None or symbol not in bars.symbols or fault == "not_found":
            return 404, json.dumps(not_found()).encode(), b""
        if refusal := refused(query, self.now):
            return 422, json.dumps(refusal).encode(), b""
        key = (self.now, symbol, tuple(sorted(query.items())))
        if key not in bodies:
            plain = json.dumps(chart(bars, symbol, query, self.now)).encode()
            bodies[key] = plain, gzip.compress(plain, 1)
        if fault not in CONTENT_FAULTS:
            return 200, *bodies[key]
        spoiled = json.loads(bodies[key][0])
        CONTENT_FAULTS[fault](spoiled["chart"])
        plain = json.dumps(spoiled).encode()
        return 200, plain, gzip.compress(plain, 1)

    def stall(self) -> None:
        """Return when the server is closed."""
        self._closing.wait()


def _known_faults(faults: Mapping[str, float]) -> Mapping[str, float]:
    for kind in faults:
        if kind not in (*TRANSPORT_FAULTS, *CONTENT_FAULTS):
            known = ", ".join((*TRANSPORT_FAULTS, *CONTENT_FAULTS))
            raise InvalidParameter(f"fault {kind!r} is not known", f"pass one of {known}")
    return faults
