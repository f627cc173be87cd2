"""Settings: the base of every model's hyper-parameters, and the parts of an experiment."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from matinee.errors import MatineeError
from matinee.problems import first_problem

SplitMethod = Literal[
    "random", "leave-last", "leave-random", "time", "new-users", "new-items", "k-fold", "session", "files"
]
FilterOrder = Literal["users-items", "items-users", "fixed-point"]
SplitParts = Literal["train", "train+valid"]
PartName = Literal["valid", "test"]
SessionTargets = Literal["every", "last"]
Masked = Literal["seen", "train", "none"]
ValueMapKind = Literal["default", "unary", "linear", "log", "steps"]
LARGEST = 2**53 - 1
"""The largest integer of a setting."""


@dataclass(frozen=True, slots=True)
class Search:
    """The search range of a field for tuning.

    log: sample uniformly in the logarithm; first: one of the few that a short search changes, because it decides most.
    """

    low: float
    high: float
    log: bool = False
    first: bool = False


class Config(BaseModel):
    """Base of all configs: frozen, unknown names are errors, a field's docstring is its description."""

    # validators are built on first use: the command line reads the fields of all configs but validates few
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_boolean(cls, value: object, info: ValidationInfo) -> object:
        """Refuse true and false for a number, which pydantic takes for 1 and 0."""
        elements = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(element, bool) for element in elements):
            kinds = set(_leaves(cls.model_fields[str(info.field_name)].annotation))
            if bool not in kinds and kinds & {int, float}:
                raise ValueError("is not a number")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _is_exact(cls, value: object) -> object:
        """Refuse integers that arrays and JSON cannot hold exactly."""
        for element in value if isinstance(value, tuple) else [value]:
            if isinstance(element, int) and abs(element) > LARGEST:
                raise ValueError(f"must be at most {LARGEST}")
        return value


class FilterConfig(Config):
    """Which events of a log are used. Dates and values are filtered first, then rare users and items."""

    min_user_events: int = Field(0, ge=0)
    """Drop users with fewer events."""
    min_item_events: int = Field(0, ge=0)
    """Drop items with fewer events."""
    filter_order: FilterOrder = "users-items"
    """One pass over users then items, items then users, or passes over both until nothing changes."""
    min_value: float | None = None
    """Drop events with a lower value (rating)."""
    since: str | None = None
    """Keep events from this time on: an ISO date or time (UTC)."""
    until: str | None = None
    """Keep events before this time: an ISO date or time (UTC)."""
    sample_users: int | None = Field(None, ge=1)
    """Keep a random sample of this many users."""

    @field_validator("since", "until", mode="before")
    @classmethod
    def _written(cls, time: object) -> object:
        return _iso(time)


class SplitConfig(Config):
    """How a log is cut into train, valid and test."""

    split: SplitMethod = "random"
    """The split method."""
    ratios: tuple[float, float, float] = (0.70, 0.15, 0.15)
    """Ratios of train, valid and test: of each user's events (random), of all events (time), of users (new-users),
    of items (new-items), of sessions (session)."""
    by: Literal["user", "item"] = "user"
    """random: whose events are cut by the ratios, each user's or each item's (stratified by item)."""
    rest: Literal["last", "train"] = "last"
    """random: where the events go that rounding down leaves over: to the last part, or to train."""
    repeats: int = Field(1, ge=1, le=1000)
    """random: how many splits are drawn, by `seed` and the seeds after it; a user's value is the mean over them."""
    seed: int = Field(42, ge=0)
    """The random seed."""
    at: tuple[str, ...] = ()
    """time: the times (ISO) at which valid and test begin, instead of ratios; a single time means no valid."""
    input_share: float = Field(0.8, gt=0, lt=1)
    """new-users: the share of a held-out user's events that are inputs; the rest are targets."""
    folds: int = Field(5, ge=2, le=1000)
    """k-fold: the number of folds."""
    fold: int = Field(0, ge=0)
    """k-fold: the fold that is test; the next one is valid."""
    gap: str = "1h"
    """session: a longer pause ends a session; a number of s, m, h or d."""
    min_length: int = Field(2, ge=2)
    """session: drop shorter sessions."""
    earlier: bool = False
    """session: include a user's earlier sessions in the history."""
    path: str | None = None
    """files: the folder with train, valid and test tables."""

    @field_validator("at", mode="before")
    @classmethod
    def _written(cls, times: object) -> object:
        """A single time is one of them."""
        return [_iso(time) for time in (times if isinstance(times, list | tuple) else [times])]


class Rerank(Config):
    """Filters and weights of a re-ranked list. The defaults change nothing."""

    genres: tuple[str, ...] = ()
    """Only items with at least one of these genres."""
    from_year: int | None = Field(None, ge=0, le=9999)
    """Only items from this year or later."""
    to_year: int | None = Field(None, ge=0, le=9999)
    """Only items from this year or earlier."""
    novelty: float = Field(0.0, ge=-1, le=1)
    """Weight of item novelty: above 0 prefers obscure items, below 0 popular ones; at 1 or -1 only novelty counts."""
    diversity: float = Field(0.0, ge=0, le=1)
    """Weight of the MMR penalty on similarity to items ranked above; at 1 only the penalty counts."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return parse_rerank(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _years_in_order(self) -> "Rerank":
        if self.from_year is not None and self.to_year is not None and self.from_year > self.to_year:
            raise ValueError(f"from_year {self.from_year} is after to_year {self.to_year}")
        return self

    @property
    def filters(self) -> bool:
        """Whether any item is filtered out."""
        return bool(self.genres) or self.from_year is not None or self.to_year is not None

    @property
    def reorders(self) -> bool:
        """Whether the order of the items changes."""
        return bool(self.novelty or self.diversity)

    def __str__(self) -> str:
        """The non-default values, in the form the command line reads."""
        values = self.model_dump(exclude_defaults=True)
        if self.genres:
            values["genres"] = "|".join(self.genres)
        return ",".join(f"{key}={value}" for key, value in values.items())


class EvaluationConfig(Config):
    """How a model is evaluated."""

    k: tuple[Annotated[int, Field(ge=1)], ...] = Field((5, 10, 20), min_length=1)
    """Cutoffs of the metrics (list lengths)."""
    on: PartName = "test"
    """The part whose targets are predicted."""
    inputs: SplitParts = "train+valid"
    """The events in the histories at test time. Valid items are masked either way."""
    refit: SplitParts = "train"
    """The events a model is fitted on before the test."""
    rebuild_graph: bool = False
    """Rebuild a graph model's graph from all inputs before ranking, without training."""
    samples: int = Field(1000, ge=100, le=100_000)
    """Bootstrap samples per confidence interval."""
    predict: SessionTargets = "every"
    """session: predict every event of a session after the first, or only the last."""
    repeat: bool = False
    """Allow seen items in lists and among targets."""
    mask: Masked = "seen"
    """Items that lists leave out: all `seen` (the inputs, and valid at test time), those of `train` only, or `none`."""
    candidates: str | None = None
    """The items that each user's list may have. A file, such as of a target and 99 sampled negatives: a table of users
    and items, or NCF's own file. Or a number: beside the targets so many items that the user has no event with, drawn
    by the split's seed. Results are labelled as sampled."""
    relevant_from: float | None = None
    """Only targets of this value (rating) and more are relevant. The others stay candidates: to list one is a miss."""
    liked_from: float | None = None
    """A target of this value and more counts as liked; without it 4 of 5 stars, or as far up another scale."""
    disliked_to: float | None = None
    """A target of this value and less counts as disliked; without it 2 of 5 stars, or as far up another scale."""
    explanations: bool = False
    """Test the reasons of the lists: whether items fall without the events that explain them."""
    rerank: Rerank | None = None
    """Re-rank lists as on the site, for example novelty=0.5,diversity=0.3,genres=Comedy|Drama,from_year=1980."""

    @field_validator("candidates", mode="before")
    @classmethod
    def _number_of_candidates(cls, value: object) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and (value.startswith("-") or (value.isdecimal() and not int(value))):
            raise ValueError("a number of drawn items is at least 1, such as 99")
        return value


class ColumnsConfig(Config):
    """The columns of a table that is not MovieLens; the rest are recognised by name."""

    user: str | None = None
    item: str | None = None
    value: str | None = None
    at: str | None = None
    scale: tuple[float, float] | None = None
    """The lowest and highest valid value; any other is an error."""
    kind: str | None = None
    """Column of the kinds of events, such as view and purchase; recognised by name if left out."""
    kinds: tuple[str, ...] = ()
    """The kinds of events that count, each with its weight if they differ, such as view=0.2,purchase=1."""
    drop_blank: bool = False
    """Drop lines in which the user, item, value or time is blank, and count them; otherwise they are an error."""
    encoding: str | None = None
    """Encoding of text files that are not UTF-8, such as cp1252, cp949 or utf-16-le."""

    @property
    def named(self) -> dict[str, str]:
        """The column of each role that is configured: user, item, value, at."""
        roles = ("user", "item", "value", "at")
        return {role: name for role in roles if (name := getattr(self, role)) is not None}

    @field_validator("scale")
    @classmethod
    def _ascending(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        return _ascending_scale(scale)

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        return _known_encoding(encoding)


class ItemColumnsConfig(Config):
    """The columns of a table of items. Those left out are recognised by name."""

    item: str | None = None
    """Column of ids, those of the log."""
    title: str | None = None
    """Column of titles; a year in brackets at their end is read where there is no column of years."""
    year: str | None = None
    """Column of years."""
    genres: str | None = None
    """Column of genres or categories: lists, or text with `|`, `;` or `,` between."""
    text: tuple[str, ...] = ()
    """Columns of running text: descriptions, abstracts."""
    lists: tuple[str, ...] = ()
    """Columns of lists, or text as for genres: people, brands, tags, materials."""
    numbers: tuple[str, ...] = ()
    """Columns of numbers: a price, a length."""
    link: str | None = None
    """Column of links."""
    picture: str | None = None
    """Column of pictures."""
    credit: str | None = None
    """Column that says whose the texts, people and pictures are: source, licence, an address."""


class ItemsConfig(ItemColumnsConfig):
    """A file of items: one row an item, whether it has events or not."""

    file: str | None = None
    """A table of items (CSV, TSV, Parquet, JSON lines): ids, titles, genres, texts, lists, numbers, pictures."""
    encoding: str | None = None
    """Encoding of a text file that is not UTF-8, such as cp1252, cp949 or utf-16-le."""
    scale: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Factor of the scores of items without events: above 1 they stand higher among all items."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        return _known_encoding(encoding)


class ValuesConfig(Config):
    """How an event's value (stars, plays, hours) weighs in a history, as text `unary` or `linear:1=-0.5,3=0.5,5=1`."""

    map: ValueMapKind = "default"
    """`default`: chosen by the log; `unary`: every event weighs 1; `linear`, `log`: interpolated between knots, by
    value or by log(1 + value); `steps`: the weight of the last knot at or below the value, 0 below the first."""
    knots: tuple[tuple[float, float], ...] = ()
    """Pairs of a value and its weight, values rising; values beyond the first and last knot weigh as these. Weights
    below 0 count against an item. Without knots, `linear` and `log` take them from the log's scale."""
    scale: tuple[float, float] | None = None
    """Lowest and highest value of the scale; without it, recognised from the log."""
    neutral: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Weight of an event without a value, such as a watch; without it, the mean weight of the log's events."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return parse_values(value) if isinstance(value, str) else value

    @field_validator("scale")
    @classmethod
    def _ascending(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        return _ascending_scale(scale)

    @model_validator(mode="after")
    def _knots_fit(self) -> "ValuesConfig":
        if self.map in ("default", "unary") and self.knots:
            raise ValueError(f"knots go with the maps linear, log and steps, not with {self.map}")
        if self.map == "steps" and not self.knots:
            raise ValueError("steps need knots, such as steps:3=0.5,4=1")
        if not self.knots:
            return self
        if not all(math.isfinite(number) for knot in self.knots for number in knot):
            raise ValueError("values and weights of knots are finite numbers")
        for (value, weight), (next_value, next_weight) in pairwise(self.knots):
            if next_value <= value:
                raise ValueError(f"knot {next_value:g} comes after {value:g}; give knots by rising value, each once")
            if next_weight < weight:
                raise ValueError(f"the weight falls from {weight:g} to {next_weight:g} at value {next_value:g}")
        if self.knots[-1][1] <= 0:
            raise ValueError("no value has a weight above 0, so no history would count")
        if self.map == "log" and self.knots[0][0] <= -1:
            raise ValueError(f"log needs values above -1, and there is a knot at {self.knots[0][0]:g}")
        return self

    def __str__(self) -> str:
        """In the form the command line reads."""
        knots = ",".join(f"{value:.6g}={weight:.6g}" for value, weight in self.knots)
        return f"{self.map}:{knots}" if knots else self.map


ConfigT = TypeVar("ConfigT", bound=Config)


def configure(
    kind: type[ConfigT], values: Mapping[str, object], where: str, typed: Mapping[str, str] | None = None
) -> ConfigT:
    """Build a config from values. Raises MatineeError with the field, what is wrong with it and how to fix it.

    where: what the values are, for the message. typed: fields by dotted path as they were written on the command line,
    such as {"split.seed": "--seed -1"}; a problem with one of them names it so, without `where`.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise MatineeError(first_problem(kind, error, where, typed or {})) from None
    except RecursionError:
        raise MatineeError(f"{where}: nested too deeply") from None


def parse_rerank(text: str) -> dict[str, object]:
    """`novelty=0.5,genres=Comedy|Drama` -> `{"novelty": "0.5", "genres": ("Comedy", "Drama")}`. Raises ValueError."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not pairs or not all(equals for _, equals, _ in pairs):
        raise ValueError("is not key=value,...; for example novelty=0.5,diversity=0.3,genres=Comedy|Drama")
    values: dict[str, object] = {key.strip().replace("-", "_"): value.strip() for key, _, value in pairs}
    if "genres" in values:
        values["genres"] = tuple(genre.strip() for genre in str(values["genres"]).split("|") if genre.strip())
    return values


def parse_values(text: str) -> dict[str, object]:
    """`linear:1=-0.5,5=1` -> `{"map": "linear", "knots": (("1", "-0.5"), ("5", "1"))}`. Raises ValueError."""
    kind, _, rest = text.partition(":")
    knots = [part.partition("=") for part in rest.split(",") if part.strip()]
    if not all(equals for _, equals, _ in knots):
        raise ValueError(f"{text!r}: a knot is VALUE=WEIGHT, as in linear:1=-0.5,3=0.5,5=1")
    return {"map": kind.strip()} | ({"knots": tuple((value, weight) for value, _, weight in knots)} if knots else {})


def _iso(time: object) -> object:
    """A date or time as text; others as they are."""
    return time.isoformat() if isinstance(time, date) else time


def _known_encoding(encoding: str | None) -> str | None:
    """An encoding of text that Python knows. Raises ValueError otherwise."""
    if encoding is None:
        return None
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        raise ValueError("is no encoding that Python knows; usual ones are cp1252, latin-1, cp949, utf-16") from None
    return encoding


def _ascending_scale(scale: tuple[float, float] | None) -> tuple[float, float] | None:
    if scale is not None and not scale[0] < scale[1]:
        raise ValueError("a scale is its lowest value and a higher one, such as 0.5,5")
    return scale


def _leaves(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - any annotation
    """The types that an annotation is made of: `tuple[float, float] | None` -> float, float, NoneType."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for argument in get_args(annotation):
        yield from _leaves(argument)
