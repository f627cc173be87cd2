"""Fitting a model, with its value map, early stopping, memory check and prediction of new items."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from matinee.arrays import IntArray
from matinee.config import SplitConfig, SplitParts, ValuesConfig, configure
from matinee.data.item_tables import add_items
from matinee.data.splits import Split
from matinee.data.splits import split as cut
from matinee.data.triples import Triples
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation.best_part import against_best_part
from matinee.evaluation.evaluate import peak_memory_mb, validation
from matinee.evaluation.history_lengths import by_length_of_history
from matinee.experiment import Experiment
from matinee.extras import require
from matinee.histories import TrainingData
from matinee.item_table import ItemTable
from matinee.memory import bounded, parse_size, require_memory
from matinee.models import create
from matinee.models.base import HasItemVectors, HasParts, Recommender, sized_defaults
from matinee.models.content.config import ContentConfig
from matinee.models.content.content_map import predict_new_items
from matinee.models.content.inputs import counted_events
from matinee.scale.choice import runner_of
from matinee.store.artefact import Artefact
from matinee.training.configs import EpochsConfig
from matinee.training.devices import name_of, resolve_device, thread_limit
from matinee.training.run import OnEpoch, Run
from matinee.values import resolve
from matinee.workflow.counting import fit_by_parts, require_parts
from matinee.workflow.data import graph_of, whole
from matinee.workflow.given import Unfitted, class_and_settings, require_data, written
from matinee.workflow.together import fit_together

SOME_USERS = 32
"""Users whose scores are looked at after a fit."""
VANISHED = 1e-6
"""Scores of a user that differ by no more are the same."""


def fit(  # noqa: PLR0913 - one for each choice of an experiment
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
) -> Artefact:
    """Fit a model on the training part of a split, or on a whole data set.

    model: a name from the registry, a class, or a model with its settings; checkpoint: the file that a long fit saves
    its state to, and with `resume` continues from; values: how events weigh by their value (`default`, `unary`, `log`,
    `linear:1=-0.5,3=0.5,5=1`, or the fields of ValuesConfig); items: what is known of the items (`mt.items`, or
    `catalogue`: the genres, years and tags of the data; `known`: all that the data know, where the model and the
    features allow, and else a note), from which items without an event are predicted, as `content` says; graph: triples
    (`mt.graph`, or a file) that a model of the knowledge graph reads beside the lists of the items; device:
    where torch trains, `cpu`, `cuda`, `cuda:1`, `mps` or `auto` (a GPU if there is one); threads: those of matrix
    products, by default the machine's; workers: processes that count strips of items, take blocks or batches of a step,
    or the address of a Ray cluster that does, for a model fitted so; memory: a bound of what this process holds during
    the fit, such as "4GB"; settings: the model's hyper-parameters; those left out have the model's defaults, which may
    follow from the sizes of the data.
    Early stopping monitors the valid part of the split; with refit="train+valid" or a whole data set there is none to
    monitor. Items that only `items` has are added to a data set; a split keeps its own.
    Raises MatineeError for an unknown model, setting or value, and for a device that is not there.
    """
    require_data(on, f"mt.fit({written(model)}, {{}})")
    kind, own = class_and_settings(model, settings)
    unfitted = kind(**own)
    require_trainer(kind)
    device = device_of(unfitted, device)
    require_graph_reader(unfitted, graph)
    if isinstance(on, Dataset) and isinstance(items, ItemTable):
        on = add_items(on, items)
    data = on.data if isinstance(on, Split) else on
    train = (on if isinstance(on, Split) else whole(on)).training(refit)
    if not len(train.histories.items):
        raise MatineeError(
            "there is nothing to train on: the training part is empty; loosen the filters or change the split"
        )
    unfitted = kind(**sized_defaults(kind, train, own) | own)
    wanted = values if isinstance(values, ValuesConfig) else configure(Experiment, {"values": values}, "fit").values
    unfitted.value_map = resolve(wanted, train.histories.values, data.kind)
    train = replace(train, histories=unfitted.weigh(train.histories))
    data = data.with_table(items) if isinstance(items, ItemTable) else data
    if unfitted.reads_graph:
        train = replace(train, graph=graph_of(data, graph))
    monitored = _monitored(unfitted, on, refit) if isinstance(on, Split) else None
    saved_to = None if checkpoint is None else Path(checkpoint).expanduser()
    run = replace(Run.seeded(seed, on_epoch, device), validation=monitored, checkpoint=saved_to, resume=resume)
    bound = None if memory is None else parse_size(memory)
    with bounded(bound), thread_limit(threads, torch_trains=unfitted.trained_by_torch):
        _require_memory(unfitted, train)
        started = perf_counter()
        fitted = unfitted.fit(train, run) if workers is None else _by_workers(unfitted, train, run, workers)
        seconds = perf_counter() - started
    about: dict[str, Any] = {"seed": seed, "device": name_of(device), "fit_seconds": seconds}
    about |= {"peak_memory_mb": peak_memory_mb(), "split": None}
    about["draws"] = run.rng.bit_generator.state != np.random.default_rng(seed).bit_generator.state
    if isinstance(on, Split):
        about["split"] = on.config.model_dump(mode="json") | {"refit": refit} | on.sizes()
    notes = [*_fit_notes(unfitted, monitored is not None), *_vanished(fitted, train)]
    notes += _against_best_part(fitted, seed, about)
    if unfitted.value_map.note:
        notes.append(f"values: {unfitted.value_map.note}")
    problem = _not_predictable(unfitted, data, train.popularity) if items == "known" else None
    if problem is not None:
        notes += [problem] if problem else []
    elif items is not None:
        counted = counted_events(fitted, train.histories, train.n_items)
        fitted, about["content"] = predict_new_items(fitted, data.item_table, train.popularity, content, counted)
        notes += about["content"].pop("notes")
    if train.graph is not None:
        about["graph"] = {"triples": len(train.graph), "fingerprint": train.graph.fingerprint}
        notes += train.graph.notes
    if notes:
        about["notes"] = notes
    return Artefact.of(fitted, data, train, about)


def _require_memory(model: Recommender[Any], train: TrainingData) -> None:
    """Raises MatineeError, before a fit starts, if what it needs is not there: why, and what to use in its place."""
    reason = f", for {model.memory_reason}," if model.memory_reason else ""
    instead = f"use {model.smaller_models}, or " if model.smaller_models else "take a smaller dim, or "
    sizes = f"{train.n_users:,} users and {train.n_items:,} items"
    what = f"{model.name} on {sizes}{reason}"
    require_memory(model.least_memory(train), what, f"{instead}filter items (--min-item-events)")


def _by_workers(model: Recommender[Any], train: TrainingData, run: Run, workers: int | str) -> Recommender[Any]:
    if model.shares_batches:
        return fit_together(model, train, run, workers)
    require_parts(model, train)
    with runner_of(workers) as runner:
        return fit_by_parts(model, train, run, runner)


def device_of(model: Recommender[Any], wanted: str) -> str:
    """The device that a model is trained on. Raises MatineeError if it is not there, or the model has none."""
    device = resolve_device(wanted)
    if model.trained_by_torch:
        return device
    if wanted not in ("cpu", "auto"):
        raise MatineeError(f"device = {wanted} has no effect on {model.name}, which torch does not train; leave it out")
    return "cpu"


def require_trainer(model: type[Recommender[Any]]) -> None:
    """Raises MatineeError if a model needs a package that is not installed, torch or another."""
    if model.trained_by_torch:
        require("torch", f"{model.name} is trained by torch")
    for package in model.packages:
        require(package, f"{model.name} is trained by {package}")


def require_graph_reader(model: Recommender[Any], graph: object) -> None:
    """Raises MatineeError if triples are given to a model that reads none."""
    if graph is not None and not model.reads_graph:
        raise MatineeError(
            f"graph = {graph} has no effect on {model.name}, which reads none; leave it out, or use kprn"
        )


def predicted_values(
    model: Artefact, on: Split | Dataset, *, seed: int = 42, device: str = "cpu", threads: int | None = None
) -> dict[str, Any]:
    """From how many ratings on a model's predicted values beat averages, as an artefact saves it.

    Measured on the valid part of a split that the model was fitted on; for a whole data set on a tenth of each user's
    events, with a second fit of the same settings on the rest. Empty for a model that predicts no values, for sessions,
    and where too few users have enough ratings.
    """
    if not model.model.predicts_values:
        return {}
    fitted, over = model.model, on if isinstance(on, Split) else cut(on, SplitConfig(ratios=(0.9, 0.1, 0.0), seed=seed))
    if not len(over.targets("valid")) or over.sessions is not None:
        return {}
    if not isinstance(on, Split):
        again = create(model.name, **fitted.config.model_dump(exclude_unset=True))
        with thread_limit(threads, torch_trains=again.trained_by_torch):
            fitted = again.fit(over.training(), Run.seeded(seed, device=device_of(again, device)))
    lengths = by_length_of_history(fitted, over, np.random.default_rng(seed))
    return {"predicted_values": [asdict(each) for each in lengths]} if lengths else {}


def _not_predictable(model: Recommender[Any], data: Dataset, popularity: IntArray) -> str | None:
    """Why the items without an event cannot be predicted, empty if there are none; None if they can."""
    n_new = int((popularity == 0).sum())
    if not n_new:
        return ""
    if not model.item_arrays:
        return (
            f"{model.name} cannot predict items from features: {n_new:,} items without an event in training rank as "
            "the model has them; ease, item-knn and ials can"
        )
    if not data.item_table.has_features(popularity > 0):
        return f"nothing is known of items with events, so {n_new:,} items without one rank as the model has them"
    return None


def _fit_notes(model: Recommender[Any], monitored: bool) -> list[str]:
    """A sentence if early stopping is asked for and there is no valid part to monitor."""
    config = model.config
    if monitored or not isinstance(config, EpochsConfig) or not config.patience:
        return []
    return [
        f"patience = {config.patience} does nothing: there is no valid part to monitor, so all {config.epochs} epochs "
        "are trained"
    ]


def _against_best_part(model: Recommender[Any], seed: int, about: dict[str, Any]) -> list[str]:
    """A sentence on whether a model over others beats the best of them; noted in `about`. None for other models."""
    if not isinstance(model, HasParts):
        return []
    found = against_best_part(model.held_out_scores(), np.random.default_rng(seed))
    if found is None:
        return [f"no user of {model.name} has enough events to hold any out: its parts weigh equally"]
    about["against_best_part"] = found.to_json()
    return [found.sentence()]


def _vanished(model: Recommender[Any], train: TrainingData) -> list[str]:
    """A sentence if a model of vectors gives all items the same score, as one does whose ridge is far too strong."""
    if not isinstance(model, HasItemVectors):
        return []
    scores = model.score(model.state_of(train.histories.take(np.arange(min(SOME_USERS, len(train.histories))))))
    if float(np.ptp(scores, axis=1).max(initial=0)) > VANISHED:
        return []
    return [
        f"{model.name} has learned nothing: all items have the same score, for its vectors vanish; weaken its "
        f"regularisation, or let `matinee tune {model.name}` find settings"
    ]


def _monitored(model: Recommender[Any], over: Split, refit: SplitParts) -> Callable[[Recommender[Any]], float] | None:
    """The score that early stopping monitors; None if it is off, or if valid is empty or trained on."""
    config = model.config
    if not isinstance(config, EpochsConfig) or not config.patience or refit != "train":
        return None
    return validation(over, config.monitor) if len(over.targets("valid")) else None
