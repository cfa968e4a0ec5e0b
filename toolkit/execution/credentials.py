"""Keys of a broker: read from the environment or the system's keyring, and never shown by anything that holds them.

What a person pastes into an issue (a traceback with the values of its variables, a log, a page of a notebook) must not hold
a key. So a key is wrapped where it is read, is revealed only into the header of a request, and a function that raises keeps
neither the key nor the environment in a variable.
"""

from __future__ import annotations

import hmac
import importlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from toolkit.errors import InvalidParameter

PAIRS = ("TK_ALPACA_KEY", "TK_ALPACA_SECRET"), ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")
KEYRING = "toolkit-alpaca"  # the service; the user names are "key" and "secret"
SHOWN = "***"


class Secret:
    """A text that shows itself to nobody; `reveal` is the one way to it.

    >>> key = Secret("PK123")
    >>> print(key, repr(key), f"{key:>5}", [key])
    *** ***   *** [***]
    """

    __slots__ = ("_text",)

    def __init__(self, text: str | Secret) -> None:
        self._text: str = text._text if isinstance(text, Secret) else str(text)

    def reveal(self) -> str:
        """The text itself: hand it on at once, into no variable."""
        return self._text

    def blot(self, said: object) -> str:
        """`said` as a text, without this one in it."""
        return str(said).replace(self._text, SHOWN) if self._text else str(said)

    def sign(self, message: bytes) -> str:
        """HMAC-SHA256 of the message under this key, in hexadecimal; it tells nothing of the key."""
        return hmac.new(self._text.encode(), message, "sha256").hexdigest()

    @property
    def flaw(self) -> str:
        """Why it can be no key, "" if it may be one."""
        if not self._text:
            return "is missing"
        good = self._text.isascii() and self._text.isprintable() and " " not in self._text
        return "" if good else "holds a space or a sign that no key has"

    def __repr__(self) -> str:
        return SHOWN

    def __format__(self, spec: str) -> str:
        return format(SHOWN, spec)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not written down: pass it on in memory, or read it again where it is needed")


class Environment(dict[str, str]):
    """A copy of an environment that does not show its values, wherever it is printed."""

    def __repr__(self) -> str:
        return f"Environment({len(self)} values)"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an Environment is not written down: pass it on in memory, or read it again where it is needed")


class Keys(NamedTuple):
    """The two keys of an account, and where they were found ("" if nowhere)."""

    key: Secret
    secret: Secret
    origin: str


def alpaca_keys(environment: Mapping[str, str] | None = None, ring: Any = None) -> Keys:
    """Alpaca's keys: TK_ALPACA_KEY and TK_ALPACA_SECRET, else APCA_API_KEY_ID and APCA_API_SECRET_KEY, else the keyring's.

    `environment` is the process's own if not given: leave it out where a traceback might show the line of the call with its
    values. `ring` is the `keyring` library if not given, where it is installed. Pairs are not mixed. Raises InvalidParameter
    where there are none, or half a pair, or a text that can be no key.
    """
    keys = _set(os.environ if environment is None else environment)
    del environment  # a traceback with values would show it
    keys = keys if keys.origin else _kept(ring)
    half = keys.key.flaw == "is missing" or keys.secret.flaw == "is missing"
    if not keys.origin:
        raise InvalidParameter(
            "there are no keys of Alpaca in the environment or the keyring",
            "set TK_ALPACA_KEY and TK_ALPACA_SECRET, or put them into the keyring: "
            f"`keyring set {KEYRING} key`, `keyring set {KEYRING} secret`",
        )
    for name, each in zip(keys.origin.split(" and "), keys[:2], strict=True):
        if each.flaw:
            cure = "set both, or neither to use what comes next" if half else "copy it again"
            raise InvalidParameter(f"{name} {each.flaw}", cure)
    return keys


def _set(environment: Mapping[str, str]) -> Keys:
    """The first pair of which a half is set; nothing is judged here, so nothing is raised where the raw texts are."""
    for names in PAIRS:
        key, secret = (Secret(environment.get(name, "")) for name in names)
        if not key.flaw == secret.flaw == "is missing":
            return Keys(key, secret, " and ".join(names))
    return Keys(Secret(""), Secret(""), "")


def _kept(ring: Any) -> Keys:
    """What the keyring has: nothing, where the library is absent."""
    try:
        ring = importlib.import_module("keyring") if ring is None else ring
    except ImportError:
        return Keys(Secret(""), Secret(""), "")
    try:
        key, secret = (Secret(ring.get_password(KEYRING, user) or "") for user in ("key", "secret"))
    except Exception as error:  # each backend raises errors of its own
        reason = type(error).__name__
    else:
        known = not key.flaw == secret.flaw == "is missing"
        return Keys(key, secret, "key in the keyring and secret in the keyring" if known else "")
    raise InvalidParameter(f"the keyring did not answer ({reason})", "unlock it, or set TK_ALPACA_KEY and TK_ALPACA_SECRET")
