"""What GMF, MLP and NeuMF share: training a network that scores pairs, and serving it without torch."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.cold_start import fill_cold_scores
from matinee.models.ncf.config import PairConfig, TowerConfig
from matinee.models.ncf.fold_in import solve_users
from matinee.models.ncf.inference import PairWeights, score_all
from matinee.models.stored_users import find_stored_users
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from matinee.models.ncf.network import PairNetwork

LEARNED = ("users", "user_rows", "items", "embeddings", "weights", "popularity", "data")
"""What a pair model learns, as of `PairModel`."""


class PairModel(Protocol):
    """A model whose score is that of a network over a user's and an item's embeddings."""

    config: Any
    has_product: bool  # whether the network has that half
    users: FloatArray  # [U, D + E] the embeddings
    user_rows: IntArray  # [U] ascending
    items: FloatArray  # [I, D + W] the items' parts
    embeddings: FloatArray  # [I, D + E]
    weights: FloatArray  # all others, flat: see PairWeights
    popularity: FloatArray  # [I]
    data: str  # fingerprint of what was learned from


def fit_pairs(
    model: Recommender[FloatArray],
    train: TrainingData,
    run: Run,
    start: Callable[["PairNetwork"], None] = lambda network: None,
) -> None:
    """Train a PairModel; start: sets first values of the network's parameters."""
    from matinee.models.ncf.likeness import slow_down
    from matinee.models.ncf.losses import pair_losses
    from matinee.models.ncf.network import PairNetwork
    from matinee.training.torch_trainer import TorchTrainer, torch_generator

    config: PairConfig = model.config  # type: ignore[assignment]
    matrix, chance = train.matrix(), torch_generator(run)
    network = PairNetwork(config, config.dim if model.has_product else 0, matrix, chance)  # type: ignore[attr-defined]
    start(network)

    def learned() -> Mapping[str, Any]:
        weights = effective_weights(network)
        users, items = (network.parameters[name].numpy().copy() for name in ("users", "items"))
        return {"users": users, "embeddings": items, "items": weights.item_parts(items), "weights": weights.flat()}

    model.user_rows = train.histories.user_rows.astype(np.int32)  # type: ignore[attr-defined]
    model.popularity = train.popularity.astype(np.float32)  # type: ignore[attr-defined]
    model.data = train.fingerprint  # type: ignore[attr-defined]
    losses = pair_losses(config, matrix, network, run.rng)
    steps = TorchTrainer(network.parameters, losses, learned, config, buffers=network.buffers, generator=chance)
    if isinstance(config, TowerConfig) and config.tower_rate != 1:
        names = (name for name in network.parameters if name not in ("users", "items", "product"))
        slow_down(steps.optimizer, [network.parameters[name] for name in names], config.tower_rate)
    train_epochs(model, steps, train, run)


def effective_weights(network: "PairNetwork") -> PairWeights:
    """A network's weights in numpy, batch normalisation multiplied into the layer below it."""
    from matinee.models.ncf.network import EPSILON

    named = {name: tensor.detach().numpy() for name, tensor in (network.parameters | network.buffers).items()}
    layers = []
    for layer in range(network.layers):
        weights, bias = named[f"weights{layer}"], named[f"bias{layer}"]
        if network.buffers:
            factor = named[f"scale{layer}"] / np.sqrt(named[f"variance{layer}"] + np.float32(EPSILON))
            weights, bias = weights * factor, (bias - named[f"mean{layer}"]) * factor + named[f"shift{layer}"]
        layers.append((weights, bias))
    nothing = np.zeros(0, dtype=np.float32)
    first, offset = layers[0] if layers else (np.zeros((0, 0), dtype=np.float32), nothing)
    return PairWeights(
        named.get("product", nothing),
        first[: network.width],
        first[network.width :],
        offset,
        tuple(layers[1:]),
        named.get("output", nothing),
    )


def weights_of(model: PairModel) -> PairWeights:
    """The weights by name."""
    config: PairConfig = model.config
    product = config.dim if model.has_product else 0
    return PairWeights.of_flat(model.weights, product, config.dim, getattr(config, "layers", 0))


def user_parts(model: PairModel, histories: Histories) -> FloatArray:
    """The users' parts of scores, solved or stored. [B, D + W]; zero without a history."""
    weights, matrix = weights_of(model), histories.matrix(len(model.items))
    places, known = find_stored_users(model.user_rows, histories.user_rows, model.config.user_state)
    lengths = np.diff(matrix.indptr)
    users = np.zeros((len(histories), model.users.shape[1]), dtype=np.float32)
    users[known] = model.users[places[known]]
    rest = np.flatnonzero(~known & (lengths > 0))
    users[rest] = solve_users(weights, matrix[rest], model.items, model.users, model.popularity, model.config)
    # one by one, as a product of many rows at once rounds otherwise than that of each
    parts = [weights.user_parts(user[None])[0] for user in users]
    states = np.array(parts, dtype=np.float32).reshape(len(users), model.items.shape[1])
    states[lengths == 0] = 0
    return states


def pair_scores(model: PairModel, states: FloatArray) -> FloatArray:
    """Scores of all items. states [B, D + W] -> [B, I]; items without events last, zero states by popularity."""
    return fill_cold_scores(score_all(weights_of(model), states, model.items), states, model.popularity)
