"""`toolkit halt`, `resume` and `arm`: a person stops an account, lets it go on, and allows it real money for some hours."""

import datetime as dt
import os
import resource
from contextlib import closing

import pandas as pd
import pytest
import yaml

from toolkit.cli import main
from toolkit.cycle.config import checked_config, read_config
from toolkit.cycle.connected import connected
from toolkit.cycle.engine import TradingEngine
from toolkit.data import ReplayClock, SystemClock
from toolkit.data.locks import take_lock
from toolkit.errors import NotArmed, Uncertified
from toolkit.execution.ledger import Ledger
from toolkit.execution.orders import Event, Position
from toolkit.execution.standing import Switches, kill
from toolkit.kernels.account import UNIT
from toolkit.testing.alpaca_server import AlpacaServer

SPRING = {"start": dt.date(2012, 2, 1), "end": dt.date(2012, 2, 29)}


@pytest.fixture
def account(values, tmp_path, monkeypatch):
    """The folder of a paper account with a ledger, and its config in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "ada")
    monkeypatch.delenv("TK_HALT", raising=False)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**values, "mode": "paper"}))
    Ledger.open(tmp_path / "state/paper-demo", account="demo", mode="paper", cash=10_000.0).close()
    return tmp_path / "state/paper-demo"


def standing(folder):
    ledger = Ledger.read(folder)
    try:
        return ledger.standing
    finally:
        ledger.close()


def halted(folder, why="equity fell"):
    with_standing = Ledger.open(folder, account="demo", mode="paper", cash=1.0)
    with_standing.stand("HALT", why, "gate")
    with_standing.close()


def said(capsys):
    printed = capsys.readouterr()
    return printed.out, printed.err


# --- halt


@pytest.mark.parametrize("place", [["config.yaml"], ["state/paper-demo"], ["state/paper-demo/ledger.sqlite"]])
def test_halt_writes_the_file_of_one_account_with_the_reason(account, capsys, place):
    assert main(["halt", "the fills\n look wrong", *place]) == 0
    assert (account / "KILL").read_text() == "the fills look wrong\n" and not (account.parent / "KILL").exists()
    assert "paper-demo sends no more orders" in said(capsys)[0]


@pytest.mark.parametrize("place", [[], ["state"]])
def test_halt_without_an_account_stops_all_of_the_project(account, capsys, place):
    assert main(["halt", "lunch", *place]) == 0
    assert (account.parent / "KILL").read_text() == "lunch\n" and not (account / "KILL").exists()
    assert "paper-demo sends no more orders" in said(capsys)[0]


def test_a_halted_engine_sends_nothing_until_it_is_resumed(values, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine = TradingEngine.from_values(**values, **SPRING)
    assert main(["halt", "wait", str(engine.folder)]) == 0
    report = engine.run_cycle()
    assert report.turn.orders == () and {v.code for v in report.turn.denials} == {"KILL_SWITCH"}
    folder = engine.folder
    engine.close()
    assert main(["resume", str(folder)]) == 0
    again = TradingEngine.from_values(**values, **SPRING)
    assert again.run_cycle().turn.orders != ()
    again.close()


def test_a_place_where_no_loop_looks_is_refused(account, tmp_path, capsys):
    assert main(["halt", "stop", str(tmp_path)]) == 1
    assert "no account is in" in said(capsys)[1] and not (tmp_path / "KILL").exists()
    assert main(["halt", "stop", "nowhere"]) == 1
    assert "there is nothing at nowhere" in said(capsys)[1]
    assert main(["halt", "  "]) == 2
    assert "the reason is '  '" in said(capsys)[1]


@pytest.mark.parametrize("copy", ["copies/c.sqlite", "runs/one/ledger.sqlite"])
def test_a_copy_of_a_ledger_cannot_be_halted_for_no_loop_looks_there(account, tmp_path, capsys, copy):
    with closing(Ledger.read(account)) as ledger:
        copied = ledger.copy_to(tmp_path / copy)
    assert main(["halt", "x", str(copied)]) == 1
    assert "NOTHING IS HALTED" in capsys.readouterr().err and not (copied.parent / "KILL").exists()
    assert main(["halt", "x", str(account / "ledger.sqlite")]) == 0 and (account / "KILL").exists()


def test_show_says_how_an_account_stands_with_its_switches(account, capsys, monkeypatch):
    def shown():
        assert main(["ledger", "show", str(account)]) == 0
        return capsys.readouterr().out

    assert "standing  ACTIVE\n" in shown()
    kill(account, "on holiday", "REDUCE_ONLY")
    assert "standing  REDUCE_ONLY, of the ledger ACTIVE\n" in shown()
    monkeypatch.setenv("TK_HALT", "maintenance")
    assert "standing  HALT, of the ledger ACTIVE\n" in shown()
    monkeypatch.delenv("TK_HALT")
    kill(account, "stop")
    assert "standing  HALT, of the ledger ACTIVE\n" in shown()


def test_a_second_halt_says_that_it_replaces_the_reason(account, capsys):
    assert main(["halt", "one"]) == 0 and "replaced" not in said(capsys)[0]
    assert main(["halt", "two"]) == 0 and "the reason of an earlier halt is replaced" in said(capsys)[0]


# --- reduce only


def holding(account, symbol="IBM"):
    """The account holds ten shares that its strategy wants to sell, and wants to buy others."""
    ledger = Ledger.open(account, account="demo", mode="paper", cash=10_000.0)
    day = "2012-01-31T00:00:00"
    bought = Event("adoption:1", day, "adoption", symbol, None, 10 * UNIT, 0, price=190.0)
    ledger.book([bought], [Position(symbol, 10 * UNIT, 190.0, 190.0, 1.0, pd.Timestamp(day))])
    ledger.close()


def decided(values):
    """One turn of an engine that sells IBM and buys AAPL."""

    def swap(bars):
        return pd.DataFrame({s: {"IBM": 0.0, "AAPL": 1.0}.get(s, float("nan")) for s in bars.symbols}, bars.index)

    clock = ReplayClock([pd.Timestamp("2012-02-01 21:30", tz="UTC")])
    engine = TradingEngine(checked_config({**values, "mode": "paper"}), strategy=swap, clock=clock)
    try:
        return engine.run_cycle()
    finally:
        engine.close()


def test_reduce_only_lets_an_account_close_and_open_nothing_until_it_is_resumed(account, values, capsys):
    holding(account)
    assert main(["halt", "--reduce-only", "on\n holiday", "config.yaml"]) == 0
    assert (account / "REDUCE_ONLY").read_text() == "on holiday\n" and not (account / "KILL").exists()
    assert "paper-demo opens nothing from now on" in said(capsys)[0]
    report = decided(values)
    assert [(o.side, o.symbol) for o in report.turn.orders] == [("sell", "IBM")]
    assert [(v.code, v.order.symbol, v.measured) for v in report.turn.denials] == [
        ("REDUCE_ONLY", "AAPL", "REDUCE_ONLY in paper-demo: on holiday")
    ]
    assert "REDUCE_ONLY: REDUCE_ONLY in paper-demo: on holiday; `toolkit resume` lifts it" in str(report)
    assert main(["ledger", "show", "config.yaml"]) == 0
    assert "closes    only, by REDUCE_ONLY in paper-demo: on holiday; `toolkit resume` lifts it" in said(capsys)[0]
    assert main(["resume", "config.yaml"]) == 0
    out, _ = said(capsys)
    assert "lifted REDUCE_ONLY in paper-demo: on holiday" in out and out.endswith("paper-demo may trade\n")
    assert not (account / "REDUCE_ONLY").exists()


@pytest.mark.parametrize("stop", ["file", "file of all", "ledger", "TK_HALT"])
def test_a_reduce_only_command_weakens_no_halt(account, values, capsys, monkeypatch, stop):
    holding(account)
    if stop == "ledger":
        halted(account)
    elif stop == "TK_HALT":
        monkeypatch.setenv("TK_HALT", "equity fell")
    else:
        kill(account.parent if stop == "file of all" else account, "equity fell")
    assert main(["halt", "--reduce-only", "close what is left", "config.yaml"]) == 0
    assert "paper-demo stays halted, which is stricter" in (out := said(capsys)[0]) and "equity fell" in out
    report = decided(values)
    assert report.turn.orders == () and len(report.turn.denials) == 2
    assert {v.code for v in report.turn.denials} == {"HALT" if stop == "ledger" else "KILL_SWITCH"}


def test_resume_lifts_a_halt_and_a_reduction_together(account, capsys):
    assert main(["halt", "--reduce-only", "on holiday", "config.yaml"]) == 0
    assert main(["halt", "no, stop", "config.yaml"]) == 0
    assert main(["resume", "config.yaml"]) == 0
    out, _ = said(capsys)
    assert "lifted KILL in paper-demo: no, stop" in out and "lifted REDUCE_ONLY in paper-demo: on holiday" in out
    assert not list(account.glob("[A-Z]*"))


def test_a_reduction_of_all_accounts_is_lifted_where_it_was_made(account, capsys):
    assert main(["halt", "--reduce-only", "on holiday"]) == 0 and (account.parent / "REDUCE_ONLY").exists()
    assert main(["resume", "config.yaml"]) == 1
    assert f"REDUCE_ONLY in state: on holiday; `toolkit resume {account.parent}` lifts it" in said(capsys)[1]
    assert main(["resume"]) == 0 and "paper-demo may trade" in said(capsys)[0]


def test_a_reduction_in_the_ledger_survives_and_is_shown_and_lifted(account, capsys):
    ledger = Ledger.open(account, account="demo", mode="paper", cash=1.0)
    ledger.stand("REDUCE_ONLY", "by hand", "ada")
    ledger.close()
    assert main(["ledger", "show", "config.yaml"]) == 0
    assert "standing  REDUCE_ONLY: by hand; `toolkit resume` lifts it" in said(capsys)[0]
    assert main(["resume", "config.yaml"]) == 0 and standing(account)[0] == "ACTIVE"


def test_a_reduction_that_cannot_be_read_opens_nothing(account, values):
    holding(account)
    (account / "REDUCE_ONLY").mkdir()
    report = decided(values)
    assert [(v.code, v.order.symbol) for v in report.turn.denials] == [("REDUCE_ONLY", "AAPL")]


# --- resume


def test_resume_lifts_the_file_and_the_standing_in_the_name_of_the_person(account, capsys):
    kill(account, "look first")
    halted(account)
    assert main(["resume", "config.yaml"]) == 0
    out, err = said(capsys)
    assert "lifted KILL in paper-demo: look first" in out and "lifted HALT: equity fell" in out and err == ""
    assert out.splitlines()[-1] == "paper-demo may trade"
    assert standing(account)[0] == "ACTIVE" and not (account / "KILL").exists()
    ledger = Ledger.read(account)
    assert ledger.frame("standings")[["before", "after", "who"]].iloc[-1].tolist() == ["HALT", "ACTIVE", "ada"]
    ledger.close()


def test_while_a_loop_holds_the_ledger_the_file_goes_at_once_and_the_halt_waits(account, capsys):
    kill(account, "look first")
    halted(account)
    lock = take_lock(account / "ledger.lock")
    try:
        assert main(["resume", str(account)]) == 1
        out, err = said(capsys)
        assert "lifted KILL in paper-demo: look first" in out and not (account / "KILL").exists()
        assert f"still stopped by HALT: equity fell; {account}/ledger.sqlite is being written by process" in err
        assert "stop the loop, then resume again" in err and standing(account)[0] == "HALT"
    finally:
        os.close(lock)
    assert main(["resume", str(account)]) == 0 and standing(account)[0] == "ACTIVE"


def test_a_running_loop_that_was_stopped_by_a_file_alone_goes_on_at_once(account, capsys):
    kill(account, "look first")
    lock = take_lock(account / "ledger.lock")
    try:
        assert main(["resume", str(account)]) == 0
    finally:
        os.close(lock)
    assert "paper-demo may trade" in said(capsys)[0]


def test_resume_of_all_lifts_the_common_file_and_names_accounts_with_a_halt_of_their_own(account, capsys):
    kill(account.parent, "lunch")
    halted(account)
    assert main(["resume"]) == 1
    out, err = said(capsys)
    assert "lifted KILL in state: lunch" in out and not (account.parent / "KILL").exists()
    assert f"paper-demo is still stopped by HALT: equity fell; `toolkit resume {account}` lifts it" in err


def test_an_account_is_told_of_what_stops_all(account, capsys, monkeypatch):
    kill(account.parent, "lunch")
    monkeypatch.setenv("TK_HALT", "tests")
    assert main(["resume", "config.yaml"]) == 1
    out, err = said(capsys)
    assert "there was nothing to lift" in out and f"KILL in state: lunch; `toolkit resume {account.parent}`" in err
    assert "TK_HALT is set" in err and (account.parent / "KILL").exists()


@pytest.mark.parametrize("place, wrong", [("cache", "there is no ledger in"), ("nowhere", "there is nothing at nowhere")])
def test_a_folder_without_a_ledger_is_refused(account, tmp_path, capsys, place, wrong):
    (tmp_path / "cache").mkdir()
    assert main(["resume", place]) == 1
    out, err = said(capsys)
    assert out == "" and wrong in err and err.count("\n") == 1


def test_a_configured_account_that_never_ran_is_refused(account, values, tmp_path, capsys):
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({**values, "mode": "paper", "account": "other"}))
    assert main(["resume", "other.yaml"]) == 1
    assert "there is no ledger" in said(capsys)[1] and not (tmp_path / "state/paper-other").exists()


# --- arm


@pytest.fixture
def live(bundled, values, tmp_path, monkeypatch):
    """A loopback broker, the environment of a person who means it, and a config of mode live."""
    with AlpacaServer(bundled, pd.Timestamp("2012-11-20 22:00", tz="UTC")) as server:
        number = server.exchange.account.number
        monkeypatch.setenv("TK_ALPACA_KEY", server.key)
        monkeypatch.setenv("TK_ALPACA_SECRET", server.secret)
        monkeypatch.setenv("TK_LIVE", number)
        monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "user" / name))
        values |= {"mode": "live", "broker": {"account": number, "url": server.url}, "allow_uncertified": False}
        (tmp_path / "live.yaml").write_text(yaml.safe_dump(values))
        monkeypatch.chdir(tmp_path)
        yield server


def unarmed(path):
    """What the engine would say is missing."""
    config = read_config(path)
    venue = connected(config, SystemClock(), None)
    ledger = Ledger.read("state/live-demo")
    try:
        return venue.unarmed(ledger, SystemClock().now())
    finally:
        ledger.close()


def test_arm_makes_the_ledger_and_the_token_that_the_engine_asks_for(live, tmp_path, capsys):
    assert main(["arm", "live.yaml", "--hours", "2"]) == 0
    out, _ = said(capsys)
    assert "a ledger of mode live was made, it begins with $100,000.00" in out and "ARMED: account PA3LOOPBACK0" in out
    assert unarmed("live.yaml") == ()
    assert live.secret not in out and live.key not in out
    assert main(["arm", "live.yaml"]) == 0 and "was made" not in said(capsys)[0]
    assert main(["arm", "live.yaml", "--disarm"]) == 0 and "disarmed" in said(capsys)[0]
    assert len(unarmed("live.yaml")) == 1
    assert main(["arm", "live.yaml", "--disarm"]) == 0 and "was not armed" in said(capsys)[0]


def test_a_token_is_for_the_very_config_that_was_armed(live, values, tmp_path):
    assert main(["arm", "live.yaml"]) == 0
    (tmp_path / "live.yaml").write_text(yaml.safe_dump({**values, "interval_minutes": 6.0}))
    assert "CONFIG_CHANGED" in unarmed("live.yaml")[0]


def calm(bars):
    """A strategy given in Python."""
    return (bars.close > bars.close.shift(5)).astype(float)


def by(share):
    """A sizing given in Python."""
    return lambda scores, bars: scores * share


PARTS = [{"strategy": calm}, {"sizing": by(0.05)}, {"strategy": calm, "sizing": by(0.05)}]


@pytest.mark.parametrize("given", PARTS, ids=["strategy", "sizing", "both"])
def test_what_is_given_in_python_has_an_arming_of_its_own(live, given):
    """The token of the command is for what the config names; each token ends the one before."""
    assert main(["arm", "live.yaml"]) == 0
    engine = TradingEngine(read_config("live.yaml"), **given)
    try:
        lacks = engine.watch.venue.unarmed(engine.ledger, SystemClock().now())
        assert len(lacks) == 1 and "CONFIG_CHANGED" in lacks[0] and "`engine.arm()`" in lacks[0]
        until = engine.arm(hours=2)
        assert engine.watch.venue.unarmed(engine.ledger, until) == ()
        assert len(engine.watch.venue.unarmed(engine.ledger, until + pd.Timedelta("1s"))) == 1
    finally:
        engine.close()
    assert "CONFIG_CHANGED" in unarmed("live.yaml")[0]


def test_other_parameters_of_what_is_given_are_armed_again_and_the_same_are_not(live):
    engine = TradingEngine(read_config("live.yaml"), sizing=by(0.05))
    engine.arm()
    engine.close()
    for share, armed in ((0.05, True), (0.06, False)):
        engine = TradingEngine(read_config("live.yaml"), sizing=by(share))
        assert (engine.watch.venue.unarmed(engine.ledger, SystemClock().now()) == ()) is armed
        engine.close()


def test_arming_from_python_asks_for_the_same_conditions(live, values, monkeypatch):
    monkeypatch.delenv("TK_LIVE")
    engine = TradingEngine(read_config("live.yaml"), strategy=calm)
    with pytest.raises(NotArmed, match="3 of 5 conditions; missing: TK_LIVE in the environment.*the token"):
        engine.arm()
    monkeypatch.setenv("TK_LIVE", live.exchange.account.number)
    for hours in (0.0, 13.0, float("nan")):
        with pytest.raises(NotArmed, match="at most 12 hours"):
            engine.arm(hours)
    engine.close()
    engine = TradingEngine(checked_config({**values, "mode": "paper"}), strategy=calm)
    with pytest.raises(NotArmed, match="the broker is our own"):
        engine.arm()
    engine.close()


def test_a_live_account_trades_no_strategy_without_a_certificate(live, values, tmp_path, capsys):
    (tmp_path / "loose.yaml").write_text(yaml.safe_dump({**values, "allow_uncertified": True}))
    assert main(["arm", "loose.yaml"]) == 2
    assert "allow_uncertified is True; mode live trades no strategy without a certificate" in said(capsys)[1]
    past = read_config("live.yaml").model_copy(update={"allow_uncertified": True})  # which checks nothing
    engine = TradingEngine(past, strategy=calm)
    with pytest.raises(Uncertified, match="nothing else lets it trade real money"):
        engine.run_cycle()
    engine.close()


@pytest.mark.parametrize("missing, said_of_it", [
    ("TK_LIVE", "3 of the 5 conditions hold"), ("account", "no account number"), ("number", "its number is 'PA3LOOPBACK0'"),
    ("mode", "it says mode 'broker-paper'"), ("keys", "there are no keys of Alpaca"), ("wrong keys", "the broker: "),
])  # fmt: skip
def test_what_is_missing_is_said_and_nothing_is_made(live, values, tmp_path, monkeypatch, capsys, missing, said_of_it):
    if missing == "TK_LIVE":
        monkeypatch.delenv("TK_LIVE")
    elif missing == "account":
        values["broker"] = {"url": live.url}
    elif missing == "number":
        values["broker"] = {"url": live.url, "account": "PA0OTHER"}
        monkeypatch.setenv("TK_LIVE", "PA0OTHER")
    elif missing == "mode":
        values["mode"] = "broker-paper"
    elif missing == "keys":
        monkeypatch.delenv("TK_ALPACA_KEY")
        monkeypatch.delenv("TK_ALPACA_SECRET")
    else:
        monkeypatch.setenv("TK_ALPACA_SECRET", "canary-of-a-secret")
    (tmp_path / "live.yaml").write_text(yaml.safe_dump(values))
    assert main(["arm", "live.yaml"]) == 1
    out, err = said(capsys)
    assert out.startswith("not armed: ") and said_of_it in out and "canary" not in out + err and live.secret not in out + err
    assert not (tmp_path / "state").exists()


def test_a_ledger_of_another_mode_in_the_place_of_the_live_one_is_said(live, tmp_path, capsys):
    Ledger.open(tmp_path / "state/live-demo", account="demo", mode="paper", cash=float(UNIT)).close()
    assert main(["arm", "live.yaml"]) == 1
    out, _ = said(capsys)
    assert "a ledger of mode live (it is 'paper'" in out and not (tmp_path / "state/live-demo/armed.json").exists()


@pytest.mark.parametrize("line, wrong", [
    ("live.yaml --hours 13", "'13' is not a number of hours above 0 and up to 12"),
    ("live.yaml --hours nan", "'nan' is not a number"), ("live.yaml --hours 0", "'0' is not"),
    ("state", "state is no config file"), ("nowhere.yaml", "nowhere.yaml cannot be read"),
])  # fmt: skip
def test_a_wrong_argument_is_one_sentence_and_exit_2(live, capsys, line, wrong):
    assert main(["arm", *line.split()]) == 2
    out, err = said(capsys)
    assert out == "" and err.count("\n") == 1 and wrong in err


def test_an_account_that_never_ran_is_halted_before_its_first_cycle(account, values, tmp_path, capsys):
    (tmp_path / "other.yaml").write_text(yaml.safe_dump({**values, "mode": "paper", "account": "other"}))
    assert main(["halt", "not yet", "other.yaml"]) == 0
    assert "paper-other sends no more orders" in said(capsys)[0]
    assert (tmp_path / "state/paper-other/KILL").read_text() == "not yet\n"


def test_a_halt_that_cannot_be_written_says_that_nothing_is_halted(account, tmp_path, values, capsys):
    (tmp_path / "full").write_text("no folder")
    (tmp_path / "new.yaml").write_text(yaml.safe_dump({**values, "mode": "paper", "state": "full"}))
    assert main(["halt", "stop", "new.yaml"]) == 1
    assert "NOTHING IS HALTED" in said(capsys)[1]


@pytest.mark.parametrize("text", ["symbols: [A", "symbols: [A]\nmod: paper", ""])
def test_a_config_that_is_being_edited_names_the_other_ways_to_halt(account, tmp_path, capsys, text):
    (tmp_path / "config.yaml").write_text(text)
    assert main(["halt", "why", "config.yaml"]) == 2
    err = said(capsys)[1]
    assert "NOTHING IS HALTED: config.yaml" in err and '`toolkit halt "why"` halts all accounts' in err
    assert main(["halt", "why", str(account)]) == 0


def test_a_file_that_is_no_ledger_halts_nothing_and_says_so(account, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("hi")
    assert main(["halt", "the fills look wrong", "notes.txt"]) == 1
    assert "notes.txt is no ledger" in said(capsys)[1] and not (tmp_path / "KILL").exists()


@pytest.mark.parametrize("reason", ["config.yaml", "elsewhere.yml", "state/paper-demo"])
def test_a_reason_that_is_a_place_is_one_that_was_forgotten(account, tmp_path, capsys, reason):
    assert main(["halt", reason]) == 2
    assert "say why first" in said(capsys)[1] and not (tmp_path / "state/KILL").exists()


def test_a_halt_whose_reason_finds_no_room_says_that_it_stops_all_the_same(account, capsys, caplog):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # as on a full disk
    try:
        done = main(["halt", "the fills look wrong", str(account)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    out, err = said(capsys)
    assert done == 0 and "sends no more orders" in out and "NOTHING" not in err and "the reason is not in it" in caplog.text
    assert Switches((account,)).pulled() and (account / "KILL").read_text() == ""


@pytest.mark.parametrize("option, name", [([], "KILL"), (["--reduce-only"], "REDUCE_ONLY")])
def test_a_switch_that_leads_nowhere_stops_and_is_left_as_it_is(account, capsys, option, name):
    (account / name).symlink_to(account / "gone" / "away")
    assert main(["halt", *option, "why", str(account)]) == 0
    assert "paper-demo" in said(capsys)[0] and not (account / "gone").exists()


@pytest.mark.parametrize("reason", ["x" * 256, "the fills of IBM " * 25, "a/" * 240])
def test_a_reason_may_be_longer_than_the_name_of_a_file(account, capsys, reason):
    assert main(["halt", reason]) == 0
    assert (account.parent / "KILL").read_text().startswith(reason[:200])


def test_what_is_no_file_under_the_name_of_a_switch_stops_as_well_and_nobody_waits_for_it(account, capsys):
    os.mkfifo(account / "KILL")
    assert main(["halt", "why", str(account)]) == 0
    assert "sends no more orders" in said(capsys)[0]
    assert main(["resume", str(account)]) == 0
    assert "KILL in paper-demo is there, and no file" in said(capsys)[0]


def test_a_cycle_of_a_halted_account_ends_with_a_status_that_cron_tells_of(account, capsys):
    assert main(["cycle", "config.yaml"]) == 0
    halted(account)
    assert main(["cycle", "config.yaml"]) == 1 and "HALT: equity fell; `toolkit resume` lifts it" in said(capsys)[0]


def test_a_halt_before_the_first_cycle_can_be_lifted(account, tmp_path, values, capsys):
    (tmp_path / "new.yaml").write_text(yaml.safe_dump({**values, "mode": "paper", "account": "new"}))
    assert main(["halt", "not yet", "new.yaml"]) == main(["resume", "new.yaml"]) == 0
    assert "lifted KILL in paper-new: not yet" in said(capsys)[0] and not (tmp_path / "state/paper-new/KILL").exists()
