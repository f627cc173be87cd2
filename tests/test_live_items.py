"""Items that come after training: predicted as if they had been in the table from the start, without copying models."""

from concurrent.futures import ThreadPoolExecutor
from copy import copy

import numpy as np
import pytest
from scipy.sparse import csr_array

import matinee as mt
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.item_table import ItemTable
from matinee.models import model_class, model_names
from matinee.models.base import Recommender
from matinee.models.content.config import ContentConfig
from matinee.models.content.content_map import ContentMap
from matinee.models.content.growth import axes_of, n_items_of, with_columns
from matinee.models.content.live import LiveContentMap
from matinee.vocab import Vocab
from test_content_maps import BARE, N_ITEMS, NEW_EVEN, TWIN, fitted, table

TAKES_CONTENT = sorted(name for name in model_names() if model_class(name).item_arrays)
LATER = np.array([TWIN, BARE])
"""The items that come after training: one with the features of item 4, one with none."""


def without_last(model: Recommender, n: int) -> Recommender:
    """The model as fitted without its last n items, of which it has learned nothing."""
    fewer, n_items = copy(model), n_items_of(model)
    for name, axes in axes_of(model).items():
        array = getattr(model, name)
        array = array.toarray() if (is_sparse := isinstance(array, csr_array)) else array
        for axis in axes:
            gone = [row for row in range(array.shape[axis]) if row % n_items >= n_items - n]
            array = np.delete(array, gone, axis)
        setattr(fewer, name, csr_array(array) if is_sparse else np.ascontiguousarray(array))
    return fewer


def scores(model: Recommender, *histories: list[int]) -> np.ndarray:
    return model.score(model.state_of(Histories.of(histories)))


@pytest.fixture(scope="module")
def models() -> dict[str, Recommender]:
    return {name: fitted(name)[0] for name in TAKES_CONTENT}


@pytest.fixture
def popularity() -> np.ndarray:
    return np.where(np.arange(16) < N_ITEMS, 5, 0)


@pytest.mark.parametrize("name", TAKES_CONTENT)
def test_a_later_item_scores_as_if_it_had_been_there_from_the_start(name: str, models, popularity: np.ndarray) -> None:
    whole = ContentMap.of(table(), popularity).extend(models[name])
    live = LiveContentMap(table(), popularity)
    fewer = without_last(whole, 2)
    before = scores(fewer, [0, 2], [1, 5, 3], [])
    extended = live.extend(fewer, live.mixing(table().of_items(Vocab(LATER[:1]))))
    histories = [0, 2], [1, 5, 3], []
    wanted = scores(without_last(whole, 1), *histories)
    found = scores(extended, *histories)
    assert found.shape == (3, 15)
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    np.testing.assert_array_equal(scores(fewer, *histories), before)


@pytest.mark.parametrize("name", TAKES_CONTENT)
def test_items_one_by_one_are_items_at_once_and_older_models_stay(name: str, models, popularity: np.ndarray) -> None:
    live, start = LiveContentMap(table(), popularity), without_last(models[name], 4)
    mixing = live.mixing(table().of_items(Vocab(np.arange(12, 16))))
    at_once = live.extend(start, mixing)
    steps, known = [start], [scores(start, [0, 2], [1])]
    for item in range(4):
        steps.append(live.extend(steps[-1], mixing[:, item : item + 1]))
        known.append(scores(steps[-1], [0, 2], [1]))
    np.testing.assert_allclose(known[-1], scores(at_once, [0, 2], [1]), atol=1e-6)
    for model, before in zip(steps, known, strict=True):
        np.testing.assert_array_equal(scores(model, [0, 2], [1]), before)
    other = live.extend(steps[2], mixing[:, 3:])  # a second branch from an older model
    np.testing.assert_array_equal(scores(steps[3], [0, 2], [1]), known[3])
    assert n_items_of(other) == n_items_of(steps[3])


@pytest.mark.parametrize("name", TAKES_CONTENT)
def test_histories_may_hold_later_items(name: str, models, popularity: np.ndarray) -> None:
    live, start = LiveContentMap(table(), popularity), without_last(models[name], 4)
    extended = live.extend(start, live.mixing(table().of_items(Vocab(np.arange(12, 16)))))
    found = scores(extended, [0, NEW_EVEN], [NEW_EVEN], [BARE])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", TAKES_CONTENT)
def test_changed_features_change_the_prediction(name: str, models, popularity: np.ndarray) -> None:
    live, start = LiveContentMap(table(), popularity), without_last(models[name], 4)
    mixing = live.mixing(table().of_items(Vocab(np.arange(12, 16))))
    extended = live.extend(start, mixing)
    swapped = live.replace(live.extend(start, mixing[:, [1, 0, 2, 3]]), np.array([12, 13]), mixing[:, :2])
    np.testing.assert_allclose(scores(swapped, [0, 2], [1]), scores(extended, [0, 2], [1]), atol=1e-6)


def test_an_item_without_features_is_said_and_predicted_by_nothing(models, popularity: np.ndarray) -> None:
    live = LiveContentMap(table(), popularity)
    new = table().of_items(Vocab(LATER))
    assert live.has_features(new).tolist() == [True, False]
    assert (live.mixing(new)[:, 1] == 0).all()
    extended = live.extend(without_last(models["ease"], 4), live.mixing(new))
    assert (extended.weights[:, 13] == 0).all()


def test_words_and_columns_that_nobody_knows_do_not_count(popularity: np.ndarray) -> None:
    live = LiveContentMap(table(), popularity)
    words = ((*table().lists["words"][4], "never seen"),)
    new = ItemTable(Vocab(np.array([99])), ("x",), np.zeros(1, dtype=np.int32), {"words": words, "odd": (("x",),)})
    np.testing.assert_allclose(live.mixing(new), live.mixing(table().of_items(Vocab(np.array([TWIN])))), atol=1e-6)
    assert not live.has_features(ItemTable(Vocab(np.array([99])), ("x",), np.zeros(1, dtype=np.int32))).any()


def test_without_known_features_or_item_arrays_it_says_so(models, popularity: np.ndarray) -> None:
    with pytest.raises(MatineeError, match="no item with events has features"):
        LiveContentMap(ItemTable(Vocab(np.arange(16)), ("",) * 16, np.zeros(16)), popularity).mixing(table())
    live = LiveContentMap(table(), popularity)
    with pytest.raises(MatineeError, match="popularity has no item columns or vectors"):
        live.extend(fitted("popularity")[0], live.mixing(table()))


def test_threads_share_a_map_and_every_item_arrives(models, popularity: np.ndarray) -> None:
    live, start = LiveContentMap(table(), popularity), without_last(models["ials"], 4)
    new = table().of_items(Vocab(np.array([NEW_EVEN])))
    with ThreadPoolExecutor(8) as pool:
        grown = list(pool.map(lambda _: live.extend(start, live.mixing(new)), range(24)))
    wanted = scores(grown[0], [0, 2])
    for model in grown:
        np.testing.assert_array_equal(scores(model, [0, 2]), wanted)


def test_most_items_find_room_without_a_copy(models, popularity: np.ndarray) -> None:
    live, model = LiveContentMap(table(), popularity), without_last(models["ease"], 4)
    mixing = live.mixing(table().of_items(Vocab(np.array([NEW_EVEN]))))
    buffers = set()
    for _ in range(300):
        model = live.extend(model, mixing)
        buffers.add(model.weights.base.shape)
    assert model.weights.shape == (312, 312)
    assert 2 <= len(buffers) <= 6
    assert np.isclose(model.weights[:12, 12:], model.weights[:12, 12:13]).all()


def test_entries_in_empty_columns_against_dense_arithmetic() -> None:
    rng = np.random.default_rng(3)
    dense = rng.random((7, 9)) * (rng.random((7, 9)) < 0.4)
    columns = np.array([2, 5, 8])
    dense[:, columns] = 0
    added = rng.random((3, 7)) * (rng.random((3, 7)) < 0.6)
    found = with_columns(csr_array(dense), columns, csr_array(added))
    wanted = dense.copy()
    wanted[:, columns] = added.T
    np.testing.assert_array_equal(found.toarray(), wanted)
    assert found.has_sorted_indices


def test_the_words_of_later_items_shift_weights_but_little() -> None:
    data = mt.load("bundled")
    items = ItemTable.of_catalogue(data.items, data.catalogue)
    counts = data.catalogue.counts
    later = np.argsort(-counts, kind="stable")[20:60:4]
    known = counts.copy()
    known[later] = 0
    refitted = ContentMap.of(items, known)
    live = LiveContentMap(
        items.of_items(data.items.take(np.delete(np.arange(len(items)), later))), np.delete(counts, later)
    )
    mixing = live.mixing(items.of_items(data.items.take(np.sort(later))))
    wanted = refitted.mixing[:, np.isin(refitted.predicted, later)]
    correlations = [np.corrcoef(one, other)[0, 1] for one, other in zip(mixing.T, wanted.T, strict=True)]
    assert min(correlations) > 0.99


def test_the_settings_of_a_fit_are_those_of_the_map(popularity: np.ndarray) -> None:
    config = ContentConfig(ridge=2.0, sharpness=0.0, max_known=5)
    new = table().of_items(Vocab(np.array([TWIN])))
    live = LiveContentMap(table(), popularity, config)
    whole = ContentMap.of(table(), popularity, config)
    assert live.mixing(new).shape == (5, 1)
    np.testing.assert_allclose(live.mixing(new)[:, 0], whole.mixing[:, whole.predicted == TWIN].ravel(), atol=1e-6)


@pytest.mark.parametrize("name", TAKES_CONTENT)
def test_histories_of_later_items_score_as_if_they_had_been_there_from_the_start(name: str, models, popularity) -> None:
    config = ContentConfig(scale=1.7, kept=16)
    whole = ContentMap.of(table(), popularity, config).extend(models[name], config.kept)
    live = LiveContentMap(table(), popularity, config)
    extended = live.extend(without_last(whole, 2), live.mixing(table().of_items(Vocab(LATER[:1]))))
    histories = [0, TWIN], [TWIN], [NEW_EVEN, 1, TWIN]
    np.testing.assert_allclose(scores(extended, *histories), scores(without_last(whole, 1), *histories), atol=5e-5)
