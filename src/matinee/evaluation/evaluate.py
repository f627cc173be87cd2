"""evaluate(): rank all items, measure the lists against the targets, with intervals. Defined in docs/metrics.md."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.catalogue import Catalogue
from matinee.config import EvaluationConfig, PartName
from matinee.data.splits import Split
from matinee.errors import MatineeError
from matinee.evaluation.bootstrap import Exposures, intervals
from matinee.evaluation.explanations import ExplanationTest, measure_explanations
from matinee.evaluation.liking import Scale, count_users, measure_liking, require_scale, scale_of
from matinee.evaluation.list_bias import measure_bias
from matinee.evaluation.metrics import (
    LOWER_IS_BETTER,
    OF_LIKING,
    OF_NEW_ITEMS,
    WITHOUT_K,
    WITHOUT_TARGETS,
    PerUser,
    accuracy,
    diversity,
    errors_of_values,
    find_hits,
    novelty,
    parse_metric,
    support,
)
from matinee.evaluation.new_items import items_held_out, measure_new, require_new_items
from matinee.evaluation.own_metrics import OWN, measure_own
from matinee.evaluation.predicted_values import calibration, predict
from matinee.evaluation.report import Report, describe_split
from matinee.evaluation.segments import Lists, Segment, segments_of
from matinee.evaluation.task import Task
from matinee.histories import Histories, TrainingData
from matinee.models.base import HasGraph, Recommender
from matinee.ranking.fallback import Fallback
from matinee.ranking.rank import rank
from matinee.ranking.rerank import RankOptions, Reranker

DEFAULT = EvaluationConfig()


def evaluate(
    model: Recommender[Any],
    split: Split,
    config: EvaluationConfig = DEFAULT,
    *,
    rng: np.random.Generator,
    fit_seconds: float | None = None,
) -> Report:
    """Rank all items for every user with targets, and measure the lists.

    The model must have been fitted on `split.training(config.refit)`. rng draws the bootstrap samples.
    Raises MatineeError if no user has a target, or the model has not been fitted.
    """
    if (config.on, config.refit) == ("valid", "train+valid"):
        raise MatineeError("refit train+valid trains on the targets of valid; use --refit train with --on valid")
    scale = scale_of(split.data, config)
    task = Task.of(split, config)
    train = split.training("train")
    if config.rebuild_graph:
        model = with_graph_of(model, split, config)
    # serving falls back on popularity for a history without likes, so evaluation does too
    popularity = train.popularity if config.refit == "train" else split.training(config.refit).popularity
    cold = Fallback(popularity, split.data.catalogue.genre_matrix)
    started = perf_counter()
    reranker = Reranker(split.data.catalogue, popularity)
    options: RankOptions = {"cold": cold, "repeat": task.repeat, "candidates": task.candidates}
    lists = [
        reranker.rank(model, inputs, max(config.k), config.rerank, **RankOptions(masked=masked, **options)).items
        for inputs, masked in task.batches()
    ]
    items = np.concatenate(lists)  # [B, k]
    rank_seconds = perf_counter() - started
    others = {name: PerUser(column) for name, column in _liking(task, items, scale, config.k).items()}
    held_out = items_held_out(split, config.on) if task.sampled is None else None
    new = measure_new(model, task, held_out, config.k, cold)
    others |= {name: PerUser(column) for name, column in new.items()}
    others |= measure_own(task, items, split.data.items, config.k)
    explanations = _test_explanations(model, task, items, config, rng) if config.explanations else None
    predicted = _predict(model, task) if model.predicts_values else None
    others |= {} if predicted is None else errors_of_values(predicted, task.judged.values, task.judged.starts)
    per_list, segments = _measure(task, items, train, split.data.catalogue, config.k, others)
    per_user = {name: task.of_users(each) for name, each in per_list.items()}
    return Report(
        model=model.name,
        config=model.config.model_dump(mode="json"),
        data=split.data.describe(),
        split=describe_split(split),
        evaluation=config.model_dump(mode="json"),
        value_map=model.value_map.to_json(),
        metrics=intervals(per_user, Exposures(items, task.n_items, config.k, task.owners), config.samples, rng),
        users=len(task.user_rows),
        users_without_targets=len(split.data.users)
        - len(task.user_rows)
        - (task.sampled.n_without if task.sampled else 0),
        targets=len(task.targets.items),
        targets_seen_before=task.n_seen,
        rank_seconds=rank_seconds,
        fit_seconds=fit_seconds,
        peak_memory_mb=peak_memory_mb(),
        targets_below=task.n_below,
        candidates=None if task.sampled is None else task.sampled.to_json(),
        liking=None if scale is None else asdict(scale) | {"users": count_users(per_user)},
        calibration=() if predicted is None else calibration(predicted, task.judged, rng, config.samples),
        segments=segments,
        explanations=explanations,
        read_notes=(*split.data.notes, *split.notes),
        user_rows=task.user_rows,
        per_user=per_user,
    )


def with_graph_of(model: Recommender[Any], split: Split, config: EvaluationConfig) -> Recommender[Any]:
    """The model on the graph of all inputs, as after a nightly rebuild. Raises MatineeError for one without a graph."""
    if not isinstance(model, HasGraph):
        raise MatineeError(f"{model.name} has no graph to rebuild; leave out rebuild_graph, or use lightgcn or ngcf")
    inputs = split.inputs(config.on, config.inputs)
    histories = Histories.of_all(inputs)
    return model.with_graph_of(TrainingData(histories, len(split.data.items)))


def validation(split: Split, metric: str = "ndcg@10", on: PartName = "valid") -> Callable[[Recommender[Any]], float]:
    """A function from a model to its score on a part, higher is better: what early stopping and tuning monitor.

    The same lists and formulas as `evaluate`, without intervals. In a session only the last event is predicted.
    Raises MatineeError for a metric that does not measure targets.
    """
    base, k = parse_metric(metric)
    if base in WITHOUT_TARGETS:
        raise MatineeError(f"{metric} does not measure how well a model finds targets; monitor one such as 'ndcg@10'")
    config = EvaluationConfig(on=on, predict="last")
    scale = scale_of(split.data, config) if base in OF_LIKING else None
    require_scale(metric, scale, split.data)
    held_out = items_held_out(split, on)
    if base in OF_NEW_ITEMS:
        require_new_items(metric, held_out)
    task = Task.of(split, config)
    vocab = split.data.items  # apart, so that a model that is fitted cannot reach the test part through this function
    sign = -1.0 if base in LOWER_IS_BETTER else 1.0

    def score(model: Recommender[Any]) -> float:
        if base in WITHOUT_K:
            return sign * errors_of_values(_predict(model, task), task.judged.values, task.judged.starts)[base].mean
        if base in OF_NEW_ITEMS:
            return PerUser(measure_new(model, task, held_out, [k or 1])[metric]).mean
        items = np.concatenate([rank(model, inputs, k or 1, masked=masked).items for inputs, masked in task.batches()])
        if base in OWN:
            return sign * _known_mean(measure_own(task, items, vocab, [k or 1])[metric].values, metric)
        if scale is not None:
            return sign * _known_mean(_liking(task, items, scale, [k or 1])[metric], metric)
        hits = find_hits(items, task.targets.starts, task.targets.items, task.n_items)
        return float(np.nanmean(accuracy(hits, task.n_relevant, [k or 1])[metric]))

    return score


def peak_memory_mb() -> float | None:
    """Peak memory of this process so far, in MB; None where the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _measure(
    task: Task,
    items: IntArray,
    train: TrainingData,
    catalogue: Catalogue,
    ks: Sequence[int],
    others: dict[str, PerUser],
) -> tuple[dict[str, PerUser], tuple[Segment, ...]]:
    """Every metric of each list, and by segments. items [B, K]; others: metrics of the targets' values."""
    genres = catalogue.genre_matrix  # [I, G]
    item_support = support(train.histories.starts, train.histories.items, task.n_items)
    hits = find_hits(items, task.targets.starts, task.targets.items, task.n_items)
    values = accuracy(hits, task.n_relevant, ks)
    values |= novelty(items, item_support, train.n_users, ks)
    values |= diversity(items, genres, ks)
    values |= measure_bias(task.blocks(), items, item_support, genres, ks)
    per_list = {name: PerUser(column) for name, column in values.items()} | others
    lists = Lists(items, hits, task.targets, ks, "users" if task.owners is None else "predictions")
    return per_list, segments_of(lists, task.lengths, per_list, item_support, catalogue)


def _liking(task: Task, items: IntArray, scale: Scale | None, ks: Sequence[int]) -> dict[str, FloatArray]:
    return {} if scale is None else measure_liking(items, task.judged, scale, task.n_items, ks)


def _known_mean(values: FloatArray, metric: str) -> float:
    mean = PerUser(values).mean
    if np.isnan(mean):
        raise MatineeError(f"{metric} has no value for any user of this split; monitor another metric")
    return mean


def _test_explanations(
    model: Recommender[Any], task: Task, items: IntArray, config: EvaluationConfig, rng: np.random.Generator
) -> ExplanationTest:
    """See measure_explanations. Raises MatineeError for a split by session, whose users have many histories."""
    if not isinstance(task.histories, Histories):
        raise MatineeError("explanations are tested with one history a user, which a split by session has not")
    # a generator of its own, so that the intervals of the metrics stay those of a report without this test
    own = np.random.default_rng(rng.bit_generator.seed_seq.spawn(1)[0])  # type: ignore[attr-defined]
    return measure_explanations(model, task.histories, task.masked, items, rng=own, samples=config.samples)


def _predict(model: Recommender[Any], task: Task) -> FloatArray:
    return predict(model, task.histories, task.judged, task.n_items)
