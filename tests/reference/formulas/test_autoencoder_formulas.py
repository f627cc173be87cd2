r"""The formulas on the cards of AutoRec, CDAE and Mult-VAE, in plain Python, against the served scores.

Each test asks the card for the formulas of a configuration and compares their TeX with the strings beside the plain
functions, so that neither changes without the other.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.serve.pages.model_cards import model_card
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer

ITEMS = [[0, 1, 2], [1, 2], [3, 4], [3, 4, 5], [0, 2], [4, 5], [0, 5], [1, 3]]
RATINGS = [[5.0, 4.0, 1.0], [2.0, 3.0], [4.0, 1.0], [5.0, 5.0, 2.0], [1.0, 3.0], [4.0, 2.0], [3.0, 5.0], [2.0, 4.0]]
KNOWN = replace(Histories.of(ITEMS, RATINGS), user_rows=np.arange(8, dtype=np.int32))
TRAIN = TrainingData(KNOWN, 6)
VISITORS = Histories.of([[0, 2], [3], [1, 4, 5], []], [[5.0, 2.0], [4.0], [1.0, 3.0, 5.0], []])
Vector = Sequence[float]
Matrix = list[list[float]]


def dot(left: Vector, right: Vector) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def layer(values: Vector, weights: Matrix, bias: Vector) -> list[float]:
    """values · weights + bias."""
    return [dot(values, [row[unit] for row in weights]) + bias[unit] for unit in range(len(bias))]


def tanh(values: Vector) -> list[float]:
    return [math.tanh(value) for value in values]


def sigmoid(values: Vector) -> list[float]:
    return [1 / (1 + math.exp(-value)) for value in values]


def histories(batch: Histories) -> list[tuple[list[int], list[float]]]:
    """Item rows and ratings of each user."""
    bounds = zip(batch.starts[:-1].tolist(), batch.starts[1:].tolist(), strict=True)
    return [(batch.items[a:b].tolist(), batch.values[a:b].tolist()) for a, b in bounds]


def first_layer(model: Any, items: list[int], scale: float) -> list[float]:
    """scale · Σ v_j + b over the history's items."""
    encoder = model.encoder.tolist()
    return [
        scale * sum(encoder[item][unit] for item in items) + bias
        for unit, bias in enumerate(model.encoder_bias.tolist())
    ]


def output(model: Any, state: Vector) -> list[float]:
    """w_iᵀ state + b_i of every item."""
    return [dot(row, state) + bias for row, bias in zip(model.output.tolist(), model.output_bias.tolist(), strict=True)]


FIRST = r"\frac{1}{\sqrt{|h|}} \sum_{j \in h} v_j + b"
MULT_VAE = {
    (False, True): [r"s(h, i) = w_i^T z_h + b_i", rf"z_h = {FIRST}"],
    (False, False): [r"s(h, i) = w_i^T z_h + b_i", rf"z_h = \tanh({FIRST})"],
    (True, True): [r"s(h, i) = w_i^T \tanh(D z_h + d) + b_i", rf"z_h = A \tanh({FIRST}) + a"],
    (True, False): [r"s(h, i) = w_i^T \tanh(D z_h + d) + b_i", rf"z_h = \tanh(A \tanh({FIRST}) + a)"],
}


def mult_vae_scores(model: Any, items: list[int], hidden: bool, variational: bool) -> list[float]:
    z = first_layer(model, items, 1 / math.sqrt(len(items) or 1))
    if hidden:
        z = layer(tanh(z), model.latent.tolist(), model.latent_bias.tolist())
    if not variational:
        z = tanh(z)
    if hidden:
        z = tanh(layer(z, model.decoder.tolist(), model.decoder_bias.tolist()))
    return output(model, z)


@pytest.mark.parametrize(("hidden", "variational"), MULT_VAE)
def test_the_formulas_on_the_card_of_mult_vae_give_the_served_scores(hidden: bool, variational: bool) -> None:
    model = create("mult-vae", dim=3, hidden=4 * hidden, variational=variational, epochs=20).fit(TRAIN, Run.seeded(5))
    assert model_card(type(model)).formulas_for(model.config) == MULT_VAE[hidden, variational]
    served = model.score(model.fold_in(VISITORS))
    for row, (items, _) in enumerate(histories(VISITORS)):
        plain = mult_vae_scores(model, items, hidden, variational)
        np.testing.assert_allclose(served[row], plain, atol=1e-5, err_msg=f"visitor {row}")


CDAE = {"history": r"s(h, i) = w_i^T g(c_h \sum_{j \in h} v_j + b) + b_i"}
CDAE["stored"] = CDAE["history"].replace(" + b) +", " + u_h + b) +")
ACTIVATIONS = {"tanh": (r"g = \tanh", tanh), "sigmoid": (r"g = \sigma", sigmoid), "identity": ("g(x) = x", list)}
SCALES = {True: r"c_h = \frac{1}{\sqrt{|h|}}", False: "c_h = 1"}


def cdae_scores(model: Any, items: list[int], node: Vector) -> list[float]:
    scale = 1 / math.sqrt(len(items) or 1) if model.config.normalise_input else 1
    inputs = [value + own for value, own in zip(first_layer(model, items, scale), node, strict=True)]
    return output(model, ACTIVATIONS[model.config.activation][1](inputs))


@pytest.mark.parametrize(("user_state", "activation", "normalise"), [*product(CDAE, ACTIVATIONS, SCALES)])
def test_the_formulas_on_the_card_of_cdae_give_the_served_scores(
    user_state: str, activation: str, normalise: bool
) -> None:
    model: Any = create(
        "cdae", dim=3, user_state=user_state, activation=activation, normalise_input=normalise, epochs=20
    ).fit(TRAIN, Run.seeded(5))
    expected = [CDAE[user_state], ACTIVATIONS[activation][0], SCALES[normalise]]
    assert model_card(type(model)).formulas_for(model.config) == expected
    for batch, nodes in ((VISITORS, [[0.0] * 3] * 4), (KNOWN, model.user_nodes.tolist())):
        served = model.score(model.fold_in(batch))
        for row, (items, _) in enumerate(histories(batch)):
            node = nodes[row] if user_state == "stored" else [0.0] * 3
            np.testing.assert_allclose(served[row], cdae_scores(model, items, node), atol=1e-5, err_msg=f"user {row}")
    assert np.abs(model.user_nodes).max() > 1e-3


AUTOREC = {
    "item": [
        r"s(h, i) = w_h^T z_i + \mu , z_i = (\sigma(V x_i + b), 1)",
        r"w_h = \argmin_w \sum_{j \in h} (r_j - \mu - w^T z_j)^2 + \lambda (w - m)^T C^{-1} (w - m)",
    ],
    "user": [r"s(h, i) = w_i^T \sigma(\sum_{j \in h} (r_j - \mu) v_j + b) + b_i + \mu"],
}


def item_codes(weights: dict[str, Any], mean: float) -> Matrix:
    """z_i, from the ratings x_i of each item less their mean."""
    encoder, bias = weights["encoder"].tolist(), weights["encoder_bias"].tolist()
    codes = []
    for item in range(TRAIN.n_items):
        x = [next((r - mean for j, r in zip(*user, strict=True) if j == item), 0.0) for user in histories(KNOWN)]
        codes.append([*sigmoid(layer(x, encoder, bias)), 1.0])
    return codes


def regression_gradient(model: Any, w: Vector, z: Matrix, items: list[int], ratings: list[float]) -> list[float]:
    """C times half the gradient of what the argmin line minimises; C the training users' covariance. Zero at w_h."""
    users: Matrix = model.user_factors.tolist()
    dims, n = range(len(w)), len(users)
    m = [sum(user[d] for user in users) / n for d in dims]
    covariance = [[sum((user[a] - m[a]) * (user[b] - m[b]) for user in users) / n for b in dims] for a in dims]
    errors = [dot(w, z[item]) + model.mean - rating for item, rating in zip(items, ratings, strict=True)]
    of_squares = [sum(error * z[item][d] for error, item in zip(errors, items, strict=True)) for d in dims]
    return [dot(covariance[d], of_squares) + model.config.fold_in_l2 * (w[d] - m[d]) for d in dims]


def test_the_formulas_on_the_card_of_item_based_autorec_give_the_served_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    trainers: list[TorchTrainer] = []
    construct = TorchTrainer.__init__

    def recorded(self: TorchTrainer, *given: Any, **named: Any) -> None:
        construct(self, *given, **named)
        trainers.append(self)

    monkeypatch.setattr(TorchTrainer, "__init__", recorded)
    model: Any = create("autorec", dim=3, epochs=40, learning_rate=0.05, l2=1.0).fit(TRAIN, Run.seeded(5))
    assert model_card(type(model)).formulas_for(model.config) == AUTOREC["item"]
    z = item_codes({name: tensor.detach() for name, tensor in trainers[0].parameters.items()}, model.mean)
    state = model.fold_in(VISITORS)
    served = model.score(state)
    for row, (items, ratings) in enumerate(histories(VISITORS)):
        w = state[row].tolist()
        np.testing.assert_allclose(served[row], [dot(w, z_i) + model.mean for z_i in z], atol=1e-5)
        np.testing.assert_allclose(regression_gradient(model, w, z, items, ratings), 0, atol=1e-5)
    assert np.std(served) > 0.1


def test_the_formula_on_the_card_of_user_based_autorec_gives_the_served_scores() -> None:
    model: Any = create("autorec", based_on="user", dim=3, epochs=40, learning_rate=0.05, l2=1.0)
    model.fit(TRAIN, Run.seeded(5))
    assert model_card(type(model)).formulas_for(model.config) == AUTOREC["user"]
    served = model.score(model.fold_in(VISITORS))
    encoder, bias = model.encoder.tolist(), model.encoder_bias.tolist()
    for row, (items, ratings) in enumerate(histories(VISITORS)):
        centred = [rating - model.mean for rating in ratings]
        hidden = sigmoid(layer(centred, [encoder[item] for item in items], bias)) if items else sigmoid(bias)
        plain = [dot(factors, [*hidden, 1.0]) + model.mean for factors in model.item_factors.tolist()]
        np.testing.assert_allclose(served[row], plain, atol=1e-5, err_msg=f"visitor {row}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mult-vae", MULT_VAE[False, True]),
        ("cdae", [CDAE["history"], ACTIVATIONS["tanh"][0], SCALES[True]]),
        ("autorec", AUTOREC["item"]),
    ],
)
def test_the_card_of_the_default_configuration(name: str, expected: list[str]) -> None:
    model = create(name)
    assert model_card(type(model)).formulas_for(model.config) == expected
