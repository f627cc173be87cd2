"""Experiments on visitors: shares by hash, and reports whose stopping rule holds however often one looks."""

import numpy as np
import pytest

from matinee.errors import UsageError
from matinee.experiments.plan import Plan, read_interleave, read_plan, read_split, shares_in
from matinee.experiments.report import split_report
from matinee.experiments.sequential import ArmSample, compare, sample_ratio
from matinee.store.experiments import Visit


def test_shares_of_visitors_are_those_of_the_plan() -> None:
    plan = read_split("ease=0.2,lightgcn=0.5,bpr=0.3")
    arms = [plan.arm_of(f"visitor-{n}") for n in range(20_000)]
    for arm, share in plan.arms.items():
        assert arms.count(arm) / len(arms) == pytest.approx(share, abs=0.012)  # three standard errors


def test_a_visitor_stays_in_an_arm_and_is_drawn_anew_by_another_name() -> None:
    first, again = read_split("ease=0.5,lightgcn=0.5"), read_split(" ease = 0.5 , lightgcn=.50 ")
    other = read_split("ease=0.5,lightgcn=0.5", "second")
    people = [f"member-{n}" for n in range(2000)]
    assert [first.arm_of(one) for one in people] == [again.arm_of(one) for one in people]
    same = np.mean([first.arm_of(one) == other.arm_of(one) for one in people])
    assert same == pytest.approx(0.5, abs=0.04)
    assert first.arm_of("visitor-1") == "lightgcn"  # as it was yesterday, on every machine


def test_shares_below_one_leave_visitors_out() -> None:
    plan = read_split("ease=0.1,lightgcn=0.1")
    assert np.mean([plan.arm_of(f"visitor-{n}") is None for n in range(5000)]) == pytest.approx(0.8, abs=0.02)


def test_shares_that_add_up_to_one_but_for_rounding_leave_nobody_out() -> None:
    plan = read_split("a=0.1,b=0.1,c=0.1,d=0.7")
    plan = Plan("x", plan.arms | {"d": 0.7 - 1e-12})
    assert all(plan.arm_of(f"visitor-{n}") for n in range(2000))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ease", "give each model or version a share"),
        ("v12=50,v13=50", "--split 'v12=50': give each model or version a share"),
        ("v12,v13", "--split 'v12': give each model or version a share"),
        ("v12=0.5", "two or more models, or versions"),
        ("v12=0.5,12=0.5", "--split names v12 twice"),
        ("v12=0.5,00012=0.5", "--split names v12 twice"),
        ("v12=0.6,v13=0.6", "add up to 1.2"),
        ("ease=0.5,v13=0.5", "either models or versions of a registry, not both"),
        ("ease=0.5,ease@13=0.5", "--split ease@13: a version of the registry is named by its number alone"),
        ("registry/00012=0.5,registry/00013=0.5", "--split registry/00012: a version of the registry is named"),
        ("V12=0.5,V13=0.5", "--split V12: a version of the registry is named by its number alone, v12 or 12"),
        ("v0=0.5,v1=0.5", "--split v0: a version of the registry is named by its number alone"),
        ("v12345678901=0.5,v1=0.5", "--split v12345678901: a version of the registry is named"),
        ("ease=0.5", "two or more models"),
        ("ease=0.5,ease=0.5", "names ease twice"),
        ("ease=0.6,bpr=0.6", "add up to 1.2"),
        ("ease=50%,bpr=50%", "give each model or version a share"),
        ("ease=0,bpr=1", "give each model or version a share"),
        ("ease=-1,bpr=1", "give each model or version a share"),
        ("ease=nan,bpr=0.5", "give each model or version a share"),
        ("ease=1e-1,bpr=0.5", "give each model or version a share"),
        ("=0.5,bpr=0.5", "give each model or version a share"),
        ("ease=2,bpr=0.5", "give each model or version a share"),
        ("ease=0.5,,bpr=0.5", "give each model or version a share"),
    ],
)
def test_a_wrong_split_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_split(text)


def test_versions_are_arms_however_their_numbers_are_written() -> None:
    plan = read_split("v12=0.5, 00013=0.25", "spring")
    assert (plan.name, plan.versions) == ("spring: v12=0.5,v13=0.25", {"v12": 12, "v13": 13})
    assert plan.arms == read_split("12=0.5,v13=0.25").arms == shares_in(plan.name)
    assert read_split("ease=0.5,bpr=0.5").versions == {}
    assert {plan.arm_of(f"visitor-{n}") for n in range(200)} == {"v12", "v13", None}


@pytest.mark.parametrize("text", ["v12,v13", "12,13", "ease,v13", "ease@12,ease@13", "00012,00013"])
def test_versions_are_not_drafted_together(text: str) -> None:
    with pytest.raises(UsageError, match="a draft is of two models of one version"):
        read_interleave(text)


@pytest.mark.parametrize("text", ["ease", "ease,ease", "a,b,c", ",", "ease,"])
def test_a_wrong_interleaving_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="give two different models"):
        read_interleave(text)


def test_options_that_contradict_each_other_are_refused() -> None:
    assert read_plan("", "") is None
    with pytest.raises(UsageError, match="not both"):
        read_plan("a=0.5,b=0.5", "a,b")
    with pytest.raises(UsageError, match="give --split or --interleave"):
        read_plan("", "", "spring")
    for name in ("x" * 101, "a\nb", "a: b"):
        with pytest.raises(UsageError, match="--experiment"):
            read_plan("a=0.5,b=0.5", "", name)
    with pytest.raises(UsageError, match="no model 'lightgnc' is served; did you mean 'lightgcn'"):
        read_split("ease=0.5,lightgnc=0.5").require_served(["ease", "lightgcn"])


def test_the_name_of_a_split_says_its_shares() -> None:
    assert shares_in(read_split("ease=0.5,lightgcn=0.25", "spring").name) == {"ease": 0.5, "lightgcn": 0.25}
    assert shares_in(read_split("ease=0.5,lightgcn=0.25").name) == {"ease": 0.5, "lightgcn": 0.25}
    assert shares_in("spring: ease,lightgcn") is None


def looks(outcomes: np.ndarray, arms: np.ndarray) -> list[str]:
    """The verdicts of looks after each hundred visitors."""
    found = []
    for n in range(100, len(arms) + 1, 100):
        samples = [ArmSample.of(outcomes[:n][arms[:n] == side]) for side in (0, 1)]
        found.append(compare(samples[0], samples[1], is_share=True).verdict)
    return found


@pytest.mark.parametrize(("first", "second", "least", "most"), [(0.2, 0.2, 0.0, 0.05), (0.2, 0.3, 0.9, 1.0)])
def test_equal_arms_are_called_in_at_most_5_percent_with_a_look_at_each_hundred_visitors(
    first: float, second: float, least: float, most: float
) -> None:
    rng = np.random.default_rng(16)
    called = []
    for run in range(200):
        plan = read_split("ease=0.5,lightgcn=0.5", f"run {run}")
        arms = np.array([plan.arm_of(f"visitor-{n}") == "lightgcn" for n in range(3000)], dtype=int)
        took = (rng.random(3000) < np.where(arms == 1, second, first)).astype(float)
        called.append(bool({"first", "second"} & {*looks(took, arms)}))
    assert least <= np.mean(called) <= most


def test_a_sample_ratio_is_called_rarely_by_chance_and_soon_if_visitors_are_lost() -> None:
    rng = np.random.default_rng(17)
    by_chance, lost = [], []
    for _ in range(200):
        sides = rng.random(5000) < 0.5
        kept = sides | (rng.random(5000) > 0.15)  # 15% of one arm are lost
        for found, these in ((by_chance, sides), (lost, sides[kept])):
            n = np.arange(100, len(these) + 1, 100)
            seconds = np.cumsum(these)[n - 1]
            found.append(any(sample_ratio([a - b, b], [0.5, 0.5]) < 0.01 for a, b in zip(n, seconds, strict=True)))
    assert np.mean(by_chance) <= 0.01
    assert np.mean(lost) >= 0.9


def test_the_sample_ratio_is_the_mixture_over_shares() -> None:
    draws = np.random.default_rng(1).beta(50, 50, size=400_000)
    evidence = np.mean((draws / 0.5) ** 30 * ((1 - draws) / 0.5) ** 80)
    assert sample_ratio([30, 80], [1, 1]) == pytest.approx(1 / evidence, rel=0.02)
    assert sample_ratio([0, 0], [0.5, 0.5]) == 1.0


def visits(arm: str, n: int, n_took: int, *, at: int = 0, stars: float | None = None) -> list[Visit]:
    return [Visit(f"{arm}-{one}", arm, at, 4, 2 if one < n_took else 0, stars) for one in range(n)]


def test_a_report_counts_those_whose_day_is_over() -> None:
    given = visits("ease", 300, 60, stars=4.0) + visits("bpr", 310, 150) + visits("bpr", 5, 5, at=99)
    found = split_report("ease=0.5,bpr=0.5", given, until=50, shares={"ease": 0.5, "bpr": 0.5})
    first, second = found.arms
    assert (first.visitors, first.waiting, first.lists) == (300, 0, 1200)
    assert (second.visitors, second.waiting) == (310, 5)
    assert first.metrics["took"].mean == pytest.approx(0.2)
    assert first.metrics["click_through"].mean == pytest.approx(0.1)
    assert (first.metrics["rating"].n, first.metrics["rating"].mean) == (300, 4.0)
    assert second.metrics["rating"].n == 0
    assert found.versus[0].differences["took"].verdict == "second"
    assert found.versus[0].differences["rating"].verdict == "too few"
    assert found.may_stop
    assert not found.is_mismatched


def test_nothing_may_stop_while_the_arms_lack_their_shares() -> None:
    given = visits("ease", 300, 60) + visits("bpr", 900, 450)
    found = split_report("x", given, until=50, shares={"ease": 0.5, "bpr": 0.5})
    assert found.is_mismatched
    assert not found.may_stop
    without = split_report("x", given, until=50, shares=None)  # the name does not say them
    assert (without.ratio_p, without.may_stop) == (None, True)


def test_who_changed_arms_counts_in_the_first() -> None:
    given = [*visits("ease", 3, 1), *visits("bpr", 3, 1), Visit("ease-0", "bpr", 0, 9, 9, 5.0, is_first=False)]
    found = split_report("x", given, until=50, shares={"ease": 0.5, "bpr": 0.5})
    assert found.crossed == 1
    assert [arm.visitors for arm in found.arms] == [3, 3]
    assert found.arms[1].metrics["rating"].n == 0


def test_with_three_arms_each_is_compared_with_the_first_at_a_corrected_rate() -> None:
    given = visits("a", 400, 80) + visits("b", 400, 120) + visits("c", 400, 120)
    three = split_report("x", given, until=50, shares={"a": 0.4, "b": 0.3, "c": 0.3})
    two = split_report("x", given[:800], until=50, shares={"a": 0.5, "b": 0.5})
    assert [one.model for one in three.versus] == ["b", "c"]
    assert three.versus[0].differences["took"].low < two.versus[0].differences["took"].low


def test_an_experiment_nobody_saw_has_empty_arms() -> None:
    found = split_report("x", [], until=50, shares={"ease": 0.5, "bpr": 0.5})
    assert [arm.visitors for arm in found.arms] == [0, 0]
    assert not found.may_stop
