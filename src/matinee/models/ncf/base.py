"""What GMF, MLP and NeuMF share: training the network, solving a visitor's vector, and scoring in numpy."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.derived import derived
from matinee.models.ncf.config import NCFConfig, TowerConfig
from matinee.models.ncf.fold_in import AtStart, Setting, solve_users
from matinee.models.ncf.inference import NCFWeights, score_all
from matinee.models.ncf.left_out import towers_without_each
from matinee.models.needs import matrix_needs, parameter_needs
from matinee.models.vectors import fill_cold_scores, find_stored_users
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from matinee.models.ncf.network import NCFNetwork


class NCFModel(Recommender[FloatArray]):
    """A model whose score is a network's output for a user vector and an item vector.

    The user vector of a history minimises the training loss with everything else frozen (Newton steps, `fold_in.py`),
    the likelihood of each event times its weight, and with items of weights below 0 as negatives. A state is that
    vector projected: [h ⊙ p, W_u p' + b], whichever the model has, zero for an empty history. Items without events get
    the lowest score of the row, and an empty history is scored by popularity.
    """

    learned = (
        "user_embeddings", "user_rows", "projected_items", "item_embeddings", "weights", "popularity", "fingerprint",
    )  # fmt: skip
    uses_weights = True
    trained_by_torch = True
    has_product: ClassVar[bool]
    config: NCFConfig
    user_embeddings: FloatArray  # [U, D + E], p and p'
    user_rows: IntArray  # [U] ascending
    item_embeddings: FloatArray  # [I, D + E], q and q'
    projected_items: FloatArray  # [I, D + W], q and W_i q'
    weights: FloatArray  # flat: see NCFWeights
    popularity: FloatArray  # [I], events per item in training
    fingerprint: str  # of the training data

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the matrix, and the vectors of users and items."""
        tables = 2 if self.has_product else 1
        return matrix_needs(train, 2) + parameter_needs(train, self.config.dim, users=True, tables=tables)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender."""
        from matinee.models.ncf.losses import ncf_losses
        from matinee.models.ncf.network import NCFNetwork
        from matinee.training.torch_trainer import TorchTrainer, torch_generator
        from matinee.training.transfers import to_array

        config, matrix, generator = self.config, train.matrix(), torch_generator(run)
        network = NCFNetwork(config, self._product_dim, matrix, generator)
        self._initialise(network, train.fingerprint)

        def learned() -> Mapping[str, Any]:
            weights = network.serving_weights()
            users, items = (to_array(network.parameters[name]) for name in ("users", "items"))
            return {
                "user_embeddings": users,
                "item_embeddings": items,
                "projected_items": weights.project_items(items),
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
        weights, matrix = self._weights, histories.weighted_matrix(len(self.projected_items))
        stored, known = find_stored_users(self.user_rows, histories.user_rows, self.config.user_state)
        lengths = np.diff(matrix.indptr)
        users = np.zeros((len(histories), self.user_embeddings.shape[1]), dtype=np.float32)
        users[known] = self.user_embeddings[stored[known]]
        rest = np.flatnonzero(~known & (lengths > 0))
        at_start = self._at_start if self._shares_first_steps else None
        users[rest] = solve_users(weights, matrix[rest], self.projected_items, self._setting, self.config, at_start)
        # one by one, since a product of many rows rounds differently from that of each
        projected = [weights.project_users(user[None])[0] for user in users]
        states = np.array(projected, dtype=np.float32).reshape(len(users), self.projected_items.shape[1])
        states[lengths == 0] = 0
        return states

    def score(self, state: FloatArray) -> FloatArray:
        """See Recommender."""
        return fill_cold_scores(score_all(self._weights, state, self.projected_items), state, self.popularity)

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: each shorter history is solved, but only the listed items go through the tower.

        None for items without events, and where nothing is left of a history.
        """
        rest, owners = histories.without_each(events), histories.owners[events]
        if not self.popularity[item_rows].all() or not rest.lengths.all():
            return None
        weights, states = self._weights, self._states_without_each(histories, events)
        listed = self.projected_items[item_rows]  # [B, k, D + W]
        scores = [weights.scores(state, listed[owner]) for state, owner in zip(states, owners, strict=True)]
        return np.array(scores, dtype=np.float32).reshape(len(events), item_rows.shape[1])

    def _states_without_each(self, histories: Histories, events: IntArray) -> FloatArray:
        """The states of histories without each of E events, of which none is all of a history. [E, D + W]."""
        if self.config.user_state == "stored" or not self._shares_first_steps or not self.config.fold_in_steps:
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

    def _initialise(self, network: "NCFNetwork", fingerprint: str) -> None:
        """Replace initial values of the network before training. By default nothing."""

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
