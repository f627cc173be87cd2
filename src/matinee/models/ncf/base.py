"""What GMF, MLP and NeuMF share: training the network, solving a visitor's vector, and scoring in numpy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.derived import derived
from matinee.models.ncf.config import NCFConfig, TowerConfig
from matinee.models.ncf.fold_in import AtStart, Setting, solve_users
from matinee.models.ncf.inference import NCFWeights, score_all
from matinee.models.ncf.left_out import towers_without_each
from matinee.models.ncf.regression import fit_projection
from matinee.models.needs import matrix_needs, parameter_needs
from matinee.models.vectors import fill_cold_scores, find_stored_users, mean_vectors
from matinee.nn.candidates import large_catalogue_defaults
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from matinee.models.ncf.network import NCFNetwork

TOWER_CANDIDATES = 512
"""Candidates of a tower on a large catalogue: each passes through all its layers, with each user."""


class NCFModel(Recommender[FloatArray]):
    """A model whose score is a network's output for a user vector and an item vector.

    The user vector of a history is an affine map of the mean of its items' embeddings by the events' weights, which
    training users' means and embeddings give (`regression.py`). With `fold_in = "newton"` it minimises the training
    loss with everything else frozen (`fold_in.py`), the likelihood of each event times its weight, and with items of
    weights below 0 as negatives. A state is that vector projected: [h ⊙ p, W_u p' + b], whichever the model has, zero
    for an empty history and, without steps, for one of items without events. Items without events get the lowest score
    of the row, and a state of zeros is scored by popularity.
    """

    learned = (
        "user_embeddings", "user_rows", "projected_items", "item_embeddings", "projection", "weights", "popularity",
        "fingerprint",
    )  # fmt: skip
    learned_since = ("projection",)
    uses_weights = True
    trained_by_torch = True
    has_product: ClassVar[bool]
    config: NCFConfig
    user_embeddings: FloatArray  # [U, D + E], p and p'
    user_rows: IntArray  # [U] ascending
    item_embeddings: FloatArray  # [I, D + E], q and q'
    projected_items: FloatArray  # [I, D + W], q and W_i q'
    projection: FloatArray  # [D + E + 1, D + E], from mean item vectors to users, the constant last; newton: empty
    weights: FloatArray  # flat: see NCFWeights
    popularity: FloatArray  # [I], events per item in training
    fingerprint: str  # of the training data

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """See Recommender: on a large catalogue, candidates and larger batches; of a tower, fewer of them."""
        found = large_catalogue_defaults(train, cls.Config.model_fields["batch_size"].default, loss="softmax")
        if found and issubclass(cls.Config, TowerConfig):
            found["candidates"] = TOWER_CANDIDATES
        return found

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix, and the vectors of users and items."""
        tables = 2 if self.has_product else 1
        return matrix_needs(train, 3) + parameter_needs(train, self.config.dim, users=True, tables=tables)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        from matinee.models.ncf.losses import ncf_losses
        from matinee.models.ncf.network import NCFNetwork
        from matinee.training.torch_trainer import TorchTrainer, torch_generator
        from matinee.training.transfers import to_array

        config, matrix, generator = self.config, train.matrix(), torch_generator(run)
        network = NCFNetwork(config, self._product_dim, matrix, generator)
        self._initialise(network, train, run)

        def learned() -> Mapping[str, Any]:
            weights = network.serving_weights()
            users, items = (to_array(network.parameters[name]) for name in ("users", "items"))
            projection = np.zeros((0, users.shape[1]), dtype=np.float32)
            if config.fold_in == "regression":
                means = mean_vectors(train.histories, items)
                projection = fit_projection(means, users, config.fold_in_scale)
            return {
                "user_embeddings": users,
                "item_embeddings": items,
                "projected_items": weights.project_items(items),
                "projection": projection,
                "weights": weights.flatten(),
            }

        self.user_rows = train.histories.user_rows.astype(np.int32)
        self.popularity = train.popularity.astype(np.float32)
        self.fingerprint = train.fingerprint
        losses = ncf_losses(config, matrix, network, run.rng)
        trainer = TorchTrainer(
            network.parameters, losses, learned, config, buffers=network.buffers, generator=generator
        )
        if isinstance(config, TowerConfig) and config.tower_rate != 1:
            of_tower = [name for name in network.parameters if name not in ("users", "items", "product")]
            trainer.optimizer.factors = dict.fromkeys(of_tower, config.tower_rate)
        train_epochs(self, trainer, train, run)
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """See Recommender. [B, D + W]."""
        stored, known = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        if self.config.fold_in == "regression":
            states = self._mean_states(histories)
        else:
            states = self._solved_states(histories, ~known)
        is_known = known & (histories.lengths > 0)
        states[is_known] = self._project_each(self.user_embeddings[stored[is_known]])
        return states

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        scores = score_all(self._weights, state, self.projected_items, self._first_layer)
        return fill_cold_scores(scores, state, self.popularity)

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: each shorter history is folded in, but only the listed items go through the tower.

        None for items without events, and where nothing is left of a history.
        """
        rest, owners = histories.without_each(events), histories.owners[events]
        if not self.popularity[item_rows].all() or not rest.lengths.all():
            return None
        weights, states = self._weights, self._states_without_each(histories, events)
        if not states.any(axis=1).all():
            return None
        listed = self.projected_items[item_rows]  # [B, k, D + W]
        scores = [weights.scores(state, listed[owner]) for state, owner in zip(states, owners, strict=True)]
        return np.array(scores, dtype=np.float32).reshape(len(events), item_rows.shape[1])

    def _mean_states(self, histories: Histories) -> FloatArray:
        """The projected means of histories, zero where no item of a history has events. [B, D + W]."""
        inputs, constant = self._of_mean
        states = mean_vectors(histories, inputs)
        is_known = states.any(axis=1)
        states[is_known] += constant
        return states

    def _solved_states(self, histories: Histories, wanted: BoolArray) -> FloatArray:
        """States by Newton steps of the histories that are wanted [B], zeros for the others. [B, D + W]."""
        matrix = histories.weighted_matrix(len(self.projected_items))
        rows = np.flatnonzero(wanted & (np.diff(matrix.indptr) > 0))
        at_start = self._at_start if self._shares_first_steps else None
        solve = self.projected_items, self._setting, self.config, at_start
        states = np.zeros((len(histories), self.projected_items.shape[1]), dtype=np.float32)
        states[rows] = self._project_each(solve_users(self._weights, matrix[rows], *solve))
        return states

    def _project_each(self, users: FloatArray) -> FloatArray:
        """States of user vectors [n, D + E], one by one: a product of many rows rounds differently. [n, D + W]."""
        projected = [self._weights.project_users(user[None])[0] for user in users]
        return np.array(projected, dtype=np.float32).reshape(len(users), self.projected_items.shape[1])

    def _states_without_each(self, histories: Histories, events: IntArray) -> FloatArray:
        """The states of histories without each of E events, of which none is all of a history. [E, D + W]."""
        is_solved = self.config.fold_in == "newton" and self._shares_first_steps and self.config.fold_in_steps
        if self.config.user_state == "stored" or not is_solved:
            return self.fold_in(histories.without_each(events))
        owners, states = histories.owners[events], np.empty((len(events), self.projected_items.shape[1]), np.float32)
        shared = self.projected_items, self._setting, self.config, self._at_start
        for user in np.unique(owners).tolist():
            mine, theirs = np.flatnonzero(owners == user), slice(*histories.starts[user : user + 2])
            history = histories.items[theirs], histories.weights[theirs]
            users = towers_without_each(self._weights, history, events[mine] - histories.starts[user], *shared)
            states[mine] = [self._weights.project_users(vector[None])[0] for vector in users]
        return states

    @property
    def _shares_first_steps(self) -> bool:
        """Whether the first steps of all solves are made from one sum over the catalogue's sample."""
        return isinstance(self.config, TowerConfig) and self.config.loss != "bce"

    @property
    def _product_dim(self) -> int:
        return self.config.dim if self.has_product else 0

    def _initialise(self, network: "NCFNetwork", train: TrainingData, run: Run) -> None:
        """Replace initial values of the network before training. By default nothing."""

    @derived("item_embeddings", "projection", "weights", "popularity")
    def _of_mean(self) -> tuple[FloatArray, FloatArray]:
        """What items add to a state, whose mean over a history is the state but for a constant. [I, D + W], [D + W]."""
        constant = self._weights.project_users(self.projection[-1:])[0]
        zero = self._weights.project_users(np.zeros_like(self.projection[-1:]))[0]
        inputs = self._weights.project_users(self.item_embeddings @ self.projection[:-1]) - zero
        inputs[self.popularity == 0] = 0  # left out of means
        return inputs, constant

    @derived("projected_items", "weights")
    def _first_layer(self) -> FloatArray:
        """The items' inputs to the tower, an item a column. [W, I]."""
        return np.ascontiguousarray(self.projected_items[:, self._product_dim :].T)

    @derived("user_embeddings", "popularity")
    def _setting(self) -> Setting:
        return Setting.of(self.user_embeddings, self.popularity, self.config)

    @derived("user_embeddings", "popularity", "projected_items", "weights")
    def _at_start(self) -> AtStart:
        return AtStart.of(self._weights, self.projected_items, self._setting)

    @derived("weights")
    def _weights(self) -> NCFWeights:
        layers = self.config.layers if isinstance(self.config, TowerConfig) else 0
        return NCFWeights.unflatten(self.weights, self._product_dim, self.config.dim, layers)
