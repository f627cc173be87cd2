"""Metrics of a caller's own: measured like any other, by hand-worked lists and against the built-in formulas."""

from collections.abc import Callable

import numpy as np
import pytest

import matinee as mt
from matinee.data.splits import Split
from matinee.evaluation.own_metrics import JudgedLists

pytestmark = pytest.mark.usefixtures("metrics_of_one_test")


@pytest.fixture(scope="module")
def split() -> Split:
    """Ten people and eight items, at random."""
    draw = np.random.default_rng(3)
    events = [(user, item) for user in range(10) for item in draw.permutation(8)[:6]]
    users, items = zip(*events, strict=True)
    return mt.split(
        mt.events({"user": users, "item": [f"i{item}" for item in items]}), "random", ratios=(0.5, 0.25, 0.25), seed=1
    )


def hits_by_hand(lists: JudgedLists) -> list[float]:
    return [row.sum() / n for row, n in zip(lists.hits, lists.n_targets, strict=True)]


def test_a_recall_of_ones_own_is_the_recall_at_every_length_user_and_interval(split: Split) -> None:
    mt.metric("my-recall")(hits_by_hand)
    report = mt.evaluate("item-knn", split, k=(1, 3))
    for k in (1, 3):
        own, built_in = report.metrics[f"my-recall@{k}"], report.metrics[f"recall@{k}"]
        assert (own.mean, own.low, own.high) == pytest.approx((built_in.mean, built_in.low, built_in.high), abs=1e-12)
        np.testing.assert_allclose(
            report.per_user[f"my-recall@{k}"].values, report.per_user[f"recall@{k}"].values, atol=1e-12
        )
    assert "my-recall" in report.table()
    assert "my-recall" in report.to_frame()["metric"].to_list()


def test_a_function_gets_ids_rows_users_and_lengths(split: Split) -> None:
    got: list[JudgedLists] = []

    @mt.metric("looks")
    def looks(lists: JudgedLists) -> np.ndarray:
        got.append(lists)
        return np.zeros(len(lists.hits))

    mt.evaluate("popularity", split, k=(2, 8))
    short, long = got
    assert (short.k, short.hits.shape[1], long.item_ids.shape[1]) == (2, 2, 8)
    listed = long.item_rows >= 0
    assert not listed.all()  # a list leaves out what its user has, so eight items are too many
    assert (long.item_ids[listed] == split.data.items.ids.astype(object)[long.item_rows[listed]]).all()
    assert set(long.item_ids[~listed]) == {None}
    targets = split.targets("test")
    for row, user in enumerate(long.user_rows):
        mine = set(targets.item_rows[targets.user_rows == user])
        assert long.n_targets[row] == len(mine)
        assert [item in mine for item in long.item_rows[row]] == long.hits[row].tolist()


def test_models_are_compared_by_it_and_less_is_better_where_it_says_so(split: Split) -> None:
    mt.metric("misses", lower_is_better=True)(lambda lists: 1 - np.asarray(hits_by_hand(lists)))
    by_misses = mt.compare(["popularity", "item-knn"], split, "misses@3", k=3)
    by_recall = mt.compare(["popularity", "item-knn"], split, "recall@3", k=3)
    assert [row.label for row in by_misses.rows] == [row.label for row in by_recall.rows]
    assert by_misses.rows[1].difference.mean == pytest.approx(by_recall.rows[1].difference.mean)


def test_nan_leaves_a_list_out_of_the_mean(split: Split) -> None:
    mt.metric("first")(lambda lists: np.where(np.arange(len(lists.hits)) == 0, 0.5, np.nan))
    assert mt.evaluate("popularity", split, k=2).metrics["first@2"].mean == 0.5


def test_early_stopping_may_monitor_it(split: Split) -> None:
    from matinee.evaluation.evaluate import validation

    mt.metric("my-recall")(hits_by_hand)
    model = mt.fit("item-knn", split).model
    assert validation(split, "my-recall@2")(model) == pytest.approx(validation(split, "recall@2")(model))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ndcg", "there is a metric 'ndcg' already; choose another name"),
        ("Mine", "no name"), ("my metric", "no name"), ("mine@10", "no name"), ("", "no name"), ("-a", "no name"),
        ("a--b", "no name"), (7, "no name"), (hits_by_hand, "no name"), ("gewinn-ä", "no name"),
    ],
)  # fmt: skip
def test_a_name_that_cannot_be_is_refused(name: str, says: str) -> None:
    with pytest.raises(mt.MatineeError, match=says):
        mt.metric(name)


def test_a_second_metric_of_one_name_must_be_meant() -> None:
    mt.metric("mine")(hits_by_hand)
    with pytest.raises(mt.MatineeError, match="replace=True"):
        mt.metric("mine")
    mt.metric("mine", replace=True)(hits_by_hand)
    with pytest.raises(mt.MatineeError, match="choose another name"):
        mt.metric("recall", replace=True)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda lists: 0.5, r"shape \(\), not one number for each of 10 lists"),
        (lambda lists: lists.hits, r"shape \(10, 2\)"),
        (lambda lists: np.zeros(3), r"shape \(3,\)"),
        (lambda lists: None, "not"),
        (lambda lists: ["a"] * len(lists.hits), "answered with a list, not with numbers"),
        (lambda lists: {"a": 1}, "answered with a dict"),
        (lambda lists: np.full(len(lists.hits), np.inf), "infinite for 10 lists"),
    ],
)
def test_a_wrong_answer_is_refused_in_one_line(
    answer: Callable[[JudgedLists], object], says: str, split: Split
) -> None:
    mt.metric("wrong")(answer)  # type: ignore[arg-type]
    with pytest.raises(mt.MatineeError, match=says):
        mt.evaluate("popularity", split, k=2)
