"""What the simulated serving tier does where no site was loaded. Writes the part `simulated` of capacity.json.

python benchmarks/serving_scenarios.py             all scenarios, on a machine of its own
python benchmarks/serving_scenarios.py NAME ...    some of: load, workers, states, killed, locked, day
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from serving_tier import (
    COSTS,
    EVENT,
    LIST,
    PAGE,
    Floats,
    Requests,
    Result,
    Tier,
    Worker,
    bursts,
    costs_of,
    day,
    poisson,
    serve,
    simulate,
    varying,
    visits,
)

STORE = Path(__file__).with_name("capacity.json")
TARGET_MS = 50
"""What the p99 of an answer may be, in milliseconds."""
BUSY = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.2, 1.5, 2.0)
START_SECONDS = json.loads(STORE.with_name("faults_site.json").read_text("utf-8"))["kills, seed 51"][
    "slowest_seconds_until_ready"
]
"""The longest that a killed site took until it answered again."""
RATES = (100, 500, 2000)
ALONE = "alone, decision 087"
"""The newest run of serve_speed.py and overload.py on a machine with nothing else to do."""
Loaded = dict[str, Any]
"""What serving_load.py stored."""


def samples_of(found: Loaded) -> dict[str, Floats]:
    """Seconds of work by kind: the samples one after another, scaled to what they cost together."""
    factor = found["together_ms"] / found["alone_ms"]
    return {name: factor * np.array(values) / 1000 for name, values in found["samples_ms"].items()}


def worker_of(found: Loaded, slower: float = 1) -> Worker:
    """A worker of the site, with the measured costs of a 503 and of a write to the disk."""
    written = _stored("overload.json")["lock"]["after"]["ms_of_201"]["p50"]
    sync = written - _stored("serve_speed.json")["1 event in a request"]["processor_ms"] - outside_ms()
    return Worker(refusal=slower * found["refusal_ms"] / 1000, sync=sync / 1000)


def outside_ms() -> float:
    """Milliseconds of an answer, on a quiet machine, in which the server computes nothing: sockets, threads, client."""
    its = _stored("serve_speed.json")["first list, ease"]
    return float(its["half_rate"]["p50_ms"] - its["processor_ms"])


def at_rate(found: Loaded, rate: float, seconds: float, rng: np.random.Generator, n_visitors: int = 400) -> Requests:
    """Poisson arrivals of the measured mix."""
    return visits(poisson(rate, seconds, rng), n_visitors, tuple(found["shares"].values()), rng)


def at_its_best(found: Loaded) -> Loaded:
    """The load run as on a machine of its own: each kind has the mean that serve_speed.py measured there.

    How service times vary is that of the load run; what a page after an event costs more, too; a 503 is `/health/live`.
    """
    speed, times = _stored("serve_speed.json"), found["samples_ms"]
    names = ("list, ease", "first list, ease", "1 event in a request")
    means = dict(zip(COSTS[2:], (speed[name]["processor_ms"] for name in names), strict=True))
    means["page"] = speed["home"]["processor_ms"]
    means["page after an event"] = means["page"] * np.mean(times["page after an event"]) / np.mean(times["page"])
    scaled = {name: list(mean * np.array(times[name]) / np.mean(times[name])) for name, mean in means.items()}
    costs = costs_of(at_rate(found, 1000, 20, np.random.default_rng(7)))
    mixed = float(np.mean([means[COSTS[cost]] for cost in costs]))
    about = {"alone_ms": mixed, "together_ms": mixed, "capacity_per_second": 1000 / mixed}
    return found | about | {"samples_ms": scaled, "refusal_ms": speed["health/live"]["processor_ms"]}


def alone(_: Loaded) -> list[dict[str, Any]]:
    """What serve_speed.py and overload.py measured on a machine of their own, in even steps, and the simulation of it.

    A request costs what it costs by 8 callers, always the same; a 503 what `/health/live` does.
    """
    speed, rows = _stored("serve_speed.json"), []
    for name in ("first list, ease", "first list, lightgcn", "list, ease", "list, lightgcn"):
        its = speed[name]
        measured = {f"p{p}_ms": its["half_rate"][f"p{p}_ms"] for p in (50, 95, 99)} | {"share_503": 0.0}
        rate = its["half_rate"]["asked_a_second"]
        rows.append({"what": name, "rate": rate, "capacity": its["per_second"], "measured": measured})
    for name, times in (("overload", 3), ("flood", 6)):
        its = _stored("overload.json")[name]
        measured = {name: its["ms_of_200"][name[:-3]] for name in ("p50_ms", "p95_ms", "p99_ms")}
        measured["share_503"] = round(its["answers"]["503"] / sum(its["answers"].values()), 4)
        about = {"rate": its["asked_a_second"], "capacity": its["answered_a_second_by_8"]}
        rows.append({"what": f"lists, {times} times the capacity"} | about | {"measured": measured})
    worker = Worker(refusal=speed["health/live"]["processor_ms"] / 1000)
    for row in rows:
        at = np.arange(10 * row["rate"]) / row["rate"]
        ended, outcomes = serve(worker, at, np.full(len(at), 1 / row["capacity"]), np.zeros(len(at), bool))
        row["simulated"] = Result(ended - at, outcomes).summary()
    return rows


def _stored(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(STORE.with_name(name).read_text("utf-8"))[ALONE]
    return found


def load(found: Loaded) -> list[dict[str, float]]:
    """One worker at shares of its capacity, steadily and in bursts of three times the other rate for 10 s a minute."""
    tier, samples, rows = Tier(worker_of(found)), samples_of(found), []
    for busy in BUSY:
        rate, rng = busy * found["capacity_per_second"], np.random.default_rng(1)
        steady = simulate(tier, at_rate(found, rate, 180, rng), samples, rng).summary()
        at = varying(bursts(rate, 3, 10, 60), 3 * rate, 180, rng)
        in_bursts = visits(at, 400, tuple(found["shares"].values()), rng)
        row = {"busy": busy} | steady
        rows.append(
            row | {f"bursts {name}": value for name, value in simulate(tier, in_bursts, samples, rng).summary().items()}
        )
    return rows


def workers(found: Loaded) -> list[dict[str, float]]:
    """The fewest workers that keep the p99 below the target, at a rate, by how requests find them and states kept."""
    ways = [(by_visitor, n_states) for n_states in (1300, 20_000) for by_visitor in (False, True)]
    rows = []
    for rate in RATES:
        row: dict[str, float] = {"rate": rate}
        for by_visitor, n_states in ways:
            tier = Tier(worker_of(found), by_visitor=by_visitor, n_states=n_states)
            row[f"{'own' if by_visitor else 'any'}, {n_states}"] = fewest(found, rate, tier)
        rows.append(row)
    return rows


def fewest(found: Loaded, rate: float, tier: Tier) -> int:
    """How many workers are needed; of visitors as many as come with that rate at 4 requests a minute each."""
    samples, least = samples_of(found), int(rate / found["capacity_per_second"])
    for n_workers in range(max(1, least), 4 * least + 10):
        rng = np.random.default_rng(2)
        requests = at_rate(found, rate, 90, rng, n_visitors=int(rate * 15))
        result = simulate(replace(tier, n_workers=n_workers), requests, samples, rng)
        last = requests.at > 60  # states are kept by then
        if Result(result.seconds[last], result.outcomes[last]).summary()["p99_ms"] <= TARGET_MS:
            return n_workers
    raise ValueError(f"no number of workers keeps the p99 below {TARGET_MS} ms at {rate} requests a second")


def states(found: Loaded) -> list[dict[str, float]]:
    """How many requests find what was made before, by visitors at a time of a worker and states that it keeps."""
    rows = []
    for n_visitors in (400, 1000, 2000, 4500):
        for n_states in (1300, 5000):
            rng = np.random.default_rng(3)
            costs = costs_of(at_rate(found, n_visitors / 15, 3600, rng, n_visitors), n_states)
            made = np.isin(costs, (0, 2))[costs < 4]
            rows.append({"visitors": n_visitors, "states": n_states, "found": round(float(made.mean()), 3)})
    return rows


def killed(found: Loaded) -> list[dict[str, float]]:
    """A worker of some is killed and back after its start, at half of what they can; the minute from then on."""
    rows = []
    for n_workers in (1, 2, 4, 8):
        rng = np.random.default_rng(4)
        requests = at_rate(found, 0.5 * n_workers * found["capacity_per_second"], 70, rng)
        tier = Tier(worker_of(found), n_workers, killed=(10.0, 10 + START_SECONDS))
        result = simulate(tier, requests, samples_of(found), rng)
        rows.append({"workers": n_workers} | result.summary() | {"lost": int((result.outcomes == 0).sum())})
    return rows


def locked(found: Loaded) -> dict[str, dict[str, float]]:
    """The load of the part `lock` of overload.py: 8 writes, a page and a list each half second, 30 s locked."""
    each = np.repeat(np.arange(0, 30, 0.5), 10)
    kinds = np.tile([EVENT] * 8 + [PAGE, LIST], 60)
    requests = Requests(each, np.arange(len(each)) % 400, kinds)
    result = simulate(Tier(worker_of(found), locked=(0.0, 30.0)), requests, samples_of(found), np.random.default_rng(5))
    writes, rows = kinds == EVENT, {}
    for name, chosen in (("write", writes), ("page and list", ~writes)):
        times, outcomes = 1000 * result.seconds[chosen], result.outcomes[chosen]
        row = {"share_503": round(float(np.mean(outcomes == 503)), 3)}
        for status in (200, 503):
            if (outcomes == status).any():
                row[f"p50_of_{status}"] = round(float(np.median(times[outcomes == status])), 1)
        rows[name] = row
    return rows


def whole_day(found: Loaded) -> dict[str, float]:
    """One worker through a day, busy for 45% of it on average and for 81% at its peak; its hours take five minutes."""
    rng, mean, seconds = np.random.default_rng(6), 0.45 * found["capacity_per_second"], 24 * 300
    at = varying(day(mean, 1.8, seconds), 1.8 * mean, seconds, rng)
    requests = visits(at, 400, tuple(found["shares"].values()), rng)
    result = simulate(Tier(worker_of(found)), requests, samples_of(found), rng)
    busiest = abs(at - seconds / 2) < 150
    hour = Result(result.seconds[busiest], result.outcomes[busiest])
    return {"requests": len(at)} | result.summary() | {f"peak {name}": value for name, value in hour.summary().items()}


SCENARIOS: dict[str, Callable[[Loaded], Any]] = {
    "alone": alone,
    "load": load,
    "workers": workers,
    "states": states,
    "killed": killed,
    "locked": locked,
    "day": whole_day,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*SCENARIOS, []])
    options = parser.parse_args()
    for name in options.names or SCENARIOS:
        found = SCENARIOS[name](at_its_best(json.loads(STORE.read_text("utf-8"))["load"]))
        print(name, json.dumps(found))
        stored = json.loads(STORE.read_text("utf-8"))
        stored.setdefault("simulated", {})[name] = found
        STORE.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
