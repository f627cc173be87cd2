"""What every model does with the values of events, on the bundled data by the default value map."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from test_every_model import NAMES, assert_same_lists

from matinee.config import ValuesConfig
from matinee.data.splits import Split
from matinee.dataset import Dataset
from matinee.histories import Histories
from matinee.models import model_class
from matinee.models.base import Recommender
from matinee.ranking.explain import explain
from matinee.ranking.fallback import Fallback
from matinee.ranking.rank import Ranking, rank
from matinee.values import ValueMap, resolve

READING = [name for name in NAMES if model_class(name).reads_history]
CLAIM = [name for name in READING if model_class(name).uses_weights or model_class(name).predicts_values]
WEIGHED = [name for name in NAMES if model_class(name).uses_weights]
SCALE_FREE = ["cdae", "item2vec", "lightgcn", "movie-pairs", "mult-vae", "user-knn"]
TRIOS = [
    ["Saving Private Ryan (1998)", "Braveheart (1995)", "Gladiator (2000)"],
    ["Toy Story (1995)", "Shrek (2001)", "Finding Nemo (2003)"],
    ["Alien (1979)", "Blade Runner (1982)", "Matrix, The (1999)"],
    ["Titanic (1997)", "Notting Hill (1999)", "Pretty Woman (1990)"],
]


@pytest.fixture(scope="module")
def default_map(bundled_split: Split) -> ValueMap:
    return resolve(ValuesConfig(map="default"), bundled_split.training().histories.values)


@pytest.fixture
def valued(request: pytest.FixtureRequest, fitted: dict[str, Recommender], default_map: ValueMap) -> Recommender:
    """The fitted model of a name, with the default map."""
    model = copy(fitted[request.param])
    model.value_map = default_map
    return model


@pytest.fixture(scope="module")
def some_histories(bundled_split: Split) -> Histories:
    return bundled_split.training().histories.take(np.arange(0, 600, 12))


def scores_of(model: Recommender, histories: Histories) -> np.ndarray:
    return model.score(model.fold_in(histories))


def test_all_models_whose_order_depends_on_the_history_claim_to_use_values() -> None:
    assert set(CLAIM) == set(READING)


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_1_change_no_bit(name: str, fitted: dict[str, Recommender], some_histories: Histories) -> None:
    ones = replace(some_histories, mapped=np.ones(len(some_histories.items), dtype=np.float32))
    np.testing.assert_array_equal(scores_of(fitted[name], ones), scores_of(fitted[name], some_histories))


@pytest.mark.parametrize("valued", NAMES, indirect=True)
def test_a_batch_of_valued_histories_equals_one_user_at_a_time(valued: Recommender, some_histories: Histories) -> None:
    whole = rank(valued, some_histories, 10)
    for user in range(0, len(some_histories), 5):
        single = rank(valued, some_histories.take(np.array([user])), 10)
        assert_same_lists(single, Ranking(whole.items[[user]], whole.scores[[user]]))


@pytest.mark.parametrize("valued", NAMES, indirect=True)
def test_exact_contributions_of_valued_events_sum_to_the_score(valued: Recommender, some_histories: Histories) -> None:
    for user in range(0, len(some_histories), 10):
        history = some_histories.take(np.array([user]))
        listed = rank(valued, history, 10)
        found = explain(valued, history, listed.items)
        if found.method != "exact":
            return
        sums = found.contributions.sum(axis=0, dtype=np.float64) + found.item_bias[0]
        np.testing.assert_allclose(sums, listed.scores[0], rtol=1e-5)
        assert not found.contributions[valued.weigh(history).weights == 0].any()


@pytest.mark.parametrize("valued", WEIGHED, indirect=True)
def test_an_event_of_weight_0_is_masked_and_changes_nothing_else(
    valued: Recommender, some_histories: Histories
) -> None:
    neutral = np.where(np.arange(len(some_histories.items)) % 3 == 0, np.float32(2), some_histories.values)
    history = replace(some_histories, values=neutral)
    assert (valued.value_map.weights(np.array([2.0])) == 0).all()
    without = history.keep(history.values != 2)
    scores = valued.score(valued.state_of(history))
    np.testing.assert_array_equal(scores, valued.score(valued.state_of(without)))


@pytest.mark.parametrize("valued", CLAIM, indirect=True)
def test_three_films_at_the_lowest_and_at_the_highest_value_give_different_lists(
    valued: Recommender, bundled: Dataset, bundled_split: Split
) -> None:
    cold = Fallback(bundled_split.training().popularity, bundled.catalogue.genre_matrix)
    for titles in TRIOS:
        rows = [bundled.catalogue.row_of_title(title) for title in titles]
        for low in (0.5, 1, 2):
            lists = rank(valued, Histories.of([rows, rows], [[low] * 3, [5] * 3]), 24, cold=cold).items
            assert len(np.intersect1d(*lists)) <= 12, (titles, low)


@pytest.mark.parametrize("valued", CLAIM, indirect=True)
def test_one_dislike_among_likes_changes_the_list_and_lowers_what_resembles_it(
    valued: Recommender, bundled: Dataset
) -> None:
    likes = [bundled.catalogue.row_of_title(title) for title in (*TRIOS[0], *TRIOS[1])]
    disliked = bundled.catalogue.row_of_title("Lord of the Rings: The Fellowship of the Ring, The (2001)")
    sequel = bundled.catalogue.row_of_title("Lord of the Rings: The Two Towers, The (2002)")
    both = Histories.of([[*likes, disliked]] * 2, [[5] * 6 + [5], [5] * 6 + [1]])
    scores = valued.score(valued.state_of(both)).astype(np.float64)
    deviations = (scores[:, sequel] - scores.mean(axis=1)) / scores.std(axis=1)
    assert deviations[1] < deviations[0]
    assert not np.array_equal(*rank(valued, both, 24).items)


@pytest.mark.parametrize("valued", SCALE_FREE, indirect=True)
def test_a_mean_or_a_direction_does_not_depend_on_the_unit_of_weights(
    valued: Recommender, some_histories: Histories
) -> None:
    one = valued.weigh(some_histories).counted()
    double = replace(one, mapped=2 * one.weights)
    np.testing.assert_allclose(scores_of(valued, double), scores_of(valued, one), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("valued", ["ease", "item-knn", "pmi"], indirect=True)
def test_a_sum_grows_with_its_weights(valued: Recommender, some_histories: Histories) -> None:
    one = valued.weigh(some_histories).counted()
    double = replace(one, mapped=2 * one.weights)
    np.testing.assert_allclose(scores_of(valued, double), 2 * scores_of(valued, one), rtol=1e-5, atol=1e-6)
