"""What a model is: it learns from histories, folds histories in, and scores items. Lists are made elsewhere."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, runtime_checkable

from matinee.arrays import FloatArray, IntArray
from matinee.config import Config, configure
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.training.run import Run

StateT = TypeVar("StateT")


class Recommender(ABC, Generic[StateT]):
    """Base of all models.

    A subclass names its `Config`, lists in `learned` the attributes that `fit` sets (numpy arrays, sparse
    csr_array, or plain int, float and str), and writes `fit`, `fold_in` and `score`.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    learned: ClassVar[tuple[str, ...]]
    predicts_values: ClassVar[bool] = False
    """Whether scores are on the scale of the events' values, so that RMSE and MAE mean something."""
    reads_history: ClassVar[bool] = True
    """Whether the list depends on the history at all."""
    ordered: ClassVar[bool] = False
    """Whether the list depends on the order of the history's events: a model of what comes next (protocols C)."""
    curves: tuple[dict[str, float], ...] = ()
    """Figures of each epoch of the last fit, of models that train by epochs."""

    def __init__(self, **settings: object) -> None:
        self.config = configure(self.Config, settings, f"model {self.name}")

    @abstractmethod
    def fit(self, train: TrainingData, run: Run) -> Self:
        """Learn from histories, forgetting whatever was learned before."""

    @abstractmethod
    def fold_in(self, histories: Histories) -> StateT:
        """From B histories to their state, without training. Pure."""

    @abstractmethod
    def score(self, state: StateT) -> FloatArray:
        """Every item's score for every user of the state, in a new array. [B, I], finite, higher is better."""

    @property
    def fitted(self) -> bool:
        """Whether `fit` has run, or an artefact was loaded."""
        return all(hasattr(self, name) for name in self.learned)

    def require_fitted(self) -> None:
        """Raises MatineeError before `fit`."""
        if not self.fitted:
            raise MatineeError(f"model {self.name} has learned nothing yet; call fit first")


@runtime_checkable
class Explains(Protocol):
    """A model whose scores are a sum over the events of the history, and of the items' shares where it has them."""

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """What each event adds to a score. histories of B users, N events; item_rows [B, k] -> [N, k].

        Column j of event n belongs to item_rows[user of n, j]. Summed over a user's events it is that score, less
        the item's share where the model is one that HasItemBias.
        """
        ...


@runtime_checkable
class HasItemBias(Protocol):
    """A model that explains, and whose scores have a part that belongs to no event, such as a bias."""

    def item_bias_of(self, item_rows: IntArray) -> FloatArray:
        """What items get whatever the history. [B, k] -> [B, k]."""
        ...


@runtime_checkable
class PredictsValues(Protocol):
    """A model with predicts_values whose scores are not yet its predictions, say as these keep within a scale."""

    def predict_values(self, histories: Histories) -> FloatArray:
        """The value of every item for every user, in the unit of the log. [B, I]."""
        ...


@runtime_checkable
class HasItemVectors(Protocol):
    """A model that gives every item a vector; the score is the product of the two."""

    def item_vectors(self) -> FloatArray:
        """[I, D]."""
        ...

    def user_vectors(self, state: Any) -> FloatArray:  # noqa: ANN401 - the model's own state
        """[B, D]."""
        ...


@runtime_checkable
class HasSimilarity(Protocol):
    """A model that says of itself how similar items are."""

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """How similar every item is to each of some. [n] -> [n, I]."""
        ...


@runtime_checkable
class HasGraph(Protocol):
    """A model that rests on the log itself as well as on what it learned from it: the graph models."""

    def with_graph_of(self, known: TrainingData) -> "Recommender[Any]":
        """What was learned, set upon a newer log of the same items: a new model, nothing is learned. Deterministic."""
        ...
