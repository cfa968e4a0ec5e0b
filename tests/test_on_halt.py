"""The example of toolkit/execution/README.md, run as it stands there: a halt becomes a mail and a webhook."""

import json
import re
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import yaml

import toolkit

README = Path(toolkit.__file__).parent / "execution" / "README.md"


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def post_office(mails):
    """An SMTP server in a dozen lines."""

    class Talk(socketserver.StreamRequestHandler):
        timeout = 10

        def handle(self):
            self.say("220 ready")
            while line := self.rfile.readline().decode().strip().upper():
                if line == "DATA":
                    self.say("354 go on")
                    mails.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.say("221 bye" if line == "QUIT" else "250 ok")
                if line == "QUIT":
                    return

        def say(self, text):
            self.wfile.write(f"{text}\r\n".encode())

    return socketserver.TCPServer(("127.0.0.1", 0), Talk)


def hook(bodies):
    class Take(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Quiet."""

    return HTTPServer(("127.0.0.1", 0), Take)


def test_a_halt_becomes_a_mail_and_a_webhook(values, tmp_path, monkeypatch):
    mails, bodies = [], []
    (snippet,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "trading_config.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)
    with serving(post_office(mails)) as port, serving(hook(bodies)) as other:
        here = f'MAIL_PORT, WEBHOOK = {port}, "http://127.0.0.1:{other}/"'
        snippet, found = re.subn("^MAIL_PORT, .*$", here, snippet, flags=re.MULTILINE)
        assert found == 1
        names = {}
        exec(compile(snippet, str(README), "exec"), names)
        names["engine"].halt("equity is 21% below its highest")
    assert "Subject: trading halted" in mails[0] and "21% below its highest" in mails[0]
    assert bodies == [{"text": "equity is 21% below its highest"}]


def test_a_person_who_cannot_be_told_stops_nothing(values, caplog):
    def unreachable(reason):
        raise ConnectionError("no line")

    engine = toolkit.TradingEngine.from_values(**values, on_halt=unreachable)
    engine.halt("by a test")
    assert engine.ledger.standing[0] == "HALT" and "could not tell that the account halted: by a test" in caplog.text


def test_what_is_held_of_a_silent_symbol_is_said_in_every_report(values):
    engine = toolkit.TradingEngine.from_values(**values)
    engine.run_continuous(cycles=40)
    held = next(s for s, p in engine.ledger.account().positions.items() if p.qty)
    with engine.ledger.transaction() as db:
        db.execute("UPDATE positions SET symbol = 'GONE' WHERE symbol = ?", (held,))
    engine.data_cache.bars = lambda symbols, inner=engine.data_cache.bars: inner([s for s in symbols if s != "GONE"])
    assert "GONE has no bar" in str(engine.run_cycle()) and "delisted" in str(engine.run_cycle())
