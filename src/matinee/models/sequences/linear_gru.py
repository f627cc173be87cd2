"""LinearGRU: the scores of linear-next and, on top of them, a recurrent network that learns what they leave over."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray
from matinee.config import Search
from matinee.histories import Histories, TrainingData
from matinee.memory import require_memory
from matinee.models.base import Recommender
from matinee.models.derived import derived
from matinee.models.sequences.gru4rec import GRU4Rec, GRU4RecConfig, GRUNetwork
from matinee.models.sequences.linear_next import LinearNext
from matinee.training.configs import EmbeddingInitialiser, GradientConfig
from matinee.training.loop import train_epochs
from matinee.training.run import Run

if TYPE_CHECKING:
    from torch import Tensor

UNIT = 32.0
"""Scale of the linear scores, which are about probabilities, in training: one step of Adam changes what it multiplies
them by as little as it changes the other parameters."""
FIRST_FACTOR = 0.3
"""Of UNIT, before training."""


class LinearGRUConfig(GradientConfig):
    """Settings of LinearGRU."""

    l2: Annotated[PositiveFloat, Search(1, 1e4, log=True)] = 200.0
    """Ridge strength of the linear part."""
    folds: Annotated[int, Field(ge=2)] = 3
    """Parts of the users; the network is trained on linear scores that were fitted without the part a user is of."""
    dim: Annotated[PositiveInt, Search(16, 256, log=True)] = 64
    """Length of the item vectors."""
    hidden: Annotated[PositiveInt, Search(32, 512, log=True)] = 128
    """Length of the network's state."""
    max_length: PositiveInt = 100
    """Events that the network reads, the last ones; longer histories are trained in parts of this length."""
    batch_size: PositiveInt = 1024
    """Transitions per step, at most; an epoch has at least 32 steps."""
    dropout: Annotated[float, Field(ge=0, lt=1), Search(0, 0.6, first=True)] = 0.2
    """Dropout probability."""
    mask_seen: bool = False
    """Leave earlier items of the history out of the softmax, as lists do."""
    user_power: Annotated[float, Field(ge=0, le=1), Search(0, 1, first=True)] = 0.3
    """Weight n^-user_power of each of a history's n transitions; 1 weights users equally."""
    decay: Annotated[NonNegativeFloat, Search(1e-6, 1e-2, log=True)] = 0.0
    """Adam's weight decay."""
    initialiser: EmbeddingInitialiser = "svd"
    """First item vectors; `svd`: singular vectors of the normalised interaction matrix, scaled to `initial_std`."""
    initial_std: PositiveFloat = 0.15
    """Standard deviation of the first item vectors."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of matrix products in training; bfloat16 saves up to half of the time on processors
    that support it, with a large catalogue and wide vectors, and little elsewhere."""
    epochs: PositiveInt = 8
    """Passes over all transitions, at most."""
    learning_rate: Annotated[PositiveFloat, Search(3e-4, 2e-2, log=True, first=True)] = 0.004
    """Step size of Adam."""
    schedule: Literal["constant", "step", "cosine", "plateau"] = "cosine"
    """Learning-rate schedule: constant, stepwise, cosine to zero, or reduced on a plateau."""

    @property
    def network(self) -> GRU4RecConfig:
        """The network's settings."""
        shared = type(self).model_fields.keys() & GRU4RecConfig.model_fields.keys()
        return GRU4RecConfig(loss="softmax", **{name: getattr(self, name) for name in shared})


@dataclass(frozen=True, slots=True, eq=False)
class LinearGRUState:
    """What scores follow from. vectors: [B, D + 1], of GRU4Rec; bags: [B, decays * I], of LinearNext."""

    vectors: FloatArray
    bags: csr_array


class LinearGRU(Recommender[LinearGRUState]):
    """score_i(h) = a l_i(h) + (s P) · v_i + b_i, with l the scores of LinearNext, s the state of GRU4Rec.

    W, the weights of l, is in closed form. The network, P, v, b and the factor a are then trained together by the
    softmax over all items. Users are divided into `folds`, and in training the scores of each come from a W that was
    fitted without its fold, so that the network sees a linear part that is as wrong as it will be for somebody new.
    Lists use the W of all users. Both read the events that a user does not dislike, each with weight 1.
    Source: ours; out-of-fold scores: Wolpert 1992, "Stacked generalization"; parts: see LinearNext and GRU4Rec.
    """

    name = "linear-gru"
    Config = LinearGRUConfig
    trained_by_torch = True
    ordered: ClassVar[bool] = True
    uses_weights = True
    memory_reason = "it keeps several weights for every pair of items, of each fold"
    smaller_models = "gru4rec or sasrec, whose memory grows with the items alone"
    learned = (*GRU4Rec.learned, "linear_weights", "factor")
    config: LinearGRUConfig
    linear_weights: FloatArray  # [decays * I, I], W
    factor: float  # a

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: a fit of the linear part, the weights of it that are kept, and the scores of a step."""
        linear = LinearNext(l2=self.config.l2)
        rows = train.n_items + self.config.folds * len(linear.inputs_of(train))
        weights = len(linear.config.decays) * rows * train.n_items
        scores = self.config.batch_size * train.n_items
        network = GRU4Rec(**self.config.network.model_dump()).least_memory(train)
        return linear.least_memory(train) + 4 * (weights + scores) + network

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Raises MatineeError before it starts if the weights do not fit into memory."""
        from matinee.training.torch_trainer import TorchTrainer

        what = f"linear-gru with {train.n_items:,} items"
        require_memory(self.least_memory(train), what, "filter items, or use gru4rec", run.memory)
        config = self.config
        self.linear_weights = LinearNext(l2=config.l2).fit(train, run).weights
        network = ResidualNetwork(config, train, run)
        trainer = TorchTrainer(
            network.parameters, network.losses, network.learned, config,
            decay=config.decay, generator=network.gru.generator,
        )  # fmt: skip
        train_epochs(self, trainer, train, run)
        return self

    def fold_in(self, histories: Histories) -> LinearGRUState:
        """See Recommender."""
        return LinearGRUState(self._gru.fold_in(histories), self._linear.fold_in(_read(histories)))

    def score(self, state: LinearGRUState) -> FloatArray:
        """See Recommender."""
        scores = self._linear.score(state.bags * np.float32(self.factor))  # [B, I]
        scores += self._gru.score(state.vectors)
        return scores

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach."""
        scores = self._gru.scores_without_each(histories, events, item_rows)
        if scores is not None:
            bags, owners = self._linear.fold_in(_read(histories.without_each(events))), histories.owners[events]
            for user in np.unique(owners).tolist():
                mine = np.flatnonzero(owners == user)
                scores[mine] += np.float32(self.factor) * self._linear_scores(bags[mine], item_rows[user])
        return scores

    def _linear_scores(self, bags: csr_array, item_rows: IntArray) -> FloatArray:
        """The linear part's scores of some items, by the weights of what is in the bags alone. [E, k]."""
        inputs, columns = np.unique(bags.indices, return_inverse=True)
        among = csr_array((bags.data, columns, bags.indptr), shape=(bags.shape[0], len(inputs)))
        scores: FloatArray = among @ self.linear_weights[inputs[:, None], item_rows]
        return scores

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Cosine of the network's item vectors. [n] -> [n, I]."""
        return self._gru.similarity(item_rows)

    @derived(*GRU4Rec.learned)
    def _gru(self) -> GRU4Rec:
        """The network."""
        network = GRU4Rec(**self.config.network.model_dump())
        for name in GRU4Rec.learned:
            setattr(network, name, getattr(self, name))
        return network

    @derived("linear_weights")
    def _linear(self) -> LinearNext:
        """The linear part."""
        linear = LinearNext(l2=self.config.l2)
        linear.weights = self.linear_weights
        return linear


def _read(histories: Histories) -> Histories:
    """What a user does not dislike, each event with weight 1."""
    return histories if histories.mapped is None else replace(histories.keep(histories.mapped > 0), mapped=None)


class ResidualNetwork:
    """GRU4Rec's network in torch, the factor of the linear scores, and the losses of an epoch."""

    def __init__(self, config: LinearGRUConfig, train: TrainingData, run: Run) -> None:
        from matinee.models.sequences.residual import OutOfFoldScores
        from matinee.training.transfers import to_tensor

        self.gru = GRUNetwork(config.network, train, run)
        device = self.gru.generator.device
        factor = to_tensor(np.array(FIRST_FACTOR, dtype=np.float32), device)
        self.parameters = {**self.gru.parameters, "factor": factor}
        self.linear = OutOfFoldScores(LinearNext(l2=config.l2), config.folds, train, run, device)

    def losses(self) -> "Iterator[Tensor]":
        """The loss of each step of one epoch; every transition is trained once."""
        from matinee.models.sequences.residual import residual_softmax
        from matinee.nn.gradients import loss_with_gradients
        from matinee.training.transfers import to_tensor

        for states, transitions, batch_sizes in self.gru.packed_states():
            linear = self.linear(transitions, batch_sizes).mul_(UNIT)
            targets, seen, user_weights = self.gru.loss.targets_of(transitions)
            weights = to_tensor(user_weights, linear.device)
            vectors, outputs = self.gru.vectors_of(states)
            factor = self.parameters["factor"]
            yield loss_with_gradients(
                residual_softmax, vectors, outputs, factor, linear, targets, seen, weights, self.gru.bf16
            )

    def learned(self) -> Mapping[str, object]:
        """The model's arrays, and the factor."""
        from matinee.training.transfers import to_array

        return {**self.gru.learned(), "factor": UNIT * float(to_array(self.parameters["factor"]))}
