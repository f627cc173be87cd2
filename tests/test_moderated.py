"""Variances over few seeds, moderated by those of the other models."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import polygamma

from matinee.evaluation.moderated import VariancePrior, _inverse_trigamma
from matinee.evaluation.seeds import over_seeds, seed_noise
from test_comparison import report_of, rng


@pytest.mark.parametrize("degrees", [2, 4])
@pytest.mark.parametrize("of_prior", [1.5, 6.0, 20.0])
def test_the_prior_that_variances_were_drawn_from_is_found(degrees: int, of_prior: float) -> None:
    draw = np.random.default_rng(3)
    true = 0.01 * of_prior / draw.chisquare(of_prior, 400_000)
    found = VariancePrior.of((true * draw.chisquare(degrees, 400_000) / degrees).tolist(), [degrees] * 400_000)
    assert found.degrees == pytest.approx(of_prior, rel=0.15)
    assert found.variance == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("x", [0.01, 0.3, 1.0, 7.0, 1e4])
def test_the_inverse_of_trigamma(x: float) -> None:
    assert _inverse_trigamma(float(polygamma(1, x))) == pytest.approx(x, rel=1e-6)


def test_variances_that_differ_by_no_more_than_chance_are_one() -> None:
    found = VariancePrior.of([1.0, 1.1, 0.9, 1.0, 1.2, 0.8], [2] * 6)
    assert found.degrees == np.inf
    assert found.moderate(5.0, 2) == (found.variance, 12.0)


def test_five_groups_tell_nothing_of_how_variances_are_spread() -> None:
    found = VariancePrior.of([1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 6.0], [2, 2, 2, 2, 2, 2, 0])
    assert found == VariancePrior()
    assert found.moderate(5.0, 2) == (5.0, 2.0)


def test_a_moderated_error_covers_as_often_as_it_says_and_is_shorter() -> None:
    """20 models, three fits each, deviations as unlike as they are measured: 95% intervals around a mean of 0."""
    draw, inside, lengths = np.random.default_rng(5), [], []
    for _ in range(200):
        deviations = 0.003 * np.sqrt(3.0 / draw.chisquare(3.0, 20))
        fits = draw.normal(0.0, deviations[:, None], (20, 3))
        own = fits.var(axis=1, ddof=1)
        prior = VariancePrior.of(own.tolist(), [2] * 20)
        for mean, variance in zip(fits.mean(axis=1), own, strict=True):
            moderated, degrees = prior.moderate(float(variance), 2)
            reach = stats.t(min(degrees, 1e9)).ppf(0.975) * (moderated / 3) ** 0.5
            inside.append(abs(mean) <= reach)
            lengths.append((reach, stats.t(2).ppf(0.975) * (variance / 3) ** 0.5))
    assert np.mean(inside) == pytest.approx(0.95, abs=0.01)
    moderated_length, own_length = np.mean(lengths, axis=0)
    assert moderated_length < 0.8 * own_length


def test_a_comparison_of_many_models_uses_what_all_their_seeds_say() -> None:
    base = np.linspace(0.2, 0.4, 60)
    steps = {"ease": 0.004, "ials": 0.003, "bpr": 0.02, "gmf": 0.005, "cdae": 0.002, "mlp": 0.004}
    reports = [
        over_seeds([report_of(name, base + sign * step) for sign in (1, -1, 0)], [1, 2, 3], rng())
        for name, step in steps.items()
    ]
    prior = VariancePrior.of([step**2 for step in steps.values()], [2] * 6)
    variance, degrees = prior.moderate(0.02**2, 2)
    noise = seed_noise(reports[2], "ndcg@10", 200_000, rng(), reports)
    assert 2 < degrees < 20
    assert np.quantile(noise, 0.975) == pytest.approx(stats.t(degrees).ppf(0.975) * (variance / 3) ** 0.5, rel=0.03)
