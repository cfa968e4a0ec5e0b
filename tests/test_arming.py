"""Trading live takes five conditions at once; each of the 31 incomplete sets of them is refused."""

import json
import os
from dataclasses import replace
from functools import partial
from itertools import product

import pandas as pd
import pytest

from toolkit.cycle.config import checked_config
from toolkit.cycle.connected import traded
from toolkit.cycle.named import sizing_of, strategy_of
from toolkit.errors import NotArmed
from toolkit.execution import arming
from toolkit.execution.arming import LARGEST, TOKEN, Standing, arm, check, config_hash, disarm, missing
from toolkit.execution.credentials import Secret
from toolkit.signals.strategies import trend_and_rsi

NOW = pd.Timestamp("2026-11-30 15:00", tz="UTC")
SECOND, HOUR = pd.Timedelta(seconds=1), pd.Timedelta(hours=1)
NUMBER, CONFIG = "123456789", config_hash({"mode": "live", "account": "123456789", "symbols": ["AAPL"]})


@pytest.fixture
def complete(tmp_path) -> Standing:
    """All but the token."""
    return Standing("live", NUMBER, CONFIG, NUMBER, NUMBER, "live", tmp_path / "live-me", Secret("loopback-secret"))


@pytest.fixture
def armed(complete) -> Standing:
    arm(complete, NOW)
    return complete


BREAKS = {"mode": "broker-paper", "said": "", "number": "987654321", "ledger": "paper", "token": None}


@pytest.mark.parametrize("held", list(product([True, False], repeat=5)), ids=lambda held: "".join("01"[h] for h in held))
def test_all_31_incomplete_sets_are_refused_and_the_complete_one_passes(armed, held):
    standing = armed
    for holds, (name, value) in zip(held, BREAKS.items()):
        if not holds and name != "token":
            standing = replace(standing, **{name: value})
    if not held[-1]:
        assert disarm(armed.folder)
    lacks = missing(standing, NOW)
    assert len(lacks) == held.count(False)
    if all(held):
        check(standing, NOW)
        return
    with pytest.raises(NotArmed, match=f"{held.count(True)} of 5 conditions; missing: ") as caught:
        check(standing, NOW)
    assert all(said in str(caught.value) for said in lacks) and caught.value.code == "LIVE_NOT_ARMED"


def by(share):
    return lambda scores, bars: scores * share


CONFIGURED = checked_config({"symbols": ["AAPL"], "mode": "live", "broker": {"account": NUMBER}})
TRADES = {
    "as named": {},
    "another strategy": {"strategy": by(1.0)},
    "its other parameter": {"strategy": by(2.0)},
    "the named strategy, tuned": {"strategy": partial(trend_and_rsi, fast=11)},
    "another sizing": {"sizing": by(0.1)},
    "its other fraction": {"sizing": by(0.2)},
}


@pytest.mark.parametrize("armed_for", TRADES)
def test_a_token_is_for_what_trades_and_for_nothing_else(complete, armed_for):
    """Each of six strategies and sizings is armed under one configuration; five of six are refused each time."""
    arm(replace(complete, config=traded(CONFIGURED, **TRADES[armed_for])), NOW)
    again = {name: missing(replace(complete, config=traded(CONFIGURED, **given)), NOW) for name, given in TRADES.items()}
    assert [name for name, lacks in again.items() if not lacks] == [armed_for]
    assert all("CONFIG_CHANGED" in lacks[0] for name, lacks in again.items() if name != armed_for)


def test_what_the_configuration_names_may_be_given_too():
    given = {"strategy": strategy_of(CONFIGURED), "sizing": sizing_of(CONFIGURED)}
    assert traded(CONFIGURED) == traded(CONFIGURED, **given) == traded(CONFIGURED, strategy=trend_and_rsi)


@pytest.mark.parametrize("after, refused", [(-SECOND, True), (0 * HOUR, False), (12 * HOUR, False), (12 * HOUR + SECOND, True)])
def test_a_token_is_good_for_twelve_hours_from_its_instant(armed, after, refused):
    assert bool(missing(armed, NOW + after)) is refused


def test_a_token_signed_for_longer_than_twelve_hours_is_none(complete, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(arming, "LONGEST", 48 * HOUR)
        arm(complete, NOW, 48 * HOUR)
        assert missing(complete, NOW) == []
    assert "fresh arming token" in missing(complete, NOW)[0]


def test_the_time_zone_of_the_asking_does_not_matter(armed):
    assert missing(armed, (NOW + 12 * HOUR).tz_convert("Asia/Tokyo")) == []
    assert missing(armed, (NOW + 12 * HOUR + SECOND).tz_convert("Asia/Tokyo")) != []


def test_a_shorter_time_is_kept_and_a_longer_one_refused(complete):
    assert arm(complete, NOW, HOUR) == NOW + HOUR
    assert missing(complete, NOW + HOUR) == [] and missing(complete, NOW + HOUR + SECOND) != []
    for lasts in (12 * HOUR + SECOND, 0 * HOUR, -HOUR, pd.NaT):
        with pytest.raises(NotArmed, match="at most 12 hours"):
            arm(complete, NOW, lasts)


def test_another_configuration_has_to_be_armed_again(armed):
    changed = replace(armed, config=config_hash({"mode": "live", "account": NUMBER, "symbols": ["AAPL", "IBM"]}))  # or strategy
    with pytest.raises(NotArmed, match="4 of 5 conditions.*CONFIG_CHANGED"):
        check(changed, NOW)
    arm(changed, NOW)
    check(changed, NOW)


def test_a_token_does_not_travel_to_another_account(armed):
    other = replace(armed, account="5", said="5", number="5")
    assert missing(other, NOW) == ["an arming token for this account (it is for '123456789'; arm again: `toolkit arm`)"]


def test_a_token_made_with_other_keys_is_none(armed):
    assert "signature" in missing(replace(armed, secret=Secret("another")), NOW)[0]
    assert "keys are not there" in missing(replace(armed, secret=None), NOW)[0]


def test_nothing_is_armed_in_advance(complete):
    """A token that lay waiting would arm the account at the moment when the last of the others came true by chance."""
    for change in ({"mode": "paper"}, {"said": ""}, {"number": ""}, {"ledger": "replay"}, {"secret": None}):
        with pytest.raises(NotArmed, match="missing: "):
            arm(replace(complete, **change), NOW)
    assert not (complete.folder / TOKEN).exists()


def test_an_account_number_that_is_empty_everywhere_matches_nothing(armed):
    assert len(missing(replace(armed, account="", said="", number=""), NOW)) == 4


def edited(content: dict, **changes: str) -> bytes:
    return json.dumps({**content, **changes}).encode()


DAMAGES = {
    "later until": lambda c: edited(c, until=(NOW + 48 * HOUR).isoformat()),
    "earlier armed": lambda c: edited(c, armed=(NOW - HOUR).isoformat()),
    "other account": lambda c: edited(c, account="5"),
    "other config": lambda c: edited(c, config="0" * 32),
    "other signature": lambda c: edited(c, signature="é" * 64),
    "one field more": lambda c: edited(c, more=""),
    "a number": lambda c: json.dumps({**c, "until": 5}).encode(),
    "a field less": lambda c: json.dumps({k: v for k, v in c.items() if k != "until"}).encode(),
    "empty": lambda c: b"",
    "a list": lambda c: b"[]",
    "half": lambda c: json.dumps(c).encode()[:50],
    "no text": lambda c: b"\xff\xfe\x00",
    "deep": lambda c: b"[" * LARGEST,
    "too long": lambda c: json.dumps(c).encode() + b" " * LARGEST,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_token_is_none(armed, damage):
    path = armed.folder / TOKEN
    path.write_bytes(DAMAGES[damage](json.loads(path.read_text())))
    lacks = missing(armed, NOW)
    assert len(lacks) == 1 and "arm again" in lacks[0]


def test_every_flipped_byte_is_seen(armed):
    path = armed.folder / TOKEN
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x01]) + whole[at + 1 :])
        assert missing(armed, NOW), at
    path.write_bytes(whole)
    assert missing(armed, NOW) == []


def test_the_token_is_its_owners_alone_and_holds_no_key(armed):
    path = armed.folder / TOKEN
    assert path.stat().st_mode & 0o777 == 0o600 and armed.folder.stat().st_mode & 0o077 == 0
    assert set(json.loads(path.read_text())) == {"account", "config", "armed", "until", "signature"}
    assert "loopback-secret" not in path.read_text() and "loopback-secret" not in repr(armed)
    path.chmod(0o644)
    assert "open to others" in missing(armed, NOW)[0]


def test_a_link_or_a_pipe_in_its_place_is_none(armed, tmp_path):
    path = armed.folder / TOKEN
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert "can be read" in missing(armed, NOW)[0]
    path.unlink()
    os.mkfifo(path, 0o600)
    assert "yours alone" in missing(armed, NOW)[0]


def test_arming_again_replaces_a_token_that_was_open_to_others(armed):
    (armed.folder / TOKEN).chmod(0o666)
    arm(armed, NOW)
    check(armed, NOW)
    assert sorted(path.name for path in armed.folder.iterdir()) == [TOKEN]


def test_a_folder_that_cannot_be_is_said(complete, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotArmed, match="cannot be written"):
        arm(replace(complete, folder=tmp_path / "file"), NOW)


def test_disarming_ends_it_at_once(armed):
    assert disarm(armed.folder) and not disarm(armed.folder)
    with pytest.raises(NotArmed, match="run `toolkit arm`"):
        check(armed, NOW)
