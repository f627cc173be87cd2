"""rank() and top_k against sorted(), ties and masks included."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from matinee.arrays import top_k
from matinee.config import Config
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.ranking import rank as ranking
from matinee.ranking.fallback import Fallback
from matinee.ranking.rank import rank, similar
from matinee.training.run import Run


class Table(Recommender[np.ndarray]):
    """Given scores, one row for each user row."""

    name = "table"
    Config = Config
    learned = ("scores",)

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__()
        self.scores = scores

    def fit(self, train: TrainingData, run: Run) -> "Table":
        return self

    def fold_in(self, histories: Histories) -> np.ndarray:
        return histories.user_rows

    def score(self, state: np.ndarray) -> np.ndarray:
        return self.scores[state].copy()


def numbered(items: list[list[int]]) -> Histories:
    """Histories of the users 0, 1, 2, ..."""
    return replace(Histories.of(items), user_rows=np.arange(len(items), dtype=np.int32))


few_values = st.sampled_from([0.0, 1.0, -1.0, 0.5, -np.inf])  # few values, so that there are ties


@settings(max_examples=300, deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 30)), elements=few_values),
    st.integers(1, 30),
)
def test_top_k_equals_sorted(scores: np.ndarray, k: int) -> None:
    k = min(k, scores.shape[1])
    columns, best = top_k(scores, k)
    for row in range(len(scores)):
        expected = sorted(range(scores.shape[1]), key=lambda column: (-scores[row, column], column))[:k]
        assert columns[row].tolist() == expected
        assert best[row].tolist() == scores[row, expected].tolist()


def test_top_k_of_many_equals_sorted() -> None:
    scores = np.random.default_rng(0).integers(0, 50, (40, 3000)).astype(np.float32)
    columns, _ = top_k(scores, 20)
    for row in range(len(scores)):
        assert columns[row].tolist() == sorted(range(3000), key=lambda column: (-scores[row, column], column))[:20]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from(["normal", "rounded", "rare", "halves"]))
def test_top_k_of_wide_rows_equals_sorted(seed: int, k: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((3, int(rng.integers(500, 4000)))).astype(np.float32)
    if kind == "rounded":
        scores = np.round(scores * 3)
    if kind == "rare":  # most items are masked
        scores[rng.random(scores.shape) < 0.995] = -np.inf
    if kind == "halves":  # a row of ties beside one without
        scores[1] = np.maximum(scores[1], 0)
    columns, best = top_k(scores, k)
    for row in range(3):
        expected = np.lexsort((np.arange(scores.shape[1]), -scores[row]))[:k]
        assert columns[row].tolist() == expected.tolist()
        assert best[row].tolist() == scores[row, expected].tolist()


def test_one_nan_in_a_wide_row_is_refused() -> None:
    scores = np.zeros((2, 3000), dtype=np.float32)
    scores[1, 1234] = np.nan
    with pytest.raises(MatineeError, match="gave NaN scores"):
        rank(Table(scores), numbered([[], []]), 5)


def test_top_k_refuses_a_length_out_of_range() -> None:
    for k in (0, 4):
        with pytest.raises(ValueError, match=r"outside 1\.\.3"):
            top_k(np.zeros((1, 3)), k)


def test_masks_and_short_lists() -> None:
    scores = np.array([[5, 4, 3, 2, 1], [1, 1, 1, 1, 1]], dtype=np.float32)
    histories = numbered([[0], [4]])
    masked = Histories.of([[1], []])
    allowed = np.array([True, True, True, True, False])
    listed = rank(Table(scores), histories, 4, masked=masked, allowed=allowed)
    assert listed.items.tolist() == [[2, 3, -1, -1], [0, 1, 2, 3]]
    assert listed.scores.tolist() == [[3, 2, -np.inf, -np.inf], [1, 1, 1, 1]]
    repeated = rank(Table(scores), histories, 2, repeat=True)
    assert repeated.items.tolist() == [[0, 1], [0, 1]]


def test_users_without_history_are_scored_by_cold() -> None:
    scores = np.array([[5, 4, 3], [5, 4, 3]], dtype=np.float32)
    listed = rank(Table(scores), numbered([[], [0]]), 2, cold=np.array([1, 2, 9]))
    assert listed.items.tolist() == [[2, 1], [1, 2]]
    assert listed.scores.tolist() == [[9, 2], [4, 3]]


def test_a_history_of_which_the_model_knows_nothing_is_scored_by_popularity() -> None:
    scores = np.array([[0, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 0.5], [0, 3, 0, 0], [2, 0, 0, 0]], dtype=np.float32)
    histories = numbered([[0], [1], [2], [1], []])
    masked, allowed = Histories.of([[3], [], [], [], []]), np.array([True, True, True, True])
    cold = np.array([1, 5, 3, 9])
    listed = rank(Table(scores), histories, 2, masked=masked, allowed=allowed, cold=cold)
    assert listed.items.tolist() == [[1, 2], [3, 2], [3, 0], [3, 2], [3, 1]]
    assert listed.unknown is not None
    assert listed.unknown.tolist() == [True, True, False, True, False]
    assert listed.scores[2].tolist() == [0.5, 0.0]
    one_by_one = [
        rank(Table(scores), histories.take(np.array([n])), 2, masked=masked.take(np.array([n])), cold=cold)
        for n in range(5)
    ]
    assert [each.items[0].tolist() for each in one_by_one] == listed.items.tolist()
    assert rank(Table(scores), histories, 2).unknown is None  # nothing to fall back on
    by_genre = Fallback(cold, np.eye(4, dtype=bool))  # what is liked is not pushed down, as what is disliked is
    assert rank(Table(scores[:2]), histories.take(np.array([0, 1])), 2, cold=by_genre).items.tolist() == [
        [3, 1],
        [3, 2],
    ]


def test_k_beyond_the_catalogue_and_no_users() -> None:
    for k in (2, 5, 10**12):  # memory does not grow with k
        assert rank(Table(np.array([[1, 2]], dtype=np.float32)), numbered([[]]), k).items.tolist() == [[1, 0]]
    assert len(rank(Table(np.zeros((0, 2))), numbered([]), 5)) == 0


def test_bad_input_is_named() -> None:
    table = Table(np.array([[1, np.nan]], dtype=np.float32))
    with pytest.raises(MatineeError, match="gave NaN scores"):
        rank(table, numbered([[]]), 1)
    with pytest.raises(ValueError, match="k = 0"):
        rank(table, Histories.of([[]]), 0)
    with pytest.raises(ValueError, match="masked has 2 rows for 1 histories"):
        rank(table, Histories.of([[]]), 1, masked=Histories.of([[], []]))
    with pytest.raises(MatineeError, match="is not fitted yet"):
        rank(create("ease"), Histories.of([[]]), 1)


def test_similar_leaves_the_item_out_and_orders_by_similarity() -> None:
    #  items 0 and 1 share both their users, 2 shares one with them, 3 none
    train = TrainingData(Histories.of([[0, 1], [0, 1, 2], [3], [3, 2]]), 4)
    for name in ("item-knn", "ease"):
        listed = similar(create(name).fit(train, Run.seeded(0)), np.array([0, 3]), 2)
        assert listed.items[:, 0].tolist() == [1, 2]
        assert listed.items[0, 1] == 2
    with pytest.raises(MatineeError, match="same list"):
        similar(create("popularity").fit(train, Run.seeded(0)), np.array([0]), 2)


class Opposites(Table):
    """Item vectors of which some point in opposite directions."""

    def item_vectors(self) -> np.ndarray:
        return np.array([[1, 0], [-1, 0], [-1, 0.1], [0, 0]], dtype=np.float32)

    def user_vectors(self, state: np.ndarray) -> np.ndarray:
        return state


def test_similar_never_lists_the_item_itself_even_before_dissimilar_ones() -> None:
    listed = similar(Opposites(np.zeros((1, 4), dtype=np.float32)), np.array([0]), 4)
    assert listed.items[0].tolist() == [3, 2, 1, -1]
    assert listed.scores[0, :3] == pytest.approx([0, -(1.01**-0.5), -1])
    assert np.isneginf(listed.scores[0, 3])


def test_a_catalogue_without_items_gives_empty_lists() -> None:
    listed = rank(Table(np.zeros((2, 0), dtype=np.float32)), numbered([[], []]), 3)
    assert (listed.items == -1).all()
    assert np.isneginf(listed.scores).all()


def test_each_user_gets_their_own_list_whatever_the_lengths_of_the_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    scores = rng.random((40, 30), dtype=np.float32)
    histories = numbered([rng.permutation(30)[: rng.integers(0, 25)].tolist() for _ in range(40)])
    masked, among = (numbered([rng.permutation(30)[:n].tolist() for _ in range(40)]) for n in (3, 20))
    monkeypatch.setattr(ranking, "BLOCK_BYTES", 7 * scores[0].nbytes)
    listed = rank(Table(scores), histories, 4, masked=masked, candidates=among)
    for user in range(40):
        out = {*histories.block(user, user + 1).items.tolist(), *masked.block(user, user + 1).items.tolist()}
        left = sorted(set(among.block(user, user + 1).items.tolist()) - out, key=lambda item: -scores[user, item])[:4]
        assert listed.items[user].tolist() == left + [-1] * (4 - len(left))


@pytest.mark.parametrize("repeat", [False, True])
def test_lists_of_a_model_without_histories_are_those_of_each_user_alone(repeat: bool) -> None:
    rng = np.random.default_rng(5)
    n_items = 90
    lengths = [0, 0, n_items, *rng.integers(1, n_items, 400).tolist()]  # nothing, and all, is known of some
    histories = Histories.of([rng.choice(n_items, n, replace=False).tolist() for n in lengths])
    masked = Histories.of([rng.choice(n_items, 3, replace=False).tolist() for _ in lengths])
    model = create("popularity").fit(TrainingData(histories, n_items), Run())
    model.popularity = rng.integers(0, 12, n_items).astype(np.float32)  # with ties, and items of popularity 0
    allowed = rng.random(n_items) < 0.8
    cold = Fallback(model.popularity.astype(np.int64), rng.random((n_items, 4)) < 0.3)
    found = rank(model, histories, 7, masked=masked, allowed=allowed, cold=cold, repeat=repeat)
    for user, history in enumerate(lengths):
        hidden = set(masked.take(np.array([user])).items.tolist())
        if not repeat:
            hidden |= set(histories.take(np.array([user])).items.tolist())
        left = [item for item in range(n_items) if allowed[item] and item not in hidden]
        expected = sorted(left, key=lambda item: (-model.popularity[item], item))[:7]
        assert found.items[user].tolist() == expected + [-1] * (7 - len(expected)), history
        assert found.scores[user, : len(expected)].tolist() == model.popularity[expected].tolist()
    if not repeat:  # few lists are made one by one
        few = np.arange(20)
        some = rank(model, histories.take(few), 7, masked=masked.take(few), allowed=allowed, cold=cold)
        assert some.items.tolist() == found.items[few].tolist()
        assert (some.unknown is not None) == (found.unknown is not None and found.unknown[few].any())
