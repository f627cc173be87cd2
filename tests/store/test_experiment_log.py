"""What the logs say of an experiment, on every kind of database: first arms, a day each, the erased gone."""

import pytest

from matinee.errors import UsageError
from matinee.experiments.report import InterleavedReport, SplitReport, as_json, report_of
from matinee.store.accounts import SqlAccounts
from matinee.store.database import SqlDatabase
from matinee.store.experiments import Visit, experiments_of, picks_of, visits_of
from matinee.store.impressions import SqlImpressions
from matinee.store.protocols import ListImpression, LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab

DAY, SPLIT, DRAFT = 86_400, "ease=0.5,bpr=0.5", "ease,bpr"


def show(database: SqlDatabase, list_id: str, user_id: str, at: int, arm: str, name: str = SPLIT) -> None:
    model = "ease+bpr" if name == DRAFT else arm
    shown = ListImpression(list_id, user_id, "for-you", model, "v", at, ("1", "2", "3", "4"), name, arm)
    SqlImpressions(database).write([shown])
    database.flush()


def take(database: SqlDatabase, user_id: str, list_id: str, at: int, kind: str = "click", **more: object) -> None:
    values = {"value": 1.0, "position": 1} | more
    event = LiveEvent(user_id, "1", kind, at=at, list_id=list_id, **values)  # type: ignore[arg-type]
    SqlEvents(database, Vocab.of([1, 2, 3, 4])).append([event])


def test_visitors_of_a_split_with_what_they_took_in_a_day(database: SqlDatabase) -> None:
    show(database, "l1", "ann", 100, "ease")
    show(database, "l2", "ann", 200, "ease")
    show(database, "l3", "ann", 100 + DAY, "ease")  # the next day
    show(database, "l4", "bob", 150, "bpr")
    show(database, "l5", "cat", 150, "ease", "another")
    SqlImpressions(database).write([ListImpression("l6", "ann", "next", "ease", "v", 100, ("1",))])  # in none
    database.flush()
    take(database, "ann", "l1", 300)
    take(database, "ann", "l1", 301, "rating", value=4.0, position=2)
    take(database, "ann", "l1", 302, "rating", value=3.0, position=3)
    take(database, "ann", "l2", 100 + DAY, "rating", value=1.0)  # too late
    take(database, "bob", "l4", 300, "dismissed")
    take(database, "bob", "l4", 301, "less")
    take(database, "bob", "l1", 302)  # another one's list
    take(database, "ann", "l6", 303)
    found = sorted(visits_of(database, SPLIT, DAY), key=lambda one: one.user_id)
    assert found == [Visit("ann", "ease", 100, 2, 1, 3.5), Visit("bob", "bpr", 150, 1, 0, None)]
    assert [(one.name, one.n_lists) for one in experiments_of(database)] == [(SPLIT, 4), ("another", 1)]


def test_an_item_taken_from_a_draft_is_for_the_side_that_picked_it_once(database: SqlDatabase) -> None:
    show(database, "l1", "ann", 100, "abba", DRAFT)
    show(database, "l2", "bob", 200, "baab", DRAFT)
    for position in (1, 2, 3, 4):
        take(database, "ann", "l1", 300 + position, position=position)
    take(database, "ann", "l1", 400, "rating", value=5.0)  # clicked before
    take(database, "bob", "l2", 400, "watched", position=4)
    take(database, "bob", "l2", 401, "click", position=9)  # off the list
    take(database, "bob", "l2", 402, "click", position=None)
    seen, picks = picks_of(database, DRAFT, DAY)
    assert seen == {"ann": 100, "bob": 200}
    assert sorted((one.user_id, one.side) for one in picks) == [
        ("ann", "a"), ("ann", "a"), ("ann", "b"), ("ann", "b"), ("bob", "b"),
    ]  # fmt: skip
    report = report_of(database, 200 + DAY)
    assert isinstance(report, InterleavedReport)
    assert (report.models, report.visitors, report.waiting, report.picks) == (("ease", "bpr"), 2, 0, (2, 3))
    assert (report.test.wins_first, report.test.wins_second) == (0, 1)
    assert as_json(report)["kind"] == "interleaving"
    waiting = report_of(database, 150 + DAY)
    assert isinstance(waiting, InterleavedReport)
    assert (waiting.visitors, waiting.waiting, waiting.picks) == (1, 1, (2, 2))


def test_the_erased_leave_and_who_signs_up_stays_in_the_first_arm(database: SqlDatabase) -> None:
    for n, (user_id, arm) in enumerate((("ann", "ease"), ("bob", "bpr"), ("cat", "bpr"))):
        show(database, f"l{n}", user_id, 100 + n, arm)
        take(database, user_id, f"l{n}", 200)
    show(database, "l9", "cat", 300, "ease")  # as a member she is drawn again
    SqlAccounts(database).forget("bob")
    report = report_of(database, 1000 + DAY)
    assert isinstance(report, SplitReport)
    assert {arm.model: (arm.visitors, arm.lists) for arm in report.arms} == {"ease": (1, 1), "bpr": (1, 1)}
    assert report.crossed == 1
    SqlEvents(database, Vocab.of([1])).remove("ann")
    again = report_of(database, 1000 + DAY)
    assert isinstance(again, SplitReport)
    assert [arm.visitors for arm in again.arms] == [0, 1]


def test_an_experiment_is_found_by_its_name_or_the_beginning_of_it(database: SqlDatabase) -> None:
    assert report_of(database, 0) is None
    show(database, "l1", "ann", 100, "ease", "spring: ease=0.5,bpr=0.5")
    show(database, "l2", "ann", 200, "ease")
    for asked, name in ((None, SPLIT), ("spring", "spring: ease=0.5,bpr=0.5"), (SPLIT, SPLIT)):
        found = report_of(database, 1000, asked)
        assert found is not None
        assert found.name == name
    with pytest.raises(UsageError, match="no experiment 'sprin'"):
        report_of(database, 1000, "sprin")
