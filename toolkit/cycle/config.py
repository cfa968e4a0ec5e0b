"""A trading configuration read from YAML; what does not fit is said in one sentence: file, key, value, what is allowed."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, create_model

from toolkit.data.sources.named import checked_source
from toolkit.data.symbols import checked_symbols
from toolkit.errors import ConfigError
from toolkit.execution.checks import LIVE, PAPER, Operations
from toolkit.execution.costs import CAREFUL, CAREFUL_LIVE, Costs, Exits, Limits, Policy

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0)]
Symbols = Annotated[list[str], Field(min_length=1), AfterValidator(lambda names: list(checked_symbols(names)))]
SourceName = Annotated[str, AfterValidator(checked_source)]
AccountName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]


def _cash(fraction: float) -> float:
    if not (fraction >= 0.0 or fraction == -math.inf):
        raise ValueError("use a fraction of at least 0, or -.inf for none")
    return fraction


def _uncertified(allowed: bool, others: ValidationInfo) -> bool:
    if allowed and others.data.get("mode") == "live":
        raise ValueError("mode live trades no strategy without a certificate: run `toolkit certify`, and leave this out")
    return allowed


def _model(owner: type, given: Any, *by_mode: str) -> Any:
    """The fields of a dataclass as a section of the file, with the defaults of `given`; None is that of the mode."""
    kinds = {bool: bool, int: int}
    special = {"min_cash": Annotated[float, AfterValidator(_cash)]}
    annotated: dict[str, Any] = {
        f.name: (special.get(f.name) or kinds.get(type(f.default), NotNegative), getattr(given, f.name)) for f in fields(owner)
    }
    annotated |= {name: (annotated[name][0] | None, None) for name in by_mode}
    return create_model(owner.__name__, __config__=STRICT, **annotated)


# Keys that are left out and stand for another value with real money than without it: those of CAREFUL and PAPER, or of
# CAREFUL_LIVE and LIVE.
TIGHTER = [f.name for f in fields(Limits) if getattr(CAREFUL_LIVE, f.name) != getattr(CAREFUL, f.name)]
CostsSection, ExitsSection = _model(Costs, Costs()), _model(Exits, Exits())
LimitsSection = _model(Limits, CAREFUL, *TIGHTER)
OperationsSection = _model(Operations, PAPER, *(f.name for f in fields(Operations)))
MOVED = {"max_net": "max_net", "turnover_day": "max_turnover", "daily_loss": "daily_loss", "max_drawdown": "max_drawdown"}


class OnceEach(yaml.SafeLoader):
    """The safe loader of YAML, which refuses a key that stands twice instead of taking the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        names = [key.value for key, _ in node.value]
        for (key, _), name in zip(node.value, names, strict=True):
            if names.count(name) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} stands twice", key.start_mark)
        return super().construct_mapping(node, deep)


class Named(BaseModel):
    """A strategy or a sizing by its name, with its parameters."""

    model_config = STRICT
    name: str
    parameters: dict[str, int | float] = {}


class CacheConfig(BaseModel):
    """Where bars are kept, how long a record is fresh (seconds; none: judged by the exchange's calendar), how much is kept.

    `max_size` counts assembled Bars in memory; past `quota_mb` nothing more is stored.
    """

    model_config = STRICT
    directory: str | None = None
    ttl: Positive | None = None
    max_size: Annotated[int, Field(ge=1)] = 64
    quota_mb: Positive | None = None

    @property
    def quota(self) -> float | None:
        """In bytes."""
        return None if self.quota_mb is None else 1e6 * self.quota_mb


class BrokerConfig(BaseModel):
    """The broker of the modes `broker-paper` and `live`: its account number, another address than its own, its pace.

    Keys are never here: they come from the environment or the keyring.
    """

    model_config = STRICT
    name: Literal["alpaca"] = "alpaca"
    account: str = ""
    url: str | None = None
    requests_per_minute: Positive = 180.0


class Config(BaseModel):
    """Everything a run needs; every key has a default but `symbols`."""

    model_config = STRICT
    account: AccountName = "demo"
    mode: Literal["replay", "paper", "broker-paper", "live"] = "replay"
    cash: Positive = 100_000.0
    symbols: Symbols
    source: SourceName = "sample"
    calendar: str = "XNYS"
    start: dt.date | None = None
    end: dt.date | None = None
    anchor: dt.date | None = None
    interval_minutes: Positive = 5.0
    max_api_calls_per_cycle: Annotated[int, Field(ge=0)] | None = None
    allow_uncertified: Annotated[bool, AfterValidator(_uncertified)] = False
    past_budget: Literal["stale", "refuse"] = "stale"
    strategy: Named = Named(name="trend_and_rsi")
    sizing: Named = Named(name="equal_weight")
    whole_shares: bool = True
    band: NotNegative | None = None
    order_kind: Literal["market", "limit", "stop"] = "market"
    order_offset: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    time_in_force: Literal["gtc", "day"] = "gtc"
    exits: ExitsSection = ExitsSection()  # type: ignore[valid-type]
    costs: CostsSection = CostsSection()  # type: ignore[valid-type]
    risk: LimitsSection = LimitsSection()  # type: ignore[valid-type]
    operations: OperationsSection = OperationsSection()  # type: ignore[valid-type]
    broker: BrokerConfig = BrokerConfig()
    cache: CacheConfig = CacheConfig()
    state: str = "state"

    def operational(self) -> Operations:
        """The operational limits: what is written, and the defaults of the mode."""
        return replace(LIVE if self.mode == "live" else PAPER, **_written(self.operations))

    def economics(self) -> tuple[Costs, Limits, Policy, Exits]:
        """Costs, limits, policy and exits as values."""
        band = math.inf if self.band is None else self.band
        policy = Policy(self.whole_shares, band, self.order_kind, self.order_offset, self.time_in_force)
        limits = replace(CAREFUL_LIVE if self.mode == "live" else CAREFUL, **_written(self.risk))
        return Costs(**vars(self.costs)), limits, policy, Exits(**vars(self.exits))


def _written(section: BaseModel) -> dict[str, Any]:
    """The values that are not left to the mode."""
    return {name: value for name, value in vars(section).items() if value is not None}


def read_config(path: str | Path, **overrides: Any) -> Config:
    """The configuration in a YAML file, keys replaced by `overrides`; relative folders are relative to the file.

    Raises ConfigError with file, key, value and what is allowed.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error})", "check the path") from error
    try:
        raw = OnceEach(text).get_single_data()
    except ValueError as error:  # a date such as 2012-02-30
        raise ConfigError(f"{path} holds a value that cannot be ({error})", "mend the date or number") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise ConfigError(
            f"{path} is not YAML{where} ({problem})", "look for a missing colon, quote or indent there"
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} holds {type(raw).__name__}, not keys with values", "write e.g. `symbols: [AAPL, IBM]`")
    values = {**raw, **overrides}
    home = path.resolve().parent
    if isinstance(state := values.get("state", "state"), str):
        values["state"] = str(home / Path(state).expanduser())
    if isinstance(source := values.get("source"), str) and source.startswith("folder:"):
        values["source"] = "folder:" + str(home / Path(source.removeprefix("folder:")).expanduser())
    cache = values.get("cache")
    if isinstance(cache, dict) and isinstance(cache.get("directory"), str):
        values["cache"] = {**cache, "directory": str(home / Path(cache["directory"]).expanduser())}
    return checked_config(values, str(path))


def checked_config(values: dict[str, Any], origin: str = "configuration") -> Config:
    """A configuration from plain values; ConfigError in one sentence for the first that does not fit."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        key = ".".join(str(part) for part in first["loc"])
        others = f" (and {more} more)" if more else ""
        if first["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            raise ConfigError(f"{origin}: unknown key {key!r}{others}", _known(first["loc"])) from None
        if first["type"] == "missing":
            raise ConfigError(f"{origin}: key {key!r} is missing{others}", "add it") from None
        shown = f"is {first['input']!r}"
        if first["loc"][0] == "broker":  # where somebody may have written a key
            shown = "cannot be what is written there"
        raise ConfigError(f"{origin}: {key} {shown}{others}", _cure(first["type"], first["msg"], first["loc"])) from None


def _cure(kind: str, message: str, location: tuple[int | str, ...]) -> str:
    if kind in {"model_type", "model_attributes_type", "dataclass_type"}:
        return f"write keys below it; {_known((*location, ''))}"
    if kind == "dict_type":
        return "write names with their values below it"
    if kind == "list_type":
        return "write a list, such as [AAPL, IBM]"
    if kind == "too_short":
        return "write at least one"
    message = message.removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _known(location: tuple[int | str, ...]) -> str:
    """The keys allowed where an unknown one was found, the nearest first."""
    if location[0] == "operations" and location[-1] in MOVED:
        return f"it cuts orders, in a backtest too: write it under risk, as {MOVED[str(location[-1])]}"
    owner: Any = Config
    for part in location[:-1]:
        owner = {
            "strategy": Named,
            "sizing": Named,
            "cache": CacheConfig,
            "costs": Costs,
            "risk": Limits,
            "exits": Exits,
            "operations": Operations,
            "broker": BrokerConfig,
        }.get(str(part), owner)
    names = list(getattr(owner, "model_fields", None) or owner.__dataclass_fields__)
    near = get_close_matches(str(location[-1]), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed are {', '.join(names)}"
