"""The one epoch loop: early stopping, schedules, progress, curves, checkpoints and bit-equal resumption.

It knows neither torch nor a model's inside: a model hands over a `Trainer`, of numpy arrays throughout.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import cos, inf, isfinite, pi
from time import perf_counter
from typing import Any, ClassVar, Protocol, TypeAlias

from numpy.typing import NDArray

from matinee.config import Config
from matinee.errors import MatineeError
from matinee.histories import TrainingData
from matinee.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from matinee.training.configs import EpochsConfig, GradientConfig
from matinee.training.run import Run

Arrays: TypeAlias = dict[str, NDArray[Any]]
Curves: TypeAlias = list[dict[str, float]]


class Trainer(Protocol):
    """What a model hands to the loop. All arrays given out are copies."""

    def epoch(self, rate: float) -> dict[str, float]:
        """One pass over the data; rate multiplies the step size. Returns figures, `loss` among them.

        Raises NotFinite where a step's loss is no number.
        """
        ...

    def state(self) -> Arrays:
        """All that training changes, the optimiser's and torch's chance included; numpy's chance is run.rng."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state."""
        ...

    def learned(self) -> Mapping[str, Any]:
        """The model's attributes as of now."""
        ...


class TrainedModel(Protocol):
    """What the loop reads and sets of a model: a Recommender that learns by epochs."""

    name: ClassVar[str]
    curves: tuple[dict[str, float], ...]

    @property
    def config(self) -> Config:
        """The model's settings: an EpochsConfig."""
        ...


class NotFinite(ArithmeticError):
    """The loss of a step (counted from 1 within its epoch) is NaN or infinite."""

    def __init__(self, step: int, value: float) -> None:
        super().__init__(f"loss is {value} at step {step}")
        self.step = step
        self.value = value


def train_epochs(model: TrainedModel, trainer: Trainer, train: TrainingData, run: Run) -> None:
    """Train a model whose config is an EpochsConfig; its learned attributes and `curves` are set.

    run.validation (needed by early stopping; without it all epochs are trained) is called with the model.
    run.checkpoint is written at most every run.checkpoint_seconds, and when interrupted; with run.resume training
    goes on from it, bit by bit as if it had not been interrupted.
    Raises MatineeError if the loss is no number (the model keeps the last good epoch), or if the checkpoint
    belongs to other settings, data or seed.
    """
    config = model.config
    if not isinstance(config, EpochsConfig):
        raise TypeError(f"{type(config).__name__} is no EpochsConfig")
    about = _describe(model, train, run)
    good = _begin(trainer, run, about)
    written = perf_counter()
    try:
        while len(good.curves) < config.epochs and not _has_stopped(config, good.curves):
            good = _one_epoch(model, trainer, run, good)
            if run.checkpoint is not None and perf_counter() - written >= run.checkpoint_seconds:
                write_checkpoint(run.checkpoint, good)
                written = perf_counter()
    except NotFinite as stop:
        trainer.restore(good.state)
        done = len(good.curves)
        if done:
            _publish(model, trainer, good)
        raise MatineeError(
            f"{model.name}: the loss is {stop.value} at step {stop.step} of epoch {done + 1}; "
            f"use a smaller learning_rate, or clip_norm = 1 (the model keeps what it had after epoch {done})"
        ) from None
    except KeyboardInterrupt:
        if run.checkpoint is not None:
            write_checkpoint(run.checkpoint, good)
        raise
    _publish(model, trainer, good)


def _one_epoch(model: TrainedModel, trainer: Trainer, run: Run, before: Checkpoint) -> Checkpoint:
    """Train one epoch, look at valid if it is time, tell of it. Returns where training stands then."""
    config: EpochsConfig = model.config  # type: ignore[assignment]
    epoch = len(before.curves) + 1
    started = perf_counter()
    figures = trainer.epoch(rate_of(config, before.curves))
    if not isfinite(figures["loss"]):
        raise NotFinite(1, figures["loss"])
    row = {"epoch": epoch, **figures, "seconds": perf_counter() - started}
    learned = None
    if run.validation is not None and config.patience and epoch % config.validate_every == 0:
        learned = dict(trainer.learned())
        _set(model, learned)
        row["valid"] = figures["valid"] = run.validation(model)
    curves = [*before.curves, row]
    figure, at = _best(config, curves)
    if run.on_epoch is not None:
        run.on_epoch(epoch, config.epochs, figures | ({"best": figure} if at else {}))
    best = learned if at == epoch else before.best
    return replace(before, state=trainer.state(), chance=dict(run.rng.bit_generator.state), curves=curves, best=best)


def rate_of(config: EpochsConfig, curves: Curves) -> float:
    """What the step size of the next epoch is multiplied by, given those behind it."""
    if not isinstance(config, GradientConfig):
        return 1.0
    done = len(curves)
    rate = min(1.0, (done + 1) / (config.warm_up + 1))
    after = max(0, done - config.warm_up)
    if config.schedule == "cosine":
        return rate * 0.5 * (1 + cos(pi * after / max(1, config.epochs - config.warm_up)))
    if config.schedule == "step":
        return rate * config.schedule_factor ** (after // config.schedule_epochs)
    if config.schedule == "plateau":
        return rate * config.schedule_factor ** _falls(config, curves)
    return rate


def _falls(config: GradientConfig, curves: Curves) -> int:
    """How often `schedule_epochs` epochs have gone by without a better figure: on valid, else of the loss."""
    best, since, falls = -inf, 0, 0
    for row in curves:
        figure = row.get("valid", -row["loss"] if config.patience == 0 else None)
        if figure is not None and figure > best + config.min_delta:
            best, since = figure, 0
            continue
        since += 1
        if since >= config.schedule_epochs:
            since, falls = 0, falls + 1
    return falls


def _best(config: EpochsConfig, curves: Curves) -> tuple[float, int]:
    """The best figure on valid and its epoch; (-inf, 0) before any. Less than min_delta better is not better."""
    best, at = -inf, 0
    for row in curves:
        if "valid" in row and (not at or row["valid"] > best + config.min_delta):
            best, at = row["valid"], int(row["epoch"])
    return best, at


def _has_stopped(config: EpochsConfig, curves: Curves) -> bool:
    """Whether patience has run out."""
    _, at = _best(config, curves)
    return bool(config.patience and at and len(curves) - at >= config.patience)


def _publish(model: TrainedModel, trainer: Trainer, done: Checkpoint) -> None:
    """Give the model what was learned: by the best epoch if valid was looked at, else by the last."""
    _set(model, trainer.learned() if done.best is None else done.best)
    model.curves = tuple(done.curves)


def _set(model: TrainedModel, learned: Mapping[str, Any]) -> None:
    for name, value in learned.items():
        setattr(model, name, value)


def _describe(model: TrainedModel, train: TrainingData, run: Run) -> dict[str, Any]:
    """What a checkpoint must agree with."""
    if run.checkpoint is None:
        return {}
    return {
        "model": model.name,
        "settings": model.config.model_dump(mode="json"),
        "data": train.fingerprint,
        "seed": str(run.rng.bit_generator.state),
    }


def _begin(trainer: Trainer, run: Run, about: dict[str, Any]) -> Checkpoint:
    """Where training begins: at the checkpoint of the run if it is to be used, else with nothing done."""
    if run.checkpoint is None or not run.resume or not run.checkpoint.exists():
        return Checkpoint(about, trainer.state(), dict(run.rng.bit_generator.state), [], None)
    found = read_checkpoint(run.checkpoint, about)
    trainer.restore(found.state)
    run.rng.bit_generator.state = found.chance
    return found
