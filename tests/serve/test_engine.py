"""The engine's lists are those of rank(), and its reasons add up."""

from pathlib import Path

import numpy as np
import pytest

from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.histories import EventSource, Histories
from matinee.models.base import Explains
from matinee.ranking.rank import rank
from matinee.ranking.reasons import MAX_REASONS
from matinee.recommender import POPULAR, Engine
from matinee.store.artefact import load
from matinee.store.sql import SqlEvents
from site_fixtures import MODELS, train


@pytest.fixture(scope="module")
def engine(artefact_paths: list[Path], known_movies: Dataset) -> Engine:
    return Engine([load(path) for path in artefact_paths], EventSource(known_movies.events, known_movies.users))


@pytest.mark.parametrize("model", MODELS)
def test_a_list_from_sql_is_the_list_of_rank(
    engine: Engine, known_movies: Dataset, artefact_paths: list[Path], tmp_path: Path, model: str
) -> None:
    data = known_movies
    events = data.events
    log = SqlEvents(f"sqlite:///{tmp_path}/parity.db", data.items, data.users)
    log.bulk_import((data.users.ids[events.user_rows], data.items.ids[events.item_rows], events.values, events.times))
    live = Engine([load(path) for path in artefact_paths], log)
    rows = np.arange(0, len(data.users), 40)
    before = int(np.quantile(events.times, 0.8))
    histories = EventSource(events, data.users).histories(data.users.ids[rows].tolist(), before=before)
    wanted = rank(engine.artefacts[model].model, histories, 20)
    compared = 0
    for place, row in enumerate(rows):
        if histories.starts[place] == histories.starts[place + 1]:
            continue
        found = live.recommend(data.users.id(int(row)), 20, model, before=before)
        assert [item.item_row for item in found] == wanted.items[place].tolist()
        np.testing.assert_allclose([item.score for item in found], wanted.scores[place], rtol=0, atol=1e-6)
        compared += 1
    assert compared > 5
    log.close()


def test_reasons_are_the_events_that_add_most(engine: Engine) -> None:
    rows = [row for row in engine.starters(8)]
    history = Histories.of([rows], [[5, 4, 3, 2, 1, 5, 4, 3]])
    model = engine.artefacts["item-knn"].model
    assert isinstance(model, Explains)
    for item in engine.recommend_for(history, 10, "item-knn"):
        parts = model.explain(history, np.array([[item.item_row]]))[:, 0]
        assert parts.sum() == pytest.approx(item.score, abs=1e-5)
        given = [reason.contribution for reason in item.reasons]
        assert given == sorted((float(part) for part in parts if part > 0), reverse=True)[: len(given)]
        assert len(given) <= MAX_REASONS
        assert all(reason.value == history.values[rows.index(reason.item_row)] for reason in item.reasons)


def test_without_a_history_the_list_is_popular_items(engine: Engine) -> None:
    found = engine.recommend("nobody", 5)
    assert {item.model for item in found} == {POPULAR}
    best = sorted(range(len(engine.items)), key=lambda row: (-engine.popularity[row], row))[:5]
    assert [item.item_row for item in found] == best
    allowed = np.ones(len(engine.items), dtype=bool)
    allowed[best[:2]] = False
    assert [item.item_row for item in engine.recommend("nobody", 3, dismissed=np.array(best[:2]))] == best[2:]


def test_similar_items_exclude_the_item_and_need_a_model_with_similarity(engine: Engine) -> None:
    row = engine.starters(1)[0]
    assert row not in [item.item_row for item in engine.similar(row, 10)]
    assert engine.similar_models == ("item-knn", "ease")
    with pytest.raises(MatineeError, match="item-knn"):
        engine.similar(row, 10, "popularity")


def test_starters_are_known_and_differ(engine: Engine) -> None:
    rows = engine.starters(12)
    assert len(set(rows)) == 12
    assert engine.popularity[rows].min() >= np.sort(engine.popularity)[-120]
    genres = {engine.catalogue.genres[row] for row in rows}
    assert len(genres) >= 10


def test_an_unknown_model_is_an_error_with_the_closest_name(engine: Engine) -> None:
    with pytest.raises(MatineeError, match="did you mean 'ease'"):
        engine.recommend("1", 5, "eaze")


def test_artefacts_of_different_data_are_refused(
    artefact_paths: list[Path], known_movies: Dataset, tmp_path: Path
) -> None:
    other = known_movies.keep(known_movies.events.item_rows % 2 == 0)
    stranger = train("item-knn", other, tmp_path)
    half = known_movies.keep(known_movies.events.user_rows % 2 == 0)  # the same movies, other people
    assert len(half.items) == len(known_movies.items)
    for path in (stranger, train("ease", half, tmp_path)):
        with pytest.raises(MatineeError, match=r"was fitted on other data .* than .*popularity"):
            Engine([load(artefact_paths[0]), load(path)], EventSource(other.events, other.users))
    artefacts = [load(artefact_paths[0])]
    source = EventSource(other.events, other.users)
    with pytest.raises(MatineeError, match="at least one artefact"):
        Engine([], source)
    with pytest.raises(MatineeError, match="two artefacts"):
        Engine([artefacts[0], artefacts[0]], source)
