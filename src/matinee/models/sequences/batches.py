"""Sequences as batches: cut to a length, grouped by it, packed in time, or laid out in lanes. No torch here.

A transition is a place p of a flat array of items: items[p] is what is seen, items[p + 1] what comes next.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray, IntArray, rows_of

LEAST_STEPS = 32
"""Steps an epoch has at least, so that little data is not one batch and one step."""


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """R stretches of sequences. first: [R], the place of each one's first transition; lengths: [R], how many."""

    first: IntArray
    lengths: IntArray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: IntArray) -> "Pieces":
        """Some of them, by row."""
        return Pieces(self.first[rows], self.lengths[rows])


def cut(starts: IntArray, longest: int, rng: np.random.Generator) -> Pieces:
    """Every transition of ragged sequences in one piece, none longer than `longest`. starts: [B + 1].

    Where a longer sequence is cut is drawn, so that each epoch gives its events other contexts.
    """
    n = np.maximum(np.diff(starts) - 1, 0)
    long = n > longest
    offsets = np.where(long, rng.integers(longest, size=len(n)), 0)  # length of the first piece, 0 for a whole one
    counts = -(-(n - offsets) // longest) + (offsets > 0)
    owners = np.repeat(np.arange(len(n)), counts)
    place = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    # a sequence with an offset has its cuts at offset, offset + longest, ...
    begin = np.where(offsets[owners] > 0, np.maximum(offsets[owners] + (place - 1) * longest, 0), place * longest)
    end = np.where(offsets[owners] > 0, offsets[owners] + place * longest, (place + 1) * longest)
    end = np.minimum(end, n[owners])
    return Pieces(starts[:-1][owners] + begin, end - begin)


def begun_anew(pieces: Pieces, chance: float, rng: np.random.Generator) -> Pieces:
    """Half of the pieces, drawn, cut before each of their transitions with a chance: every transition still once."""
    if chance == 0:
        return pieces
    bounds = np.concatenate([[0], np.cumsum(pieces.lengths)])
    owners = rows_of(bounds)
    places = pieces.first[owners] + np.arange(bounds[-1]) - bounds[owners]
    begins = (rng.random(bounds[-1]) < chance) & (rng.random(len(pieces)) < 0.5)[owners]
    begins[bounds[:-1]] = True
    first = np.flatnonzero(begins)
    return Pieces(places[first], np.diff(first, append=bounds[-1]))


def by_length(pieces: Pieces, n_transitions: int, rng: np.random.Generator) -> Iterator[Pieces]:
    """Batches of pieces of about equal length, in a drawn order, longest first in each.

    Each holds up to n_transitions transitions (see step_size), and one piece at least.
    """
    size = step_size(int(pieces.lengths.sum()), n_transitions)
    # a little noise, so that pieces do not always meet the same others
    noisy = pieces.lengths * rng.uniform(0.9, 1.1, len(pieces))
    order = np.argsort(-noisy, kind="stable")
    totals = np.cumsum(pieces.lengths[order])
    groups = (totals - 1) // size
    bounds = np.flatnonzero(np.diff(groups, prepend=-1))
    blocks = np.split(order, bounds[1:])
    for number in rng.permutation(len(blocks)):
        rows = blocks[number]
        if len(rows):
            yield pieces.take(rows[np.argsort(-pieces.lengths[rows], kind="stable")])


def step_size(n_transitions: int, most: int) -> int:
    """Transitions of a step: `most`, or where that makes fewer than LEAST_STEPS an epoch, less."""
    return max(1, min(most, -(-n_transitions // LEAST_STEPS)))


def packed(pieces: Pieces) -> tuple[IntArray, IntArray]:
    """Pieces, longest first, in order of time: (places [P], how many are left at each step [T])."""
    steps = np.arange(int(pieces.lengths[0]))[:, None]
    alive = pieces.lengths > steps  # [T, R]
    return (pieces.first + steps)[alive], alive.sum(axis=1)


def grid(pieces: Pieces) -> tuple[IntArray, BoolArray]:
    """Pieces as rows, filled up at their end: (places [R, T], which of them are transitions [R, T])."""
    steps = np.arange(int(pieces.lengths.max()))
    real = steps < pieces.lengths[:, None]
    return pieces.first[:, None] + np.minimum(steps, pieces.lengths[:, None] - 1), real


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """Sequences side by side, one after another in each lane.

    places: [T, lanes], the transition of each lane at each step, -1 where a lane has ended; begins: [T, lanes], where
    another sequence begins.
    """

    places: IntArray
    begins: BoolArray


def lanes(pieces: Pieces, n_lanes: int, rng: np.random.Generator) -> Lanes:
    """Pieces of sequences in a drawn order, each in the lane that is free first: every transition once.

    Source: Hidasi et al. 2016, section 3.1.1. There the epoch ends with the last sequence that fills a lane; here
    lanes that find none wait until all are done.
    """
    n = pieces.lengths
    # the longer the sooner, by chance, so that lanes end together and the last steps hold more than one or two
    order = np.argsort(rng.random(len(n)) * (1 - n / (n.max(initial=0) + 1)))
    free = [(0, lane) for lane in range(min(n_lanes, max(len(order), 1)))]
    lane_of, step_of = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
    for place, length in enumerate(n[order].tolist()):
        step, lane = heapq.heappop(free)
        lane_of[place], step_of[place] = lane, step
        heapq.heappush(free, (step + length, lane))
    shape = (max(step for step, _ in free), len(free))
    places, begins = np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=bool)
    bounds = np.concatenate([[0], np.cumsum(n[order])])
    owners = rows_of(bounds)
    inside = np.arange(bounds[-1]) - bounds[owners]
    places[step_of[owners] + inside, lane_of[owners]] = pieces.first[order][owners] + inside
    begins[step_of, lane_of] = True
    return Lanes(places, begins)
