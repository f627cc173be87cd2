"""Learning from a site's log: the models of the version that serves, fitted again with the events since."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.labels import TEST, TRAIN, Labels
from matinee.data.splits import Split
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation.comparison import compare
from matinee.evaluation.evaluate import evaluate
from matinee.histories import Histories, TrainingData
from matinee.models.base import Counts, Recommender
from matinee.models.content.content_map import predict_new_items
from matinee.models.content.inputs import counted_events
from matinee.scale.choice import require_workers
from matinee.store.artefact import Artefact
from matinee.store.database import SqlDatabase
from matinee.store.live_items import SqlLiveItems
from matinee.store.log_reading import highest_sequence, read_events
from matinee.store.streams.sql import SqlStream
from matinee.store.versions import Registry
from matinee.store.versions.counts import CountsFolder
from matinee.vocab import UNKNOWN
from matinee.workflow.data import whole
from matinee.workflow.evaluating import quality
from matinee.workflow.fitting import predicted_values
from matinee.workflow.merging import merge
from matinee.workflow.refitting import Refit, Refitted, refits

HELD_OUT = 0.2
"""Share of the new events, the newest, on which the running version and the new one are compared."""
FEWEST_USERS = 20
"""With fewer people among them, no difference is taken for one."""
METRIC = "ndcg@10"
LOCK = ".retraining"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a model with the new events did against the running one. users: compared; None where too few."""

    model: str
    users: int
    running: float | None = None
    new: float | None = None
    p: float | None = None
    is_worse: bool = False


@dataclass(frozen=True, slots=True)
class Retrained:
    """What came of it. version: its number, None if there was nothing to learn; new_*: how many came in."""

    version: int | None
    promoted: bool
    new_events: int
    new_users: int = 0
    new_items: int = 0
    verdicts: tuple[Verdict, ...] = ()
    removed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Learned:
    """A model fitted on all events, its counts if it has any, and how it did without the newest."""

    artefact: Artefact
    counts: Counts | None
    verdict: Verdict


def retrain(
    registry: Registry,
    database: SqlDatabase,
    *,
    keep: int = 5,
    least: int = 1,
    seed: int = 42,
    warm: bool = False,
    workers: int | str | None = None,
) -> Retrained:
    """Fit the models of the version that serves with the site's new events, and promote them unless they are worse.

    The newest fifth of the new events is held out, each model is compared with the running one on them (a paired
    bootstrap test of NDCG@10), and then fitted on all. Settings and value maps stay. least: new events below which
    nothing is done; warm: models that can start training from the running version do, in fewer epochs; workers:
    processes, or the address of a Ray cluster, that take a fit each, two of every model, while this process compares
    them and alone writes to the registry: the same models come of it. Raises UsageError for workers that are none, and
    MatineeError for a database of another site, for a worker that is lost, and while another retraining runs.
    """
    require_workers(workers)
    with _alone(registry):
        running = registry.pointer().current
        offset = int(registry.version(running).log.get("offset", 0))
        artefacts = registry.load(running)
        if (newest := highest_sequence(database)) < offset:
            raise MatineeError(
                f"the database ends at event {newest:,}, and version {running} has learned up to {offset:,}: "
                "--db names another database, or an older copy"
            )
        logged = read_events(SqlStream(database, "retrain"), offset)
        data, is_new = merge(artefacts[0], logged, SqlLiveItems(database).all())
        n_new = int(is_new.sum())
        if n_new < max(least, 1):
            return Retrained(None, False, n_new)
        kept = CountsFolder(registry.path)
        learned = [*_learn(artefacts, kept, data, is_new, seed=seed, warm=warm, workers=workers)]
        verdicts = [each.verdict for each in learned]
        worse = [verdict.model for verdict in verdicts if verdict.is_worse]
        note = f"retrained with {n_new:,} events of the log" + (f"; {', '.join(worse)} worse" if worse else "")
        made = registry.add(
            [each.artefact for each in learned],
            note,
            {"offset": logged.offset, "events": n_new, "from": running, "verdicts": [asdict(one) for one in verdicts]},
        )
        if not worse:
            registry.promote(made.number, over=running)
            kept.replace({each.artefact.version: each.counts for each in learned if each.counts is not None})
        first = artefacts[0]
        n_users, n_items = len(data.users) - len(first.users), len(data.items) - len(first.items)
        removed = tuple(registry.prune(keep))
        return Retrained(made.number, not worse, n_new, n_users, n_items, tuple(verdicts), removed)


def _learn(
    artefacts: Sequence[Artefact],
    kept: CountsFolder,
    data: Dataset,
    is_new: BoolArray,
    *,
    seed: int,
    warm: bool,
    workers: int | str | None,
) -> Iterator[_Learned]:
    """Compare each model, fitted without the newest events, with the running one, and fit it on all. See `retrain`."""
    split = _newest_held_out(data, is_new)
    n_users = len(np.unique(split.targets("test").user_rows))
    trains = [split.training()] if n_users >= FEWEST_USERS else []
    job = Refit([*trains, whole(data).training()], seed, warm, None if workers is None else 1)
    for artefact, (*candidates, fitted) in zip(artefacts, refits(artefacts, data, kept, job, workers), strict=True):
        verdict = Verdict(artefact.name, n_users)
        about: dict[str, Any] = {}
        for candidate in candidates:
            verdict, about = _compare(artefact, candidate.model, split, seed)
        yield _Learned(_fitted(artefact, fitted, data, seed, about), fitted.counts, verdict)


def _fitted(artefact: Artefact, refitted: Refitted, data: Dataset, seed: int, quality: Mapping[str, Any]) -> Artefact:
    """The artefact of a model that was fitted again on a whole data set.

    quality: what was measured of it on the newest events; the scores of an earlier fit are not its own.
    """
    train = whole(data).training()
    model, content = _with_new_items(refitted.model, artefact, train, data)
    about: dict[str, Any] = {"seed": seed, "split": None, **refitted.about, **content, **quality}
    # what is known of live items stays laid over the trained ones
    fitted = Artefact.of(model, data, train, about | {"items_read_at": 0})
    return fitted.with_manifest(predicted_values(fitted, data, seed=seed))


def _with_new_items(
    model: Recommender[Any], artefact: Artefact, train: TrainingData, data: Dataset
) -> tuple[Recommender[Any], dict[str, Any]]:
    """The model with items without events predicted, if the running version's were; and its manifest's entry."""
    content = artefact.manifest.get("content")
    if content is None or not model.item_arrays:
        return model, {}
    counted = counted_events(model, train.histories, train.n_items)
    model, about = predict_new_items(model, data.item_table, train.popularity, content["config"], counted)
    return model, {"content": {name: value for name, value in about.items() if name != "notes"}}


def _newest_held_out(data: Dataset, is_new: BoolArray) -> Split:
    """A split whose targets are the newest of the new events."""
    times = data.events.times[is_new]
    cut = np.sort(times)[int((1 - HELD_OUT) * len(times))]
    labels: Labels = np.where(is_new & (data.events.times >= cut), TEST, TRAIN).astype(np.int8)
    return Split(data, SplitConfig(split="time"), labels)


def _compare(
    artefact: Artefact, candidate: Recommender[Any], split: Split, seed: int
) -> tuple[Verdict, dict[str, Any]]:
    """A model fitted without the newest events against the running one on these, and what its artefact says of it."""
    config = EvaluationConfig(k=(10,))
    candidate, _ = _with_new_items(candidate, artefact, split.training(), split.data)
    before = _on_rows(artefact.model, artefact.items.rows(split.data.items.ids))
    try:
        new, old = (evaluate(each, split, config, rng=np.random.default_rng(seed)) for each in (candidate, before))
    except MatineeError:  # every target was seen before
        return Verdict(artefact.name, 0), {}
    found = compare([old, new], METRIC, rng=np.random.default_rng(seed))
    loser = found.rows[1]
    is_worse = found.reports[1] is new and loser.p <= found.alpha and new.users >= FEWEST_USERS
    means = old.metrics[METRIC].mean, new.metrics[METRIC].mean
    return Verdict(artefact.name, new.users, *means, loser.p, is_worse), quality(new)


def _on_rows(model: Recommender[Any], old_rows: IntArray) -> Recommender[Any]:
    """A model that scores other rows of items. old_rows: [I], the model's row of each, UNKNOWN for one it lacks."""
    moved, known = copy(model), np.flatnonzero(old_rows != UNKNOWN)

    def state_of(histories: Histories) -> object:
        mine = histories.keep(old_rows[histories.items] != UNKNOWN)
        visitors = np.full(len(mine), UNKNOWN, dtype=np.int32)
        return model.state_of(replace(mine, items=old_rows[mine.items], user_rows=visitors))

    def score(state: object) -> FloatArray:
        scores = model.score(state)  # [B, I of the model]
        found = np.full((len(scores), len(old_rows)), -np.inf, dtype=scores.dtype)
        found[:, known] = scores[:, old_rows[known]]
        return found

    vars(moved)["state_of"], vars(moved)["score"] = state_of, score
    return moved


@contextmanager
def _alone(registry: Registry) -> Iterator[None]:
    """Raises MatineeError while another process retrains the same registry."""
    try:
        number = os.open(registry.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise MatineeError(f"registry {registry.path} cannot be written: {error.strerror or error}") from None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise MatineeError(f"another process retrains {registry.path}; wait for it") from None
    finally:
        os.close(number)
