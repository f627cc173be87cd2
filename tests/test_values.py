"""Value maps: from values to weights, resolved on a log, and applied where lists are made."""

import json

import numpy as np
import pytest
from scipy.sparse import csr_array

from matinee.config import Config, ValuesConfig, configure
from matinee.errors import MatineeError
from matinee.experiment import Experiment
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.ranking.fallback import Fallback
from matinee.ranking.rank import rank
from matinee.training.run import Run
from matinee.values import UNARY, ValueMap, read, resolve

RATINGS = np.array([1, 2, 3, 3, 4, 4, 4, 5, 5, 5], dtype=np.float32)


def mapped(text: str, values: list[float], log: np.ndarray = RATINGS) -> list[float]:
    """The weights of some values by a map as the command line reads it."""
    config = configure(Experiment, {"values": text}, "options").values
    return resolve(config, log).weights(np.array(values, dtype=np.float32)).round(4).tolist()


def test_a_linear_map_interpolates_and_holds_its_ends() -> None:
    assert mapped("linear:1=-1,3=0,5=2", [0.5, 1, 2, 3, 3.5, 5, 9]) == [-1, -1, -0.5, 0, 0.5, 2, 2]


def test_a_step_map_holds_the_last_knot_and_is_0_below_the_first() -> None:
    assert mapped("steps:2=-1,3=0.5,4=1", [1, 1.9, 2, 2.9, 3, 4.5, 5]) == [0, 0, -1, -1, 0.5, 1, 1]


def test_a_log_map_grows_with_the_logarithm_of_plays() -> None:
    assert mapped("log:0=0,9999=4", [0, 9, 99, 999, 9999, 10**6]) == [0, 1, 2, 3, 4, 4]


def test_unary_weighs_everything_1() -> None:
    assert mapped("unary", [0.5, 5, np.nan]) == [1, 1, 1]
    histories = Histories.of([[1, 2]], [[1, 5]])
    assert UNARY.weigh(histories) is histories


def test_an_event_without_a_value_weighs_as_the_mean_event_of_the_log() -> None:
    assert mapped("linear:1=0,5=4", [np.nan], np.array([1, 3, 5, 5])) == [2.5]


def test_weights_of_no_value_beyond_any_are_those_of_the_ends() -> None:
    assert mapped("linear:1=-1,5=2", [-np.inf, np.inf]) == [-1, 2]
    assert mapped("log:1=0.5,100=2", [-np.inf, np.inf]) == [0.5, 2]


@pytest.mark.parametrize("also", [[], [np.nan], [np.inf, -np.inf], [0.25, -3, 300, 3e38]])
def test_many_values_weigh_as_each_of_them_does(also: list[float]) -> None:
    given = [0, 0.5, 1, 2.5, 4, 5, 7.5, 127.5, *also]
    for text in ("linear:1=-1,3=0,5=2", "steps:2=-1,3=0.5,4=1", "log:1=0.5,100=2", "unary"):
        assert mapped(text, given * 1_000) == mapped(text, given) * 1_000


@pytest.mark.parametrize(
    ("values", "kind", "scale"),
    [
        ([1, 2, 3, 4, 5], "linear", (0, 5)),
        ([0.5, 3, 4, 4.5, 5], "linear", (0, 5)),
        ([4, 5, 5], "linear", (0, 5)),
        ([3, 7, 8, 9, 10], "linear", (0, 10)),
        ([12, 55, 70, 90, 100], "linear", (0, 100)),
        ([-1, 1, 1], "linear", (-1, 1)),
        ([0, 0, 1, 1, 1], "linear", (0, 1)),
        ([-8.5, 0.3, 2, 9.1], "linear", (-10, 10)),
        ([400, 500, 640], "linear", (0, 640)),
        ([1, 1, 1, 2, 3, 40, 100_000], "log", (1, 100_000)),
        ([0.1, 0.2, 1.5, 3, 60], "log", (0.1, 60)),
    ],
)
def test_the_default_map_recognises_scales_and_counts(
    values: list[float], kind: str, scale: tuple[float, float]
) -> None:
    found = resolve(ValuesConfig(map="default"), np.array(values, dtype=np.float32))
    assert found.config.map == kind
    assert (found.config.knots[0][0], found.config.knots[-1][0]) == pytest.approx(scale)
    weights = found.weights(np.array(values, dtype=np.float32))
    assert (np.diff(weights) >= 0).all()
    assert weights.mean() == pytest.approx(1, abs=1e-5)
    assert found.config.neutral == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", ["default", "linear", "log"])
def test_ratings_of_one_value_become_unary_and_say_so(text: str) -> None:
    found = resolve(configure(Experiment, {"values": text}, "options").values, np.full(9, 4.0))
    assert found.unary
    assert found.note == "every event has the value 4, so values weigh nothing (unary)"


@pytest.mark.parametrize("top", [5, 10, 100, 1])
def test_a_star_weighs_the_same_on_every_scale(top: float) -> None:
    shares = np.array([0.2, 0.4, 0.4, 0.6, 0.8, 0.8, 1, 1], dtype=np.float32)
    found = resolve(ValuesConfig(map="default"), shares * top).weights(shares * top)
    np.testing.assert_allclose(found, resolve(ValuesConfig(map="default"), shares * 5).weights(shares * 5), rtol=1e-5)
    assert found[0] < 0 == found[1] < found[3] < found[4] < found[6]


def test_clicks_are_unary_and_another_map_of_them_is_refused() -> None:
    clicks = np.ones(5, dtype=np.float32)
    assert resolve(ValuesConfig(map="default"), clicks, "click").unary
    with pytest.raises(MatineeError, match=r"have no values, so linear has no meaning; use unary"):
        resolve(ValuesConfig(map="linear"), clicks, "click")


def test_values_outside_a_given_scale_weigh_as_its_ends_and_are_counted() -> None:
    found = resolve(ValuesConfig(map="linear", scale=(1, 5)), np.array([0, 1, 4, 5, 5, 6, 99], dtype=np.float32))
    assert found.note == "3 values lie outside the scale 1 to 5 and weigh as its ends"
    weights = found.weights(np.array([0, 1, 5, 99], dtype=np.float32))
    assert weights[0] == weights[1]
    assert weights[2] == weights[3]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("linear:1=0.5,3=0.2", r"the weight falls from 0\.5 to 0\.2 at value 3"),
        ("linear:3=0.2,1=0.5", r"knot 1 comes after 3; give knots by rising value"),
        ("linear:1=0,1=1", r"knot 1 comes after 1"),
        ("linear:1=-1,5=0", r"no value has a weight above 0"),
        ("linear:nan=1", r"finite number"),
        ("linear:1=inf", r"finite number"),
        ("linear:a=1", r"is not a number"),
        ("linear:5", r"a knot is VALUE=WEIGHT"),
        ("log:-1=0,5=1", r"log needs values above -1"),
        ("steps", r"steps need knots"),
        ("unary:1=1", r"knots go with the maps linear, log and steps"),
        ("linar", r"did you mean 'linear'"),
        ("", r"unknown"),
    ],
)
def test_a_map_that_cannot_be_is_refused_in_one_line(text: str, problem: str) -> None:
    with pytest.raises(MatineeError, match=problem) as refused:
        configure(Experiment, {"values": text}, "options")
    assert "\n" not in str(refused.value)


def test_a_map_that_weighs_no_event_of_the_log_is_refused() -> None:
    with pytest.raises(MatineeError, match=r"steps:6=1 gives none of the log's values \(1 to 5\) a weight above 0"):
        resolve(ValuesConfig(map="steps", knots=((6, 1),)), RATINGS)
    with pytest.raises(MatineeError, match=r"log needs values above -1, and this log has -3"):
        resolve(ValuesConfig(map="log"), np.array([-3.0, 4.0]))


def test_the_text_of_a_map_reads_back() -> None:
    config = ValuesConfig(map="linear", knots=((0.5, -0.25), (3, 0.5), (5, 1)))
    assert configure(Experiment, {"values": str(config)}, "options").values == config


class Sum(Recommender[csr_array]):
    """score = sum over the history of weight times (1 + item row) x column, to see which weights arrive."""

    name, Config, learned = "sum", Config, ()
    uses_weights = True

    def fit(self, train: TrainingData, run: Run) -> "Sum":
        return self

    def fold_in(self, histories: Histories) -> csr_array:
        assert histories.weights.all()
        return histories.weighted_matrix(4)

    def score(self, state: csr_array) -> np.ndarray:
        return (state @ np.outer(1 + np.arange(4), [1, 2, 3, 4])).astype(np.float32)


def test_rank_weighs_by_the_models_map_leaves_out_weight_0_and_still_masks_it() -> None:
    model = Sum()
    model.value_map = ValueMap(ValuesConfig(map="linear", knots=((1, -1), (3, 0), (5, 1))))
    found = rank(model, Histories.of([[0, 1, 2]], [[5, 3, 4]]), 4)
    assert found.items.tolist() == [[3, -1, -1, -1]]
    assert found.scores[0, 0] == pytest.approx((1 * 1 + 0.5 * 3) * 4)
    assert model.state_of(Histories.of([[0, 1]], [[5, 1]])).toarray().tolist() == [[1, -1, 0, 0]]


def test_who_likes_nothing_gets_popular_items_the_disliked_genres_last() -> None:
    genres = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], dtype=bool)
    cold = Fallback(np.array([9, 8, 7, 6]), genres)
    model = Sum()
    model.value_map = ValueMap(ValuesConfig(map="linear", knots=((1, -1), (3, 0), (5, 1))))
    histories = Histories.of([[0], [0, 2], [], [0]], [[1], [3, 2], [], [5]])
    found = rank(model, histories, 4, cold=cold)
    assert found.items[0].tolist() == [2, 3, 1, -1]  # item 1 shares a genre with item 0
    assert found.items[1].tolist() == [3, 1, -1, -1]
    assert found.items[2].tolist() == [0, 1, 2, 3]
    assert found.items[3].tolist() == [3, 2, 1, -1]  # the model's own list


def test_items_without_events_come_last_in_a_list_for_dislikes() -> None:
    cold = Fallback(np.array([3, 0, 2]), np.array([[1, 0], [0, 1], [1, 0]], dtype=bool))
    scores = cold.scores(Histories.of([[0]]))[0]
    assert np.argsort(-scores).tolist() == [0, 2, 1]


@pytest.mark.parametrize("text", ["unary", "linear:1=-0.5,5=1", "steps:4=1", "log:0=0.1,99=1"])
def test_a_map_is_saved_with_its_numbers(text: str) -> None:
    found = resolve(configure(Experiment, {"values": text}, "options").values, RATINGS)
    assert read(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "saved", [{"map": "default"}, {"map": "linear"}, {"map": "x"}, 3, {"map": "log", "knots": [[1, 2]]}]
)
def test_a_damaged_map_is_refused(saved: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong
        read(saved)


@pytest.mark.parametrize(
    ("values", "text", "three_stars"),
    [
        ([1, 3, 4, 5], "default", 3),
        ([4, 7, 9, 10], "default", 6),
        ([4, 7, 9, 10], "unary", 6),
        ([20, 55, 70, 99], "default", 60),
        ([-1, 1, 1], "default", 0.2),
        ([0, 1, 1], "default", 0.6),
        ([1, 1, 1, 9, 999], "default", 10**1.8 - 1),
        ([2, 2, 2], "default", 3),
    ],
)
def test_stars_of_a_site_are_values_of_the_log_and_back(values: list[float], text: str, three_stars: float) -> None:
    config = configure(Experiment, {"values": text}, "options").values
    found = resolve(config, np.array(values, dtype=np.float32))
    assert found.of_stars(np.array([3.0]))[0] == pytest.approx(three_stars)
    stars = np.array([0.5, 1, 2.5, 5, np.nan])
    np.testing.assert_allclose(found.stars_of(found.of_stars(stars)), stars)
    assert read(json.loads(json.dumps(found.to_json()))).config == found.config


def test_more_and_less_like_this_weigh_as_the_ends_of_a_map_and_something_without_one() -> None:
    values = np.array([-np.inf, np.nan, np.inf, 3], dtype=np.float32)
    default = resolve(ValuesConfig(map="default"), RATINGS)
    less, neutral, more, _ = default.weights(values)
    assert less < 0 < neutral < more
    weighed = UNARY.weigh(Histories.of([[0, 1, 2, 3]], [values.tolist()]))
    assert weighed.weights.tolist() == [-1, 1, 2, 1]
