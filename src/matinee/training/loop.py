"""The one epoch loop: early stopping, learning-rate schedules, progress, curves, checkpoints and exact resumption.

It depends neither on torch nor on a model's internals: a model passes a `Trainer`, which speaks numpy arrays only.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import cos, inf, pi
from time import perf_counter
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matinee.config import Config
from matinee.errors import MatineeError
from matinee.histories import TrainingData
from matinee.memory import freed_memory_kept
from matinee.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from matinee.training.configs import EpochsConfig, GradientConfig
from matinee.training.divergence import DivergenceError, require_epoch
from matinee.training.run import Run
from matinee.training.share import RankLostError

Arrays: TypeAlias = dict[str, NDArray[Any]]
Curves: TypeAlias = list[dict[str, float]]


class Trainer(Protocol):
    """What a model passes to the loop. All arrays it returns are copies."""

    def epoch(self, rate: float) -> dict[str, float]:
        """One pass over the data with the learning rate times `rate`. Returns metrics, including `loss`.

        Raises DivergenceError if a step's loss is NaN, infinite or past any use.
        """
        ...

    def state(self) -> Arrays:
        """All mutable training state, including optimiser and torch RNG (numpy's RNG is run.rng)."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Return to a state that `state()` gave."""
        ...

    def learned(self) -> Mapping[str, Any]:
        """The model's learned attributes at this moment."""
        ...


class TrainedModel(Protocol):
    """What the loop reads and sets on a model: a Recommender that trains in epochs."""

    name: ClassVar[str]
    curves: tuple[dict[str, float], ...]

    @property
    def config(self) -> Config:
        """The model's settings: an EpochsConfig."""
        ...


@freed_memory_kept()
def train_epochs(model: TrainedModel, trainer: Trainer, train: TrainingData, run: Run) -> None:
    """Train a model whose config is an EpochsConfig; sets its learned attributes and `curves`.

    Early stopping calls run.validation with the model; without it all epochs are trained. run.checkpoint is written at
    most every run.checkpoint_seconds and on interruption; with run.resume training continues from it, bit by bit as
    if it had not been interrupted.
    Raises MatineeError if training diverges (the model keeps the epoch before), or if the checkpoint belongs to other
    settings, data or seed.
    """
    config = model.config
    if not isinstance(config, EpochsConfig):
        raise TypeError(f"{type(config).__name__} is not an EpochsConfig")
    about = _describe(model, train, run)
    last = _agreed(trainer, run, _start(trainer, run, about))
    written = perf_counter()
    try:
        while len(last.curves) < config.epochs and not _is_out_of_patience(config, last.curves):
            last = _train_epoch(model, trainer, run, last)
            if run.checkpoint is not None and perf_counter() - written >= run.checkpoint_seconds:
                write_checkpoint(run.checkpoint, last)
                written = perf_counter()
    except DivergenceError as stop:
        trainer.restore(last.state)
        done = len(last.curves)
        if done:
            _publish(model, trainer, last)
        fix = (
            "a smaller learning_rate, or clip_norm = 1"
            if isinstance(config, GradientConfig)
            else "settings nearer the defaults"
        )
        kept = f" (the model keeps what it had after epoch {done})" if done else ""
        raise MatineeError(f"{model.name}: {stop} of epoch {done + 1}; use {fix}{kept}") from None
    except (KeyboardInterrupt, RankLostError):
        if run.checkpoint is not None:
            write_checkpoint(run.checkpoint, last)
        raise
    _publish(model, trainer, last)


def _train_epoch(model: TrainedModel, trainer: Trainer, run: Run, before: Checkpoint) -> Checkpoint:
    """Train one epoch, evaluate on valid if due, report progress. Returns the state after it."""
    config: EpochsConfig = model.config  # type: ignore[assignment]
    epoch = len(before.curves) + 1
    started = perf_counter()
    metrics = trainer.epoch(learning_rate_factor(config, before.curves))
    state = trainer.state()
    require_epoch(metrics["loss"], before.curves, state)
    row = {"epoch": epoch, **metrics, "seconds": perf_counter() - started}
    learned = None
    if run.validation is not None and config.patience and epoch % config.validate_every == 0:
        learned = dict(trainer.learned())
        _set(model, learned)
        row["valid"] = metrics["valid"] = run.share.agree(run.validation(model))
    curves = [*before.curves, row]
    best_score, best_epoch = _best(config, curves)
    if run.on_epoch is not None:
        run.on_epoch(epoch, config.epochs, metrics | ({"best": best_score} if best_epoch else {}))
    best = learned if best_epoch == epoch else before.best
    rng_state = dict(run.rng.bit_generator.state)
    return replace(before, state=state, rng_state=rng_state, curves=curves, best=best)


def learning_rate_factor(config: EpochsConfig, curves: Curves) -> float:
    """What the schedule multiplies the learning rate by in the next epoch, given the curves so far."""
    if not isinstance(config, GradientConfig):
        return 1.0
    done = len(curves)
    warm_up = min(1.0, (done + 1) / (config.warm_up + 1))
    after = max(0, done - config.warm_up)
    if config.schedule == "cosine":
        return warm_up * 0.5 * (1 + cos(pi * after / max(1, config.epochs - config.warm_up)))
    if config.schedule == "step":
        return warm_up * config.schedule_factor ** (after // config.schedule_epochs)
    if config.schedule == "plateau":
        return warm_up * config.schedule_factor ** _n_plateaus(config, curves)
    return warm_up


def _n_plateaus(config: GradientConfig, curves: Curves) -> int:
    """How often `schedule_epochs` epochs have passed without improvement, on valid or else of the loss."""
    best, since, plateaus = -inf, 0, 0
    for row in curves:
        score = row.get("valid", -row["loss"] if config.patience == 0 else None)
        if score is not None and score > best + config.min_delta:
            best, since = score, 0
            continue
        since += 1
        if since >= config.schedule_epochs:
            since, plateaus = 0, plateaus + 1
    return plateaus


def _best(config: EpochsConfig, curves: Curves) -> tuple[float, int]:
    """The best score on valid and its epoch, (-inf, 0) before any. A gain up to min_delta is no improvement."""
    best, best_epoch = -inf, 0
    for row in curves:
        if "valid" in row and (not best_epoch or row["valid"] > best + config.min_delta):
            best, best_epoch = row["valid"], int(row["epoch"])
    return best, best_epoch


def _is_out_of_patience(config: EpochsConfig, curves: Curves) -> bool:
    """Whether `patience` epochs have passed since the best."""
    _, best_epoch = _best(config, curves)
    return bool(config.patience and best_epoch and len(curves) - best_epoch >= config.patience)


def _publish(model: TrainedModel, trainer: Trainer, done: Checkpoint) -> None:
    """Set the model's learned attributes: of the best epoch on valid, or of the last without validation."""
    _set(model, trainer.learned() if done.best is None else done.best)
    model.curves = tuple(done.curves)


def _set(model: TrainedModel, learned: Mapping[str, Any]) -> None:
    for name, value in learned.items():
        setattr(model, name, value)


def _describe(model: TrainedModel, train: TrainingData, run: Run) -> dict[str, Any]:
    """What a checkpoint must agree with to be resumed."""
    if run.checkpoint is None:
        return {}
    return {
        "model": model.name,
        "settings": model.config.model_dump(mode="json"),
        "data": train.fingerprint,
        "seed": str(run.rng.bit_generator.state),
    }


def _start(trainer: Trainer, run: Run, about: dict[str, Any]) -> Checkpoint:
    """The state training starts from: the run's checkpoint if it resumes one, else epoch 0."""
    if run.start:
        trainer.restore(_started(trainer.state(), run.start))
    if run.checkpoint is None or not run.resume or not run.checkpoint.exists():
        return Checkpoint(about, trainer.state(), dict(run.rng.bit_generator.state), [], None)
    found = read_checkpoint(run.checkpoint, about)
    trainer.restore(found.state)
    run.rng.bit_generator.state = found.rng_state
    return found


def _agreed(trainer: Trainer, run: Run, start: Checkpoint) -> Checkpoint:
    """Where process 0 of several starts from, restored in each."""
    if run.share.n == 1:
        return start
    agreed = run.share.agree(start)
    trainer.restore(agreed.state)
    run.rng.bit_generator.state = agreed.rng_state
    return agreed


def _started(state: Arrays, start: Mapping[str, NDArray[Any]]) -> Arrays:
    """A trainer's first state with given values for some parameters: those that are finite, in their leading columns.

    An array with more rows or columns than the parameter, as after a change of settings, is left out.
    """
    for name, values in start.items():
        key = name if name in state else f"parameter.{name}"
        if key not in state or state[key].ndim != values.ndim:
            continue
        if all(n <= room for n, room in zip(values.shape, state[key].shape, strict=True)):
            part = state[key][tuple(map(slice, values.shape))]
            part[...] = np.where(np.isfinite(values), values, part)
    return state
