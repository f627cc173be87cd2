"""The formulas on the cards of sequence models, in plain Python, against what the models score."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create, model_class
from matinee.models.base import Recommender
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run

WATCHED = [[0, 1, 2, 3], [1, 2, 3], [0, 4], [4, 5, 6, 7], [5, 6, 7], [6, 7], [0, 3, 7], [2, 5]]
VISITORS = [[0, 1], [4], [7, 5, 2, 3]]
N_ITEMS = 8

MARKOV = (
    r"s(h, i) = \sum_{d \le D} \alpha^{d - 1} P(i | j_d)",
    r"P(i | j) = \frac{C_{ji} + c p_i}{C_j + c} , C_{ji} = \sum_{d \le D} \alpha^{d - 1} n_{ji}^d",
)
CELL = (
    r"h_t = (1 - z_t) \odot \hat{h}_t + z_t \odot h_{t - 1}",
    r"\hat{h}_t = \tanh(W v_t + a + r_t \odot (U h_{t - 1} + c))",
    r"r_t = \sigma(W_r v_t + a_r + U_r h_{t - 1} + c_r) , z_t = \sigma(W_z v_t + a_z + U_z h_{t - 1} + c_z)",
)
TIED, SEPARATE = r"s(h, i) = h_n^T P v_i + b_i", r"s(h, i) = h_n^T o_i + b_i"
TIED_ATTENTION = r"s(h, i) = f_n^T P v_i + b_i , f = \Blocks(h)"
SEPARATE_ATTENTION = r"s(h, i) = f_n^T o_i + b_i , f = \Blocks(h)"
LINEAR_GRU = (
    r"s(h, i) = a l(h, i) + h_n^T P v_i + b_i",
    r"l(h, i) = \sum_{\gamma} \sum_{j \in h} \gamma^{d_j} W_{ji}^{\gamma}",
)
SASREC = r"s(h, i) = \LN(y_n)^T e_i , x_t = \sqrt{d} e_{j_t} + p_{n - t}"
PRE_NORM = r"g = x + A(\LN(x)) , y = g + F(\LN(g))"
POST_NORM = r"g = \LN(x + A(x)) , y = \LN(g + F(g))"
BLOCK = r"A(x) = \softmax(\frac{Q K^T}{\sqrt{d}}) V O , F(x) = \ReLU(x W_1 + b_1) W_2 + b_2"

HSTU = (
    r"y = x + (\LN(A V) \odot U) O , (U, Q, K, V) = \SiLU(\LN(x) W)",
    r"A_{ts} = \frac{1}{L} \SiLU(q_t^T k_s + r_{t - s}) , s \le t",
)

Vector = list[float]


def times(vector: Vector, matrix: list[Vector]) -> Vector:
    return [sum(x * row[column] for x, row in zip(vector, matrix, strict=True)) for column in range(len(matrix[0]))]


def dot(one: Vector, other: Vector) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def plus(*vectors: Vector) -> Vector:
    return [sum(values) for values in zip(*vectors, strict=True)]


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def markov_scores(model: Recommender, h: Sequence[int]) -> Vector:
    steps, alpha, c = model.config.steps, model.config.decay, model.config.smoothing
    counts = [[0.0] * N_ITEMS for _ in range(N_ITEMS)]
    for items in WATCHED:
        for earlier in range(len(items)):
            for later in range(earlier + 1, min(earlier + steps, len(items) - 1) + 1):
                counts[items[earlier]][items[later]] += alpha ** (later - earlier - 1)
    p = [sum(items.count(i) for items in WATCHED) / sum(map(len, WATCHED)) for i in range(N_ITEMS)]
    scores = [0.0] * N_ITEMS
    for d, j in enumerate(reversed(h[-steps:]), start=1):
        for i in range(N_ITEMS):
            scores[i] += alpha ** (d - 1) * (counts[j][i] + c * p[i]) / (sum(counts[j]) + c)
    return scores


def gru_layer(inputs: list[Vector], weights_ih: list, weights_hh: list, biases: list) -> list[Vector]:
    n, states = len(weights_hh), []
    state = [0.0] * n
    for v in inputs:
        x, y = plus(times(v, weights_ih), biases[0]), plus(times(state, weights_hh), biases[1])
        r = [logistic(x[d] + y[d]) for d in range(n)]
        z = [logistic(x[n + d] + y[n + d]) for d in range(n)]
        new = [math.tanh(x[2 * n + d] + r[d] * y[2 * n + d]) for d in range(n)]
        state = [(1 - z[d]) * new[d] + z[d] * state[d] for d in range(n)]
        states.append(state)
    return states


def layer_norm(x: Vector, norm: list[Vector]) -> Vector:
    mean = sum(x) / len(x)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in x) / len(x) + 1e-5)
    return [(value - mean) / deviation * scale + shift for value, scale, shift in zip(x, *norm, strict=True)]


def attention(x: list[Vector], qkv: list[Vector], out_proj: list[Vector]) -> list[Vector]:
    d, joined = len(out_proj), [times(row, qkv) for row in x]
    q, k, v = ([row[part * d : (part + 1) * d] for row in joined] for part in range(3))
    outputs = []
    for t in range(len(x)):  # no step sees a later one
        weights = [math.exp(dot(q[t], k[s]) / math.sqrt(d)) for s in range(t + 1)]
        mixture = [sum(w * v[s][c] for s, w in enumerate(weights)) / sum(weights) for c in range(d)]
        outputs.append(times(mixture, out_proj))
    return outputs


def blocks(model: Recommender, x: list[Vector], norm: str) -> list[Vector]:
    for block in range(len(model.qkv)):
        names = ("qkv", "out_proj", "ffn_in", "ffn_out", "ffn_bias", "norms")
        qkv, out_proj, ffn_in, ffn_out, ffn_bias, norms = (getattr(model, name)[block].tolist() for name in names)

        def feed_forward(row: Vector, w1: list = ffn_in, w2: list = ffn_out, b: list = ffn_bias) -> Vector:
            return plus(times([max(value, 0.0) for value in plus(times(row, w1), b[0])], w2), b[1])

        if norm == "pre":
            attended = attention([layer_norm(row, norms[0]) for row in x], qkv, out_proj)
            g = [plus(row, added) for row, added in zip(x, attended, strict=True)]
            x = [plus(row, feed_forward(layer_norm(row, norms[1]))) for row in g]
        else:
            attended = attention(x, qkv, out_proj)
            g = [layer_norm(plus(row, added), norms[0]) for row, added in zip(x, attended, strict=True)]
            x = [layer_norm(plus(row, feed_forward(row)), norms[1]) for row in g]
    return x


def gru4rec_scores(model: Recommender, h: Sequence[int]) -> Vector:
    v = model.items.tolist()
    states = [v[j] for j in h]
    for layer, weights_ih in enumerate([model.first_weights_ih, *model.weights_ih]):
        weights_hh, biases = model.weights_hh[layer].tolist(), model.biases[layer].tolist()
        states = gru_layer(states, weights_ih.tolist(), weights_hh, biases)
    last = blocks(model, states, "post")[-1]
    if not model.config.tied:
        return [dot(last, o) + b for o, b in zip(model.output_vectors.tolist(), model.bias.tolist(), strict=True)]
    projected = times(last, model.projection.tolist())
    return [dot(projected, row) + b for row, b in zip(v, model.bias.tolist(), strict=True)]


def linear_gru_scores(model: Recommender, h: Sequence[int]) -> Vector:
    v, weights = model.items.tolist(), model.linear_weights.tolist()
    arrays = (model.first_weights_ih, model.weights_hh[0], model.biases[0])
    last = times(gru_layer([v[j] for j in h], *(array.tolist() for array in arrays))[-1], model.projection.tolist())
    linear = [0.0] * N_ITEMS
    for d, j in enumerate(reversed(h)):
        for block, gamma in enumerate((0.5, 0.95)):
            linear = [sum_ + gamma**d * w for sum_, w in zip(linear, weights[block * N_ITEMS + j], strict=True)]
    return [model.factor * linear[i] + dot(last, v[i]) + float(model.bias[i]) for i in range(N_ITEMS)]


def silu(x: float) -> float:
    return x * logistic(x)


def hstu_layer(x: list[Vector], uqkv: list, out_proj: list, norms: list, r: Vector) -> list[Vector]:
    d, outputs = len(out_proj), []
    projected = [[silu(value) for value in times(layer_norm(row, norms[0]), uqkv)] for row in x]
    u, q, k, v = ([row[part * d : (part + 1) * d] for row in projected] for part in range(4))
    for t in range(len(x)):
        weights = [silu(dot(q[t], k[s]) + r[t - s]) / len(r) for s in range(t + 1)]
        mixture = [sum(w * v[s][c] for s, w in enumerate(weights)) for c in range(d)]
        gated = [a * b for a, b in zip(layer_norm(mixture, norms[1]), u[t], strict=True)]
        outputs.append(plus(x[t], times(gated, out_proj)))
    return outputs


def sasrec_scores(model: Recommender, h: Sequence[int]) -> Vector:
    e, p = model.items.tolist(), model.position_embeddings.tolist()
    root = math.sqrt(model.config.dim)
    x = [plus([root * value for value in e[j]], p[len(h) - t]) for t, j in enumerate(h, start=1)]
    if model.config.block == "hstu":
        for arrays in zip(model.uqkv, model.out_proj, model.norms, model.distance_bias[:, 0], strict=True):
            x = hstu_layer(x, *(array.tolist() for array in arrays))
    else:
        x = blocks(model, x, model.config.norm)
    last = layer_norm(x[-1], model.last_norm.tolist())
    return [dot(last, row) for row in e]


@pytest.mark.parametrize(
    ("name", "settings", "formulas", "plain"),
    [
        ("markov", {}, MARKOV, markov_scores),
        ("markov", {"steps": 1, "smoothing": 2.0}, MARKOV, markov_scores),
        ("gru4rec", {}, (TIED, *CELL), gru4rec_scores),
        ("gru4rec", {"tied": False, "layers": 2}, (SEPARATE, *CELL), gru4rec_scores),
        ("gru4rec", {"attention": 1}, (TIED_ATTENTION, *CELL), gru4rec_scores),
        ("gru4rec", {"attention": 2, "tied": False}, (SEPARATE_ATTENTION, *CELL), gru4rec_scores),
        ("linear-gru", {"l2": 2.0}, (*LINEAR_GRU, *CELL), linear_gru_scores),
        ("sasrec", {}, (SASREC, PRE_NORM, BLOCK), sasrec_scores),
        ("sasrec", {"block": "hstu"}, (SASREC, *HSTU), sasrec_scores),
        ("sasrec", {"norm": "post", "layers": 1}, (SASREC, POST_NORM, BLOCK), sasrec_scores),
    ],
)
def test_a_sequence_model_scores_as_the_formulas_of_its_card(
    name: str, settings: dict, formulas: tuple[str, ...], plain: Callable[[Recommender, Sequence[int]], Vector]
) -> None:
    gru = {"dim": 4, "hidden": 3, "epochs": 3}
    sizes = {"markov": {}, "gru4rec": gru, "linear-gru": gru, "sasrec": {"dim": 4, "epochs": 3}}[name]
    model = create(name, **sizes, **settings).fit(TrainingData(Histories.of(WATCHED), N_ITEMS), Run.seeded(2))
    assert tuple(model_card(model_class(name)).formulas_for(model.config)) == formulas
    found = model.score(model.fold_in(Histories.of(VISITORS)))
    np.testing.assert_allclose(found, [plain(model, h) for h in VISITORS], rtol=1e-5, atol=1e-5)
