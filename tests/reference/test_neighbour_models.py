"""ItemKNN, UserKNN and Popularity against plain loops."""

import math

import numpy as np
import pytest

from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.training.run import Run
from model_fixtures import random_histories

N_USERS, N_ITEMS = 40, 25


@pytest.fixture(scope="module")
def watched() -> list[list[int]]:
    return random_histories(5, N_USERS, N_ITEMS, longest=11)


@pytest.fixture(scope="module")
def train(watched: list[list[int]]) -> TrainingData:
    return TrainingData(Histories.of(watched), N_ITEMS)


def scores_of(model: object, histories: Histories) -> np.ndarray:
    return model.score(model.fold_in(histories))


def weighted_by_loop(rows: list[list[int]], n_columns: int, weighting: str) -> list[dict[int, float]]:
    """Rows as documents, columns as terms."""
    mean = sum(map(len, rows)) / len(rows)
    weighted = []
    for row in rows:
        entries = {}
        for column in row:
            n_rows = sum(column in other for other in rows)
            idf = math.log(1 + (len(rows) - n_rows + 0.5) / (n_rows + 0.5))
            if weighting == "none":
                entries[column] = 1.0
            elif weighting == "tf-idf":
                entries[column] = idf
            else:
                entries[column] = idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * len(row) / mean))
        weighted.append(entries)
    return weighted


def similarity_by_loop(
    one: dict[int, float], other: dict[int, float], documents: list[dict[int, float]], n_columns: int, settings: dict
) -> float:
    """Of two documents, by definition: centred vectors are written out, zeros included."""
    kind, shared = settings["similarity"], set(one) & set(other)
    if not shared:
        return 0.0
    taken = [[0.0] * n_columns, [0.0] * n_columns]
    if kind == "pearson":
        taken = [[sum(row.values()) / n_columns] * n_columns for row in (one, other)]
    if kind == "adjusted-cosine":
        means = [sum(row.get(column, 0.0) for row in documents) / len(documents) for column in range(n_columns)]
        taken = [means, means]
    x, y = (
        [row.get(column, 0.0) - less[column] for column in range(n_columns)]
        for row, less in zip((one, other), taken, strict=True)
    )
    product, a, b = (sum(map(math.prod, zip(p, q, strict=True))) for p, q in ((x, y), (x, x), (y, y)))
    denominator = a + b - product if kind == "jaccard" else math.sqrt(a * b)
    significance = settings.get("significance", 0)
    factor = min(len(shared), significance) / significance if significance else 1.0
    return max(factor * product / (denominator + settings["shrinkage"]), 0.0)


def nearest(similarities: list[tuple[float, int]], k: int) -> tuple[dict[int, float], bool]:
    """The k best of (similarity, -row), and whether rounding cannot change the choice."""
    ordered = sorted(((round(value, 9), row) for value, row in similarities), reverse=True)
    clear = len(ordered) <= k or ordered[k][0] == 0 or ordered[k - 1][0] - ordered[k][0] > 1e-6
    return {-row: value for value, row in ordered[:k]}, clear


KNN_SETTINGS = [
    {"similarity": "cosine", "weighting": "none", "shrinkage": 0.0, "neighbours": 5},
    {"similarity": "cosine", "weighting": "tf-idf", "shrinkage": 3.0, "neighbours": 7},
    {"similarity": "cosine", "weighting": "bm25", "shrinkage": 0.0, "neighbours": 100},
    {"similarity": "jaccard", "weighting": "none", "shrinkage": 0.0, "neighbours": 4},
    {"similarity": "jaccard", "weighting": "none", "shrinkage": 10.0, "neighbours": 6},
    {"similarity": "cosine", "weighting": "tf-idf", "shrinkage": 1.0, "neighbours": 7, "significance": 3},
    {"similarity": "pearson", "weighting": "none", "shrinkage": 0.0, "neighbours": 6},
    {"similarity": "pearson", "weighting": "tf-idf", "shrinkage": 2.0, "neighbours": 9, "significance": 2},
    {"similarity": "adjusted-cosine", "weighting": "none", "shrinkage": 0.0, "neighbours": 5},
    {"similarity": "adjusted-cosine", "weighting": "tf-idf", "shrinkage": 0.5, "neighbours": 8},
]


@pytest.mark.parametrize("settings", KNN_SETTINGS)
def test_item_knn_equals_a_plain_loop(settings: dict, train: TrainingData, watched: list[list[int]]) -> None:
    by_item = [[user for user in range(N_USERS) if item in watched[user]] for item in range(N_ITEMS)]
    weighted = weighted_by_loop(by_item, N_USERS, settings["weighting"])
    expected, clear = np.zeros((N_USERS, N_ITEMS)), np.zeros(N_ITEMS, dtype=bool)
    for item in range(N_ITEMS):
        similarities = [
            (similarity_by_loop(weighted[item], weighted[other], weighted, N_USERS, settings), -other)
            for other in range(N_ITEMS)
            if other != item
        ]
        neighbours, clear[item] = nearest(similarities, settings["neighbours"])
        for user in range(N_USERS):
            expected[user, item] = sum(neighbours.get(seen, 0) for seen in watched[user])
    model = create("item-knn", **settings).fit(train, Run.seeded(0))
    assert clear.sum() > N_ITEMS / 2
    scores = scores_of(model, train.histories)
    np.testing.assert_allclose(scores[:, clear], expected[:, clear], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("settings", KNN_SETTINGS)
def test_user_knn_equals_a_plain_loop(settings: dict, train: TrainingData, watched: list[list[int]]) -> None:
    weighted = weighted_by_loop(watched, N_ITEMS, settings["weighting"])
    expected, clear = np.zeros((N_USERS, N_ITEMS)), np.zeros(N_USERS, dtype=bool)
    for user in range(N_USERS):
        similarities = [
            (similarity_by_loop(weighted[user], weighted[other], weighted, N_ITEMS, settings), -other)
            for other in range(N_USERS)
        ]
        neighbours, clear[user] = nearest(similarities, settings["neighbours"])
        for other, value in neighbours.items():
            expected[user, watched[other]] += value
    model = create("user-knn", **settings).fit(train, Run.seeded(0))
    assert clear.sum() > N_USERS / 2
    np.testing.assert_allclose(scores_of(model, train.histories)[clear], expected[clear], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("settings", KNN_SETTINGS)
def test_user_knn_by_the_neighbourhoods_of_others_equals_a_plain_loop(
    settings: dict, train: TrainingData, watched: list[list[int]]
) -> None:
    weighted = weighted_by_loop(watched, N_ITEMS, settings["weighting"])
    similarity_of = np.array([
        [similarity_by_loop(one, other, weighted, N_ITEMS, settings) for other in weighted] for one in weighted
    ])  # fmt: skip
    visitors = [row[: 1 + len(row) // 2] for row in watched]
    expected, clear = np.zeros((N_USERS, N_ITEMS)), np.ones(N_USERS, dtype=bool)
    for other in range(N_USERS):
        of_other = np.sort(np.delete(similarity_of[other], other))[::-1]
        bar = of_other[settings["neighbours"] - 1] if settings["neighbours"] < N_USERS else 0.0
        for user, items in enumerate(visitors):
            row = {item: weight_of(item, watched, settings["weighting"], items) for item in items}
            value = similarity_by_loop(row, weighted[other], weighted, N_ITEMS, settings)
            clear[user] &= abs(value - bar) > 1e-6 or value == 0
            if value >= bar and value > 0:
                expected[user, watched[other]] += value
    model = create("user-knn", neighbours_of="others", **settings).fit(train, Run.seeded(0))
    found = scores_of(model, Histories.of(visitors))
    assert clear.sum() > N_USERS / 5  # rounding decides where similarities equal the bar
    np.testing.assert_allclose(found[clear], expected[clear], rtol=2e-6, atol=1e-6)
    for user in np.flatnonzero(clear)[:5]:  # one alone as all together, and reasons that sum to the score
        history, rows = Histories.of([visitors[user]]), np.arange(N_ITEMS)[None]
        np.testing.assert_allclose(scores_of(model, history)[0], found[user], rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(model.explain(history, rows).sum(axis=0), found[user], rtol=1e-4, atol=1e-5)


def weight_of(item: int, watched: list[list[int]], weighting: str, row: list[int]) -> float:
    """The weight of an item of a visitor's row, by the training users."""
    if weighting == "none":
        return 1.0
    n_rows, mean = sum(item in other for other in watched), sum(map(len, watched)) / len(watched)
    idf = math.log(1 + (len(watched) - n_rows + 0.5) / (n_rows + 0.5))
    return idf if weighting == "tf-idf" else idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * len(row) / mean))


def test_knn_weighting_under_jaccard_is_refused() -> None:
    with pytest.raises(MatineeError, match=r"jaccard.*set weighting = 'none'"):
        create("item-knn", similarity="jaccard", weighting="bm25")


def test_popularity_counts_events_and_halves_them_over_time() -> None:
    day = 86_400
    histories = Histories(
        starts=np.array([0, 2, 4]),
        items=np.array([0, 1, 1, 2], dtype=np.int32),
        values=np.ones(4, dtype=np.float32),
        times=np.array([0, 10 * day, 20 * day, 20 * day]),
        user_rows=np.array([0, 1], dtype=np.int32),
    )
    train = TrainingData(histories, 4)
    plain = create("popularity").fit(train, Run.seeded(0))
    np.testing.assert_array_equal(plain.popularity, [1, 2, 1, 0])
    decayed = create("popularity", half_life_days=10).fit(train, Run.seeded(0))
    np.testing.assert_allclose(decayed.popularity, [0.25, 0.5 + 1, 1, 0])


def test_popularity_with_a_half_life_needs_times(train: TrainingData) -> None:
    with pytest.raises(MatineeError, match="half_life_days needs times"):
        create("popularity", half_life_days=30).fit(train, Run.seeded(0))
