"""The parity proof: what is measured is what is served.

Offline: a split at a moment, `evaluate()`'s own task, one batch. Live: the same log in SQLite, the engine, one visitor
at a time, asked for the same moment. Same items in the same order, scores within 1e-6, for every registered model, with
the ratings weighed by the default value map.
"""

from collections.abc import Iterator
from copy import copy

import numpy as np
import pytest

from matinee.config import EvaluationConfig, SplitConfig, ValuesConfig
from matinee.data.splits import Split, split
from matinee.dataset import Dataset
from matinee.evaluation.task import Task
from matinee.histories import EventSource
from matinee.models import model_names
from matinee.models.base import Recommender
from matinee.ranking.fallback import Fallback
from matinee.ranking.rank import Ranking, rank
from matinee.recommender import Engine
from matinee.store.artefact import Artefact
from matinee.store.sql import SqlEvents
from matinee.times import format_time
from matinee.values import resolve

N_USERS, K = 200, 10


@pytest.fixture(scope="module")
def log_in_sql(bundled: Dataset, log_url: str) -> Iterator[SqlEvents]:
    source = SqlEvents(log_url, bundled.items, bundled.users)
    yield source
    source.close()


@pytest.fixture(scope="module")
def moments(bundled: Dataset) -> list[int]:
    """Three moments inside the histories of many people: quantiles of the users' median times."""
    starts, times = bundled.user_starts, bundled.events.times
    halfway = times[(starts[:-1] + starts[1:]) // 2]
    return [int(moment) for moment in np.quantile(halfway, [0.4, 0.7, 0.9])]


@pytest.fixture(scope="module", params=sorted(model_names()))
def artefact(
    request: pytest.FixtureRequest, bundled: Dataset, bundled_split: Split, fitted: dict[str, Recommender]
) -> Artefact:
    model = copy(fitted[request.param])
    train = bundled_split.training()
    model.value_map = resolve(ValuesConfig(map="default"), train.histories.values)  # of unary, weights are the same
    return Artefact.of(model, bundled, train)


def fallback(artefact: Artefact) -> Fallback:
    return Fallback(artefact.popularity, artefact.catalogue.genre_matrix)


@pytest.fixture(scope="module")
def engine(artefact: Artefact, log_in_sql: SqlEvents) -> Engine:
    return Engine([artefact], log_in_sql)


def assert_served_as_ranked(
    engine: Engine, source: SqlEvents, user_ids: list[int], moment: int, offline: Ranking
) -> None:
    """Every tenth visitor also gets the reasons, which take most of the time and are added to a finished list."""
    for place, user_id in enumerate(user_ids):
        if place % 10 == 0:
            live = engine.recommend(user_id, K, before=moment)
        else:
            live = engine.recommend_for(source.histories([user_id], before=moment), K, explain=False)
        assert [each.item_row for each in live] == offline.items[place].tolist()
        np.testing.assert_allclose([each.score for each in live], offline.scores[place], rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_200_visitors_at_three_moments(
    artefact: Artefact, engine: Engine, bundled: Dataset, moments: list[int], log_in_sql: SqlEvents
) -> None:
    offline_source = EventSource(bundled.events, bundled.users)
    for moment in moments:
        past = bundled.events.take(bundled.events.times < moment)
        rows = np.random.default_rng(moment).permutation(np.unique(past.user_rows))[:N_USERS]
        assert len(rows) == N_USERS
        user_ids = [int(user_id) for user_id in bundled.users.ids[rows]]
        histories = offline_source.histories(user_ids, before=moment)
        offline = rank(artefact.model, histories, K, cold=fallback(artefact))
        assert_served_as_ranked(engine, log_in_sql, user_ids, moment, offline)


@pytest.mark.slow
def test_the_task_of_an_evaluation(
    artefact: Artefact, engine: Engine, bundled: Dataset, moments: list[int], log_in_sql: SqlEvents
) -> None:
    """What `evaluate()` ranks under a split in time: people without a history by then are among them."""
    cut = split(bundled, SplitConfig(split="time", at=(format_time(moments[0]),)))
    task = Task.of(cut, EvaluationConfig(k=(K,)))
    chosen = np.random.default_rng(2).permutation(len(task.user_rows))[:N_USERS]
    histories = task.histories.take(chosen)
    lengths = np.diff(histories.starts)
    assert (lengths == 0).sum() >= 50
    assert (lengths > 0).sum() >= 10
    offline = rank(artefact.model, histories, K, cold=fallback(artefact))
    user_ids = [int(user_id) for user_id in bundled.users.ids[task.user_rows[chosen]]]
    assert_served_as_ranked(engine, log_in_sql, user_ids, moments[0], offline)
