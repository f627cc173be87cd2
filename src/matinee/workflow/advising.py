"""Advice: which models to try on a log, in which order and why, from what was measured on the logs most like it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from matinee.arrays import FloatArray
from matinee.config import SplitConfig
from matinee.data.splits import Split
from matinee.data.splits import split as cut
from matinee.data.traits import Traits, traits_of
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.extras import is_installed
from matinee.histories import TrainingData
from matinee.memory import available_memory, size
from matinee.models import model_class
from matinee.models.base import sized_defaults
from matinee.shown import Overview, Shown
from matinee.workflow.given import require_data

NEAREST = 3
"""Logs whose results count."""
FAR = 1.5
"""Distance from which a log is like none of those that were measured; most of these are nearer to another one."""
FEW_USERS = 100
"""Users below whom differences between models are mostly noise: NDCG@10 is known to about 0.05."""
COLD, SAME = 0.05, 0.02
"""Share of recent events on new items, and difference of two shares of the best, from which a note says so."""
TABLE = "advice_table.json"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one model reached on one of the nearest logs. share: of the best model's NDCG@10 there."""

    log: str
    about: str
    ndcg: float
    share: float
    distance: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A model to try. share: its expected NDCG@10 as a share of the best model's; None if nearest logs lack it.

    seconds: of the processor for a fit, about; memory: bytes at least; obstacle: why it cannot be fitted here, or None.
    """

    model: str
    share: float | None
    seconds: float | None
    memory: int
    obstacle: str | None
    why: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Advice(Shown):
    """Which models to try on a log, the first one first.

    data: its name; split: how it is to be tested; nearest: names of the logs that it is most like, with distances;
    notes: what else the traits of the log say.
    """

    data: str
    split: str
    traits: Traits
    suggestions: tuple[Suggestion, ...]
    nearest: tuple[tuple[str, float], ...]
    notes: tuple[str, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The models that can be fitted here, in order."""
        return tuple(each.model for each in self.suggestions if each.obstacle is None)

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "data": self.data,
            "split": self.split,
            "traits": self.traits.to_json(),
            "suggestions": [asdict(each) for each in self.suggestions],
            "nearest": [{"log": log, "distance": distance} for log, distance in self.nearest],
            "notes": list(self.notes),
        }

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Table rows: place, model, share of the best, seconds of a fit, and why, or why not."""
        return [
            (
                str(place),
                each.model,
                "" if each.share is None else f"{each.share:.2f}",
                "" if each.seconds is None else seconds_text(each.seconds),
                each.obstacle or each.why,
            )
            for place, each in enumerate(self.suggestions, start=1)
        ]

    def overview(self) -> Overview:
        """See Shown."""
        head = ("", "model", "of the best", "fit about", "why")
        headline = f"advice for {self.data}, split {self.split}"
        first = self.models[0] if self.models else "popularity"
        return Overview(headline, [head, *self.rows()], self.notes, f'mt.fit_auto("{first}", split)', "models")


def advise(over: Split | Dataset, *, seed: int = 42, without: str | None = None) -> Advice:
    """Which models to try on a log.

    over: a split, whose train part is what a fit gets, or a data set, which is then split by each user's last event
    if it has times and at random otherwise; without: a measured log that is left out, to see how advice travels.
    Raises MatineeError for a log without events to train on.
    """
    over = require_data(over, "mt.advise({})")
    split = over if isinstance(over, Split) else cut(over, split_for(over, seed))
    train = split.training()
    if not len(train.histories.items):
        raise MatineeError(f"{split.data.name}: there is nothing to train on, so there is no advice to give")
    traits = traits_of(split.data, seed)
    task = _task_of(split)
    logs = {name: log for name, log in _table()["logs"].items() if name != without and task in log["values"]}
    distances = _distances(traits, [log["traits"] for log in logs.values()], task)
    order = np.argsort(distances, kind="stable")[:NEAREST]
    names = list(logs)
    nearest = {names[place]: float(distances[place]) for place in order}
    suggestions = _suggestions(traits, train, {name: logs[name] | {"distance": d} for name, d in nearest.items()}, task)
    return Advice(
        split.data.name,
        split.config.split,
        traits,
        suggestions,
        tuple(nearest.items()),
        tuple(_notes(traits, nearest, split, suggestions)),
    )


def split_for(data: Dataset, seed: int) -> SplitConfig:
    """How models are tested on a log: each user's last event where it has times, random events otherwise.

    And where most users have the three events that a last one in test, one in valid and one in train take.
    """
    timed = data.timed and len(data.events) and data.events.times.min() < data.events.times.max()
    enough = timed and np.median(np.diff(data.user_starts)) >= 3
    return SplitConfig(split="leave-last", seed=seed) if enough else SplitConfig(seed=seed)


def _task_of(split: Split) -> str:
    """The measured split that a split is most like: whether the next event is to be found, or any other."""
    return "leave-last" if split.config.split in ("leave-last", "session") else "random"


@cache
def _table() -> dict[str, Any]:
    """What was measured; written by benchmarks/advice.py."""
    found: dict[str, Any] = json.loads(files("matinee.workflow").joinpath(TABLE).read_text(encoding="utf-8"))
    return found


def _point(traits: Mapping[str, Any], task: str) -> FloatArray:
    """A log as a point: 1 is a factor of ten in users, items, or events of each; shares count tenfold. [F]."""
    sizes = [np.log10(max(traits[name], 1)) for name in ("users", "items", "user_events", "item_events")]
    shares = [10 * (traits["gini"] or 0.0) / 3]
    if task == "leave-last":
        shares.append(10 * (traits["order"] or 0.0))
    return np.array([*sizes, *shares])


def _distances(traits: Traits, others: list[Mapping[str, Any]], task: str) -> FloatArray:
    own = _point(traits.to_json(), task)
    return np.array([np.linalg.norm(own - _point(each, task)) for each in others])


def _suggestions(
    traits: Traits, train: TrainingData, near: Mapping[str, Mapping[str, Any]], task: str
) -> tuple[Suggestion, ...]:
    """A suggestion for each model that some near log has, best first, and those that cannot be fitted last."""
    models = list(dict.fromkeys(model for log in near.values() for model in log["values"][task]))
    if traits.users < 2:
        models = ["popularity"]
    found = [_suggestion(model, traits, train, near, task) for model in models]
    return tuple(sorted(found, key=lambda each: (each.obstacle is not None, -(each.share or 0.0), each.model)))


def _suggestion(
    model: str, traits: Traits, train: TrainingData, near: Mapping[str, Mapping[str, Any]], task: str
) -> Suggestion:
    evidence = []
    for name, log in near.items():
        values = log["values"][task]
        if model in values:
            best, ndcg = max(values.values()), values[model]
            evidence.append(Evidence(name, log["about"], ndcg, ndcg / best, log["distance"]))
    weights = [1 / (0.1 + each.distance) for each in evidence]
    share = float(np.average([each.share for each in evidence], weights=weights))
    kind = model_class(model)
    memory = kind(**sized_defaults(kind, train, {})).least_memory(train)
    return Suggestion(
        model,
        share,
        _seconds(model, traits),
        memory,
        _obstacle(model, memory),
        _why(evidence),
        tuple(evidence),
    )


def _obstacle(model: str, memory: int) -> str | None:
    """Why a model cannot be fitted here."""
    free = available_memory()
    if free is not None and memory > free:
        return f"needs {size(memory)} and {size(free)} are free: filter items, or take a machine with more"
    kind = model_class(model)
    packages = (*(("torch",) if kind.trained_by_torch else ()), *kind.packages)
    missing = [package for package in packages if not is_installed(package)]
    return f"trained by {missing[0]}, which is not installed" if missing else None


def _why(evidence: list[Evidence]) -> str:
    """The results on the nearest logs, as a sentence."""
    return "; ".join(f"{each.ndcg:.3f} on {each.log}, {each.share:.2f} of the best there" for each in evidence)


def _seconds(model: str, traits: Traits) -> float | None:
    """About how long a fit takes: constant x events^a x items^b, fitted to the measured times."""
    law = _table()["seconds"].get(model)
    if law is None:
        return None
    return float(np.exp(law["constant"]) * traits.events ** law["events"] * traits.items ** law["items"])


def seconds_text(seconds: float) -> str:
    """`under 1 s`, `40 s`, `12 min`, `3 h`."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"


def _notes(
    traits: Traits, nearest: Mapping[str, float], split: Split, suggestions: tuple[Suggestion, ...]
) -> list[str]:
    """What a reader of the advice should know, one sentence each."""
    found = []
    if traits.users < 2:
        return ["one user: no model learns from others, so only popularity is left; advice needs a log of many users"]
    if min(nearest.values()) > FAR:
        found.append("no log that we measured is much like this one, so take the order as a guess and check it")
    if traits.users < FEW_USERS:
        found.append(f"{traits.users} users are too few to tell models apart: expect ties, and prefer a simple model")
    if not traits.timed:
        found.append(
            "no times (or all events at one time): sequence models have no order to learn from and are left out"
        )
    elif _task_of(split) == "random":
        found.append("random events are to be found; where the next one is, ask with split leave-last")
    if traits.values == 1 and split.data.kind == "rating":
        found.append("all ratings are equal: they say nothing beyond that there is an event")
    if traits.repeats > COLD:
        found.append(f"{traits.repeats:.0%} of the events repeat an item: lists leave out what is known (see `repeat`)")
    if traits.cold is not None and traits.cold > COLD:
        found.append(f"{traits.cold:.0%} of recent events are on new items: give their features (docs/new-items.md)")
    close = [each.model for each in suggestions if each.share is not None and each.obstacle is None]
    shares = {each.model: each.share for each in suggestions if each.share is not None}
    tied = [model for model in close if shares[close[0]] - shares[model] <= SAME]
    if len(tied) > 1:
        found.append(f"{', '.join(tied)} are within {SAME:.0%} on such logs: take the quickest, or check")
    return found
