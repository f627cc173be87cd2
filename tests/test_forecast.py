"""The estimate of a comparison: how long the fits that are left take, and in which order fits run."""

from dataclasses import replace

import pytest

from matinee.cli.forecast import Forecast
from matinee.experiment import Experiment
from matinee.workflow.comparing import _is_later
from matinee.workflow.planned_fits import PlannedFit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def planned(model: str, seed: int = 1, tuned: bool = False) -> PlannedFit:
    return PlannedFit(model, Experiment(model=model), seed, tuned=tuned)


def test_what_is_left_follows_from_what_is_done() -> None:
    clock = Clock()
    forecast = Forecast(["ease", "ials", "bpr"], 3, 1, clock)
    assert forecast.left() is None
    forecast.begin(planned("ease"))
    clock.now = 10.0  # 8 seconds of search and 2 of training
    forecast.end(planned("ease"), 2.0, again=False)
    assert forecast.left() == pytest.approx(2 * (10 + 2 * 2))  # two models, each with a first fit and two seeds
    forecast.begin(planned("ials"))
    clock.now = 30.0
    assert forecast.left() == pytest.approx(28 - 20)  # of which 20 have passed
    forecast.end(planned("ials"), 4.0, again=True)
    assert forecast.left() == pytest.approx(2 * 4 + (15 + 2 * 3))
    for seed in (2, 3):
        forecast.begin(planned("ials", seed))
        clock.now += 5.0
        forecast.end(planned("ials", seed), 4.5, again=True)
    assert forecast.left() == pytest.approx(15 + 2 * 3.5)
    forecast.end(planned("bpr"), 3.0, again=False, kept=True)
    assert forecast.left() == 0.0


def test_with_two_at_once_half_is_left_and_a_kept_fit_says_nothing_of_a_search() -> None:
    clock = Clock()
    forecast = Forecast(["ease", "ials", "bpr"], 1, 2, clock)
    forecast.end(planned("ease"), 2.0, again=False, kept=True)
    assert forecast.left() is None
    forecast.begin(planned("ials"))
    clock.now = 6.0
    forecast.end(planned("ials"), 1.0, again=False)
    assert forecast.left() == pytest.approx(6 / 2)


def test_long_fits_run_first_and_seeds_before_the_next_search() -> None:
    slow, quick = planned("bpr", tuned=True), planned("ease", tuned=True)
    assert _is_later(quick, replace(slow, tuned=False)) == (slow.experiment.model == "bpr")
    assert not _is_later(replace(quick, tuned=False), quick)
    gru, vae = planned("gru4rec", tuned=True), planned("mult-vae", seed=2)
    assert _is_later(gru, vae)  # a seed of a model whose search is done
    assert _is_later(quick, gru)
    assert not _is_later(gru, quick)
    assert not _is_later(gru, replace(gru, seed=2))
