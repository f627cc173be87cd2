"""What can be set: a model's hyper-parameters, and a whole experiment as TOML."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from matinee import renamed
from matinee.errors import MatineeError, did_you_mean

SplitMethod = Literal["random", "leave-last", "time", "new-users", "k-fold", "session", "files"]
FilterOrder = Literal["users-items", "items-users", "fixed-point"]
InputParts = Literal["train", "train+valid"]
PartName = Literal["valid", "test"]
Predicted = Literal["every", "last"]


@dataclass(frozen=True, slots=True)
class Search:
    """The range that tuning may try for a field: from low to high, even in the logarithm where log is set."""

    low: float
    high: float
    log: bool = False


class Config(BaseModel):
    """A frozen set of named values; an unknown name is an error. A field's docstring is its description."""

    # built when first used: the command line needs the fields of all, and the validators of few
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)


class FilterConfig(Config):
    """Which events of a log are used. Value and dates are cut first, then rare users and items."""

    min_user_events: int = Field(0, ge=0)
    """Least events of a user."""
    min_item_events: int = Field(0, ge=0)
    """Least events of an item."""
    filter_order: FilterOrder = "users-items"
    """One pass over users then items, items then users, or both until nothing changes."""
    min_value: float | None = None
    """Least value (rating) of an event."""
    since: str | None = None
    """First moment, as an ISO date or time (UTC)."""
    until: str | None = None
    """Moment after the last, as an ISO date or time (UTC)."""
    sample_users: int | None = Field(None, ge=1)
    """Keep this many users, drawn by the seed."""


class SplitConfig(Config):
    """How a log is cut into train, valid and test."""

    split: SplitMethod = "random"
    """The method."""
    ratios: tuple[float, float, float] = (0.70, 0.15, 0.15)
    """Shares of train, valid and test: of each user's events (random), of all events (time), of users (new-users),
    of sessions (session)."""
    seed: int = 42
    """Decides every draw."""
    at: tuple[str, ...] = ()
    """time: the moments (ISO) where valid and test begin, in place of the shares; one moment means no valid."""
    input_share: float = Field(0.8, gt=0, lt=1)
    """new-users: the share of a held-out user's events that the model is shown."""
    folds: int = Field(5, ge=2)
    """k-fold: how many."""
    fold: int = Field(0, ge=0)
    """k-fold: which fold is test; the next one is valid."""
    gap: str = "1h"
    """session: a longer pause of a user ends a session; a number of s, m, h or d."""
    min_length: int = Field(2, ge=2)
    """session: shorter sessions are left out."""
    earlier: bool = False
    """session: whether a user's earlier sessions are part of their histories, or each session stands alone."""
    path: str | None = None
    """files: the folder that holds train, valid and test tables."""


class Rerank(Config):
    """What a person asks of a list beside their history. Its defaults change nothing."""

    genres: tuple[str, ...] = ()
    """Only items with at least one of these."""
    from_year: int | None = Field(None, ge=0, le=9999)
    """Only items of this year or later."""
    to_year: int | None = Field(None, ge=0, le=9999)
    """Only items of this year or earlier."""
    novelty: float = Field(0.0, ge=-1, le=1)
    """Above 0 little known items come up, below 0 familiar ones; at 1 and -1 nothing else counts."""
    diversity: float = Field(0.0, ge=0, le=1)
    """How much an item's likeness to those above it counts against it; at 1 nothing else counts."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return parse_rerank(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _years_in_order(self) -> "Rerank":
        if self.from_year is not None and self.to_year is not None and self.from_year > self.to_year:
            raise ValueError(f"from_year {self.from_year} lies after to_year {self.to_year}")
        return self

    @property
    def filters(self) -> bool:
        """Whether any item is ruled out."""
        return bool(self.genres) or self.from_year is not None or self.to_year is not None

    @property
    def reorders(self) -> bool:
        """Whether the order of items changes."""
        return bool(self.novelty or self.diversity)

    def __str__(self) -> str:
        """As given on the command line; only what differs from the defaults."""
        values = self.model_dump(exclude_defaults=True)
        if self.genres:
            values["genres"] = "|".join(self.genres)
        return ",".join(f"{key}={value}" for key, value in values.items())


class EvaluationConfig(Config):
    """What is measured, and on what."""

    k: tuple[int, ...] = (5, 10, 20)
    """List lengths."""
    on: PartName = "test"
    """The part whose targets are to be found."""
    inputs: InputParts = "train+valid"
    """What a model is shown at test time. Valid items stay masked either way."""
    refit: InputParts = "train"
    """What a model learns from before the test."""
    rebuild_graph: bool = False
    """Rebuild a graph model's graph from what is shown, all users' at once, before it ranks; nothing is learned."""
    samples: int = Field(1000, ge=100)
    """Bootstrap samples behind each interval."""
    predict: Predicted = "every"
    """session: every event after the first of a session is to be found from those before it, or only the last."""
    repeat: bool = False
    """Whether lists may hold what was seen, and targets be seen before."""
    rerank: Rerank | None = None
    """Lists reranked as on the site, such as novelty=0.5,diversity=0.3,genres=Comedy|Drama,from_year=1980."""


class ColumnsConfig(Config):
    """The columns of a table that is no MovieLens, sniffed where left out."""

    user: str | None = None
    item: str | None = None
    value: str | None = None
    at: str | None = None
    scale: tuple[float, float] | None = None
    """The lowest and the highest value that the log may hold; one outside is an error."""

    @field_validator("scale")
    @classmethod
    def _rises(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale is not None and not scale[0] < scale[1]:
            raise ValueError("a scale goes from its lowest value to a higher one, such as 0.5,5")
        return scale


class Experiment(Config):
    """One experiment, whole: `matinee evaluate --config FILE` runs it."""

    model: str | None = None
    """A name from the registry."""
    data: str = "bundled"
    """`bundled`, the name of a data set, or a path."""
    columns: ColumnsConfig = ColumnsConfig()
    filters: FilterConfig = FilterConfig()
    split: SplitConfig = SplitConfig()
    settings: dict[str, Any] = {}
    """The model's hyper-parameters."""
    evaluation: EvaluationConfig = EvaluationConfig()


ConfigT = TypeVar("ConfigT", bound=Config)


def configure(kind: type[ConfigT], values: Mapping[str, object], where: str) -> ConfigT:
    """Build a config from values. Raises MatineeError naming `where`, the field and the mend."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise MatineeError(f"{where}: {_first_problem(kind, error)}") from None


def read_experiment(path: Path) -> Experiment:
    """The experiment in a TOML file. Raises MatineeError if it is missing, no TOML, or has an unknown key."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except FileNotFoundError:
        raise MatineeError(f"no config file {path}; configs/ in the project has one for each model") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MatineeError(f"{path} cannot be read as TOML: {error}") from None
    return configure(Experiment, values, str(path))


def parse_settings(pairs: Sequence[str]) -> dict[str, object]:
    """`["l2=200", "weighting=bm25"]` -> `{"l2": 200, "weighting": "bm25"}`. Raises MatineeError without `=`."""
    settings: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise MatineeError(f"--set {pair!r} is not key=value; for example --set l2=200")
        settings[key.strip().replace("-", "_")] = _parse_value(text.strip())
    return settings


def parse_rerank(text: str) -> dict[str, object]:
    """`novelty=0.5,genres=Comedy|Drama` -> `{"novelty": "0.5", "genres": ("Comedy", "Drama")}`."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    found: dict[str, object] = {key.strip().replace("-", "_"): value.strip() for key, _, value in pairs}
    if "genres" in found:
        found["genres"] = tuple(genre.strip() for genre in str(found["genres"]).split("|") if genre.strip())
    return found


def _parse_value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _first_problem(kind: type[Config], error: ValidationError) -> str:
    problem = error.errors()[0]
    path = [str(part) for part in problem["loc"]]
    field = ".".join(path) or "value"
    if problem["type"] == "extra_forbidden":
        fields = _fields_at(kind, path[:-1])
        if (today := renamed.SETTINGS.get(path[-1])) in fields:
            return f"{field!r} has been renamed; write {today!r}"
        return f"unknown key {field!r}{did_you_mean(path[-1], fields)}"
    given = problem.get("input")
    if problem["type"] == "literal_error" and isinstance(given, str):
        options = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"{field} = {given!r} is unknown{did_you_mean(given, options)}"
    said: str = problem["msg"].removeprefix("Value error, ")
    return f"{field} = {given!r}: {said}" if path else said  # of settings together the validator names them itself


def _fields_at(kind: type[Config], path: Sequence[str]) -> list[str]:
    for part in path:
        inner = kind.model_fields[part].annotation if part in kind.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, Config)):
            return []
        kind = inner
    return list(kind.model_fields)
