"""A double click is written once; a click on a link between two marks, or on two lists, is no double click."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from matinee.store.protocols import Kind, LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqlEvents]:
    log = SqlEvents(f"sqlite:///{tmp_path}/log.db", Vocab.of([10, 20, 30]))
    yield log
    log.close()


def new(log: SqlEvents, kind: Kind, value: float, at: int, item_id: int = 10, user_id: str = "a") -> int:
    """How many events were written, 0 or 1."""
    return log.append([LiveEvent(user_id, item_id, kind, value, at)], repeat_after=5)


def test_the_same_mark_within_the_seconds_is_written_once(log: SqlEvents) -> None:
    assert [new(log, "rating", 4, at) for at in (100, 100, 105, 106)] == [1, 0, 0, 1]


def test_another_value_movie_or_visitor_is_another_mark(log: SqlEvents) -> None:
    assert new(log, "rating", 4, 100) == 1
    assert new(log, "rating", 5, 100) == 1
    assert new(log, "rating", 4, 100) == 1
    assert new(log, "rating", 4, 100, item_id=20) == 1
    assert new(log, "rating", 4, 100, user_id="b") == 1
    assert new(log, "watched", 1, 100) == 1
    assert new(log, "watched", 1, 101) == 0


def test_opening_a_movie_between_two_equal_marks_leaves_them_one(log: SqlEvents) -> None:
    assert new(log, "rating", 4, 100) == 1
    assert new(log, "click", 1, 101) == 1
    assert new(log, "rating", 4, 102) == 0


def test_clicks_are_no_double_clicks_of_each_other(log: SqlEvents) -> None:
    """Each place of each list that was clicked is an event of its own, however quick."""
    assert [new(log, "click", 1, at) for at in (100, 100, 101)] == [1, 1, 1]


def test_not_interested_and_back_are_compared_with_each_other_alone(log: SqlEvents) -> None:
    kinds: tuple[Kind, ...] = ("dismissed", "dismissed", "restored", "restored", "dismissed")
    assert [new(log, kind, 1, 100) for kind in kinds] == [1, 0, 1, 0, 1]
    assert new(log, "rating", 4, 100) == 1
    assert new(log, "dismissed", 1, 101) == 0  # a rating between the two changes nothing
    assert new(log, "rating", 4, 102) == 0


def test_without_the_seconds_everything_is_written(log: SqlEvents) -> None:
    event = LiveEvent("a", 10, "rating", 4, 100)
    assert [log.append([event]) for _ in range(2)] == [1, 1]
