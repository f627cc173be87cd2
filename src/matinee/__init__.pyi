"""What `import matinee as mt` gives, with the settings of each function and model; see docs/write_stub.py."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

import polars as pl

from matinee.config import EvaluationConfig, SplitParts, ValuesConfig
from matinee.data.audit import Audit
from matinee.data.splits import Split
from matinee.data.triples import Triples
from matinee.dataset import Dataset
from matinee.errors import DataError as DataError
from matinee.errors import MatineeError as MatineeError
from matinee.evaluation.comparison import Comparison
from matinee.evaluation.own_metrics import OwnMetric
from matinee.evaluation.report import Report
from matinee.experiment import Experiment
from matinee.item_table import ItemTable
from matinee.lists.everyone import ListOptions, OnPart
from matinee.lists.given_ids import GivenIds
from matinee.models import ModelT
from matinee.models.autoencoders.autorec import AutoRec as _AutoRec
from matinee.models.autoencoders.cdae import CDAE as _CDAE
from matinee.models.autoencoders.mult_vae import MultVAE as _MultVAE
from matinee.models.content.config import ContentConfig
from matinee.models.cooccurrence.item2vec import Item2Vec as _Item2Vec
from matinee.models.cooccurrence.movie_pairs import MoviePairs as _MoviePairs
from matinee.models.cooccurrence.pmi import PMI as _PMI
from matinee.models.ensembles.blend import Blend as _Blend
from matinee.models.ensembles.rerank import Reranker as _Reranker
from matinee.models.factors.bpr import BPR as _BPR
from matinee.models.factors.ials import IALS as _IALS
from matinee.models.factors.vbmf import VBMF as _VBMF
from matinee.models.graph.lightgcn import LightGCN as _LightGCN
from matinee.models.graph.ngcf import NGCF as _NGCF
from matinee.models.knowledge.kprn import KPRN as _KPRN
from matinee.models.linear.ease import EASE as _EASE
from matinee.models.linear.rp3beta import RP3Beta as _RP3Beta
from matinee.models.linear.sparse_ease import SparseEASE as _SparseEASE
from matinee.models.linear.svd_ae import SVDAE as _SVDAE
from matinee.models.ncf.gmf import GMF as _GMF
from matinee.models.ncf.mlp import MLP as _MLP
from matinee.models.ncf.neumf import NeuMF as _NeuMF
from matinee.models.neighbours.item_knn import ItemKNN as _ItemKNN
from matinee.models.neighbours.popularity import Popularity as _Popularity
from matinee.models.neighbours.user_knn import UserKNN as _UserKNN
from matinee.models.sequences.gru4rec import GRU4Rec as _GRU4Rec
from matinee.models.sequences.linear_gru import LinearGRU as _LinearGRU
from matinee.models.sequences.linear_next import LinearNext as _LinearNext
from matinee.models.sequences.markov import Markov as _Markov
from matinee.models.sequences.sasrec import SASRec as _SASRec
from matinee.report.item_map import ItemMap
from matinee.store.artefact import Artefact
from matinee.training.run import OnEpoch
from matinee.tuning import OnTrial
from matinee.vocab import Id
from matinee.workflow.advice_check import AdviceCheck
from matinee.workflow.advising import Advice
from matinee.workflow.comparing import Course
from matinee.workflow.given import Fittable, Fitted, Reranked, Unfitted
from matinee.workflow.movie_lists import Change, MovieList
from matinee.workflow.replaying import OnWindow, Replay
from matinee.workflow.tuning import TuningResult

__version__: str

class _ColumnsConfig(TypedDict, total=False):
    user: str | None
    item: str | None
    value: str | None
    at: str | None
    scale: tuple[float, float] | None
    kind: str | None
    kinds: tuple[str, ...]
    drop_blank: bool
    encoding: str | None

class _FilterConfig(TypedDict, total=False):
    min_user_events: int
    min_item_events: int
    filter_order: Literal["users-items", "items-users", "fixed-point"]
    min_value: float | None
    since: str | None
    until: str | None
    sample_users: int | None

class _SplitConfig(TypedDict, total=False):
    ratios: tuple[float, float, float]
    by: Literal["user", "item"]
    rest: Literal["last", "train"]
    repeats: int
    seed: int
    at: tuple[str, ...]
    input_share: float
    folds: int
    fold: int
    gap: str
    min_length: int
    earlier: bool
    path: str | None

class _EvaluationConfig(TypedDict, total=False):
    on: Literal["valid", "test"]
    inputs: Literal["train", "train+valid"]
    refit: Literal["train", "train+valid"]
    rebuild_graph: bool
    samples: int
    predict: Literal["every", "last"]
    repeat: bool
    mask: Literal["seen", "train", "none"]
    candidates: str | None
    relevant_from: float | None
    liked_from: float | None
    disliked_to: float | None
    explanations: bool
    rerank: Any | None

class _PopularityConfig(TypedDict, total=False):
    half_life_days: float | None

class _ItemKNNConfig(TypedDict, total=False):
    neighbours: int
    similarity: Literal["cosine", "jaccard", "dot", "pearson", "adjusted-cosine"]
    significance: int
    weighting: Literal["none", "tf-idf", "bm25"]
    shrinkage: float
    weigh_training: bool

class _UserKNNConfig(TypedDict, total=False):
    neighbours: int
    similarity: Literal["cosine", "jaccard", "dot", "pearson", "adjusted-cosine"]
    significance: int
    weighting: Literal["none", "tf-idf", "bm25"]
    shrinkage: float
    neighbours_of: Literal["user", "others"]

class _EASEConfig(TypedDict, total=False):
    l2: float
    dropout: float
    weigh_training: bool
    user_power: float
    item_power: float
    closeness: float
    span: int

class _SparseEASEConfig(TypedDict, total=False):
    l2: float
    neighbours: int
    head: int
    dropout: float
    weigh_training: bool

class _SVDAEConfig(TypedDict, total=False):
    dim: int
    l2: float
    smoothing: float
    weigh_training: bool

class _RP3BetaConfig(TypedDict, total=False):
    alpha: float
    beta: float
    neighbours: int
    weigh_training: bool

class _IALSConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    dim: int
    unobserved: float
    l2: float
    l2_power: float
    weigh_training: bool
    steps: int
    relaxation: float
    initial_std: float

class _VBMFConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    dim: int
    implicit_dim: int
    implicit_l2: float
    initial_std: float

class _MoviePairsConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    dim: int
    pair_weight: Literal["pair", "user"]
    pairs: Literal["counts", "sampled"]
    sampled_pairs: int
    batch_size: int
    row_power: float
    hidden: Literal["none", "linear", "relu"]
    ratios: tuple[float, float, float]
    score_by: Literal["cosine", "logit"]
    bias_share: float
    hidden_dim: int

class _PMIConfig(TypedDict, total=False):
    form: Literal["neighbours", "vectors"]
    neighbours: int
    dim: int
    eigenvalue_power: float
    shift: float
    shrinkage: float
    smoothing: float
    pair_weight: Literal["pair", "user"]
    popularity_power: float

class _Item2VecConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    dim: int
    pair_weight: Literal["pair", "user"]
    pairs: Literal["counts", "sampled"]
    sampled_pairs: int
    batch_size: int
    row_power: float
    window: int | None
    gap: int | None
    min_count: int
    min_value: float | None
    negatives: int
    negative_power: float
    sub_sampling: float
    recency_half_life: float | None
    score_by: Literal["cosine", "context"]

class _BPRConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    dim: int
    l2: float
    negatives: Literal["all", "uniform", "popularity", "in-batch"]
    candidates: int
    n_negatives: int
    batch_size: int
    user_state: Literal["history", "stored"]
    fold_in: Literal["mean", "solve"]
    fold_in_l2: float
    fold_in_unobserved: float

class _LightGCNConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    loss: Literal["softmax", "infonce", "bpr", "bce"]
    candidates: int
    negatives: Literal["uniform", "popularity", "in-batch", "mixed"]
    n_negatives: int
    log_q: bool
    mask_seen: bool
    similarity: Literal["dot", "cosine"]
    temperature: float
    batch_size: int
    user_power: float
    decay: float
    initialiser: Literal["svd", "normal", "xavier"]
    initial_std: float
    dim: int
    layers: int
    user_state: Literal["history", "stored"]
    solve: Literal["newton", "plain"]
    solve_steps: int
    solve_temperature: float
    l2: float
    initial_smoothing: float
    layer_weights: Literal["mean", "learned"]

class _NGCFConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    loss: Literal["softmax", "infonce", "bpr", "bce"]
    candidates: int
    negatives: Literal["uniform", "popularity", "in-batch", "mixed"]
    n_negatives: int
    log_q: bool
    mask_seen: bool
    similarity: Literal["dot", "cosine"]
    temperature: float
    batch_size: int
    user_power: float
    decay: float
    initialiser: Literal["svd", "normal", "xavier"]
    initial_std: float
    dim: int
    layers: int
    user_state: Literal["history", "stored"]
    solve: Literal["newton", "plain"]
    solve_steps: int
    solve_temperature: float
    l2: float
    initial_smoothing: float
    message_dropout: float
    node_dropout: float

class _GMFConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    dim: int
    loss: Literal["softmax", "infonce", "bpr", "bce"]
    candidates: int
    negatives: Literal["uniform", "popularity", "in-batch", "mixed"]
    n_negatives: int
    batch_size: int
    l2: float
    initialiser: Literal["svd", "normal", "xavier"]
    initial_std: float
    user_state: Literal["history", "stored"]
    fold_in: Literal["regression", "newton"]
    fold_in_scale: float
    fold_in_steps: int
    fold_in_items: int
    fold_in_l2: float

class _MLPConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    dim: int
    loss: Literal["softmax", "infonce", "bpr", "bce"]
    candidates: int
    negatives: Literal["uniform", "popularity", "in-batch", "mixed"]
    n_negatives: int
    batch_size: int
    l2: float
    initialiser: Literal["svd", "normal", "xavier"]
    initial_std: float
    user_state: Literal["history", "stored"]
    fold_in: Literal["regression", "newton"]
    fold_in_scale: float
    fold_in_steps: int
    fold_in_items: int
    fold_in_l2: float
    layers: int
    dropout: float
    tower_l2: float
    tower_init: Literal["he", "similarity"]
    tower_rate: float
    batch_norm: bool

class _NeuMFConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    dim: int
    loss: Literal["softmax", "infonce", "bpr", "bce"]
    candidates: int
    negatives: Literal["uniform", "popularity", "in-batch", "mixed"]
    n_negatives: int
    batch_size: int
    l2: float
    initialiser: Literal["svd", "normal", "xavier"]
    initial_std: float
    user_state: Literal["history", "stored"]
    fold_in: Literal["regression", "newton"]
    fold_in_scale: float
    fold_in_steps: int
    fold_in_items: int
    fold_in_l2: float
    layers: int
    dropout: float
    tower_l2: float
    tower_init: Literal["he", "similarity"]
    tower_rate: float
    batch_norm: bool
    pretrained_gmf: str | None
    pretrained_mlp: str | None
    alpha: float

class _AutoRecConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    based_on: Literal["item", "user"]
    dim: int
    l2: float
    dropout: float
    user_state: Literal["history", "stored"]
    fold_in_l2: float
    batch_size: int
    initialiser: Literal["xavier", "he", "normal"]

class _CDAEConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    user_power: float
    l2: float
    precision: Literal["float32", "bfloat16"]
    candidates: int
    batch_size: int
    initialiser: Literal["xavier", "he", "normal"]
    dim: int
    activation: Literal["tanh", "sigmoid", "identity"]
    normalise_input: bool
    loss: Literal["softmax", "logistic", "square"]
    unobserved: float
    corruption: Literal["dropout", "gaussian"]
    noise: float
    user_state: Literal["history", "stored"]
    node_dropout: float

class _MultVAEConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    user_power: float
    l2: float
    precision: Literal["float32", "bfloat16"]
    candidates: int
    batch_size: int
    initialiser: Literal["xavier", "he", "normal"]
    variational: bool
    dim: int
    hidden: int
    dropout: float
    kl_weight: float
    kl_epochs: int

class _KPRNConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    form: Literal["patterns", "paths"]
    first_stage: str
    first_settings: Any
    candidates: int
    max_nodes: int
    max_neighbours: int
    user_paths: bool
    max_paths: int
    max_walks: int
    dim: int
    temperature: float
    loss: Literal["softmax", "bce"]
    n_negatives: int
    held_out: float
    max_users: int
    batch_size: int
    l2: float

class _BlendConfig(TypedDict, total=False):
    parts: tuple[str, ...]
    part_settings: Any
    held_out: float
    held_out_by: Literal["auto", "random", "last"]
    refit_parts: bool
    candidates: int
    max_users: int
    fusion: Literal["z-score", "scores", "ranks"]
    rank_constant: float
    segments: int
    l2: float

class _RerankConfig(TypedDict, total=False):
    parts: tuple[str, ...]
    part_settings: Any
    held_out: float
    held_out_by: Literal["auto", "random", "last"]
    refit_parts: bool
    candidates: int
    max_users: int
    n_trees: int
    leaves: int
    learning_rate: float
    least_rows: int
    feature_share: float
    top: int

class _MarkovConfig(TypedDict, total=False):
    steps: int
    decay: float
    smoothing: float

class _LinearNextConfig(TypedDict, total=False):
    decays: tuple[float, ...]
    l2: float
    target_decay: float
    user_power: float
    min_events: int | None

class _GRU4RecConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    dim: int
    max_length: int
    batch_size: int
    dropout: float
    loss: Literal["softmax", "sampled-softmax", "bce", "gbce", "bpr-max", "top1-max"]
    n_negatives: int
    in_batch: bool
    negative_power: float
    mask_seen: bool
    user_power: float
    restart_probability: float
    calibration: float
    penalty: float
    decay: float
    initialiser: Literal["svd", "normal", "xavier"]
    initial_std: float
    precision: Literal["float32", "bfloat16"]
    hidden: int
    layers: int
    tied: bool
    attention: int
    heads: int
    batches: Literal["packed", "session-parallel"]
    lane_steps: int

class _SASRecConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    dim: int
    max_length: int
    batch_size: int
    dropout: float
    loss: Literal["softmax", "sampled-softmax", "bce", "gbce", "bpr-max", "top1-max"]
    n_negatives: int
    in_batch: bool
    negative_power: float
    mask_seen: bool
    user_power: float
    restart_probability: float
    calibration: float
    penalty: float
    decay: float
    initialiser: Literal["svd", "normal", "xavier"]
    initial_std: float
    precision: Literal["float32", "bfloat16"]
    block: Literal["transformer", "hstu"]
    layers: int
    heads: int
    norm: Literal["pre", "post"]

class _LinearGRUConfig(TypedDict, total=False):
    epochs: int
    patience: int
    min_delta: float
    monitor: str
    validate_every: int
    learning_rate: float
    schedule: Literal["constant", "step", "cosine", "plateau"]
    schedule_epochs: int
    schedule_factor: float
    warm_up: int
    clip_norm: float
    l2: float
    folds: int
    dim: int
    hidden: int
    max_length: int
    batch_size: int
    dropout: float
    mask_seen: bool
    user_power: float
    decay: float
    initialiser: Literal["svd", "normal", "xavier"]
    initial_std: float
    precision: Literal["float32", "bfloat16"]

def advise(over: Split | Dataset, *, seed: int = 42, without: str | None = None) -> Advice: ...
def audit(of: Dataset | Split) -> Audit: ...
def check_advice(
    advice: Advice,
    split: Split,
    *,
    seconds: float = 60.0,
    experiment: Experiment | None = None,
    course: Course | None = None,
) -> AdviceCheck: ...
def compare(
    models: Sequence[Fittable],
    over: Split,
    metric: str = "ndcg@10",
    k: int | Iterable[int] = (5, 10, 20),
    *,
    seed: int = 42,
    **settings: Unpack[_EvaluationConfig],
) -> Comparison: ...
def counterfactual(
    model: Fitted,
    *,
    item: Id | None = None,
    title: str | None = None,
    user: Id | None = None,
    history: Sequence[Id] | None = None,
    ratings: Sequence[float] | None = None,
    liked: str | Sequence[str] | None = None,
    k: int = 10,
) -> Change: ...
def evaluate(
    model: Fittable,
    over: Split,
    k: int | Iterable[int] = (5, 10, 20),
    *,
    seed: int = 42,
    **settings: Unpack[_EvaluationConfig],
) -> Report: ...
def events(
    frame: Any, *, name: str = "events", items: ItemTable | str | Path | None = None, **columns: Unpack[_ColumnsConfig]
) -> Dataset: ...
@overload
def fit(
    model: Literal["popularity"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_PopularityConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["item-knn"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_ItemKNNConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["user-knn"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_UserKNNConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["ease"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_EASEConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["sparse-ease"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_SparseEASEConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["svd-ae"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_SVDAEConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["rp3beta"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_RP3BetaConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["ials"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_IALSConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["vbmf"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_VBMFConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["movie-pairs"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_MoviePairsConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["pmi"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_PMIConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["item2vec"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_Item2VecConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["bpr"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_BPRConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["lightgcn"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_LightGCNConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["ngcf"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_NGCFConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["gmf"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_GMFConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["mlp"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_MLPConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["neumf"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_NeuMFConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["autorec"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_AutoRecConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["cdae"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_CDAEConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["mult-vae"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_MultVAEConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["kprn"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_KPRNConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["blend"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_BlendConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["rerank"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_RerankConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["markov"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_MarkovConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["linear-next"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_LinearNextConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["gru4rec"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_GRU4RecConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["sasrec"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_SASRecConfig],
) -> Artefact: ...
@overload
def fit(
    model: Literal["linear-gru"],
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: Unpack[_LinearGRUConfig],
) -> Artefact: ...
@overload
def fit(
    model: Unfitted,
    on: Split | Dataset,
    *,
    seed: int = 42,
    refit: SplitParts = "train",
    values: ValuesConfig | Mapping[str, object] | str = "default",
    items: ItemTable | Literal["catalogue", "known"] | None = None,
    content: ContentConfig | Mapping[str, object] | None = None,
    graph: Triples | str | Path | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    workers: int | str | None = None,
    memory: str | int | None = None,
    **settings: object,
) -> Artefact: ...
def fit_auto(model: Unfitted, on: Split | Dataset, *, seed: int = 42, **settings: Any) -> Artefact: ...
def graph(source: Any, **columns: object) -> Triples: ...
def item_map(model: Fittable, n_items: int = 1500) -> ItemMap: ...
def items(frame: Any, **columns: object) -> ItemTable: ...
def keep(data: Dataset, *, seed: int = 42, **filters: Unpack[_FilterConfig]) -> Dataset: ...
def load(
    data: str | Path = "bundled", *, items: ItemTable | str | Path | None = None, **columns: Unpack[_ColumnsConfig]
) -> Dataset: ...
def load_artefact(path: str | Path) -> Artefact: ...
def metric(name: str, *, lower_is_better: bool = False, replace: bool = False) -> Callable[[OwnMetric], OwnMetric]: ...
def recommend(
    model: Fitted,
    liked: str | Sequence[str] | None = None,
    *,
    user: Id | None = None,
    history: Sequence[Id] | None = None,
    ratings: Sequence[float] | None = None,
    k: int = 10,
    explain: bool = False,
    rerank: Reranked | None = None,
    among: GivenIds | None = None,
    without: GivenIds | None = None,
) -> MovieList: ...
def recommend_all(
    model: Fitted,
    users: GivenIds = "all",
    k: int = 10,
    *,
    rerank: Reranked | None = None,
    on_part: OnPart = ...,
    **options: Unpack[ListOptions],
) -> pl.DataFrame: ...
def register(model: ModelT, *, replace: bool = False) -> ModelT: ...
def replay(
    data: Dataset,
    model: Unfitted,
    against: Unfitted | None = None,
    *,
    retrain_every: str | int = "30d",
    first: float = 0.5,
    k: int = 10,
    seed: int = 42,
    folder: str | Path | None = None,
    on_window: OnWindow | None = None,
    **settings: object,
) -> Replay: ...
def save_artefact(artefact: Artefact, path: str | Path, draw: Callable[[Path], None] | None = None) -> Artefact: ...
def similar(
    model: Fitted, title: str | None = None, *, item: Id | None = None, k: int = 10, explain: bool = False
) -> MovieList: ...
def similar_all(
    model: Fitted, items: GivenIds = "all", k: int = 10, *, titles: bool = False, on_part: OnPart = ...
) -> pl.DataFrame: ...
def split(data: Dataset | str | Path, method: str = "random", **settings: Unpack[_SplitConfig]) -> Split: ...
def synthesize(
    users: int | None = None,
    items: int | None = None,
    events: int | None = None,
    *,
    like: Dataset | None = None,
    seed: int = 42,
) -> Dataset: ...
def tune(
    model: Unfitted,
    split: Split,
    *,
    trials: int | None = None,
    seconds: float | None = None,
    metric: str | None = None,
    seed: int = 42,
    fields: Sequence[str] = (),
    folder: str | Path | None = None,
    jobs: int = 1,
    on: str | None = None,
    evaluation: EvaluationConfig | Mapping[str, object] | None = None,
    on_trial: OnTrial = ...,
    on_epoch: OnEpoch | None = None,
    **settings: Any,
) -> TuningResult: ...
def models(model: str | None = None) -> pl.DataFrame: ...

class Popularity(_Popularity):
    def __init__(self, **settings: Unpack[_PopularityConfig]) -> None: ...

class ItemKNN(_ItemKNN):
    def __init__(self, **settings: Unpack[_ItemKNNConfig]) -> None: ...

class UserKNN(_UserKNN):
    def __init__(self, **settings: Unpack[_UserKNNConfig]) -> None: ...

class EASE(_EASE):
    def __init__(self, **settings: Unpack[_EASEConfig]) -> None: ...

class SparseEASE(_SparseEASE):
    def __init__(self, **settings: Unpack[_SparseEASEConfig]) -> None: ...

class SVDAE(_SVDAE):
    def __init__(self, **settings: Unpack[_SVDAEConfig]) -> None: ...

class RP3Beta(_RP3Beta):
    def __init__(self, **settings: Unpack[_RP3BetaConfig]) -> None: ...

class IALS(_IALS):
    def __init__(self, **settings: Unpack[_IALSConfig]) -> None: ...

class VBMF(_VBMF):
    def __init__(self, **settings: Unpack[_VBMFConfig]) -> None: ...

class MoviePairs(_MoviePairs):
    def __init__(self, **settings: Unpack[_MoviePairsConfig]) -> None: ...

class PMI(_PMI):
    def __init__(self, **settings: Unpack[_PMIConfig]) -> None: ...

class Item2Vec(_Item2Vec):
    def __init__(self, **settings: Unpack[_Item2VecConfig]) -> None: ...

class BPR(_BPR):
    def __init__(self, **settings: Unpack[_BPRConfig]) -> None: ...

class LightGCN(_LightGCN):
    def __init__(self, **settings: Unpack[_LightGCNConfig]) -> None: ...

class NGCF(_NGCF):
    def __init__(self, **settings: Unpack[_NGCFConfig]) -> None: ...

class GMF(_GMF):
    def __init__(self, **settings: Unpack[_GMFConfig]) -> None: ...

class MLP(_MLP):
    def __init__(self, **settings: Unpack[_MLPConfig]) -> None: ...

class NeuMF(_NeuMF):
    def __init__(self, **settings: Unpack[_NeuMFConfig]) -> None: ...

class AutoRec(_AutoRec):
    def __init__(self, **settings: Unpack[_AutoRecConfig]) -> None: ...

class CDAE(_CDAE):
    def __init__(self, **settings: Unpack[_CDAEConfig]) -> None: ...

class MultVAE(_MultVAE):
    def __init__(self, **settings: Unpack[_MultVAEConfig]) -> None: ...

class KPRN(_KPRN):
    def __init__(self, **settings: Unpack[_KPRNConfig]) -> None: ...

class Blend(_Blend):
    def __init__(self, **settings: Unpack[_BlendConfig]) -> None: ...

class Reranker(_Reranker):
    def __init__(self, **settings: Unpack[_RerankConfig]) -> None: ...

class Markov(_Markov):
    def __init__(self, **settings: Unpack[_MarkovConfig]) -> None: ...

class LinearNext(_LinearNext):
    def __init__(self, **settings: Unpack[_LinearNextConfig]) -> None: ...

class GRU4Rec(_GRU4Rec):
    def __init__(self, **settings: Unpack[_GRU4RecConfig]) -> None: ...

class SASRec(_SASRec):
    def __init__(self, **settings: Unpack[_SASRecConfig]) -> None: ...

class LinearGRU(_LinearGRU):
    def __init__(self, **settings: Unpack[_LinearGRUConfig]) -> None: ...
