"""Requests and answers of the API."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from matinee.ranking.explain import Method
from matinee.ranking.recommendation import Recommendation
from matinee.renamed import EVENT_KINDS
from matinee.serve.pages.i18n import Texts
from matinee.serve.pages.sentences import sentence
from matinee.serve.site import Site
from matinee.store.protocols import Kind
from matinee.titles import titled


def _current_name(kind: object) -> object:
    return EVENT_KINDS.get(kind, kind) if isinstance(kind, str) else kind


def _whole(value: object) -> object:
    if isinstance(value, list):
        return [_whole(each) for each in value] if {float, list} & set(map(type, value)) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Strict(BaseModel):
    """A model that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class StrictIn(Strict):
    """A body that is read as it is written: "4" is no number, and false is not 0."""

    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, sent: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        """JSON has one kind of numbers: 4.0 is the whole number 4."""
        return {name: _whole(value) for name, value in sent.items()} if isinstance(sent, dict) else sent


class ItemOut(Strict):
    """An item of the catalogue."""

    item_id: int | str
    title: str
    year: int | None
    genres: list[str]
    popularity: int
    """Training events."""
    withdrawn: bool = False
    """It is in no list and no search any more."""


ItemId = Annotated[int, Field(strict=True)] | Annotated[str, Field(strict=True, max_length=200)]
UserIdIn = Annotated[int, Field(strict=True)] | Annotated[str, Field(strict=True, min_length=1, max_length=200)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Line = Annotated[str, Field(min_length=1, max_length=500)]


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What a title or word of one line has not: line breaks, and letters that steer a terminal."""


def _lines_of(value: str | list[str] | dict[str, list[str]]) -> list[str]:
    """The texts of a field that stand on one line, names of columns among them."""
    if isinstance(value, str):
        return [value]
    return [*value, *(word for words in value.values() for word in words)] if isinstance(value, dict) else value


class ItemIn(StrictIn):
    """An item as it is from now on. Fields that are left out are empty."""

    title: Line
    year: int | None = Field(None, ge=0, le=9999)
    genres: list[Name] = Field([], max_length=50)
    """Its categories."""
    lists: dict[Name, Annotated[list[Line], Field(max_length=200)]] = Field({}, max_length=50)
    """Words by the name of their column, such as people or tags."""
    texts: dict[Name, Annotated[str, Field(max_length=100_000)]] = Field({}, max_length=50)
    """Running text by the name of its column, such as a description."""
    numbers: dict[Name, Annotated[float, Field(allow_inf_nan=False)]] = Field({}, max_length=50)
    """Numbers by the name of their column, such as a price."""
    link: str = Field("", max_length=2000, pattern=r"^(https?://[^\s]+)?$")
    """Where more is said of it: http or https."""
    picture: str = Field("", max_length=200)
    """The name of a file in the site's folder of pictures."""
    credit: str = Field("", max_length=500)
    """Whose the texts, people and picture are: source, licence, an address."""

    @field_validator("title", "genres", "lists", "texts", "numbers")
    @classmethod
    def _are_texts(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - a field of any type
        lines = _lines_of(value) if info.field_name in ("title", "genres", "lists") else list(value)
        texts = list(value.values()) if info.field_name == "texts" else []
        if any(0xD800 <= ord(letter) < 0xE000 or letter == "\0" for text in [*lines, *texts] for letter in text):
            raise ValueError("it has letters that no text has")
        if any(CONTROL.search(line) for line in lines):
            raise ValueError("it has line breaks or control letters; write it on one line")
        if not all(any(letter.isprintable() and not letter.isspace() for letter in line) for line in lines):
            raise ValueError("it is blank")
        return value

    @field_validator("lists")
    @classmethod
    def _have_no_genres(cls, lists: dict[str, list[str]]) -> dict[str, list[str]]:
        if "genres" in lists:
            raise ValueError("genres have a field of their own")
        return lists

    @field_validator("link", "credit")
    @classmethod
    def _is_visible(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("it has letters that cannot be seen")
        return text


class ItemKept(ItemOut):
    """An item after it was added or changed."""

    recommendable: bool
    """Whether a served model predicts it from its features."""
    notes: list[str]
    """Sentences on what was kept but is not used."""


Matched = Literal["title", "meaning", "popularity"]


class FoundOut(ItemOut):
    """An item that a search found."""

    matched: Matched
    """What matches the query: its title, or what is known of it; popularity without a query."""


class BecauseOut(Strict):
    """An event of the history that contributes to a recommendation."""

    item_id: int | str
    title: str
    value: float | None = None
    """The rating; none of an event without one, such as a watch."""
    contribution: float
    """What it adds to the score."""


class SharedOut(Strict):
    """A word that an item and its reasons have in common, and the column that it stands in."""

    attribute: str
    value: str


class RecommendationOut(Strict):
    """One recommendation; the first has rank 1."""

    rank: int
    item_id: int | str
    title: str
    year: int | None = None
    genres: list[str]
    score: float
    model: str
    """The model that recommends it: `popularity` without a history."""
    because: list[BecauseOut] | None = None
    """Only with explain=true: the events without which the score drops, strongest first."""
    shared: SharedOut | None = None
    """What the item and its reasons have in common, if they do."""
    sentence: str | None = None
    """The reasons in words, in the language that the request accepts."""


class ListOut(Strict):
    """A list; events may refer to it by its list_id. notes: sentences on ids that no item has."""

    list_id: str
    model: str
    version: str
    """Of the artefact that made the list."""
    history_length: int | None = None
    items: list[RecommendationOut]
    notes: list[str] | None = None
    offset: int | None = None
    """Only of a list that is kept, asked for with `offset`: where this page begins."""
    next_offset: int | None = None
    """Where the next page begins, if there is one."""
    total: int | None = None
    """Items of the kept list."""
    expires: int | None = None
    """Until when it is kept, UTC seconds."""


class UserListOut(ListOut):
    """A list for one of the users that were asked for."""

    user_id: int | str | None = None


class UserListsOut(Strict):
    """A list for each user, in the order of the request. notes: sentences on ids that no item has."""

    lists: list[UserListOut]
    notes: list[str] | None = None


class WhyOut(Strict):
    """Why an item has its score."""

    item_id: int | str
    model: str
    method: Method
    """exact: contributions and share sum to the score; left-out: the fall of the score without the event; parts: about
    that fall, from the parts of the score, of all events."""
    score: float
    share: float
    """The part of the score that does not depend on the history."""
    looked_at: int
    """How many events, the last ones, were examined."""
    because: list[BecauseOut]


class CounterfactualOut(Strict):
    """What would move an item out of the first k of a list, or into it."""

    item_id: int | str
    model: str
    goal: Literal["leave", "enter"]
    k: int
    rank_before: int
    rank_after: int
    found: bool
    """Whether `removed` and `added` do it; otherwise nothing that was tried does."""
    smallest: bool
    """Whether no smaller set of the changes that were tried does it."""
    removed: list[ItemOut]
    """Items of the history, without which the list is made."""
    added: list[ItemOut]
    """Items that are liked besides."""


class EventIn(StrictIn):
    """Something a user did with an item."""

    item_id: ItemId
    kind: Annotated[Kind, Field(max_length=100), BeforeValidator(_current_name)]
    """One of the site's kinds: those of its data, and more, less, click, dismissed and restored."""
    value: float | None = Field(None, ge=0.5, le=5, multiple_of=0.5, allow_inf_nan=False)
    """A rating's value, 0.5 to 5 in half stars; other kinds have none and count 1."""
    at: int | None = Field(None, ge=0)
    """UTC seconds; now by default."""
    event_id: str | None = Field(None, min_length=1, max_length=100)
    """Your own id for the event: sent twice, it is written once; with other content it is refused (409)."""
    user_id: UserIdIn | None = Field(None)
    """Any user, with an API key that has the scope write; by default the visitor of this session."""
    model: str | None = Field(None, max_length=100)
    list_id: str | None = Field(None, max_length=100)
    position: int | None = Field(None, ge=1, le=10_000)


class EventsOut(Strict):
    """How many of the events were new."""

    accepted: int
    duplicates: int


class RowOut(Strict):
    """What became of one event of a batch. row: its position, from 0; reason: why it was rejected."""

    row: int
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str | None = None


class RowsOut(Strict):
    """What became of the events of a batch, counted and by row."""

    accepted: int
    duplicate: int
    rejected: int
    rows: list[RowOut]


class ErasedOut(Strict):
    """A user that was erased. events: how many were deleted; in_training: whether models were fitted on the user."""

    user_id: str
    events: int
    in_training: bool


class Health(Strict):
    """The state of the site."""

    status: Literal["alive", "ready", "degraded", "not ready"]
    """degraded: lists are served, but nothing can be written, or a promoted version is refused."""
    why: list[str] = []
    lists_waiting: int = 0
    """Displayed lists that are not logged yet."""
    lists_dropped: int = 0
    """Displayed lists since the start that were never logged, because the database could not be written."""
    models: list[str] = []
    items: int = 0
    version: int | None = None
    """Of the registry, if the site serves one; another that was promoted and refused is in `why`."""
    lists: list[str] = []
    """How the lists of each model are made, where the site was asked for approximate indexes."""


def item_out(site: Site, row: int) -> ItemOut:
    """An item of the catalogue by its row."""
    return ItemOut(
        item_id=site.engine.items.id(row),
        title=site.catalogue.titles[row],
        year=site.catalogue.years[row] or None,
        genres=list(site.catalogue.genres[row]),
        popularity=int(site.engine.popularity[row]),
        withdrawn=not site.is_listed(row),
    )


def found_out(site: Site, row: int, matched: Matched) -> FoundOut:
    """An item that a search found, by its row."""
    return FoundOut(**item_out(site, row).model_dump(), matched=matched)


def because_out(site: Site, row: int, value: float | None, contribution: float) -> BecauseOut:
    """An event with what it adds to a score."""
    return BecauseOut(**_because(site, row, value, contribution))


def recommendation_out(site: Site, item: Recommendation, rank: int, *, texts: Texts | None = None) -> RecommendationOut:
    """One recommendation of a list, explained in the language of the texts if there are any."""
    return RecommendationOut(**recommendation_fields(site, item, rank, texts))


def recommendation_fields(site: Site, item: Recommendation, rank: int, texts: Texts | None) -> dict[str, Any]:
    """The fields of a RecommendationOut in their order, without those that are None: plain values, quick to write."""
    row = item.item_row
    fields: dict[str, Any] = {"rank": rank, "item_id": item.item_id, "title": site.catalogue.titles[row]}
    if year := site.catalogue.years[row]:
        fields["year"] = year
    fields |= {"genres": list(site.catalogue.genres[row]), "score": item.score, "model": item.model}
    if texts is None:
        return fields
    fields["because"] = [_because(site, one.item_row, one.value, one.contribution) for one in item.reasons]
    if item.shared:
        fields["shared"] = {"attribute": item.shared.attribute, "value": item.shared.value}
    if item.reasons:
        fields["sentence"] = _sentence(site, item, texts)
    return fields


def _because(site: Site, row: int, value: float | None, contribution: float) -> dict[str, Any]:
    """The fields of a BecauseOut, as `recommendation_fields`."""
    fields: dict[str, Any] = {"item_id": site.engine.items.id(row), "title": site.catalogue.titles[row]}
    if (stars := site.stars_of(value)) is not None:
        fields["value"] = stars
    return fields | {"contribution": contribution}


def _sentence(site: Site, item: Recommendation, texts: Texts) -> str:
    titles = [titled(site.catalogue.titles[reason.item_row]) for reason in item.reasons]
    liked = all(reason.liked for reason in item.reasons)
    return sentence(texts, titles, item.shared, liked=liked)
