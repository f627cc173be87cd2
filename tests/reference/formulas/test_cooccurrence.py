"""The formulas on the cards of PMI, Item2Vec and MoviePairs, in plain Python, against what the models score."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.models.base import Recommender
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run

WATCHED = [[0, 1, 2], [1, 2, 3], [0, 4], [4, 5, 6], [5, 6, 7], [6, 7], [0, 3, 7], [2, 5]]
VISITORS = [[0, 1], [4], [7, 5, 2]]
N_ITEMS = 8

PMI_NEIGHBOURS = r"s(h, i) = n_i^q \sum_{j \in h \cap N_i} M_{ji}"
PMI_VECTORS = (
    r"s(h, i) = n_i^q \frac{1}{| h |} \sum_{j \in h} e_j^T e_i",
    r"\frac{1}{2} (M + M^T) = V S V^T , e_i = V_i | S |^b",
)
PMI_MATRIX = (
    r"M_{ji} = \max(0, \ln \frac{C_{ji} + a}{c_j m_i / N + a} - \ln k)",
    r"m_i = N c_i^p / \sum_l c_l^p , c_j = \sum_i C_{ji} , N = \sum_j c_j",
)
BY_CONTEXT, BY_COSINE = r"s(h, i) = u_h^T v_i", r"s(h, i) = u_h^T \frac{u_i}{\norm u_i \norm}"
MEAN = r"u_h = \frac{1}{| h |} \sum_{j \in h} u_j"
RECENT_MEAN = r"u_h = \sum_{j \in h} 0.5^{a_j / t} u_j / \sum_{j \in h} 0.5^{a_j / t}"
SKIP_GRAM = r"\max \sum_{i, j} C_{ij} \ln \sigma(u_i^T v_j) + k c_i p_j \ln \sigma(- u_i^T v_j)"
BY_LOGIT = r"s(h, i) = \frac{1}{| h |} \sum_{j \in h} f(e_j)^T e_i + c b_i"
PAIRS_BY_COSINE = (
    r"s(h, i) = \frac{e_h^T e_i}{\norm e_h \norm \norm e_i \norm} , e_h = \frac{1}{| h |} \sum_{j \in h} e_j"
)
PAIRS_HIDDEN = {"none": r"f(e) = e", "linear": r"f(e) = A e", "relu": r"f(e) = e + W_2 \ReLU(W_1 \LN(e) + a)"}
PAIRS_LOSS = r"P(i | j) = \softmax(f(e_j)^T e + b)_i , \max \sum_{i, j} C_{ji} \ln P(i | j)"

Vector = list[float]


def dot(one: Vector, other: Vector) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def norm(vector: Vector) -> float:
    return math.sqrt(dot(vector, vector))


def mean(vectors: list[Vector], weights: list[float]) -> Vector:
    return [
        sum(w * vector[d] for w, vector in zip(weights, vectors, strict=True)) / sum(weights)
        for d in range(len(vectors[0]))
    ]


def pmi_matrix(model: Recommender) -> list[Vector]:
    config = model.config
    counts = [
        [float(sum(j in h and i in h and i != j for h in WATCHED)) for i in range(N_ITEMS)] for j in range(N_ITEMS)
    ]
    c = [sum(row) for row in counts]
    n, powers = sum(c), sum(value**config.smoothing for value in c)
    m = [n * value**config.smoothing / powers for value in c]
    a, k = config.shrinkage, config.shift
    return [
        [
            max(0.0, math.log((counts[j][i] + a) / (c[j] * m[i] / n + a)) - math.log(k)) if counts[j][i] else 0.0
            for i in range(N_ITEMS)
        ]
        for j in range(N_ITEMS)
    ]


def popularity_factors(model: Recommender) -> Vector:
    return [sum(i in h for h in WATCHED) ** model.config.popularity_power for i in range(N_ITEMS)]


def pmi_scores(model: Recommender, h: Sequence[int]) -> Vector:
    matrix, factors = pmi_matrix(model), popularity_factors(model)
    scores = []
    for i in range(N_ITEMS):
        neighbours = sorted(range(N_ITEMS), key=lambda j: -matrix[j][i])[: model.config.neighbours]
        scores.append(factors[i] * sum(matrix[j][i] for j in h if j in neighbours))
    return scores


def pmi_vector_scores(model: Recommender, h: Sequence[int]) -> Vector:
    e, factors = model.vectors.tolist(), popularity_factors(model)
    return [factors[i] * sum(dot(e[j], e[i]) for j in h) / len(h) for i in range(N_ITEMS)]


def item2vec_scores(model: Recommender, h: Sequence[int]) -> Vector:
    u, v, t = model.items.tolist(), model.context_vectors.tolist(), model.config.recency_half_life
    ages = range(len(h) - 1, -1, -1)
    u_h = mean([u[j] for j in h], [0.5 ** (age / t) if t else 1.0 for age in ages])
    if model.config.score_by == "cosine":
        return [dot(u_h, u[i]) / norm(u[i]) for i in range(N_ITEMS)]
    return [dot(u_h, v[i]) for i in range(N_ITEMS)]


def movie_pairs_scores(model: Recommender, h: Sequence[int]) -> Vector:
    e, f, b = model.items.tolist(), model.input_vectors.tolist(), model.bias.tolist()
    if model.config.score_by == "cosine":
        e_h = mean([e[j] for j in h], [1.0] * len(h))
        return [dot(e_h, e[i]) / (norm(e_h) * norm(e[i])) for i in range(N_ITEMS)]
    c = model.config.bias_share
    return [sum(dot(f[j], e[i]) for j in h) / len(h) + c * b[i] for i in range(N_ITEMS)]


def hidden(kind: str) -> tuple[str, str]:
    return PAIRS_HIDDEN[kind], PAIRS_LOSS


@pytest.mark.parametrize(
    ("name", "settings", "formulas", "plain"),
    [
        ("pmi", {}, (PMI_NEIGHBOURS, *PMI_MATRIX), pmi_scores),
        ("pmi", {"shift": 1.2, "smoothing": 1.0, "shrinkage": 0.0}, (PMI_NEIGHBOURS, *PMI_MATRIX), pmi_scores),
        ("pmi", {"form": "vectors", "dim": 3}, (*PMI_VECTORS, *PMI_MATRIX), pmi_vector_scores),
        ("item2vec", {}, (BY_CONTEXT, MEAN, SKIP_GRAM), item2vec_scores),
        ("item2vec", {"score_by": "cosine"}, (BY_COSINE, MEAN, SKIP_GRAM), item2vec_scores),
        ("item2vec", {"recency_half_life": 2.0}, (BY_CONTEXT, RECENT_MEAN, SKIP_GRAM), item2vec_scores),
        ("movie-pairs", {}, (BY_LOGIT, *hidden("linear")), movie_pairs_scores),
        ("movie-pairs", {"hidden": "relu", "bias_share": 1.0}, (BY_LOGIT, *hidden("relu")), movie_pairs_scores),
        (
            "movie-pairs",
            {"hidden": "none", "score_by": "cosine"},
            (PAIRS_BY_COSINE, *hidden("none")),
            movie_pairs_scores,
        ),
    ],
)
def test_a_cooccurrence_model_scores_as_the_formulas_of_its_card(
    name: str, settings: dict, formulas: tuple[str, ...], plain: Callable[[Recommender, Sequence[int]], Vector]
) -> None:
    model = create(name, **settings).fit(TrainingData(Histories.of(WATCHED), N_ITEMS), Run.seeded(2))
    assert tuple(model_card(model_class(name)).formulas_for(model.config)) == formulas
    found = model.score(model.fold_in(Histories.of(VISITORS)))
    np.testing.assert_allclose(found, [plain(model, h) for h in VISITORS], rtol=1e-4, atol=1e-5)


def test_the_vectors_of_pmi_are_the_factors_on_its_card() -> None:
    """With every dimension kept, V |S|^b squared at b = 1/2 is V |S| Vᵀ; its eigenvalues are those of M, unsigned."""
    model = create("pmi", form="vectors", dim=N_ITEMS, eigenvalue_power=0.5)
    model.fit(TrainingData(Histories.of(WATCHED), N_ITEMS), Run.seeded(2))
    matrix = np.array(pmi_matrix(model))
    values, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    np.testing.assert_allclose(model.vectors @ model.vectors.T, (axes * np.abs(values)) @ axes.T, atol=1e-3)
