"""The parity proof: what is measured is what is served.

Offline: a split at a moment, `evaluate()`'s own task, one batch. Live: the same log in SQLite, the engine, one visitor
at a time, asked for the same moment. Same items in the same order, scores within 1e-6, for every registered model.
"""

from pathlib import Path

import numpy as np
import pytest

from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.moments import iso
from matinee.data.splits import Split, split
from matinee.events import Dataset
from matinee.models import MODELS, create
from matinee.models.base import Run
from matinee.ranking import rank
from matinee.serve.engine import Engine
from matinee.store.artefact import Artefact
from matinee.store.sql import SqlEvents
from matinee.task import Task

N_USERS, K = 200, 10


@pytest.fixture(scope="module")
def log_in_sql(bundled: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SqlEvents:
    events = bundled.events
    order = np.random.default_rng(0).permutation(len(events))  # a live log does not come sorted by user
    order = order[np.argsort(events.times[order], kind="stable")]
    source = SqlEvents(f"sqlite:///{tmp_path_factory.mktemp('parity') / 'log.sqlite3'}", bundled.items, bundled.users)
    user_ids, item_ids = bundled.users.ids[events.user_rows], bundled.items.ids[events.item_rows]
    source.bulk_import([user_ids[order], item_ids[order], events.values[order], events.times[order]])
    yield source
    source.close()


@pytest.fixture(scope="module")
def moments(bundled: Dataset) -> list[int]:
    """Three moments inside the histories of many people: quantiles of the users' median times."""
    starts, times = bundled.user_starts, bundled.events.times
    halfway = times[(starts[:-1] + starts[1:]) // 2]
    return [int(moment) for moment in np.quantile(halfway, [0.3, 0.6, 0.9])]


@pytest.fixture(scope="module")
def splits(bundled: Dataset, moments: list[int]) -> dict[int, Split]:
    return {moment: split(bundled, SplitConfig(split="time", at=(iso(moment),))) for moment in moments}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_live_lists_equal_offline_lists(
    name: str, bundled: Dataset, splits: dict[int, Split], log_in_sql: SqlEvents
) -> None:
    first = next(iter(splits.values()))
    train = first.training()
    artefact = Artefact.of(create(name).fit(train, Run.seeded(1)), bundled, train)
    engine = Engine([artefact], log_in_sql)
    compared = with_history = 0
    for moment, cut in splits.items():
        task = Task.of(cut, EvaluationConfig(k=(K,)))
        chosen = np.random.default_rng(moment).permutation(len(task.user_rows))[:N_USERS]
        offline = rank(artefact.model, task.histories.take(chosen), K, cold=train.popularity)
        for place, user_row in enumerate(task.user_rows[chosen].tolist()):
            live = engine.recommend(bundled.users.id(user_row), K, name, before=moment)
            assert [each.item_row for each in live] == offline.items[place].tolist()
            scores = np.array([each.score for each in live])
            np.testing.assert_allclose(scores, offline.scores[place], rtol=1e-6, atol=1e-6)
            compared += 1
        with_history += int((np.diff(task.histories.take(chosen).starts) > 0).sum())
    assert compared >= 3 * N_USERS
    assert with_history >= 20


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MODELS))
def test_live_lists_of_everyone_equal_a_batch(
    name: str, bundled: Dataset, moments: list[int], log_in_sql: SqlEvents
) -> None:
    """The same with whole histories: 200 users at each moment who have one by then."""
    cut = split(bundled, SplitConfig())
    train = cut.training()
    artefact = Artefact.of(create(name).fit(train, Run.seeded(1)), bundled, train)
    engine = Engine([artefact], log_in_sql)
    for moment in moments:
        past = bundled.events.take(bundled.events.times < moment)
        users = np.unique(past.user_rows)
        chosen = np.random.default_rng(moment).permutation(users)[:N_USERS]
        assert len(chosen) >= 150
        histories = artefact_histories(bundled, chosen, moment)
        offline = rank(artefact.model, histories, K)
        for place, user_row in enumerate(chosen.tolist()):
            live = engine.recommend(bundled.users.id(user_row), K, name, before=moment)
            assert [each.item_row for each in live] == offline.items[place].tolist()
            np.testing.assert_allclose([each.score for each in live], offline.scores[place], rtol=1e-6, atol=1e-6)


def artefact_histories(data: Dataset, user_rows: np.ndarray, moment: int) -> "Histories":
    from matinee.histories import EventSource

    return EventSource(data.events, data.users).histories([data.users.id(row) for row in user_rows], before=moment)
