"""The formulas on the cards of the graph models, in plain Python, against what the models score."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.models.base import Recommender
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run

N_ITEMS = 8
WATCHED = [[0, 1, 2], [1, 2, 3], [0, 4], [4, 5, 6], [5, 6, 7], [6, 7], [0, 3, 7], [2, 5]]
VISITORS = [[0, 1], [4], [7, 5, 2]]
Vector = list[float]

SOLVED = (r"s(h, i) = x_S \cdot v_i",)
COSINE = (r"s(h, i) = \frac{x \cdot v_i}{\norm x \norm}",)
PRODUCT = (r"s(h, i) = x \cdot v_i",)
UNIT_ITEMS, ITEMS = (r"v_i = \frac{m_i}{\norm m_i \norm}",), (r"v_i = m_i",)
GRADIENT = r"g_t = \frac{1}{| h |} \sum_{j \in h} v_j - \sum_i \softmax_i(\frac{x_t \cdot v_i}{T}) v_i"
PLAIN = (
    r"x_0 = \frac{x}{\norm x \norm} , x_{t + 1} = \frac{y_t}{\norm y_t \norm} , y_t = x_t + g_t - (x_t \cdot g_t) x_t",
    GRADIENT,
)
SOLVE = (
    r"x_{-1} = \frac{3 b}{4 \norm b \norm} , b = \sum_i | N_i | v_i , x_{t + 1} = \frac{y_t}{\norm y_t \norm} , "
    r"(C + \lambda_t I) y_t = g_t + C x_t + \max(0, r - g_t \cdot x_t) x_t , \norm y_t \norm = 1 , r \le \lambda_t , "
    r"r = 0.2 \norm C \norm",
    r"C = \sum_i \frac{p_i}{T} (v_i - \hat{v}) (v_i - \hat{v})^\top , \hat{v} = \sum_i p_i v_i , "
    r"p_i = \softmax_i(\frac{x_{-1} \cdot v_i}{T})",
    GRADIENT,
)
MEAN = (r"m_i = \frac{1}{K + 1} \sum_k e_i^k",)
WEIGHTED = (r"m_i = \sum_k w_k e_i^k",)
PROPAGATION = (
    r"e_u^{k + 1} = \sum_{i \in N_u} \frac{e_i^k}{\sqrt{| N_u | | N_i |}} , "
    r"e_i^{k + 1} = \sum_{u \in N_i} \frac{e_u^k}{\sqrt{| N_i | | N_u |}}",
)
VISITOR_MEAN = (r"x = \sum_{j \in h} \frac{e_j^0 + \ldots + e_j^{K - 1}}{(K + 1) \sqrt{| h | | N_j |}}",)
VISITOR_WEIGHTED = (r"x = \sum_{j \in h} \frac{w_1 e_j^0 + \ldots + w_K e_j^{K - 1}}{\sqrt{| h | | N_j |}}",)
LAYERS = (
    r"m_i = (e_i^0 , \hat{e}_i^1 , \ldots , \hat{e}_i^K) , \hat{e} = \frac{e}{\norm e \norm}",
    r"e_u^{k + 1} = \LeakyReLU(W_1^k (e_u^k + n_u^k) + W_2^k (e_u^k \odot n_u^k) + b^k)",
    r"n_u^k = \sum_{i \in N_u} \frac{e_i^k}{\sqrt{| N_u | | N_i |}} , "
    r"n_i^k = \sum_{u \in N_i} \frac{e_u^k}{\sqrt{| N_i | | N_u |}}",
    r"x = (e_h^0 , \hat{e}_h^1 , \ldots , \hat{e}_h^K) , e_h^0 = 0 , "
    r"n_h^k = \sum_{j \in h} \frac{e_j^k}{\sqrt{| h | | N_j |}}",
)


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def add(*vectors: Vector) -> Vector:
    return [sum(values) for values in zip(*vectors, strict=True)]


def times(factor: float, vector: Vector) -> Vector:
    return [factor * value for value in vector]


def unit(vector: Vector) -> Vector:
    length = math.sqrt(dot(vector, vector))
    return times(1 / length, vector) if length else vector


def softmax(values: Vector) -> Vector:
    weights = [math.exp(value) for value in values]
    return [weight / sum(weights) for weight in weights]


def curvature(v: list[Vector], begin: Vector, temperature: float) -> list[Vector]:
    """C."""
    p = softmax([dot(begin, each) / temperature for each in v])
    centre = add(*(times(share, each) for share, each in zip(p, v, strict=True)))
    away = [add(each, times(-1, centre)) for each in v]
    dims = range(len(begin))
    return [[sum(p[i] * away[i][d] * away[i][e] for i in range(N_ITEMS)) / temperature for e in dims] for d in dims]


def largest_eigenvalue(c: list[Vector]) -> float:
    """By the power method."""
    vector = [1.0] + [0.1] * (len(c) - 1)
    for _ in range(500):
        vector = unit([dot(row, vector) for row in c])
    return dot(vector, [dot(row, vector) for row in c])


def on_the_sphere(c: list[Vector], right: Vector, least: float) -> Vector:
    """y of (C + λ I) y = right, by bisection for λ."""
    low, high = least, least + math.sqrt(dot(right, right))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if dot(*[solved(c, middle, right)] * 2) > 1 else (low, middle)
    return solved(c, low, right)


def solved(c: list[Vector], ridge: float, right: Vector) -> Vector:
    """Gauss-Jordan elimination."""
    n = len(c)
    rows = [[*c[d], right[d]] for d in range(n)]
    for d in range(n):
        rows[d][d] += ridge
    for d in range(n):
        rows[d] = times(1 / rows[d][d], rows[d])
        rows = [row if e == d else add(row, times(-row[d], rows[d])) for e, row in enumerate(rows)]
    return [row[-1] for row in rows]


def transform(model: Recommender, k: int, e: Vector, n: Vector) -> Vector:
    """LeakyReLU(W1 (e + n) + W2 (e ⊙ n) + b); the arrays hold W1 and W2 transposed."""
    w1, w2, bias = (getattr(model, name)[k].tolist() for name in ("W1", "W2", "bias"))
    summed, product = add(e, n), [x * y for x, y in zip(e, n, strict=True)]
    values = [
        sum(summed[d] * w1[d][c] + product[d] * w2[d][c] for d in range(len(e))) + bias[c] for c in range(len(bias))
    ]
    return [value if value > 0 else 0.2 * value for value in values]


def degree(item: int) -> int:
    return sum(item in row for row in WATCHED)


def item_layers(model: Recommender) -> list[list[Vector]]:
    """e_i^k for k = 0..K."""
    users, items = model.user_embeddings.tolist(), model.item_embeddings.tolist()
    layers = [items]
    for k in range(model.config.layers):
        n_users = [add(*(times(1 / math.sqrt(len(row) * degree(i)), items[i]) for i in row)) for row in WATCHED]
        n_items = [
            add(*(times(1 / math.sqrt(len(row) * degree(i)), users[u]) for u, row in enumerate(WATCHED) if i in row))
            for i in range(N_ITEMS)
        ]
        if model.name == "ngcf":
            n_users = [transform(model, k, e, n) for e, n in zip(users, n_users, strict=True)]
            n_items = [transform(model, k, e, n) for e, n in zip(items, n_items, strict=True)]
        users, items = n_users, n_items
        layers.append(items)
    return layers


def lightgcn_vectors(model: Recommender, h: Sequence[int]) -> tuple[Vector, list[Vector]]:
    """x and m_i."""
    layers, n_layers = item_layers(model), model.config.layers
    w = [1 / (n_layers + 1)] * (n_layers + 1) if model.config.layer_weights == "mean" else model.layer_weights.tolist()
    m = [add(*(times(w[k], layers[k][i]) for k in range(n_layers + 1))) for i in range(N_ITEMS)]
    messages = (times(w[k + 1] / math.sqrt(len(h) * degree(j)), layers[k][j]) for j in h for k in range(n_layers))
    return add(*messages), m


def ngcf_vectors(model: Recommender, h: Sequence[int]) -> tuple[Vector, list[Vector]]:
    """x and m_i."""
    layers = item_layers(model)
    m = [layers[0][i] + [v for layer in layers[1:] for v in unit(layer[i])] for i in range(N_ITEMS)]
    e = [0.0] * model.config.dim
    x = list(e)
    for k in range(model.config.layers):
        n = add(*(times(1 / math.sqrt(len(h) * degree(j)), layers[k][j]) for j in h))
        e = transform(model, k, e, n)
        x += unit(e)
    return x, m


def scores(model: Recommender, h: Sequence[int]) -> Vector:
    config = model.config
    x, m = (lightgcn_vectors if model.name == "lightgcn" else ngcf_vectors)(model, h)
    v = [unit(each) for each in m] if config.similarity == "cosine" else m
    if config.solve_steps or config.similarity == "cosine":
        x = unit(x)
    is_newton = config.solve_steps > 0 and config.solve == "newton"
    if is_newton:
        x = begin = times(0.75, unit(add(*(times(degree(i), v[i]) for i in range(N_ITEMS)))))
    for _ in range(config.solve_steps + is_newton):
        mean = add(*(times(1 / len(h), v[j]) for j in h))
        shares = softmax([dot(x, each) / config.solve_temperature for each in v])
        g = add(mean, *(times(-share, each) for share, each in zip(shares, v, strict=True)))
        if not is_newton:
            x = unit(add(x, g, times(-dot(x, g), x)))
        else:
            c = curvature(v, begin, config.solve_temperature)
            r = 0.2 * largest_eigenvalue(c)
            right = add(g, [dot(row, x) for row in c], times(max(0, r - dot(g, x)), x))
            x = unit(on_the_sphere(c, right, r))
    return [dot(x, each) for each in v]


LIGHTGCN, NGCF, VISITOR = (*MEAN, *PROPAGATION), LAYERS[:-1], LAYERS[-1:]
CASES = [
    ("lightgcn", {}, (*SOLVED, *UNIT_ITEMS, *LIGHTGCN, *SOLVE)),
    ("lightgcn", {"similarity": "dot"}, (*SOLVED, *ITEMS, *LIGHTGCN, *SOLVE)),
    ("lightgcn", {"solve_steps": 10}, (*SOLVED, *UNIT_ITEMS, *LIGHTGCN, *VISITOR_MEAN, *PLAIN)),
    ("lightgcn", {"solve_steps": 0}, (*COSINE, *UNIT_ITEMS, *LIGHTGCN, *VISITOR_MEAN)),
    ("lightgcn", {"solve_steps": 0, "similarity": "dot", "layers": 3}, (*PRODUCT, *ITEMS, *LIGHTGCN, *VISITOR_MEAN)),
    (
        "lightgcn",
        {"layer_weights": "learned", "solve_steps": 4},
        (*SOLVED, *UNIT_ITEMS, *WEIGHTED, *PROPAGATION, *VISITOR_WEIGHTED, *PLAIN),
    ),
    (
        "lightgcn",
        {"layer_weights": "learned"},
        (*SOLVED, *UNIT_ITEMS, *WEIGHTED, *PROPAGATION, *SOLVE),
    ),
    ("ngcf", {}, (*SOLVED, *UNIT_ITEMS, *NGCF, *SOLVE)),
    ("ngcf", {"similarity": "dot", "layers": 3}, (*SOLVED, *ITEMS, *NGCF, *SOLVE)),
    ("ngcf", {"solve_steps": 0}, (*COSINE, *UNIT_ITEMS, *NGCF, *VISITOR)),
    ("ngcf", {"solve_steps": 0, "similarity": "dot"}, (*PRODUCT, *ITEMS, *NGCF, *VISITOR)),
]


@pytest.mark.parametrize(("name", "settings", "formulas"), CASES)
def test_a_graph_model_scores_as_the_formulas_of_its_card(
    name: str, settings: dict[str, object], formulas: tuple[str, ...]
) -> None:
    histories = Histories.of(WATCHED)
    train = TrainingData(replace(histories, user_rows=np.arange(len(WATCHED), dtype=np.int32)), N_ITEMS)
    model = create(name, dim=3, epochs=4, **settings).fit(train, Run.seeded(2))
    assert tuple(model_card(model_class(name)).formulas_for(model.config)) == formulas
    found = model.score(model.fold_in(Histories.of(VISITORS)))
    np.testing.assert_allclose(found, [scores(model, h) for h in VISITORS], rtol=1e-4, atol=1e-5)
