"""What the list log and the event log say of an experiment on visitors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, case, distinct, func, select

from matinee.histories import Instant
from matinee.store.database import SqlDatabase
from matinee.store.protocols import FLAGS
from matinee.store.tables import events_table, lists_table

NOT_TAKEN = (*FLAGS, "less")
"""Kinds of events by which nobody takes an item."""
_event, _list = events_table.c, lists_table.c


@dataclass(frozen=True, slots=True)
class Visit:
    """What a visitor of a split did in the time from the first list.

    first: UTC seconds of the first list; n_lists: displayed; n_taken: of these, from how many they took something;
    rating: mean of the stars they gave to items of these lists, None without any; is_first: whether they came to this
    arm first, for a visitor who signs up may come to another one.
    """

    user_id: str
    arm: str
    first: Instant
    n_lists: int
    n_taken: int
    rating: float | None
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class Pick:
    """An item that was taken from an interleaved list. side: `a` or `b`, of the model that put it there."""

    user_id: str
    side: str


@dataclass(frozen=True, slots=True)
class NamedExperiment:
    """An experiment of the list log. first, last: when its lists were displayed, UTC seconds."""

    name: str
    n_lists: int
    first: Instant
    last: Instant


def experiments_of(database: SqlDatabase) -> list[NamedExperiment]:
    """The experiments in the list log, the last one first."""
    counted = (_list.experiment, func.count(), func.min(_list.at), func.max(_list.at))
    query = select(*counted).where(_list.experiment.is_not(None)).group_by(_list.experiment)
    with database.read() as connection:
        rows = connection.execute(query).all()
    return sorted((NamedExperiment(*row) for row in rows), key=lambda one: (-one.last, one.name))


def models_of(database: SqlDatabase, name: str) -> list[str]:
    """The models named by the lists of an experiment: arms of a split, `a+b` of an interleaving."""
    with database.read() as connection:
        return sorted(connection.execute(select(_list.model).distinct().where(_list.experiment == name)).scalars())


def visits_of(database: SqlDatabase, name: str, seconds: int) -> list[Visit]:
    """The visitors of a split by arm, each in so many seconds from the first list."""
    first = _first_lists(name).subquery()
    within = (_list.experiment == name, _list.user_id == first.c.user_id, _list.at < first.c.at + seconds)
    shown = select(_list.user_id, _list.arm, func.min(_list.at), first.c.at, func.count()).where(*within)
    shown = shown.group_by(_list.user_id, _list.arm, first.c.at)
    taken = select(
        _list.user_id,
        _list.arm,
        func.count(distinct(_list.list_id)),
        func.avg(case((_event.kind == "rating", _event.value))),
    ).where(*within, *_taken(), _event.at < first.c.at + seconds)
    with database.read() as connection:
        n_shown = connection.execute(shown).all()
        by_arm = {(row[0], row[1]): row for row in connection.execute(taken.group_by(_list.user_id, _list.arm))}
    return [_visit(row, by_arm.get((row[0], row[1]))) for row in n_shown]


def picks_of(database: SqlDatabase, name: str, seconds: int) -> tuple[dict[str, Instant], list[Pick]]:
    """When each visitor of an interleaving saw the first list, and what they took so many seconds from there."""
    begun = _first_lists(name).subquery()
    query: Select[Any] = select(_list.user_id, _list.list_id, _event.position, _list.arm).distinct()
    query = query.where(_list.experiment == name, _list.user_id == begun.c.user_id, *_taken())
    query = query.where(_event.position.is_not(None), _event.at < begun.c.at + seconds)
    with database.read() as connection:
        seen = {row[0]: row[1] for row in connection.execute(_first_lists(name))}
        rows = connection.execute(query).all()
    return seen, [Pick(user_id, arm[position - 1]) for user_id, _, position, arm in rows if position <= len(arm or "")]


def _first_lists(name: str) -> Select[Any]:
    """When each visitor of an experiment saw the first list: user_id, at."""
    query = select(_list.user_id, func.min(_list.at).label("at")).where(_list.experiment == name)
    return query.group_by(_list.user_id)


def _taken() -> Sequence[Any]:
    """Conditions of the events by which a visitor takes an item of a list."""
    return _event.list_id == _list.list_id, _event.user_id == _list.user_id, _event.kind.not_in(NOT_TAKEN)


def _visit(shown: Sequence[Any], taken: Sequence[Any] | None) -> Visit:
    user_id, arm, first_of_arm, first, n_lists = shown
    n_taken, rating = (taken[2], taken[3]) if taken else (0, None)
    return Visit(
        user_id, arm or "", first, n_lists, n_taken, None if rating is None else float(rating), first_of_arm == first
    )
