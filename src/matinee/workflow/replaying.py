"""Time travel: a log replayed in time order, with models that are fitted again every so often."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from math import isnan
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from matinee.arrays import BoolArray, IntArray
from matinee.config import SplitConfig
from matinee.data.labels import TEST, TRAIN, UNUSED
from matinee.data.splits import Split
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation.bootstrap import Interval
from matinee.evaluation.replay import (
    METRICS,
    Difference,
    Window,
    in_two_arms,
    mean_over_users,
    paired,
    ranks_of,
    summary,
    values_of,
    windows_of,
)
from matinee.experiments.plan import Plan
from matinee.shown import Framed, Overview, Shown
from matinee.tensors import read_arrays, write_arrays
from matinee.times import format_time, parse_duration
from matinee.workflow.fitting import fit
from matinee.workflow.given import Unfitted, class_and_settings, require_dataset
from matinee.writing import make_folder, new_file

OnWindow = Callable[[int, int, str], None]
"""Called before each part of the work: number of the window, of how many, and what is done."""
SETTINGS = "replay.json"


@dataclass(frozen=True, eq=False, repr=False)
class Replay(Shown, Framed):
    """What a live engine would have done. Windows are between two fits.

    windows: as JSON, in order; scores: each model's metrics over all events, with intervals over users; differences:
    of the second model from the first on all events, paired by user; arms: the same of an A/B test on paper, in which
    each user counts for one of the two; seconds: of fits and lists.
    """

    data: str
    models: tuple[str, ...]
    k: int
    windows: tuple[dict[str, Any], ...]
    scores: Mapping[str, Mapping[str, Interval]]
    differences: tuple[Difference, ...] = ()
    arms: tuple[Difference, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    def overview(self) -> Overview:
        """See Shown."""
        events = sum(each["events"] for each in self.windows)
        headline = f"{self.data} replayed: {events:,} events in {len(self.windows)} windows, lists of {self.k}"
        rows = [("model", *(f"{name}@{self.k}" for name in METRICS))]
        for label in self.models:
            of_model = self.scores[label]
            rows.append(
                (
                    label,
                    *(
                        f"{of_model[name].mean:.4f} ({of_model[name].low:.4f}-{of_model[name].high:.4f})"
                        for name in METRICS
                    ),
                )
            )
        return Overview(headline, rows, self.sentences(), "replay.to_frame()", "models")

    def sentences(self) -> list[str]:
        """What two models' differences say."""
        words = []
        for how, found in (("on the same events", self.differences), ("as an A/B test on paper", self.arms)):
            for each in found:
                if each.metric == "ndcg":
                    gap = each.difference
                    words.append(
                        f"{self.models[1]} against {self.models[0]} {how}: NDCG@{self.k} {gap.mean:+.4f} "
                        f"({gap.low:+.4f} to {gap.high:+.4f}), p {each.p:.3f}"
                    )
        return words

    def to_frame(self) -> pl.DataFrame:
        """One row a window and model: its times, sizes, shares and metrics."""
        rows = [
            {key: value for key, value in window.items() if key != "models"} | {"model": label} | values
            for window in self.windows
            for label, values in window["models"].items()
        ]
        frame = pl.DataFrame(rows)
        times = [pl.from_epoch(name).dt.replace_time_zone("UTC").alias(name) for name in ("begin", "end")]
        return frame.with_columns(times) if rows else frame

    def to_json(self) -> dict[str, Any]:
        """All of it; NaN becomes null."""
        found = {
            "data": self.data,
            "models": list(self.models),
            "k": self.k,
            "windows": [
                each | {"begin": format_time(each["begin"]), "end": format_time(each["end"])} for each in self.windows
            ],
            "scores": {label: {name: asdict(value) for name, value in of.items()} for label, of in self.scores.items()},
            "paired": [asdict(each) for each in self.differences],
            "ab": [asdict(each) for each in self.arms],
            "seconds": dict(self.seconds),
        }
        cleaned: dict[str, Any] = _without_nan(found)
        return cleaned


def replay(  # noqa: PLR0913 - one for each option
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
) -> Replay:
    """Go through a log in time order as the live engine would: before each event a list, then the event is folded in.

    model, against: names, classes or models with their settings; settings: of `model`. retrain_every: a duration (30d)
    or a number of events, after which models are fitted again on all events so far; first: the share of the events
    that the first fit learns from. folder: keeps each finished window, so that the same call goes on where it was
    interrupted.
    An event of an item that its user had before is folded in and not measured: lists leave such items out.
    Raises MatineeError for a log without times, and for a folder that has another replay.
    """
    data = require_dataset(data, "mt.replay({}, model)")
    if not 0 < first < 1:
        raise MatineeError(f"first = {first} is not between 0 and 1; write first=0.5 to train on half of the events")
    if isinstance(retrain_every, int) and retrain_every < 1:
        raise MatineeError(f"retrain_every = {retrain_every} events; give at least 1, or a duration such as 30d")
    if k < 1:
        raise MatineeError(f"k = {k}; a list has at least one item")
    entries = _entries(model, against, settings)
    by_events = isinstance(retrain_every, int)
    every = retrain_every if isinstance(retrain_every, int) else parse_duration(retrain_every, "retrain_every")
    windows = windows_of(data, first, every, by_events=by_events)
    about = {"data": data.fingerprint, "first": first, "retrain_every": retrain_every, "k": k, "seed": seed}
    about |= {"models": {label: [kind.name, own] for label, (kind, own) in entries.items()}}
    kept = None if folder is None else _kept_in(Path(folder).expanduser(), about)
    measured = _Measured(data, entries, k, seed, kept)
    for number, window in enumerate(windows):
        measured.add(number, window, partial(_tell, on_window, number, len(windows)))
    return measured.result()


def _entries(
    model: Unfitted, against: Unfitted | None, settings: Mapping[str, Any]
) -> dict[str, tuple[Any, dict[str, Any]]]:
    """Class and settings of each model by label; two of one name are called `ease` and `ease (2)`."""
    first = class_and_settings(model, settings)
    entries = {first[0].name: first}
    if against is not None:
        second = class_and_settings(against, {})
        entries[second[0].name if second[0].name not in entries else f"{second[0].name} (2)"] = second
    for label, (kind, own) in entries.items():
        built = kind(**own)
        if not built.makes_lists:
            raise MatineeError(f"{label} predicts values and makes no lists; replay another model, such as ease")
    return entries


def _tell(on_window: OnWindow | None, number: int, n_windows: int, what: str) -> None:
    if on_window is not None:
        on_window(number, n_windows, what)


class _Measured:
    """The windows so far."""

    def __init__(self, data: Dataset, entries: Mapping[str, Any], k: int, seed: int, kept: Path | None) -> None:
        self._data, self._entries, self._k, self._seed, self._kept = data, entries, k, seed, kept
        self._windows: list[dict[str, Any]] = []
        self._ranks: dict[str, list[IntArray]] = {label: [] for label in entries}
        self._users: list[IntArray] = []
        self._seconds = {"fit": 0.0, "lists": 0.0}

    def add(self, number: int, window: Window, on_step: Callable[[str], object]) -> None:
        """Fit each model on what came before a window, and rank before each of its events."""
        if not len(window.events):
            return
        file = None if self._kept is None else self._kept / f"window-{number:05}.safetensors"
        found = self._read(file, window) if file is not None and file.is_file() else self._measure(window, on_step)
        if file is not None and not file.is_file():
            with new_file(file, "window") as part:
                write_arrays(part, found)
        coverage = {}
        trained = len(np.unique(self._data.events.item_rows[self._data.events.times < window.begin]))
        for index, label in enumerate(self._entries):
            self._ranks[label].append(found[f"ranks.{index}"])
            coverage[label] = len(found[f"listed.{index}"]) / max(trained, 1)
        self._users.append(self._data.events.user_rows[window.events])
        self._windows.append(summary(window, {label: ranks[-1] for label, ranks in self._ranks.items()}, coverage))

    def _measure(self, window: Window, on_step: Callable[[str], object]) -> dict[str, Any]:
        past = self._data.events.times < window.begin
        labels = np.where(past, TRAIN, np.where(self._data.events.times < window.end, TEST, UNUSED)).astype(np.int8)
        split = Split(self._data, SplitConfig(split="time", at=(format_time(window.begin),)), labels)
        found: dict[str, Any] = {}
        for index, (label, (kind, own)) in enumerate(self._entries.items()):
            started = perf_counter()
            on_step(f"fitting {label}")
            model = fit(kind, split, seed=self._seed, **own).model
            fitted = perf_counter()
            on_step(f"listing by {label}")
            found[f"ranks.{index}"], found[f"listed.{index}"] = ranks_of(model, self._data, window, self._k)
            self._seconds["fit"] += fitted - started
            self._seconds["lists"] += perf_counter() - fitted
        return found

    def _read(self, file: Path, window: Window) -> dict[str, Any]:
        """The arrays of a finished window. Raises MatineeError if they are not of this window."""
        try:
            found = {name: np.array(array) for name, array in read_arrays(file).items()}
            fits = all(len(found[f"ranks.{index}"]) == len(window.events) for index in range(len(self._entries)))
        except (OSError, ValueError, KeyError):
            fits = False
        if not fits:
            raise MatineeError(f"{file} is damaged; delete it, and its window is replayed again")
        return found

    def result(self) -> Replay:
        """The whole replay. Raises MatineeError if no event could be measured."""
        if not self._windows:
            raise MatineeError(
                f"no event of {self._data.name} after the first part is new to its user; give a smaller first"
            )
        users = np.concatenate(self._users)
        values = {label: values_of(np.concatenate(ranks)) for label, ranks in self._ranks.items()}
        scores = {
            label: {name: mean_over_users(column, users, self._rng()) for name, column in of_model.items()}
            for label, of_model in values.items()
        }
        labels = tuple(self._entries)
        differences: tuple[Difference, ...] = ()
        arms: tuple[Difference, ...] = ()
        if len(labels) > 1:
            in_second = self._in_second(users, labels)
            one, other = values[labels[0]], values[labels[1]]
            differences = tuple(paired(name, one[name], other[name], users, self._rng()) for name in METRICS)
            arms = tuple(in_two_arms(name, one[name], other[name], in_second, users, self._rng()) for name in METRICS)
        return Replay(self._data.name, labels, self._k, tuple(self._windows), scores, differences, arms, self._seconds)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._seed)

    def _in_second(self, users: IntArray, labels: tuple[str, ...]) -> BoolArray:
        """Whether each event's user is in the second model's arm, by a hash of the user id. [n]."""
        plan = Plan(f"replay {self._seed}", {labels[0]: 0.5, labels[1]: 0.5})
        rows, index = np.unique(users, return_inverse=True)
        second = np.array([plan.arm_of(self._data.users.id(row)) == labels[1] for row in rows.tolist()])
        found: BoolArray = second[index]
        return found


def _kept_in(folder: Path, about: dict[str, Any]) -> Path:
    """The folder of a replay, new or to go on with. Raises MatineeError if it has another one."""
    file, text = folder / SETTINGS, json.dumps(about, indent=2, sort_keys=True, default=str) + "\n"
    if file.is_file() and file.read_text("utf-8") != text:
        raise MatineeError(f"{folder} has a replay of other data or settings ({SETTINGS}); choose another folder")
    if not file.is_file():
        try:
            make_folder(folder)
        except OSError as error:
            raise MatineeError(f"{folder} cannot be written: {error.strerror or error}") from None
        with new_file(file, "replay") as part:
            part.write_text(text, "utf-8")
    return folder


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and isnan(value) else value
