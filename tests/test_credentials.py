"""Keys come from the environment or the keyring, and appear in nothing that a person might paste somewhere."""

import copy
import io
import json
import logging
import pickle
import sys

import pytest
from pasted import pasted

from toolkit.errors import InvalidParameter
from toolkit.execution.credentials import KEYRING, Environment, Keys, Secret, alpaca_keys

CANARY_KEY, CANARY = "PKCANARYKEY123", "canary-secret-456"
OURS = {"TK_ALPACA_KEY": CANARY_KEY, "TK_ALPACA_SECRET": CANARY}
THEIRS = {"APCA_API_KEY_ID": "PKTHEIRS", "APCA_API_SECRET_KEY": "theirs"}


class Ring:
    """A keyring in a dictionary."""

    def __init__(self, **kept: str) -> None:
        self.kept = kept

    def get_password(self, service: str, user: str) -> str | None:
        assert service == KEYRING
        return self.kept.get(user)


class Locked:
    """A keyring that will not be opened."""

    def get_password(self, service: str, user: str) -> str | None:
        raise RuntimeError(f"locked, and by mistake it says {CANARY}")


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch):
    """The machine's own keyring is not asked."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    for name in (*OURS, *THEIRS):
        monkeypatch.delenv(name, raising=False)


def revealed(keys: Keys) -> tuple[str, str]:
    return keys.key.reveal(), keys.secret.reveal()


def shown(call) -> str:
    return pasted(call, __file__)


def test_a_plain_text_would_be_seen():
    """The control: what `shown` looks through does hold the values of variables."""
    assert CANARY in shown(lambda: json.loads(CANARY))


def test_our_names_come_before_alpacas_and_those_before_the_keyring():
    ring = Ring(key="PKRING", secret="ring")
    assert revealed(alpaca_keys({**OURS, **THEIRS}, ring)) == (CANARY_KEY, CANARY)
    assert revealed(alpaca_keys(THEIRS, ring)) == ("PKTHEIRS", "theirs")
    assert revealed(alpaca_keys({}, ring)) == ("PKRING", "ring")
    assert alpaca_keys(THEIRS).origin == "APCA_API_KEY_ID and APCA_API_SECRET_KEY"


def test_without_an_environment_it_is_the_processes_own(monkeypatch):
    for name, value in OURS.items():
        monkeypatch.setenv(name, value)
    assert revealed(alpaca_keys()) == (CANARY_KEY, CANARY)


def test_the_keyring_library_is_used_where_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", Ring(key="PKRING", secret="ring"))
    assert revealed(alpaca_keys({})) == ("PKRING", "ring")


def test_without_keys_it_says_what_to_set():
    with pytest.raises(InvalidParameter, match="no keys of Alpaca.*TK_ALPACA_KEY and TK_ALPACA_SECRET.*keyring set"):
        alpaca_keys({}, Ring())


@pytest.mark.parametrize("lost", list(OURS))
def test_half_a_pair_is_named_and_not_completed_by_another(lost):
    half = {name: value for name, value in OURS.items() if name != lost}
    with pytest.raises(InvalidParameter, match=f"{lost} is missing; set both"):
        alpaca_keys({**half, **THEIRS})


@pytest.mark.parametrize("wrong", [f"{CANARY}\n", f" {CANARY}", "caná", "a\x00b"])
def test_a_text_that_can_be_no_key_is_refused_unshown(wrong):
    said = shown(lambda: alpaca_keys({**OURS, "TK_ALPACA_SECRET": wrong}))
    assert "TK_ALPACA_SECRET holds a space" in said and wrong not in said and CANARY_KEY not in said


def test_a_locked_keyring_is_said_without_its_words():
    said = shown(lambda: alpaca_keys({}, Locked()))
    assert "the keyring did not answer (RuntimeError); unlock it" in said and CANARY not in said


def test_an_error_shows_no_environment(monkeypatch):
    monkeypatch.setenv("TK_ALPACA_SECRET", CANARY)
    said = shown(alpaca_keys)
    assert "TK_ALPACA_KEY is missing" in said and CANARY not in said


def test_a_secret_shows_itself_to_nobody(caplog):
    secret = Secret(CANARY)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("toolkit").warning("the key is %s", secret)
    texts = [repr(secret), str(secret), f"{secret}", f"{secret:>30}", f"{secret!r}", "%s" % secret, caplog.text]  # noqa: UP031
    texts += [repr(dir(secret)), repr([secret]), repr({"k": secret}), repr(Keys(secret, secret, "here"))]
    texts += [repr(copy.copy(secret)), repr(copy.deepcopy(secret)), json.dumps({"k": secret}, default=str)]
    print(secret, file=(page := io.StringIO()))
    assert CANARY not in "".join([*texts, page.getvalue()]) and secret.reveal() == CANARY
    with pytest.raises(TypeError):
        vars(secret)


def test_a_secret_is_not_written_down():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        said = shown(lambda protocol=protocol: pickle.dumps(Secret(CANARY), protocol))
        assert "not written down" in said and CANARY not in said
        said = shown(lambda protocol=protocol: pickle.dumps(Environment({"TK_ALPACA_SECRET": CANARY}), protocol))
        assert "not written down" in said and CANARY not in said
    with pytest.raises(TypeError):
        json.dumps(Secret(CANARY))


def test_a_copy_is_the_same_secret():
    assert copy.deepcopy({"k": Secret(CANARY)})["k"].reveal() == Secret(Secret(CANARY)).reveal() == CANARY


def test_a_secret_is_blotted_out_of_what_others_say():
    assert Secret(CANARY).blot(f"no {CANARY}!") == "no ***!" and Secret("").blot("nothing") == "nothing"


def test_a_signature_is_that_of_the_standard():
    """RFC 4231, test case 2."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert Secret("Jefe").sign(b"what do ya want for nothing?") == expected
