"""Lists with ids, titles and reasons: for a user, a history or liked titles, of similar movies, and for everyone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any, Unpack

import numpy as np
import polars as pl

from matinee import elsewhere
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.lists import everyone
from matinee.lists.everyone import ListOptions, OnPart, require_length
from matinee.lists.given_ids import GivenIds, allow_given
from matinee.models.base import HasPaths, Recommender
from matinee.ranking.counterfactual import Goal
from matinee.ranking.recommendation import Recommendation
from matinee.shown import Framed, Overview, Shown
from matinee.store.artefact import Artefact
from matinee.vocab import UNKNOWN, Id, Vocab
from matinee.workflow.engines import engine_of
from matinee.workflow.given import (
    Fitted,
    Reranked,
    artefact_of,
    ids_of,
    require_one_user,
    require_text,
    rerank_of,
    texts_of,
)


@dataclass(frozen=True, slots=True)
class Movie:
    """One item of a list. because: (title, contribution to the score), strongest first.

    liked: whether all of these are liked; shared: (attribute, value) that the item has in common with all of them;
    sentence: the reasons in words, where the command line asks for them.
    """

    item_id: Id
    title: str
    genres: tuple[str, ...]
    score: float
    because: tuple[tuple[str, float], ...] = ()
    liked: bool = False
    shared: tuple[str, str] | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class MovieList(Shown, Framed):
    """Movies, best first; a notebook shows them as a table.

    of: the movie they are similar to, if any; skipped: number of unknown movies in the given history; notes: titles
    that several movies share, with the one that was taken, and unknown ids of `among` and `without`.
    """

    other_names = elsewhere.MOVIE_LIST

    model: str
    movies: tuple[Movie, ...]
    of: str | None = None
    skipped: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.movies)

    def __iter__(self) -> Iterator[Movie]:
        return iter(self.movies)

    def __getitem__(self, index: int) -> Movie:
        """A movie by its place, the best at 0. Raises MatineeError with the call that works for a column."""
        if isinstance(index, str):
            raise MatineeError(
                f"[...] is a movie by its place, from 0; write movies.to_frame()[{index!r}] for a column"
            )
        return self.movies[index]

    def to_json(self) -> dict[str, Any]:
        """In plain Python types."""
        return asdict(self)

    def to_frame(self) -> pl.DataFrame:
        """One row a movie, best first: rank, item, title, genres, score, and because: titles, the strongest first."""
        return pl.DataFrame(
            {
                "rank": range(1, len(self.movies) + 1),
                "item": [movie.item_id for movie in self.movies],
                "title": [movie.title for movie in self.movies],
                "genres": pl.Series([list(movie.genres) for movie in self.movies], dtype=pl.List(pl.String)),
                "score": [movie.score for movie in self.movies],
                "because": pl.Series(
                    [[title for title, _ in movie.because] for movie in self.movies], dtype=pl.List(pl.String)
                ),
            }
        )

    def overview(self) -> Overview:
        """See Shown."""
        headline = f"similar to {self.of}, by {self.model}" if self.of else f"recommended by {self.model}"
        head = ("", "title", "genres", "score", "because")
        shown = len(head) if any(movie.because for movie in self.movies) else len(head) - 1
        return Overview(headline, [row[:shown] for row in (head, *self.rows())], self.notes, rest="items")

    def rows(self) -> list[tuple[str, ...]]:
        """Rank, title, genres, score and reasons as text."""
        return [
            (
                str(rank),
                movie.title,
                ", ".join(movie.genres),
                f"{movie.score:.4g}",
                movie.sentence or "; ".join(f"{title} ({contribution:+.3g})" for title, contribution in movie.because),
            )
            for rank, movie in enumerate(self.movies, start=1)
        ]

    def __str__(self) -> str:
        return "\n".join("  ".join(cell for cell in row if cell) for row in self.rows())


def recommend(  # noqa: PLR0913 - who it is for, and one for each option
    model: Fitted,
    liked: str | Sequence[str] | None = None,
    *,
    user: Id | None = None,
    history: Sequence[Id] | None = None,
    ratings: Sequence[float] | None = None,
    k: int = 10,
    explain: bool = False,
    rerank: Reranked | None = None,
    among: GivenIds | None = None,
    without: GivenIds | None = None,
) -> MovieList:
    """The k best movies for a known user, a history of item ids, or liked titles.

    model: an artefact, or the folder of one; liked: one title or several, each counts like the highest value; ratings:
    a value for each id of the history, NaN for none.
    rerank: genres, years, novelty and diversity, such as "novelty=0.5,genres=Comedy|Drama"; among: only these items may
    be listed; without: these may not (ids, or a file of ids). Unknown ids are skipped and counted in the list.
    Raises MatineeError unless exactly one of user, history and liked is given, for an unknown user or title, for a
    history without a known id, for ratings that do not fit the history, and if `among` and `without` leave nothing to
    list.
    """
    model = artefact_of(model, 'mt.recommend({}, liked=["Alien (1979)"])')
    require_length(k)
    require_one_user(user)
    liked = texts_of(liked)
    past, skipped = _history_of(model, user, history, ratings, liked)
    allowed = allow_given(model.items, among, without)
    engine = engine_of(model)
    found = engine.recommend_for(past, k, rerank=rerank_of(rerank), allowed=allowed.mask, explain=explain)
    notes = (*_namesakes(model, liked or ()), *allowed.notes)
    if ratings is not None and not model.model.predicts_values:
        notes = (*notes, *model.model.value_map.notes_on(past.values))
    if engine.dislikes_all(past):
        notes = (*notes, "nothing in the history is liked: popular movies instead, those of the disliked genres last")
    if not found:
        notes = (*notes, _why_nothing(model, past, filtered=allowed.mask is not None or rerank is not None))
    elif isinstance(model.model, HasPaths) and not _has_path(model.model, past, found):
        notes = (
            *notes,
            "no path of the knowledge graph leads from this history to these movies: the first stage's list",
        )
    return replace(_movies(model, found, explain=explain), skipped=skipped, notes=notes)


@dataclass(frozen=True, slots=True)
class Change:
    """What would move a movie out of the first k of a list (goal `leave`), or into them (`enter`).

    removed, added: titles to take out of the history and to like besides, both empty unless `found`; rank_before,
    rank_after: of the movie, from 1; smallest: whether no smaller set of the changes that were tried does it.
    """

    title: str
    goal: Goal
    found: bool
    removed: tuple[str, ...]
    added: tuple[str, ...]
    rank_before: int
    rank_after: int
    smallest: bool


def counterfactual(  # noqa: PLR0913 - which movie, who it is for, and how long the list is
    model: Fitted,
    *,
    item: Id | None = None,
    title: str | None = None,
    user: Id | None = None,
    history: Sequence[Id] | None = None,
    ratings: Sequence[float] | None = None,
    liked: str | Sequence[str] | None = None,
    k: int = 10,
) -> Change:
    """What would have to change for a movie to leave the first k of a list, or to enter them; users as in `recommend`.

    Raises MatineeError as `recommend`, unless exactly one of item and title is given, and for a movie of the history.
    """
    model = artefact_of(model, "mt.counterfactual({}, title=..., user=...)")
    if (item is None) == (title is None):
        raise MatineeError("give one of item (its id) or title")
    require_text(title)
    require_length(k)
    row = _item_row(model, item) if item is not None else model.catalogue.row_of_title(title or "")
    past, _ = _history_of(model, user, history, ratings, texts_of(liked))
    titles = model.catalogue.titles
    if row in past.items:
        raise MatineeError(f"{titles[row]} is in the history, and lists are of other movies; choose another")
    found = engine_of(model).counterfactual(past, row, k)
    removed, added = (tuple(titles[one] for one in rows) for rows in (found.removed, found.added))
    return Change(
        titles[row], found.goal, found.found, removed, added, found.rank_before, found.rank_after, found.smallest
    )


def similar(
    model: Fitted, title: str | None = None, *, item: Id | None = None, k: int = 10, explain: bool = False
) -> MovieList:
    """The k movies most similar to one, given by id or title.

    explain: also how many users have each movie, and how many have both. Raises MatineeError for an unknown movie.
    """
    model = artefact_of(model, 'mt.similar({}, title="Alien (1979)")')
    if (item is None) == (title is None):
        raise MatineeError("give one of item (its id) or title")
    require_text(title)
    require_length(k)
    row = _item_row(model, item) if item is not None else model.catalogue.row_of_title(title or "")
    found = _movies(model, engine_of(model).similar(row, k), of=model.catalogue.titles[row])
    notes = () if found.movies else (f"{model.name} knows no movie that is similar to {found.of}",)
    found = replace(found, notes=(*_namesakes(model, [title] if title else ()), *notes))
    return _with_shared_users(model, row, found) if explain else found


def recommend_all(
    model: Fitted,
    users: GivenIds = "all",
    k: int = 10,
    *,
    rerank: Reranked | None = None,
    on_part: OnPart = lambda done, total: None,
    **options: Unpack[ListOptions],
) -> pl.DataFrame:
    """The k best items of each known user, or of these: one row an item, with columns user, rank, item and score.

    rerank and options: among and without are those of `recommend`; titles=True adds the column title. The lists are
    those of `recommend`. Unknown users have no list; users without a history get popular items. Raises MatineeError if
    no user is known, and if `among` and `without` leave nothing to list.
    """
    model = artefact_of(model, "mt.recommend_all({})")
    return everyone.collect(everyone.for_users(model, users, k, rerank_of(rerank), **options), on_part)


def similar_all(
    model: Fitted,
    items: GivenIds = "all",
    k: int = 10,
    *,
    titles: bool = False,
    on_part: OnPart = lambda done, total: None,
) -> pl.DataFrame:
    """The k items most similar to each item, or to these: one row each, with columns item, rank, similar and score.

    titles: also the similar item's title. The lists are those of `similar`. Raises MatineeError if no item is known, or
    if the model has no similar items.
    """
    model = artefact_of(model, "mt.similar_all({})")
    return everyone.collect(everyone.for_items(model, items, k, titles=titles), on_part)


def _history_of(
    model: Artefact,
    user: Id | None,
    history: Sequence[Id] | None,
    ratings: Sequence[float] | None,
    liked: Sequence[str] | None,
) -> tuple[Histories, int]:
    """The history, B = 1, and how many of its ids are unknown. Raises MatineeError as `recommend`."""
    if sum(given is not None for given in (user, history, liked)) != 1:
        raise MatineeError("give one of user, history or liked")
    history = ids_of(history)
    values = _values_of(history, ratings, liked, _value_of_liked(model.model))
    if user is not None:
        if model.users.row(user) == UNKNOWN:
            ids = model.users
            raise MatineeError(f"no user {user!r} among the {len(ids):,} known to {model.name} ({_some(ids)})")
        return model.known.histories([user]), 0
    rows = model.items.rows(history or ()).tolist()
    if history and all(row == UNKNOWN for row in rows):
        _item_row(model, history[0])  # raises: it is unknown
    rows += [model.catalogue.row_of_title(title) for title in liked or ()]
    return Histories.of([rows], [values]), rows.count(UNKNOWN)


def _values_of(
    history: Sequence[Id] | None, ratings: Sequence[float] | None, liked: Sequence[str] | None, liked_value: float
) -> list[float]:
    """The value of each event: a rating, NaN without one, `liked_value` for a liked title."""
    if ratings is None:
        return [np.nan] * len(history or ()) + [liked_value] * len(liked or ())
    if history is None:
        raise MatineeError("ratings are those of a history; give history too")
    if not isinstance(ratings, Iterable):
        raise MatineeError(f"ratings are a list, one for each id of the history; write ratings=[{ratings!r}]")
    if len(ratings) != len(history):
        raise MatineeError(f"{len(ratings)} ratings for a history of {len(history)}; give one for each, NaN for none")
    if np.isinf(values := np.array(ratings, dtype=np.float64)).any():
        raise MatineeError("ratings are finite numbers, or NaN for none")
    found: list[float] = values.tolist()
    return found


def _value_of_liked(model: Recommender[Any]) -> float:
    """The value of a liked title: the end of the model's map or scale; none where every event weighs the same."""
    return np.nan if model.value_map.unary and not model.predicts_values else np.inf


def _why_nothing(model: Artefact, past: Histories, *, filtered: bool) -> str:
    """Why a list is empty, for a note. past: B = 1; filtered: whether more items than the history's are left out."""
    seen, n_items = len(np.unique(past.items[past.items != UNKNOWN])), len(model.items)
    if seen == n_items:
        return f"nothing is left to recommend: the history has all {n_items:,} items that {model.name} knows"
    if filtered:
        return f"nothing is left to recommend: none of the {n_items - seen:,} items outside the history may be listed"
    return f"nothing is left to recommend: {model.name} has no scores for this history"


def _has_path(model: HasPaths, past: Histories, found: Sequence[Recommendation]) -> bool:
    """Whether a path leads from a history to any listed item."""
    rows = np.array([[each.item_row for each in found]])
    return bool(model.have_paths(past, rows).any())


def _with_shared_users(model: Artefact, item_row: int, movies: MovieList) -> MovieList:
    """The list with two reasons for each movie: its number of users, and of users who also have `item_row`."""
    events = model.known.events
    both = np.isin(events.user_rows, events.user_rows[events.item_rows == item_row])
    shared = np.bincount(events.item_rows[both], minlength=len(model.items))
    rows = [model.items.row(movie.item_id) for movie in movies]
    reasons = [(("people have it", float(model.popularity[row])), ("have both", float(shared[row]))) for row in rows]
    explained = (replace(movie, because=reason) for movie, reason in zip(movies, reasons, strict=True))
    return replace(movies, movies=tuple(explained))


def _movies(
    model: Artefact, found: Sequence[Recommendation], *, explain: bool = False, of: str | None = None
) -> MovieList:
    """Recommendations with titles in place of rows, and with reasons if `explain`."""
    titles, genres = model.catalogue.titles, model.catalogue.genres
    movies = (
        Movie(
            each.item_id,
            titles[each.item_row],
            genres[each.item_row],
            each.score,
            tuple((titles[reason.item_row], reason.contribution) for reason in each.reasons) if explain else (),
            explain and bool(each.reasons) and all(reason.liked for reason in each.reasons),
            astuple(each.shared) if explain and each.shared else None,
        )
        for each in found
    )
    return MovieList(found[0].model if found else model.name, tuple(movies), of)


def _namesakes(model: Artefact, titles: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each title that several movies share: which was taken, and which were not."""
    notes = []
    for title in titles:
        taken, *others = model.catalogue.rows_of_title(title)
        if others:
            names = ", ".join(_identified(model, row) for row in others[:3])
            more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
            notes.append(
                f"several movies are titled {title!r}: taken is {_identified(model, taken)}, not {names}{more}"
            )
    return tuple(notes)


def _identified(model: Artefact, row: int) -> str:
    events = int(model.popularity[row])
    return f"{model.catalogue.titles[row]} [id {model.items.id(row)}, {events:,} event{'s' * (events != 1)}]"


def _item_row(model: Artefact, item: Id) -> int:
    row = model.items.row(item)
    if row == UNKNOWN:
        raise MatineeError(
            f"no movie with id {item!r} among the {len(model.items):,} known to {model.name} ({_some(model.items)})"
        )
    return row


def _some(ids: Vocab) -> str:
    """Example ids, for a message."""
    if len(ids) == 0:
        return "it has none"
    return f"ids such as {ids.id(0)} and {ids.id(len(ids) - 1)}"
