"""The serving tier as a simulation: arrivals, kept states, queues, refusals, a killed worker, a locked database.

A worker is a process on one core. Requests at work share the core (two that read, 24 that write), others wait in the
lane of their kind, and past its bound, or after five seconds of waiting, they get a 503 that costs the core a little
too: what `serve/http/admission.py` does. Kernel, network and interpreter lock are not simulated.

`tests/test_serving_tier.py` holds it against queueing theory, `benchmarks/serving_load.py` against a site under load.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PAGE, LIST, EVENT = 0, 1, 2
"""What a visitor asks for."""
COSTS = ("page", "page after an event", "list", "list after an event", "event")
"""What a request costs depends on whether the visitor did something since the same was made for them."""
READING, WRITING, REFUSED = 0, 1, 2
ANSWERED, BUSY, LOST = 200, 503, 0
"""Outcomes; LOST: its worker was killed."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process. Defaults are those of the site, but for `refusal` and `sync`, which are measured.

    cores: how many requests can run at full speed. at_once, most: of each lane, at work, and these and those that
    wait. patience: seconds in the queue. refusal: processor seconds of a 503. sync: seconds that a write waits for the
    disk. lock_patience: seconds that it waits for a locked database.
    """

    cores: float = 1
    at_once: tuple[float, float] = (2, 24)
    most: tuple[float, float] = (64, 96)
    patience: float = 5.0
    refusal: float = 0.0
    sync: float = 0.0
    lock_patience: float = 5.0


@dataclass(frozen=True, slots=True)
class Tier:
    """Workers, and what happens to them.

    by_visitor: a visitor's requests go to one worker, not to any. n_states: of visitors, that each worker keeps.
    killed: from when to when worker 0 is dead; the connections of a single worker wait until it is back. locked: from
    when to when another process holds the write lock of the database.
    """

    worker: Worker = Worker()
    n_workers: int = 1
    by_visitor: bool = False
    n_states: int = 1300
    killed: tuple[float, float] | None = None
    locked: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Requests:
    """N requests in order of arrival. at: seconds [N]. visitors: numbers [N]. kinds: PAGE, LIST, EVENT [N]."""

    at: Floats
    visitors: Ints
    kinds: Ints


@dataclass(frozen=True, slots=True)
class Result:
    """What became of N requests. seconds: from arrival to answer [N]. outcomes: 200, 503 or 0 [N]."""

    seconds: Floats
    outcomes: Ints

    def summary(self) -> dict[str, float]:
        """Milliseconds of the answers without 503, and shares of 503 and lost ones."""
        times = 1000 * self.seconds[self.outcomes == ANSWERED]
        cuts = np.percentile(times, (50, 95, 99)) if times.size else (np.nan,) * 3
        found = {f"p{p}_ms": round(float(cut), 2) for p, cut in zip((50, 95, 99), cuts, strict=True)}
        shares = {"share_503": BUSY, "share_lost": LOST}
        return found | {name: round(float(np.mean(self.outcomes == which)), 4) for name, which in shares.items()}


def poisson(rate: float, seconds: float, rng: np.random.Generator) -> Floats:
    """Arrival times of a Poisson process, in order."""
    return np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds)))


def varying(rate: Callable[[Floats], Floats], highest: float, seconds: float, rng: np.random.Generator) -> Floats:
    """A Poisson process whose rate varies, by thinning (Lewis and Shedler 1979). highest: at least every rate."""
    at = poisson(highest, seconds, rng)
    return at[rng.uniform(0, highest, len(at)) < rate(at)]


def day(mean: float, peak: float, seconds: float = 86_400) -> Callable[[Floats], Floats]:
    """Rates of a day: a sine around the mean whose highest is `peak` times it, 1 to 2."""
    return lambda at: mean * (1 - (peak - 1) * np.cos(2 * np.pi * at / seconds))


def bursts(mean: float, times: float, lasting: float, every: float) -> Callable[[Floats], Floats]:
    """Rates with a burst of `times` the usual rate for `lasting` of every `every` seconds, and this mean."""
    usual = mean * every / (every + (times - 1) * lasting)
    return lambda at: np.where(at % every < lasting, times * usual, usual)


def visits(at: Floats, n_visitors: int, shares: Sequence[float], rng: np.random.Generator) -> Requests:
    """Requests of visitors drawn at random. shares: of PAGE, LIST and EVENT, adding up to 1."""
    return Requests(at, rng.integers(n_visitors, size=len(at)), rng.choice(3, len(at), p=shares))


def costs_of(requests: Requests, n_states: int = 1300) -> Ints:
    """Index in COSTS of each request [N], where the states of the newest `n_states` visitors are kept."""
    fresh: OrderedDict[int, list[bool]] = OrderedDict()
    found = np.empty(len(requests.at), np.int64)
    for index, (visitor, kind) in enumerate(zip(requests.visitors.tolist(), requests.kinds.tolist(), strict=True)):
        if kind == EVENT:
            found[index] = 4
            fresh.pop(visitor, None)
            continue
        state = fresh.setdefault(visitor, [False, False])
        fresh.move_to_end(visitor)
        if len(fresh) > n_states:
            fresh.popitem(last=False)
        found[index] = 2 * kind + (not state[kind])
        state[kind] = True
    return found


def route(requests: Requests, tier: Tier, rng: np.random.Generator) -> Ints:
    """The worker of each request [N]. Worker 0 takes none while it is dead, if there are others."""
    drawn = rng.integers(tier.n_workers, size=len(requests.at))
    workers = requests.visitors % tier.n_workers if tier.by_visitor else drawn
    if tier.killed is None or tier.n_workers == 1:
        return workers
    dead = (requests.at >= tier.killed[0]) & (requests.at < tier.killed[1]) & (workers == 0)
    return np.where(dead, rng.integers(1, tier.n_workers, size=len(workers)), workers)


def simulate(tier: Tier, requests: Requests, samples: Mapping[str, Floats], rng: np.random.Generator) -> Result:
    """What becomes of requests. samples: by name in COSTS, processor seconds, of which each request draws one."""
    workers = route(requests, tier, rng)
    seconds, outcomes = np.empty(len(requests.at)), np.empty(len(requests.at), np.int64)
    for number in range(tier.n_workers):
        its = np.flatnonzero(workers == number)
        own = Requests(requests.at[its], requests.visitors[its], requests.kinds[its])
        costs = costs_of(own, tier.n_states)
        work = np.empty(len(its))
        for index, name in enumerate(COSTS):
            of_kind = costs == index
            work[of_kind] = rng.choice(samples[name], int(of_kind.sum())) if of_kind.any() else 0
        killed = tier.killed if number == 0 else None
        ended, outcomes[its] = serve(tier.worker, own.at, work, own.kinds == EVENT, killed=killed, locked=tier.locked)
        seconds[its] = ended - own.at
    return Result(seconds, outcomes)


def serve(
    worker: Worker,
    at: Floats,
    work: Floats,
    writes: Bools,
    *,
    killed: tuple[float, float] | None = None,
    locked: tuple[float, float] | None = None,
) -> tuple[Floats, Ints]:
    """When each request of one worker ends [N], and its outcome [N]. at: in order; work: processor seconds [N]."""
    process = _Process(worker, work.tolist(), locked or (inf, inf), len(at))
    dies, returns = killed or (inf, inf)
    is_dead = False
    for index, (when, writing) in enumerate(zip(at.tolist(), writes.tolist(), strict=True)):
        if when >= dies and not is_dead:
            process.die(dies, returns)
            is_dead = True
        process.arrive(index, max(when, returns) if dies <= when else when, WRITING if writing else READING)
    if not is_dead and dies < inf:
        process.advance(dies)
        process.die(dies, returns)
    process.advance(inf)
    return np.array(process.ended), np.array(process.outcomes, np.int64)


class _Process:
    """A core that those at work share equally, in virtual time: seconds of work that each of them has had."""

    def __init__(self, worker: Worker, work: list[float], locked: tuple[float, float], n: int) -> None:
        self._worker, self._work, self._locked = worker, work, locked
        self._now, self._virtual = 0.0, 0.0
        self._running: list[tuple[float, int, int]] = []
        """At work: the virtual time of their end, number, lane; a heap."""
        self._at_disk: list[tuple[float, int, int]] = []
        """Writes that wait for the database: the time of their end, number, outcome; a heap."""
        self._waiting: tuple[deque[tuple[float, int]], ...] = (deque(), deque())
        self._busy = [0, 0]
        self.ended, self.outcomes = [0.0] * n, [LOST] * n

    def arrive(self, index: int, at: float, lane: int) -> None:
        """Take a request to work, let it wait, or refuse it."""
        self.advance(at)
        self._drop_late(lane)
        if self._busy[lane] < self._worker.at_once[lane]:
            self._begin(index, lane)
        elif self._busy[lane] + len(self._waiting[lane]) < self._worker.most[lane]:
            self._waiting[lane].append((at, index))
        else:
            self._run(index, self._worker.refusal, REFUSED)

    def advance(self, to: float) -> None:
        """Let everything happen that ends until a time."""
        while True:
            speed = min(1.0, self._worker.cores / len(self._running)) if self._running else 0.0
            computed = self._now + (self._running[0][0] - self._virtual) / speed if self._running else inf
            synced = self._at_disk[0][0] if self._at_disk else inf
            at = min(computed, synced, to)
            if at == inf:
                return
            self._virtual += (at - self._now) * speed
            self._now = at
            if computed <= at:
                _, index, lane = heappop(self._running)
                self._computed(index, lane)
            elif synced <= at:
                _, index, outcome = heappop(self._at_disk)
                self._end(index, outcome)
                self._next(WRITING)
            else:
                return

    def die(self, at: float, returns: float) -> None:
        """Lose what is at work or waits."""
        self.advance(at)
        lost = [index for _, index, _ in self._running + self._at_disk]
        for index in lost + [index for queue in self._waiting for _, index in queue]:
            self.ended[index], self.outcomes[index] = at, LOST
        self._running, self._at_disk, self._waiting, self._busy = [], [], (deque(), deque()), [0, 0]
        self._now = returns

    def _begin(self, index: int, lane: int) -> None:
        self._busy[lane] += 1
        self._run(index, self._work[index], lane)

    def _run(self, index: int, work: float, lane: int) -> None:
        heappush(self._running, (self._virtual + work, index, lane))

    def _computed(self, index: int, lane: int) -> None:
        if lane == REFUSED:
            self._end(index, BUSY)
        elif lane == WRITING and (self._worker.sync or self._is_locked()):
            opens = self._locked[1] if self._is_locked() else self._now
            gives_up = self._now + self._worker.lock_patience
            at, outcome = (opens + self._worker.sync, ANSWERED) if opens <= gives_up else (gives_up, BUSY)
            heappush(self._at_disk, (at, index, outcome))
        else:
            self._end(index, ANSWERED)
            self._next(lane)

    def _is_locked(self) -> bool:
        return self._locked[0] <= self._now < self._locked[1]

    def _next(self, lane: int) -> None:
        """A turn is over: the next of its lane has it."""
        self._busy[lane] -= 1
        self._drop_late(lane)
        if self._waiting[lane]:
            self._begin(self._waiting[lane].popleft()[1], lane)

    def _drop_late(self, lane: int) -> None:
        waiting = self._waiting[lane]
        while waiting and waiting[0][0] + self._worker.patience <= self._now:
            at, index = waiting.popleft()
            self.ended[index], self.outcomes[index] = at + self._worker.patience, BUSY

    def _end(self, index: int, outcome: int) -> None:
        self.ended[index], self.outcomes[index] = self._now, outcome
