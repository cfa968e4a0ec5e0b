"""The websocket on which Alpaca tells what becomes of orders; `TradingStream` of alpaca-py listens to it.

with AlpacaServer([daily], now=evening) as alpaca:
    stream = TradingStream(alpaca.key, alpaca.secret, url_override=alpaca.stream.url)
    stream.subscribe_trade_updates(told)
    threading.Thread(target=stream.run, daemon=True).start()
    alpaca.stream.listening.wait(10)  # then alpaca.now = ... tells of fills
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

PLACE = "/stream"
"""The path of faults that the stream suffers."""


class TradeUpdates:
    """Tells whoever has authenticated with `keys()` and listens; `due()` names the fault that an event suffers, if one is."""

    def __init__(self, keys: Callable[[], tuple[str, str]], due: Callable[[], str | None]) -> None:
        self._keys, self._due = keys, due
        self.listening = threading.Event()
        self.told: list[dict[str, Any]] = []
        self._held: list[dict[str, Any]] = []
        self._connections: set[ServerConnection] = set()
        self._lock = threading.Lock()
        self._server: Server = serve(self._serve, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What to pass as url_override of a TradingStream."""
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}{PLACE}"

    def tell(self, event: dict[str, Any]) -> None:
        """Sends an event to all who listen; one that is held back comes after its successor."""
        fault = self._due()
        if fault == "reorder":
            self._held.append(event)
            return
        events = [] if fault == "lost" else [event] * (2 if fault == "duplicate" else 1)
        for each in (*events, *self._held):
            self.told.append(each)
            self._send(json.dumps({"stream": "trade_updates", "data": each}).encode())
        self._held.clear()
        if fault == "reset":
            self.drop()

    def drop(self) -> None:
        """Ends all connections, without a word."""
        with self._lock:
            gone, self._connections = self._connections, set()
        self.listening.clear()
        for connection in gone:
            connection.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the connections and the thread."""
        self._server.shutdown()
        with self._lock:
            gone, self._connections = self._connections, set()
        for connection in gone:
            connection.close()
        self._thread.join(10)

    def _send(self, message: bytes) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.send(message)
            except (ConnectionClosed, OSError):
                with self._lock:
                    self._connections.discard(connection)

    def _serve(self, connection: ServerConnection) -> None:
        authorized = False
        try:
            for message in connection:
                asked = json.loads(message)
                action, about = asked.get("action"), asked.get("data", {})
                if action in {"authenticate", "auth"}:
                    authorized = (about.get("key_id"), about.get("secret_key")) == self._keys()
                    word = "authorized" if authorized else "unauthorized"
                    self._reply(connection, "authorization", {"status": word, "action": action})
                elif action == "listen" and authorized:
                    self._reply(connection, "listening", {"streams": about.get("streams", [])})
                    if "trade_updates" in about.get("streams", []):
                        with self._lock:
                            self._connections.add(connection)
                        self.listening.set()
        except (ConnectionClosed, OSError, ValueError):
            return
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _reply(self, connection: ServerConnection, stream: str, about: dict[str, Any]) -> None:
        connection.send(json.dumps({"stream": stream, "data": about}).encode())
