"""Tests that may be looked at at every step, simulated with a look at every step."""

from math import comb

import numpy as np
import pytest

from matinee.errors import UsageError
from matinee.experiments.sequential import LEAST_VISITORS, ArmSample, compare, compare_wins
from matinee.ranking.interleave import team_draft


def share(n_clicked: int, n: int) -> ArmSample:
    mean = n_clicked / n
    return ArmSample(n, mean, mean * (1 - mean) * n / (n - 1))


def stops(rate_first: float, rate_second: float, n: int, rng: np.random.Generator) -> int | None:
    """After how many visitors of each arm a test that is looked at after each of them is decided."""
    first, second = (np.cumsum(rng.random(n) < rate) for rate in (rate_first, rate_second))
    for index in range(LEAST_VISITORS - 1, n, 5):
        found = compare(share(int(first[index]), index + 1), share(int(second[index]), index + 1), is_share=True)
        if found.verdict in ("first", "second"):
            return index + 1
    return None


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_two_equal_arms_are_found_to_differ_in_at_most_5_percent_of_experiments(rate: float) -> None:
    rng = np.random.default_rng(1)
    n_wrong = sum(stops(rate, rate, 3000, rng) is not None for _ in range(200))
    assert n_wrong <= 0.05 * 200


def test_a_fixed_interval_that_is_looked_at_at_every_step_would_be_wrong_far_more_often() -> None:
    rng = np.random.default_rng(1)
    n_wrong = 0
    for _ in range(200):
        first, second = (np.cumsum(rng.random(3000) < 0.3)[199::5] for _ in range(2))
        n = np.arange(200, 3001, 5)
        error = np.sqrt((first / n * (1 - first / n) + second / n * (1 - second / n)) / n)
        n_wrong += bool((np.abs(second - first) / n > 1.96 * error).any())
    assert n_wrong > 0.2 * 200


def test_a_better_arm_is_found_in_most_experiments() -> None:
    rng = np.random.default_rng(2)
    found = [stops(0.10, 0.15, 4000, rng) for _ in range(60)]
    assert sum(each is not None for each in found) >= 0.9 * 60
    assert np.median([each or 4000 for each in found]) < 2500  # a test of one look needs 683 for power 0.8


def test_the_interval_is_symmetric_and_names_the_better_arm() -> None:
    worse, better = share(200, 2000), share(320, 2000)
    there, back = compare(worse, better, is_share=True), compare(better, worse, is_share=True)
    assert (there.verdict, back.verdict) == ("second", "first")
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.estimate == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ArmSample.of(np.zeros(0)), ArmSample.of(np.zeros(0))),
        (ArmSample.of(np.zeros(0)), share(500, 1000)),
        (share(0, 1000), share(500, 1000)),  # nobody clicked: a variance of 0 would prove anything
        (share(1000, 1000), share(500, 1000)),
        (share(1, 100), share(90, 100)),
    ],
)
def test_arms_without_enough_traffic_decide_nothing(first: ArmSample, second: ArmSample) -> None:
    assert compare(first, second, is_share=True).verdict == "too few"


def test_the_p_value_of_wins_is_the_mixture_over_one_half() -> None:
    evidence = 2.0**12 / (13 * comb(12, 2))  # the integral of q^2 (1-q)^10 over q is 1/(13 C(12, 2))
    assert compare_wins(2, 10).p == pytest.approx(min(1.0, 1 / evidence))
    assert compare_wins(0, 0).verdict == "too few"
    assert compare_wins(5, 5).p == 1.0
    assert compare_wins(3, 40).verdict == "second"
    assert compare_wins(40, 3).verdict == "first"


def test_interleaving_of_equals_is_decided_in_at_most_5_percent_of_experiments() -> None:
    rng = np.random.default_rng(3)
    wins = np.cumsum(rng.random((400, 600)) < 0.5, axis=1)
    looks = [any(compare_wins(int(n + 1 - row[n]), int(row[n])).p <= 0.05 for n in range(0, 600, 3)) for row in wins]
    assert np.mean(looks) <= 0.05


def test_wrong_rates_and_numbers_are_refused() -> None:
    for alpha in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="an error rate is between 0 and 1"):
            compare(share(1, 10), share(1, 10), alpha=alpha)
    with pytest.raises(UsageError, match="0 or more"):
        compare_wins(-1, 3)


# Interleaving --------------------------------------------------------------


def test_a_draft_takes_each_list_in_its_order_and_no_item_twice() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        drafted = team_draft("abcdef", "badxyz", 6, rng)
        assert len(set(drafted.items)) == 6
        assert set(drafted.items[:2]) == {"a", "b"}
        for n in (2, 4, 6):  # each round has a pick of either
            assert drafted.teams[:n].count("first") == n / 2


def test_each_model_picks_first_half_of_the_time() -> None:
    rng = np.random.default_rng(5)
    firsts = [team_draft("abc", "xyz", 2, rng).teams[0] == "first" for _ in range(2000)]
    assert abs(np.mean(firsts) - 0.5) < 0.04


def test_equal_lists_have_no_preference_on_average() -> None:
    rng = np.random.default_rng(6)
    credits = [team_draft("abcdef", "abcdef", 6, rng).credit({"a", "d"}) for _ in range(3000)]
    assert abs(np.mean(credits)) < 0.05


@pytest.mark.parametrize(("first", "second", "n"), [("", "", 0), ("ab", "", 2), ("", "ab", 2), ("ab", "ab", 2)])
def test_short_lists_make_a_short_draft(first: str, second: str, n: int) -> None:
    assert len(team_draft(first, second, 10, np.random.default_rng(7)).items) == n


def test_clicks_credit_the_team_of_the_item_once() -> None:
    drafted = team_draft("ab", "xy", 4, np.random.default_rng(8))
    assert [drafted.credit(c) for c in ([], ["a"], ["x", "x"], ["a", "x"], ["x", "y", "a"], ["z"])] == [
        0, -1, 1, 0, 1, 0,
    ]  # fmt: skip
