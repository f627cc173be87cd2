"""The formulas on the cards of Popularity, ItemKNN and UserKNN, in plain Python, against what the models score."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run

WATCHED = [[0, 1, 2], [1, 2, 3], [0, 4], [4, 5, 6], [5, 6, 7], [6, 7], [0, 3, 7], [2, 5]]
VISITORS = [[0, 1], [4], [7, 5, 2]]
N_ITEMS, N_USERS = 8, len(WATCHED)
DAY = 86_400
TIMES = [[DAY * (user + step) for step in range(len(items))] for user, items in enumerate(WATCHED)]
USERS_OF = [[user for user, items in enumerate(WATCHED) if item in items] for item in range(N_ITEMS)]

COUNT = r"s(i) = n_i"
DECAYED_COUNT = r"s(i) = \sum_{e \in i} 0.5^{a_e / t}"
ITEM_KNN = r"s(h, i) = \sum_{j \in h \cap N_i} S_{ji}"
ITEM_COSINE = r"S_{ji} = \frac{x_j^T x_i}{\norm x_j \norm \norm x_i \norm + c}"
ITEM_JACCARD = r"S_{ji} = \frac{| U_j \cap U_i |}{| U_j | + | U_i | - | U_j \cap U_i | + c}"
ITEM_DOT = r"S_{ji} = x_j^T x_i"
ITEM_TF_IDF = r"x_{ui} = \ln(1 + \frac{| I | - n_u + 0.5}{n_u + 0.5})"
ITEM_BM25 = ITEM_TF_IDF + r" \frac{2.2}{1 + 1.2 (0.25 + 0.75 n_i / \hat{n})}"
USER_KNN = r"s(h, i) = \sum_{v \in N_h \cap U_i} S_{hv}"
USER_JACCARD = r"S_{hv} = \frac{| h \cap h_v |}{| h | + | h_v | - | h \cap h_v | + c}"
USER_COSINE = r"S_{hv} = \frac{x_h^T x_v}{\norm x_h \norm \norm x_v \norm + c}"
USER_DOT = r"S_{hv} = x_h^T x_v"
USER_TF_IDF = r"x_{vi} = \ln(1 + \frac{| U | - n_i + 0.5}{n_i + 0.5})"
USER_BM25 = USER_TF_IDF + r" \frac{2.2}{1 + 1.2 (0.25 + 0.75 n_v / \hat{n})}"

Similarity = Callable[[dict[int, float], dict[int, float], float], float]


def cosine(one: dict[int, float], other: dict[int, float], c: float) -> float:
    norms = [math.sqrt(sum(value**2 for value in x.values())) for x in (one, other)]
    return dot(one, other, c) / (norms[0] * norms[1] + c)


def jaccard(one: dict[int, float], other: dict[int, float], c: float) -> float:
    both = len(one.keys() & other.keys())
    return both / (len(one) + len(other) - both + c)


def dot(one: dict[int, float], other: dict[int, float], c: float) -> float:
    return sum(value * other[key] for key, value in one.items() if key in other)


def binary(row: Sequence[int], rows: list[list[int]]) -> dict[int, float]:
    return dict.fromkeys(row, 1.0)


def tf_idf(row: Sequence[int], rows: list[list[int]]) -> dict[int, float]:
    counts = {column: sum(column in other for other in rows) for column in row}
    return {column: math.log(1 + (len(rows) - n + 0.5) / (n + 0.5)) for column, n in counts.items()}


def bm25(row: Sequence[int], rows: list[list[int]]) -> dict[int, float]:
    mean = sum(map(len, rows)) / len(rows)
    factor = 2.2 / (1 + 1.2 * (0.25 + 0.75 * len(row) / mean))
    return {column: factor * value for column, value in tf_idf(row, rows).items()}


def best(similarities: dict[int, float], k: int) -> dict[int, float]:
    return dict(sorted(similarities.items(), key=lambda pair: -pair[1])[:k])


def item_knn_scores(h: Sequence[int], weighted: Callable, similarity: Similarity, c: float, k: int) -> list[float]:
    x = [weighted(users, USERS_OF) for users in USERS_OF]
    scores = []
    for i in range(N_ITEMS):
        neighbours = best({j: similarity(x[j], x[i], c) for j in range(N_ITEMS) if j != i}, k)
        scores.append(sum(neighbours.get(j, 0.0) for j in h))
    return scores


def user_knn_scores(h: Sequence[int], weighted: Callable, similarity: Similarity, c: float, k: int) -> list[float]:
    x_h, x = weighted(h, WATCHED), [weighted(items, WATCHED) for items in WATCHED]
    neighbours = best({v: similarity(x_h, x[v], c) for v in range(N_USERS)}, k)
    return [sum(value for v, value in neighbours.items() if v in USERS_OF[i]) for i in range(N_ITEMS)]


@pytest.mark.parametrize(
    ("name", "settings", "formulas", "weighted", "similarity"),
    [
        ("item-knn", {}, (ITEM_KNN, ITEM_COSINE, ITEM_TF_IDF), tf_idf, cosine),
        ("item-knn", {"weighting": "none"}, (ITEM_KNN, ITEM_COSINE), binary, cosine),
        ("item-knn", {"similarity": "jaccard", "weighting": "none"}, (ITEM_KNN, ITEM_JACCARD), binary, jaccard),
        ("item-knn", {"similarity": "dot", "weighting": "bm25"}, (ITEM_KNN, ITEM_DOT, ITEM_BM25), bm25, dot),
        ("user-knn", {}, (USER_KNN, USER_JACCARD), binary, jaccard),
        ("user-knn", {"shrinkage": 3.0}, (USER_KNN, USER_JACCARD), binary, jaccard),
        (
            "user-knn",
            {"similarity": "cosine", "weighting": "tf-idf"},
            (USER_KNN, USER_COSINE, USER_TF_IDF),
            tf_idf,
            cosine,
        ),
        ("user-knn", {"similarity": "dot", "weighting": "bm25"}, (USER_KNN, USER_DOT, USER_BM25), bm25, dot),
    ],
)
def test_a_neighbour_model_scores_as_the_formulas_of_its_card(
    name: str, settings: dict, formulas: tuple[str, ...], weighted: Callable, similarity: Similarity
) -> None:
    k = 4  # no ties at this rank
    model = create(name, neighbours=k, **settings).fit(TrainingData(Histories.of(WATCHED), N_ITEMS), Run.seeded(2))
    assert tuple(model_card(model_class(name)).formulas_for(model.config)) == formulas
    plain = item_knn_scores if name == "item-knn" else user_knn_scores
    expected = [plain(h, weighted, similarity, model.config.shrinkage, k) for h in VISITORS]
    found = model.score(model.fold_in(Histories.of(VISITORS)))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("half_life", "formula"), [(None, COUNT), (3.0, DECAYED_COUNT)])
def test_popularity_scores_as_the_formula_of_its_card(half_life: float | None, formula: str) -> None:
    histories = replace(Histories.of(WATCHED), times=np.array([time for times in TIMES for time in times]))
    model = create("popularity", half_life_days=half_life).fit(TrainingData(histories, N_ITEMS), Run.seeded(2))
    assert model_card(model_class("popularity")).formulas_for(model.config) == [formula]
    end = max(time for times in TIMES for time in times)
    expected = [0.0] * N_ITEMS
    for items, times in zip(WATCHED, TIMES, strict=True):
        for item, time in zip(items, times, strict=True):
            expected[item] += 0.5 ** ((end - time) / DAY / half_life) if half_life else 1
    found = model.score(model.fold_in(Histories.of(VISITORS)))
    np.testing.assert_allclose(found, [expected] * len(VISITORS), rtol=1e-6)
