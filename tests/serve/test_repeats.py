"""A double click is written once; clicks on links are never double clicks."""

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


def test_the_same_mark_within_5_seconds_is_written_once(log: SqlEvents) -> None:
    assert [new(log, "rating", 4, at) for at in (100, 100, 105, 106)] == [1, 0, 0, 1]


def test_another_value_movie_or_visitor_is_a_new_event(log: SqlEvents) -> None:
    assert new(log, "rating", 4, 100) == 1
    assert new(log, "rating", 5, 100) == 1
    assert new(log, "rating", 4, 100) == 1
    assert new(log, "rating", 4, 100, item_id=20) == 1
    assert new(log, "rating", 4, 100, user_id="b") == 1
    assert new(log, "watched", 1, 100) == 1
    assert new(log, "watched", 1, 101) == 0


def test_a_click_between_two_equal_marks_does_not_separate_them(log: SqlEvents) -> None:
    assert new(log, "rating", 4, 100) == 1
    assert new(log, "click", 1, 101) == 1
    assert new(log, "rating", 4, 102) == 0


def test_simultaneous_clicks_are_separate_events(log: SqlEvents) -> None:
    """Each clicked position of each list is a separate event, however fast."""
    assert [new(log, "click", 1, at) for at in (100, 100, 101)] == [1, 1, 1]


def test_dismissals_repeat_only_dismissals(log: SqlEvents) -> None:
    kinds: tuple[Kind, ...] = ("dismissed", "dismissed", "restored", "restored", "dismissed")
    assert [new(log, kind, 1, 100) for kind in kinds] == [1, 0, 1, 0, 1]
    assert new(log, "rating", 4, 100) == 1
    assert new(log, "dismissed", 1, 101) == 0  # a rating in between changes nothing
    assert new(log, "rating", 4, 102) == 0


def test_without_repeat_after_every_event_is_written(log: SqlEvents) -> None:
    event = LiveEvent("a", 10, "rating", 4, 100)
    assert [log.append([event]) for _ in range(2)] == [1, 1]
