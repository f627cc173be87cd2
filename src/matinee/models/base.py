"""The interface of a model: fit on histories, fold histories in, score items. `ranking` makes the lists."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, Self, TypeAlias, TypeVar, runtime_checkable

from scipy.sparse import csr_array

from matinee import elsewhere
from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.config import Config, configure
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.knowledge_graph import KnowledgeGraph
from matinee.models.item_strips import ItemStrips
from matinee.scale.runner import Runner
from matinee.training.run import Run
from matinee.values import UNARY, ValueMap
from matinee.vocab import UNKNOWN

StateT = TypeVar("StateT")
StartArrays: TypeAlias = Mapping[str, tuple[str, Literal["items", "users", "neither"]]]
Counts: TypeAlias = FloatArray | csr_array
"""[I, I], or several such in one array; a sum over users."""
CountsT = TypeVar("CountsT", bound=Counts)


class Recommender(ABC, Generic[StateT]):
    """Base of all models.

    A subclass sets `name` and `Config`, lists in `learned` the attributes that `fit` sets (numpy arrays, csr_array,
    or plain int, float and str), and implements `fit`, `fold_in` and `score`.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Config]]
    learned: ClassVar[tuple[str, ...]]
    learned_since: ClassVar[tuple[str, ...]] = ()
    """Those of `learned` that artefacts of earlier versions lack, whose settings do not read them: they are empty."""
    predicts_values: ClassVar[bool] = False
    """Whether scores are on the scale of the events' values, so that RMSE and MAE apply. Then it folds in the values
    themselves, not weights."""
    uses_weights: ClassVar[bool] = False
    """Whether fold_in reads `Histories.weights`."""
    makes_lists: ClassVar[bool] = True
    """Whether its lists are good enough to show. A site uses any other model for predicted values alone."""
    reads_history: ClassVar[bool] = True
    """Whether the order of the items depends on the history at all."""
    ordered: ClassVar[bool] = False
    """Whether scores depend on the order of events in the history: a sequence model, evaluated by protocols C."""
    reads_graph: ClassVar[bool] = False
    """Whether it learns from the knowledge graph of its training data."""
    trained_by_torch: ClassVar[bool] = False
    """Whether torch trains it, on the run's device."""
    shares_batches: ClassVar[bool] = False
    """Whether several processes can train it, each on the share of every batch that its run has."""
    packages: ClassVar[tuple[str, ...]] = ()
    """Packages of extras, beside torch, that it is fitted with."""
    item_arrays: ClassVar[tuple[tuple[str, int], ...]] = ()
    """Learned arrays in which an item's score is linear, with the axis of items: a content map predicts those of new
    items. Empty for a model without any."""
    item_inputs: ClassVar[tuple[tuple[str, int], ...]] = ()
    """Learned arrays, with their axis of items, in which what an item adds to a history is linear: those of new items
    are predicted too. An item without events has zeros there."""
    unscaled_arrays: ClassVar[frozenset[str]] = frozenset()
    """Those of `item_arrays` that the scale of a content map leaves alone: they are inputs, or factors of another."""
    other_item_arrays: ClassVar[tuple[tuple[str, int], ...]] = ()
    """Other learned arrays with an axis of items, where new items have zeros."""
    start_arrays: ClassVar[StartArrays] = {}
    """Parameters from whose earlier values training can start: by name, the learned array, and what its rows are."""
    value_map: ValueMap = UNARY
    """How the events of a history weigh; set before `fit`, saved with the model."""
    memory_reason: ClassVar[str] = ""
    """Why a fit needs more memory than the log, for a refusal: `it keeps ...`. Empty where it does not."""
    smaller_models: ClassVar[str] = ""
    """What to use where it does not fit, for a refusal."""
    curves: tuple[dict[str, float], ...] = ()
    """Metrics of each epoch of the last fit, for models that train in epochs."""

    def __init__(self, *values: object, **settings: object) -> None:
        if values:
            raise MatineeError(f"a model takes its settings by name; write {self._written(values)}")
        self.config = configure(self.Config, settings, f"model {self.name}")

    def __repr__(self) -> str:
        settings = self.config.model_dump(exclude_unset=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"

    if not TYPE_CHECKING:  # types know which attributes there are

        def __getattr__(self, name: str) -> object:
            """Raises AttributeError with the call that works, if it is known."""
            write = ""
            if name in elsewhere.MODEL:
                write = f"; write {elsewhere.MODEL[name].format(f'mt.{self!r}')}"
            elif name in self.Config.model_fields:
                write = f"; write model.config.{name}"
            elif name in self.learned or self._follows_from_a_fit(name):
                write = f", for it is not fitted; write model = mt.fit(mt.{self!r}, split)"
            problem = f"{type(self).__name__!r} object has no attribute {name!r}{write}"
            raise AttributeError(problem, name=name, obj=self)

    def _follows_from_a_fit(self, name: str) -> bool:
        """Whether it is a property that asks for what is learned, and nothing is yet."""
        return vars(self).keys().isdisjoint(self.learned) and any(name in vars(kind) for kind in type(self).__mro__)

    @classmethod
    def _written(cls, values: Sequence[object]) -> str:
        """A call with these values for the first settings; a fit if one is neither number nor text."""
        if not all(isinstance(value, str | int | float) for value in values):
            return f'model = mt.fit("{cls.name}", split)'
        named = [f"{name}={value!r}" for name, value in zip(cls.Config.model_fields, values, strict=False)]
        return f"mt.{cls.__name__}({', '.join(named)})"

    def __init_subclass__(cls) -> None:
        """A `fit` without a run, as scikit-learn has it, is answered with the call that works."""
        super().__init_subclass__()
        if "fit" in vars(cls):
            setattr(cls, "fit", _asking_for_run(vars(cls)["fit"]))  # noqa: B010 - a method, of whatever arguments

    @abstractmethod
    def fit(self, train: TrainingData, run: Run) -> Self:
        """Learn from histories. A second fit forgets the first."""

    @abstractmethod
    def fold_in(self, histories: Histories) -> StateT:
        """The state of B users from their histories, without training. Pure."""

    @abstractmethod
    def score(self, state: StateT) -> FloatArray:
        """Scores of all items for each user of the state, in a new array. [B, I], finite, higher is better."""

    @classmethod
    def defaults_for(cls, train: TrainingData) -> dict[str, Any]:
        """Defaults that follow from the sizes of the training data, where a config's own do not travel.

        A fit by `workflow` takes them for what nobody has set, so they are saved with the model as if they had been.
        The rules are in docs/tuning.md.
        """
        return {}

    def weigh(self, histories: Histories) -> Histories:
        """Histories with the weights that the value map gives them."""
        return self.value_map.weigh(histories) if self.reads_history else histories

    def state_of(self, histories: Histories) -> StateT:
        """The state of B users from their events. Every list, metric and reason comes from it.

        fold_in gets no event of weight 0, unless the model reads the values themselves.
        """
        weighed = self.weigh(histories)
        return self.fold_in(weighed if self.predicts_values else weighed.counted())

    @property
    def adds_up(self) -> bool:
        """Whether what an event adds to a score, as `explain` gives it, depends on no other event of the history."""
        return False

    def least_memory(self, train: TrainingData) -> int:
        """Bytes that `fit` needs at least, by settings and sizes: by default a vector and a number for each item."""
        return 4 * (int(getattr(self.config, "dim", 0)) + 1) * train.n_items

    @property
    def fitted(self) -> bool:
        """Whether `fit` has run or an artefact was loaded."""
        return all(hasattr(self, name) for name in self.learned)

    def require_fitted(self) -> None:
        """Raises MatineeError if the model has not been fitted."""
        if not self.fitted:
            raise MatineeError(f"model {self.name} is not fitted yet; call fit first")


def _asking_for_run(fit: Callable[..., Any]) -> Callable[..., Any]:
    """A `fit` that is called with nothing but data raises MatineeError."""

    @wraps(fit)
    def called(self: Recommender[Any], *values: object, **named: object) -> object:
        if len(values) < 2 and "run" not in named:
            raise MatineeError(f"{self.name} learns by mt.fit; write model = mt.fit(mt.{self!r}, split)")
        return fit(self, *values, **named)

    return called


def sized_defaults(
    model: type[Recommender[Any]], train: TrainingData, settings: Mapping[str, object]
) -> dict[str, Any]:
    """What a model's rule of sizes gives; nothing if one of its settings is set, for a rule's settings go together."""
    found = model.defaults_for(train)
    return {} if found.keys() & settings.keys() else found


@runtime_checkable
class Explains(Protocol):
    """A model whose scores are sums over the events of the history, plus an item bias if it HasItemBias."""

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """Contribution of each event to scores. Histories of B users with N events, item_rows [B, k] -> [N, k].

        Column j of event n refers to item_rows[user of n, j]. Summed over a user's events it equals the score, minus
        the item bias if the model HasItemBias.
        """
        ...


@cache
def follows(model: type[Recommender[Any]], protocol: type) -> bool:
    """As `isinstance` of one of its models, which takes longer for a protocol than some models do for a list."""
    return issubclass(model, protocol)


def is_exact(model: Recommender[Any]) -> bool:
    """Whether a model's scores are sums over the events of the history: not those of stored user vectors."""
    return follows(type(model), Explains) and getattr(model.config, "user_state", "history") == "history"


@runtime_checkable
class FitsFromSums(Protocol[CountsT]):
    """A model that is fitted from counts of pairs of items, each a sum over users. To inherit, for its defaults."""

    def can_count(self, train: TrainingData) -> bool:
        """Whether settings allow counts by user, and the fit is not faster without them."""
        return True

    def strips(self, train: TrainingData) -> ItemStrips[Any, CountsT]:
        """What gives the counts of some users a strip of items at a time; dense or sparse, the same for a model."""
        ...

    def fit_counts(self, counts: CountsT, train: TrainingData, run: Run) -> Self:
        """As `fit` on all users, whose counts these are."""
        ...


@runtime_checkable
class FitsFromCounts(FitsFromSums[CountsT], Protocol[CountsT]):
    """A model that is computed from such counts: new events change few of them, and there is nothing else to learn."""

    @property
    def counts_need_same_items(self) -> bool:
        """Whether what a user adds to the counts depends on the number of items."""
        return False


@runtime_checkable
class FitsByBlocks(Protocol):
    """A model whose fit is many equal steps on blocks of users or of items, which the workers of a runner can take."""

    def fit_by_blocks(self, train: TrainingData, run: Run, runner: Runner) -> Self:
        """As `fit`."""
        ...


@runtime_checkable
class HasDrops(Protocol):
    """A model that knows about how much its scores drop without an event, though they are no sums over events."""

    def drops(self, histories: Histories, item_rows: IntArray) -> FloatArray | None:
        """How much of each score goes with each event. N events, item_rows [B, k] -> [N, k]; None where unknown.

        Each part of the score is taken by itself, and what all events share, such as norms, as constant.
        """
        ...


@runtime_checkable
class ScoresWithoutEach(Protocol):
    """A model that finds the scores without a single event of a history faster than by scoring all of what is left."""

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """Scores of k items without each of E events, of histories that have no item twice; None if unknown.

        Exact to rounding, or to the fraction of an event's effect that the model states.
        events: [E], indices into the N events; item_rows: [B, k] -> [E, k].
        """
        ...


@runtime_checkable
class VectorsWithoutEach(Protocol):
    """A model of item vectors that finds the user vectors without a single event of a history in one solve."""

    def vectors_without_each(self, histories: Histories, events: IntArray) -> FloatArray:
        """User vectors without each of E events, of histories that have no item twice, to rounding. [E, D]."""
        ...

    def item_vectors(self) -> FloatArray:
        """See HasItemVectors."""
        ...


@runtime_checkable
class ReadsGraph(Protocol):
    """A model with reads_graph, which keeps the graph that it was fitted with."""

    @property
    def knowledge(self) -> KnowledgeGraph:
        """The graph, but for what the model left out of it to bound its lists of neighbours."""
        ...


@runtime_checkable
class HasItemBias(Protocol):
    """A model that explains, and whose scores have a part that no event contributes, such as a bias."""

    def item_bias_of(self, item_rows: IntArray) -> FloatArray:
        """The part of the score that does not depend on the history. [B, k] -> [B, k]."""
        ...


@runtime_checkable
class PredictsValues(Protocol):
    """A model with predicts_values whose predictions differ from its scores, for example clipped to the scale."""

    def predict_values(self, histories: Histories) -> FloatArray:
        """Predicted value of all items for each user, on the scale of the log. [B, I]."""
        ...


@runtime_checkable
class HasItemVectors(Protocol):
    """A model whose score is the dot product of a user vector and an item vector."""

    def item_vectors(self) -> FloatArray:
        """[I, D]."""
        ...

    def user_vectors(self, state: Any) -> FloatArray:  # noqa: ANN401 - the model's own state
        """[B, D]."""
        ...


@runtime_checkable
class HasSimilarity(Protocol):
    """A model with its own measure of item similarity."""

    def similarity(self, item_rows: IntArray) -> FloatArray:
        """Similarity of all items to each of n. [n] -> [n, I]."""
        ...


@runtime_checkable
class HasParts(Protocol):
    """A model over others, which knows how it and they rank events that it held out of its training data."""

    def held_out_scores(self) -> dict[str, FloatArray]:
        """NDCG@10 of each of n users, NaN without a target: of the model first, then of each part. [n] each."""
        ...


@runtime_checkable
class HasGraph(Protocol):
    """A model that needs the interaction graph beside its learned parameters: the graph models."""

    def with_graph_of(self, known: TrainingData) -> "Recommender[Any]":
        """A new model: these parameters on the graph of a newer log of the same items. Deterministic, no training."""
        ...


@dataclass(frozen=True, slots=True)
class PathNode:
    """A node of a path: an item, a user or an entity.

    type: `item`, `user` or an entity's own; item_row: of an item, else UNKNOWN; name: of an entity, else empty.
    """

    type: str
    name: str = ""
    item_row: int = UNKNOWN


@dataclass(frozen=True, slots=True)
class Path:
    """A path of a knowledge graph from an item of a history to a listed item.

    nodes: [n], the first is the history's item, the last the listed one; relations: [n - 1] names; forwards: [n - 1],
    whether a step goes from a triple's head to its tail; score: the model's, higher is stronger; share: its part of the
    exponentials that are pooled over all paths of the history to that item, 0 to 1.
    """

    nodes: tuple[PathNode, ...]
    relations: tuple[str, ...]
    forwards: tuple[bool, ...]
    score: float
    share: float


@runtime_checkable
class HasPaths(Protocol):
    """A model whose scores rest on paths of a knowledge graph."""

    def paths_to(self, histories: Histories, item_rows: IntArray, k: int = 3) -> list[tuple[Path, ...]]:
        """The k strongest paths from each of B histories, as `state_of` takes them, to an item, best first. [B].

        item_rows: [B]. () where there is none. Paths start from events of a weight above 0 only.
        """
        ...

    def have_paths(self, histories: Histories, item_rows: IntArray) -> BoolArray:
        """Whether any path leads from each of B histories to k items. item_rows [B, k] -> [B, k]."""
        ...
