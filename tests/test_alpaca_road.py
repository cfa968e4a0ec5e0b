"""The way of a request to Alpaca and of its answer: proxies, authorities, redirects, cookies; what drips, is cut or is none."""

import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product

import certifi
import pandas as pd
import pytest
import requests

from toolkit.errors import BrokerUnavailable
from toolkit.execution.brokers.alpaca import AlpacaBroker
from toolkit.execution.brokers.alpaca_calls import Call, pool_to

EVENING = pd.Timestamp("2012-11-20 22:00", tz="UTC")
PAPER = "https://paper-api.alpaca.markets"
NAMES = "http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"


class Heads(ThreadingHTTPServer):
    """Answers a clock with `headers`, and keeps the head of each request."""

    def __init__(self, status=200, headers=None):
        self.heads, self.status, self.headers = [], status, headers or {}
        super().__init__(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.heads.append((self.requestline, dict(self.headers)))
        self.send_response(self.server.status)
        for name, value in {"Content-Length": "2", **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"[]")

    def do_CONNECT(self):
        self.server.heads.append((self.requestline, dict(self.headers)))
        self.send_error(502)

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(*arguments):
    with Heads(*arguments) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def asking(url):
    return AlpacaBroker("PKKEY", "hush-hush", url=url, deadline=5.0)


def test_a_request_carries_the_keys_and_no_others():
    with serving() as server:
        asking(server.url).positions()
    [(line, head)] = server.heads
    assert line == "GET /v2/positions HTTP/1.1"
    assert (head["APCA-API-KEY-ID"], head["APCA-API-SECRET-KEY"]) == ("PKKEY", "hush-hush")
    assert head["User-Agent"].startswith("APCA") and "gzip" in head["Accept-Encoding"] and "Authorization" not in head


def test_a_cookie_that_a_server_sets_is_not_sent_back():
    with serving(200, {"Set-Cookie": "a=b; Path=/"}) as server:
        broker = asking(server.url)
        for _ in range(3):
            broker.positions()
    assert len(server.heads) == 3 and not any("Cookie" in head for _, head in server.heads)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_followed_to_another_server(status):
    refused = pytest.raises(BrokerUnavailable, match=f"answered {status}")
    with serving() as other, serving(status, {"Location": f"{other.url}/v2/positions"}) as server, refused:
        asking(server.url).positions()
    assert len(server.heads) == 1 and other.heads == []


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_what_is_not_encrypted_goes_by_no_proxy(monkeypatch, name):
    with serving() as proxy, serving() as server:
        monkeypatch.setenv(name, proxy.url)
        asking(server.url).positions()
    assert proxy.heads == [] and len(server.heads) == 1


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_a_proxy_on_the_way_to_alpaca_sees_no_key(monkeypatch, name):
    with serving() as proxy:
        monkeypatch.setenv(name, proxy.url.replace("//", "//me:pass@"))
        with pytest.raises(BrokerUnavailable, match="did not answer"):
            asking(None).positions()
    [(line, head)] = proxy.heads
    assert line.startswith("CONNECT paper-api.alpaca.markets:443 ") and head["Proxy-Authorization"].startswith("Basic ")
    assert not any("PKKEY" in value or "hush" in value or name.startswith("APCA") for name, value in head.items())


@pytest.mark.parametrize("spared", ["alpaca.markets", "*"])
def test_a_server_that_no_proxy_is_asked_for_is_asked_itself(monkeypatch, spared):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert pool_to(PAPER).proxy is not None
    monkeypatch.setenv("no_proxy", spared)
    assert pool_to(PAPER).proxy is None


def test_the_password_of_a_proxy_is_in_no_error(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://me:s3cret@127.0.0.1:99999")
    with pytest.raises(BrokerUnavailable, match="99999") as raised:
        asking(None).positions()
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("name, proxied", [*product(["", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"], [False, True])])
def test_certificates_are_checked_against_the_authorities_of_the_environment(monkeypatch, tmp_path, name, proxied):
    authorities = tmp_path / "authorities.pem"
    authorities.write_bytes(b"")
    if name:
        monkeypatch.setenv(name, str(authorities))
    if proxied:
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    pool = pool_to(PAPER)
    assert (pool.cert_reqs, pool.ca_certs) == ("CERT_REQUIRED", str(authorities) if name else certifi.where())
    assert (pool.proxy is not None) == proxied


def test_authorities_that_are_not_there_let_nobody_through(monkeypatch, tmp_path):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(BrokerUnavailable, match="certificate bundle"):
        asking(None).positions()


def test_the_environment_is_read_once_a_server(monkeypatch):
    read, real = [], requests.Session.merge_environment_settings
    monkeypatch.setattr(requests.Session, "merge_environment_settings", lambda *given: read.append(given[1]) or real(*given))
    with serving() as server:
        broker = asking(server.url)
        for _ in range(3):
            broker.positions()
    assert read == [f"{server.url}/"]


# --- what comes back and is no answer


def drip_headers(port: list[int], closing: threading.Event, ready: threading.Event) -> None:
    """A server whose answer never gets past its headers, of which one comes now and then."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port.append(server.getsockname()[1])
        ready.set()
        client, _ = server.accept()
        with client:
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            try:
                while not closing.wait(0.05):
                    client.sendall(b"X-More: 1\r\n")
            except OSError:
                return


def test_headers_that_drip_do_not_hold_us():
    port, closing, ready = [], threading.Event(), threading.Event()
    thread = threading.Thread(target=drip_headers, args=(port, closing, ready))
    thread.start()
    ready.wait()
    broker = AlpacaBroker("k", "s", url=f"http://127.0.0.1:{port[0]}", deadline=2.0)
    began = time.perf_counter()
    with pytest.raises(BrokerUnavailable, match="not in time"):
        broker.purse()
    assert time.perf_counter() - began <= 1.2 * 2.0
    thread.join(2.0)  # the connection was cut, so the server has noticed
    assert not thread.is_alive()
    closing.set()


def test_an_answer_that_was_cut_among_its_headers_is_none():
    """To HTTP the end of a connection ends the headers too, and what came of them says 200."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        call = Call("GET", url, {}, 10.0)
        AlpacaBroker("k", "s", url=url)._wire._start(call)
        client, _ = server.accept()
        with client:
            client.recv(65_536)
            client.sendall(b"HTTP/1.1 200 OK\r\nX-More: 1\r\n")
            call.end()
            assert call.done.wait(5)
    assert (call.status, call.failure) == (0, "TimeoutError: not in time")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"[5]", b"{}", b'{"status": null}', b'"ACTIVE"', b"5", b"{"])
@pytest.mark.parametrize(
    "asked",
    [
        lambda broker: broker.purse(),
        lambda broker: broker.clock(),
        lambda broker: broker.asset("IBM"),
        lambda broker: broker.find("1"),
        lambda broker: broker.positions(),
        lambda broker: broker.orders(EVENING),
        lambda broker: broker.activities(EVENING),
    ],
)
def test_a_body_that_is_no_answer_is_said_to_be_none(asked, body):
    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                with client:
                    client.recv(65_536)
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                    client.sendall(head.encode() + body)

    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = AlpacaBroker("k", "s", url=f"http://127.0.0.1:{server.getsockname()[1]}", deadline=5.0)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            told = asked(broker)
        except BrokerUnavailable as error:
            assert "cannot be read" in error.what or "no JSON" in error.what
        else:
            assert body == b"[]" and told == []
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
