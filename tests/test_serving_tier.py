"""The simulation of benchmarks/serving_tier.py against queueing theory and cases worked by hand."""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

PATH = Path(__file__).parents[1] / "benchmarks" / "serving_tier.py"
N = 100_000
ENDLESS = (math.inf, math.inf)


@pytest.fixture(scope="module")
def tier() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("serving_tier", PATH)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules["serving_tier"] = found  # dataclasses look their module up
    spec.loader.exec_module(found)
    return found


def arrivals(rate: float, n: int = N, seed: int = 1) -> np.ndarray:
    """Times of a Poisson process, by its gaps."""
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, n))


def exponential(mean: float, n: int = N, seed: int = 2) -> np.ndarray:
    """Work of so many requests."""
    return np.random.default_rng(seed).exponential(mean, n)


def reads(tier: ModuleType, worker: object, at: np.ndarray, work: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds from arrival to answer, and outcomes."""
    ended, outcomes = tier.serve(worker, at, work, np.zeros(len(at), bool))
    return ended - at, outcomes


def queue(tier: ModuleType, servers: float = 1, most: float = math.inf) -> object:
    """A queue without deadlines, first come first served."""
    return tier.Worker(cores=servers, at_once=(servers, servers), most=(most, most), patience=math.inf)


def test_m_m_1_has_the_sojourn_times_of_an_exponential(tier: ModuleType) -> None:
    """Sojourn times of M/M/1 are exponential with rate mu - lambda."""
    seconds, _ = reads(tier, queue(tier), arrivals(0.7), exponential(1))
    assert seconds.mean() == pytest.approx(1 / 0.3, rel=0.06)
    assert np.percentile(seconds, 50) == pytest.approx(math.log(2) / 0.3, rel=0.06)
    assert np.percentile(seconds, 95) == pytest.approx(math.log(20) / 0.3, rel=0.08)


def test_m_d_1_waits_half_as_long_as_m_m_1(tier: ModuleType) -> None:
    """Pollaczek and Khinchine: the mean wait is lambda E[S^2] / (2 (1 - rho))."""
    seconds, _ = reads(tier, queue(tier), arrivals(0.8), np.ones(N))
    assert seconds.mean() - 1 == pytest.approx(0.8 / (2 * 0.2), rel=0.06)


def test_m_g_1_with_quick_and_slow_requests(tier: ModuleType) -> None:
    work = np.random.default_rng(3).choice([0.4, 5.8], N, p=[0.9, 0.1])
    mean, square = 0.9 * 0.4 + 0.1 * 5.8, 0.9 * 0.4**2 + 0.1 * 5.8**2
    rate = 0.6 / mean
    seconds, _ = reads(tier, queue(tier), arrivals(rate), work)
    assert seconds.mean() == pytest.approx(mean + rate * square / (2 * 0.4), rel=0.06)


def test_m_m_c_waits_by_erlang_c(tier: ModuleType) -> None:
    servers, load = 4, 3.2
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) / (1 - load / servers)
    waits = last / (sum(terms) + last)
    seconds, _ = reads(tier, queue(tier, servers), arrivals(load), exponential(1))
    assert seconds.mean() - 1 == pytest.approx(waits / (servers - load), rel=0.08)


def test_a_bounded_queue_refuses_by_the_loss_formula_of_m_m_1_k(tier: ModuleType) -> None:
    load, most = 1.3, 10
    _, outcomes = reads(tier, queue(tier, most=most), arrivals(load), exponential(1))
    lost = (1 - load) * load**most / (1 - load ** (most + 1))
    assert np.mean(outcomes == 503) == pytest.approx(lost, rel=0.03)


def test_a_shared_core_does_not_mind_how_work_is_distributed(tier: ModuleType) -> None:
    """M/G/1 with processor sharing: the mean is E[S] / (1 - rho), whatever the distribution."""
    worker = tier.Worker(at_once=ENDLESS, most=ENDLESS)
    for work in (exponential(1), np.random.default_rng(3).choice([0.5, 5.5], N, p=[0.9, 0.1])):
        seconds, _ = reads(tier, worker, arrivals(0.7), work)
        assert seconds.mean() == pytest.approx(1 / 0.3, rel=0.06)


def test_one_server_is_lindleys_recursion(tier: ModuleType) -> None:
    """Each answer ends at max(its arrival, the end before) and its work; to rounding."""
    at, work = arrivals(0.9, 2000), exponential(1, 2000)
    ended, end = [], 0.0
    for when, needs in zip(at, work, strict=True):
        end = max(when, end) + needs
        ended.append(end)
    seconds, _ = reads(tier, queue(tier), at, work)
    np.testing.assert_allclose(seconds + at, ended, rtol=1e-9)


def test_two_at_work_share_the_core(tier: ModuleType) -> None:
    """From 1 on both have half a core: the second ends at 3, when the first has 1 of 3 left; the third waits for it."""
    worker = tier.Worker(at_once=(2, 1))
    seconds, _ = reads(tier, worker, np.array([0.0, 1.0, 2.5]), np.array([3.0, 1.0, 1.0]))
    np.testing.assert_allclose(seconds, [5, 2, 2.5])


def test_a_full_queue_refuses_at_the_cost_of_the_others(tier: ModuleType) -> None:
    """One at work and none waiting: at 1 a refusal of .5 shares the core until 2, so the answer ends at 3.5."""
    worker = tier.Worker(at_once=(1, 1), most=(1, 1), refusal=0.5)
    seconds, outcomes = reads(tier, worker, np.array([0.0, 1.0]), np.array([3.0, 3.0]))
    np.testing.assert_allclose(seconds, [3.5, 1])
    assert outcomes.tolist() == [200, 503]


def test_who_waits_too_long_is_refused(tier: ModuleType) -> None:
    worker = tier.Worker(at_once=(1, 1), patience=5)
    seconds, outcomes = reads(tier, worker, np.array([0.0, 1.0, 4.0]), np.array([7.0, 1.0, 1.0]))
    np.testing.assert_allclose(seconds, [7, 5, 4])
    assert outcomes.tolist() == [200, 503, 200]


def test_a_locked_database_holds_writes_and_not_reads(tier: ModuleType) -> None:
    """Locked from 10 to 17: a write of 11 gives up after 5, one of 13 waits until 17, and a read goes through."""
    at, work = np.array([11.0, 13.0, 13.5]), np.full(3, 0.1)
    ended, outcomes = tier.serve(tier.Worker(sync=0.2), at, work, np.array([True, True, False]), locked=(10.0, 17.0))
    np.testing.assert_allclose(ended, [16.1, 17.2, 13.6])
    assert outcomes.tolist() == [503, 200, 200]


def test_a_killed_worker_loses_what_it_has_and_takes_the_rest_when_it_is_back(tier: ModuleType) -> None:
    at, work = np.array([0.0, 1.0, 3.0, 9.0]), np.full(4, 2.0)
    ended, outcomes = tier.serve(tier.Worker(at_once=(1, 1)), at, work, np.zeros(4, bool), killed=(2.5, 5.0))
    np.testing.assert_allclose(ended, [2, 2.5, 7, 11])
    assert outcomes.tolist() == [200, 0, 200, 200]


def test_the_others_take_the_requests_of_a_killed_worker(tier: ModuleType) -> None:
    rng = np.random.default_rng(1)
    requests = tier.visits(tier.poisson(50, 60, rng), 500, (0.2, 0.6, 0.2), rng)
    samples = {name: np.full(1, 0.002) for name in tier.COSTS}
    while_dead = (requests.at > 20) & (requests.at < 40)
    workers = tier.route(requests, tier.Tier(n_workers=3, killed=(20.0, 40.0)), rng)[while_dead]
    np.testing.assert_allclose(np.bincount(workers, minlength=3) / while_dead.sum(), [0, 0.5, 0.5], atol=0.05)
    result = tier.simulate(tier.Tier(n_workers=3, killed=(20.0, 40.0)), requests, samples, rng)
    assert np.mean(result.outcomes == 200) > 0.999
    assert result.seconds.max() < 0.1


def test_kept_states_are_found_as_often_as_they_fit(tier: ModuleType) -> None:
    """With visitors drawn equally, a least-recently-used store of 300 of 1,000 has the next one in 30%."""
    rng = np.random.default_rng(1)
    requests = tier.visits(np.arange(60_000.0), 1000, (0, 1, 0), rng)
    costs = tier.costs_of(requests, 300)[10_000:]
    assert np.mean(costs == 2) == pytest.approx(0.3, abs=0.01)


def test_a_list_after_an_event_is_made_anew(tier: ModuleType) -> None:
    page, lists, event = tier.PAGE, tier.LIST, tier.EVENT
    kinds = np.array([lists, lists, page, event, lists, page, lists, lists])
    visitors = np.array([1, 1, 1, 1, 1, 1, 2, 1])
    found = tier.costs_of(tier.Requests(np.arange(8.0), visitors, kinds))
    assert [tier.COSTS[index] for index in found] == [
        "list after an event", "list", "page after an event", "event",
        "list after an event", "page after an event", "list after an event", "list",
    ]  # fmt: skip


@pytest.mark.parametrize("shape", ["day", "bursts"])
def test_rates_that_vary_have_their_mean_and_their_peak(tier: ModuleType, shape: str) -> None:
    rng = np.random.default_rng(5)
    rate, peak = {"day": (tier.day(20, 1.8, 1000), 36), "bursts": (tier.bursts(20, 5, 10, 100), 100 / 1.4)}[shape]
    at = tier.varying(rate, peak, 1000, rng)
    assert len(at) == pytest.approx(20_000, rel=0.02)
    busiest = at[(at > 450) & (at < 550)] if shape == "day" else at[at % 100 < 10]
    assert len(busiest) / 100 == pytest.approx(peak, rel=0.03)
