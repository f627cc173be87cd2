"""Sample people: five users of the training log with tastes far from the average, to look at lists as somebody else."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.histories import EventSource, Histories
from matinee.recommender import Engine
from matinee.serve.visitor_state import VisitorState
from matinee.store.artefact import Artefact
from matinee.store.protocols import Activity, LiveEvent
from matinee.vocab import UNKNOWN

N_PEOPLE = 5
LEAST_EVENTS, MOST_EVENTS = 20, 200
"""Of a sample person: enough to see a taste, few enough to look through."""
LEAST_SHARE = 0.3
"""Of what a sample person likes, the part that is of their first genre at least."""
SECOND_SHARE = 0.2
N_FAVOURITES = 3


@dataclass(frozen=True, slots=True, eq=False)
class SamplePerson:
    """A user of the training log, known by taste alone.

    key: `1` to `5`; genres: one or two that they like far more than others do; state: as of a visitor who did what
    they did; favourites: item rows, of the first genre, best liked and best known first.
    """

    key: str
    genres: tuple[str, ...]
    state: VisitorState
    favourites: list[int]


class SamplePeople:
    """The sample people of a site, found on first use. kind: of their events without a rating."""

    def __init__(self, engine: Engine, kind: str) -> None:
        self._artefact: Artefact = next(iter(engine.artefacts.values()))
        self._kind = kind

    def find(self, key: str) -> SamplePerson | None:
        """The person with a key, None without one."""
        return next((person for person in self.people if person.key == key), None) if key else None

    @cached_property
    def people(self) -> list[SamplePerson]:
        """At most N_PEOPLE, each with another first genre; empty where items have no genres."""
        found = find_people(self._artefact)
        return [self._person(str(n), user_row, genres) for n, (user_row, genres) in enumerate(found, start=1)]

    def _person(self, key: str, user_row: int, genres: tuple[str, ...]) -> SamplePerson:
        artefact = self._artefact
        source: EventSource = artefact.known
        history = source.of_rows(np.array([user_row]))
        history = replace(history, user_rows=np.array([UNKNOWN], dtype=np.int32))
        rows = history.items[::-1].astype(np.int32)
        ids = artefact.items

        def events() -> tuple[LiveEvent, ...]:
            newest = zip(rows.tolist(), history.values[::-1].tolist(), history.times[::-1].tolist(), strict=True)
            return tuple(
                LiveEvent(
                    "", ids.id(row), "rating" if value == value else self._kind, value if value == value else 1.0, at
                )
                for row, value, at in newest
            )

        activity = Activity(history, rows, np.zeros(0, dtype=np.int32), events)
        state = VisitorState(None, history, activity, activity.made)
        values = np.nan_to_num(history.values.astype(np.float64), nan=1.0)
        catalogue = artefact.catalogue
        is_typical = catalogue.genre_matrix[history.items, catalogue.genre_names.index(genres[0])]
        best = np.lexsort((-artefact.popularity[history.items], -values, ~is_typical.astype(bool)))[:N_FAVOURITES]
        return SamplePerson(key, genres, state, history.items[best].tolist())


def find_people(artefact: Artefact) -> list[tuple[int, tuple[str, ...]]]:
    """Users whose liked items are of a genre far more often than others' are: user row and one or two genres.

    Most unusual first, by the share of a genre in standard deviations from the mean share; the first genre of each is
    named for nobody before.
    """
    names = artefact.catalogue.genre_names
    users, shares = _shares(artefact)
    if len(users) < 2 or len(names) < 2:
        return []
    deviation = shares.std(axis=0)
    unusual = (shares - shares.mean(axis=0)) / np.where(deviation > 0, deviation, np.inf)  # [U, G]
    unusual[shares < SECOND_SHARE] = -np.inf
    found: list[tuple[int, tuple[str, ...]]] = []
    for index in np.argsort(-unusual.max(axis=1), kind="stable").tolist():
        order = np.argsort(-unusual[index], kind="stable")
        genres = tuple(names[each] for each in order.tolist()[:2] if unusual[index, each] > 0)
        is_named = any(genres[0] in others for _, others in found) if genres else True
        if not is_named and shares[index, order[0]] >= LEAST_SHARE:
            found.append((int(users[index]), genres))
        if len(found) == N_PEOPLE:
            break
    return found


def _shares(artefact: Artefact) -> tuple[IntArray, FloatArray]:
    """Users with enough events, and which share of what they like is of each genre. [U], [U, G]."""
    events = artefact.known.events
    n_events = np.bincount(events.user_rows)
    users = np.flatnonzero((n_events >= LEAST_EVENTS) & (n_events <= MOST_EVENTS))
    histories: Histories = artefact.known.of_rows(users)
    liked = artefact.model.value_map.weights(histories.values) > 0
    matrix = histories.keep(liked).matrix(len(artefact.items))  # [U, I]
    counts = matrix.sum(axis=1)
    enough = counts >= LEAST_EVENTS / 2
    genres = artefact.catalogue.genre_matrix[: len(artefact.items)].astype(np.float64)
    shares = (matrix @ genres) / np.maximum(counts, 1)[:, None]
    return users[enough], shares[enough]
