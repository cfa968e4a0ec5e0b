"""`toolkit ledger` and `toolkit risk`: an account's books on the command line, while a loop writes or long after."""

import csv
import datetime as dt
import sqlite3
from contextlib import closing

import pandas as pd
import pytest
import yaml

from toolkit.cli import main
from toolkit.cli.risk import report_of
from toolkit.cycle.config import read_config
from toolkit.cycle.engine import TradingEngine
from toolkit.execution.audit import verify
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Event
from toolkit.execution.schema import TABLES
from toolkit.execution.standing import kill
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer

SPRING = {"start": dt.date(2012, 2, 1), "end": dt.date(2012, 3, 30)}
EVENING = pd.Timestamp("2012-11-20 22:00", tz="UTC")


@pytest.fixture
def engine(values, tmp_path, monkeypatch):
    """A traded account, still open for writing, and its config file in the working directory."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**values, **SPRING}))
    monkeypatch.chdir(tmp_path)
    made = TradingEngine.from_values(**values, **SPRING)
    made.run_continuous()
    yield made
    made.close()


def said(capsys):
    printed = capsys.readouterr()
    return printed.out, printed.err


# --- show


@pytest.mark.parametrize("name", ["config", "folder", "file"])
def test_show_reads_a_config_a_folder_or_a_file_while_the_writer_lives(engine, capsys, name):
    place = {"config": "config.yaml", "folder": engine.folder, "file": engine.ledger.path}[name]
    assert main(["ledger", "show", str(place), "--last", "3"]) == 0
    out, err = said(capsys)
    account = engine.ledger.account()
    assert err == "" and f"equity ${account.equity:,.2f}, cash ${account.cash / UNIT:,.2f}, settled to 2012-03-30" in out
    held = [p for p in account.positions.values() if p.qty]
    assert held and all(f"\n{p.symbol:<8}" in out for p in held) and "standing  ACTIVE" in out
    assert "cycles: 42" in out and out.count(" done ") == 3 and "|2012-03-30|20:00" in out
    assert f"events: {len(engine.ledger.frame('events'))}" in out


def test_show_tells_of_a_halt_and_of_a_kill_file(engine, capsys):
    engine.halt("the fills look wrong")
    kill(engine.folder.parent, "lunch")
    assert main(["ledger", "show", str(engine.folder)]) == 0
    out, _ = said(capsys)
    assert "standing  HALT: the fills look wrong; `toolkit resume` lifts it" in out and "KILL in state: lunch" in out


# --- verify


def test_verify_is_exit_0_for_a_sound_ledger_and_1_with_sentences_for_another(engine, capsys):
    assert main(["ledger", "verify", str(engine.folder)]) == 0
    assert "42 cycles, all of it holds together" in said(capsys)[0]
    with sqlite3.connect(engine.ledger.path) as db:
        db.execute("UPDATE account SET cash = cash + 7")
    db.close()
    assert main(["ledger", "verify", str(engine.folder)]) == 1
    out, err = said(capsys)
    assert out.startswith("WRONG cash is ") and "does not hold together in 2 places" in err  # and the equity of the last close


# --- export


def cells(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_export_writes_every_table_whole(engine, capsys):
    assert main(["ledger", "export", "config.yaml", "tables"]) == 0
    for name in TABLES:
        rows = cells(f"tables/{name}.csv")
        assert len(rows) - 1 == len(engine.ledger.frame(name)), name
    account = pd.read_csv("tables/account.csv")
    assert account["cash"].tolist() == [engine.ledger.account().cash]
    events = pd.read_csv("tables/events.csv")
    assert events["cash"].sum() == account["cash"][0]
    assert '"weights"' in pd.read_csv("tables/cycles.csv")["situation"].dropna().iloc[0]
    assert said(capsys)[0].count(" rows") == len(TABLES) + 1


def test_no_text_of_an_export_is_a_formula(engine):
    engine.ledger.book([Event("=HYPERLINK(1)", "2012-04-01", "fee", "@SUM(A1)", None, 0, -UNIT, 0, None, 0, "+1\n-2")], [])
    assert main(["ledger", "export", str(engine.folder), "tables"]) == 0
    last = cells("tables/events.csv")[-1]
    assert last[1] == "'=HYPERLINK(1)" and last[4] == "'@SUM(A1)" and last[-2] == "'+1 -2" and last[7] == "-1000000"


def test_export_replaces_nothing_without_being_told_and_says_what_it_replaced(engine, tmp_path, capsys):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/events.csv").write_text("mine")
    assert main(["ledger", "export", "config.yaml", "tables"]) == 2
    assert "tables has events.csv already" in said(capsys)[1]
    assert (tmp_path / "tables/events.csv").read_text() == "mine"
    assert main(["ledger", "export", "config.yaml", "tables", "--overwrite"]) == 0
    assert said(capsys)[0].count("(replaced)") == 1


# --- backup


def test_a_backup_is_one_whole_file_with_the_same_account(engine, tmp_path, capsys):
    assert main(["ledger", "backup", "config.yaml", "copies/one.sqlite"]) == 0
    assert "all of it holds together" in said(capsys)[0]
    copy = Ledger.read(tmp_path / "copies/one.sqlite")
    assert copy.account() == engine.ledger.account() and verify(copy) == []
    copy.close()
    assert [file.name for file in (tmp_path / "copies").iterdir()] == ["one.sqlite"]
    assert main(["ledger", "backup", "config.yaml", "copies/one.sqlite"]) == 2
    assert main(["ledger", "backup", "config.yaml", "copies/one.sqlite", "--overwrite"]) == 0


def test_a_backup_over_the_ledger_itself_is_refused(engine):
    assert main(["ledger", "backup", str(engine.folder), str(engine.ledger.path), "--overwrite"]) == 2
    assert verify(engine.ledger) == []


# --- adopt


@pytest.fixture
def alpaca(bundled, values, tmp_path, monkeypatch):
    """A loopback broker whose account holds 10 IBM, bought before there was a ledger, and the config of its account."""
    with AlpacaServer(bundled, EVENING) as server:
        monkeypatch.setenv("TK_ALPACA_KEY", server.key)
        monkeypatch.setenv("TK_ALPACA_SECRET", server.secret)
        monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "user" / name))
        broker = {"account": server.exchange.account.number, "url": server.url}
        values |= {"mode": "broker-paper", "broker": broker}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
        monkeypatch.chdir(tmp_path)
        server.exchange.account.hold("IBM", 10 * UNIT, 180.5)
        yield server


FOLDER = "state/broker-paper-demo"


def test_adopt_shows_and_books_once_what_the_broker_holds(alpaca, capsys):
    assert main(["ledger", "adopt", "config.yaml", "--yes"]) == 0
    out, _ = said(capsys)
    assert "IBM" in out and "10 at the broker" in out and "book 10 at $180.50" in out and "booked 1 events" in out
    ledger = Ledger.read(FOLDER)
    held = ledger.account().positions["IBM"]
    assert (held.qty, held.entry) == (10 * UNIT, 180.5) and ledger.account().cash == 100_000 * UNIT
    assert verify(ledger) == []
    ledger.close()
    assert main(["ledger", "adopt", "config.yaml", "--yes"]) == 0
    assert "there is nothing to adopt" in said(capsys)[0]
    again = Ledger.read(FOLDER)
    assert again.frame("events")["kind"].tolist() == ["transfer", "adoption"]
    again.close()


def test_adopt_books_nothing_unless_a_person_says_so(alpaca, capsys, monkeypatch):
    assert main(["ledger", "adopt", "config.yaml"]) == 1
    out, err = said(capsys)
    assert "book 10 at" in out and "nothing was adopted" in err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: "no")
    assert main(["ledger", "adopt", "config.yaml"]) == 1
    ledger = Ledger.read(FOLDER)
    assert ledger.frame("events")["kind"].tolist() == ["transfer"]
    ledger.close()
    monkeypatch.setattr("builtins.input", lambda prompt: "yes")
    assert main(["ledger", "adopt", "config.yaml"]) == 0
    assert "booked 1 events" in said(capsys)[0]


def test_the_halt_of_holdings_that_differ_is_named_with_its_cure(alpaca, tmp_path, capsys):
    assert main(["ledger", "adopt", "config.yaml"]) == main(["ledger", "adopt", "config.yaml"]) == 1
    with closing(Ledger.open(tmp_path / FOLDER, account="demo", mode="broker-paper", cash=1.0)) as ledger:
        assert ledger.standing == ("ACTIVE", "")  # a person who looks halts nothing; a loop that looks for a minute does
        ledger.stand("HALT", "holdings differ: IBM 10 at the broker, 0 in the ledger", "reconciliation")
    assert main(["ledger", "adopt", "config.yaml", "--yes"]) == 0
    assert "the account stands HALT: holdings differ: IBM" in said(capsys)[0]
    assert main(["resume", "config.yaml"]) == 0
    assert main(["ledger", "show", "config.yaml"]) == 0
    assert "standing  ACTIVE" in said(capsys)[0]


def test_adopt_refuses_an_account_whose_number_is_another(alpaca, values, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**values, "broker": {**values["broker"], "account": "PA0OTHER"}}))
    assert main(["ledger", "adopt", "config.yaml", "--yes"]) == 1
    assert "the broker's account is PA3LOOPBACK0, the config says PA0OTHER" in said(capsys)[1]
    assert not (tmp_path / FOLDER).exists()


def test_adopt_is_refused_for_our_own_paper_broker(engine, values, tmp_path, capsys):
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump({**values, "mode": "paper"}))
    assert main(["ledger", "adopt", "paper.yaml"]) == 2
    assert "mode is 'paper', where the ledger itself is the broker's book" in said(capsys)[1]
    assert main(["ledger", "adopt", str(engine.folder)]) == 2
    assert "adopt needs the config file" in said(capsys)[1]


# --- wrong arguments


@pytest.mark.parametrize("line, status, wrong", [
    ("show nowhere", 1, "there is nothing at nowhere"),
    ("show cache", 1, "there is no ledger in cache"),
    ("show nowhere.yaml", 2, "nowhere.yaml cannot be read"),
    ("show config.yaml tables", 2, "show takes no TARGET"),
    ("export config.yaml", 2, "export needs a TARGET"),
    ("burn config.yaml", 2, "invalid choice: 'burn'"),
    ("show config.yaml --last 0", 2, "'0' is not a whole number of at least 1"),
    ("show config.yaml/x", 1, "there is nothing at"),
])  # fmt: skip
def test_a_wrong_argument_is_one_sentence(engine, capsys, line, status, wrong):
    assert main(["ledger", *line.split()]) == status
    out, err = said(capsys)
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and wrong in err


def test_a_file_that_is_no_ledger_is_a_sentence(engine, tmp_path, capsys):
    (tmp_path / "note.txt").write_text("no ledger, a note that is long enough to be taken for a header " * 20)
    assert main(["ledger", "show", "note.txt"]) == 1
    assert "note.txt is no ledger" in said(capsys)[1]


def test_a_state_folder_of_several_accounts_names_them(engine, values, capsys):
    other = TradingEngine.from_values(**{**values, "account": "second"}, **SPRING)
    other.close()
    assert main(["ledger", "show", "state"]) == 1
    assert f"accounts below it: {engine.folder.name}, {other.folder.name}" in said(capsys)[1]


def test_help_teaches(capsys):
    for command in ("ledger", "risk", "replay", "halt", "resume", "arm"):
        assert main([command, "--help"]) == 0
        shown = said(capsys)[0]
        assert f"\n  toolkit {command} " in shown and "exit status: 0 " in shown


# --- risk


def test_risk_reports_what_the_ledger_holds_at_its_marks(engine, tmp_path, capsys):
    account = engine.ledger.account()
    largest = max(abs(p.value) for p in account.positions.values()) / UNIT / account.equity
    assert main(["risk", "config.yaml", "--html", "risk.html"]) == int(largest > 0.2)  # prices have moved it above the default
    out, _ = said(capsys)
    assert f"{largest:.1%}" in out
    assert f"${account.equity:,.0f}" in out.splitlines()[0] and "2012-03-30" in out.splitlines()[0]
    assert ("breaches" in out) == (report_of(read_config("config.yaml"), engine.ledger.path, None, 504).breaches != ())
    page = (tmp_path / "risk.html").read_text()
    assert page.startswith("<!doctype html>") and "<table" in page
    assert main(["risk", "config.yaml", "--html", "risk.html"]) == 2
    assert "risk.html is there already" in said(capsys)[1]


def test_risk_of_an_account_that_never_traded_is_a_sentence(values, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump({**values, "mode": "paper"}))
    Ledger.open(tmp_path / "state/paper-demo", account="demo", mode="paper", cash=100.0).close()
    assert main(["risk", "paper.yaml"]) == 1
    assert "has settled no session yet; run a cycle first" in said(capsys)[1]


def test_risk_is_exit_1_when_a_limit_of_the_config_is_broken(engine, values, tmp_path, capsys):
    values["risk"] = {"max_order_share": 0.25, "max_gross": 0.01}
    (tmp_path / "tight.yaml").write_text(yaml.safe_dump({**values, **SPRING}))
    report = report_of(read_config("tight.yaml"), engine.ledger.path, None, 504)
    held = sum(abs(p.value) for p in engine.ledger.account().positions.values()) / UNIT
    assert report.exposure.gross == pytest.approx(held, rel=1e-12) and report.headroom.loc["leverage", "breached"]
    lasting = {breach.measure for breach in report.breaches if breach.ended is None}
    assert "leverage" in lasting and "of them last" in str(report)
    assert main(["risk", "tight.yaml"]) == 1


# --- what stands in the way


@pytest.mark.parametrize("by", ["path", "link"])
def test_a_backup_takes_the_place_of_no_account_s_ledger(engine, tmp_path, capsys, by):
    Ledger.open(tmp_path / "state/paper-other", account="other", mode="paper", cash=1.0).close()
    target = tmp_path / "state/paper-other/ledger.sqlite"
    if by == "link":
        (tmp_path / "copy.sqlite").symlink_to(target)
    path = target if by == "path" else tmp_path / "copy.sqlite"
    assert main(["ledger", "backup", str(engine.folder), str(path), "--overwrite"]) == 2
    assert "is the ledger of an account" in said(capsys)[1]
    with closing(Ledger.read(target)) as other:
        assert other.account().name == "other"


def test_a_backup_takes_not_the_place_of_its_own_ledger_under_another_name(engine, tmp_path, capsys):
    (tmp_path / "hard.sqlite").hardlink_to(engine.ledger.path)
    assert main(["ledger", "backup", str(engine.folder), "hard.sqlite", "--overwrite"]) == 2
    assert "is there already" in said(capsys)[1]


DAMAGE = {
    "UPDATE cycles SET situation = x'0011'": "its situation cannot be read",
    "UPDATE cycles SET session = 'rubbish'": "is of session 'rubbish', which is no day",
    "UPDATE events SET session = 'rubbish'": "is of session 'rubbish', which is no day",
    "UPDATE account SET drift = '{'": "drift is '{', which cannot be read",
    "UPDATE account SET standing = 'banana'": "the account is 'banana', which is no standing",
    "UPDATE account SET session = 'x'": "unable to parse: x",
    "DELETE FROM account": "holds no account",
}


@pytest.fixture
def damaged(engine, tmp_path):
    """A copy of the account, spoilt by a statement."""

    def spoilt(statement):
        (tmp_path / "spoilt").mkdir()
        engine.ledger.copy_to(tmp_path / "spoilt/ledger.sqlite")
        with closing(sqlite3.connect(tmp_path / "spoilt/ledger.sqlite")) as db, db:
            db.execute(statement)
        return str(tmp_path / "spoilt")

    return spoilt


@pytest.mark.parametrize("statement", DAMAGE)
def test_verify_names_what_cannot_be_read_and_every_command_ends_in_a_sentence(damaged, capsys, statement):
    folder = damaged(statement)
    assert main(["ledger", "verify", folder]) == 1
    assert DAMAGE[statement] in "".join(said(capsys))
    for line in (["ledger", "show"], ["ledger", "export"], ["ledger", "backup"], ["resume"]):
        target = {"export": ["tables"], "backup": ["copy.sqlite"]}.get(line[-1], [])
        status = main([*line, folder, *target])
        assert status in {0, 1} and (status == 0) == (said(capsys)[1] == "")


def test_a_lost_table_is_named_by_the_export(damaged, capsys):
    assert main(["ledger", "export", damaged("DROP TABLE verdicts"), "tables"]) == 1
    assert "no such table: verdicts" in said(capsys)[1]


@pytest.mark.parametrize("line", [
    ["ledger", "show", "x" * 300], ["ledger", "backup", "FOLDER", "x" * 300], ["ledger", "export", "FOLDER", "a\0b"],
    ["ledger", "export", "FOLDER", "x" * 300], ["risk", "config.yaml", "--html", "x" * 300],
])  # fmt: skip
def test_a_name_that_no_file_can_have_is_a_sentence(engine, capsys, line):
    assert main([str(engine.folder) if part == "FOLDER" else part for part in line]) in {1, 2}
    assert said(capsys)[1].startswith("error: ")


def test_more_rows_than_there_can_be_are_all_of_them(engine, capsys):
    assert main(["ledger", "show", str(engine.folder), "--last", "9" * 20]) == 0
    assert "cycles: 42" in said(capsys)[0]
