"""Training batches of sequences: subsequences grouped by length, packed or padded, or session-parallel lanes.

A transition t is an index into the flat array of all histories' items: items[t] is the input, items[t + 1] the target.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from matinee.arrays import BoolArray, IntArray, rows_of
from matinee.nn.few_shapes import of_few

MIN_STEPS = 32
"""Minimum number of steps in an epoch, so that small data are not one batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Subsequences:
    """R runs of consecutive transitions. begins: [R], the first transition of each; lengths: [R], their number."""

    begins: IntArray
    lengths: IntArray

    def __len__(self) -> int:
        return len(self.begins)

    def take(self, rows: IntArray) -> "Subsequences":
        """The subsequences of some rows."""
        return Subsequences(self.begins[rows], self.lengths[rows])


def split_histories(starts: IntArray, max_length: int, rng: np.random.Generator) -> Subsequences:
    """Subsequences of at most max_length that hold every transition once. starts: [B + 1].

    The first cut of a longer history is random, so that in each epoch its events get other contexts.
    """
    n = np.maximum(np.diff(starts) - 1, 0)
    is_long = n > max_length
    offsets = np.where(is_long, rng.integers(max_length, size=len(n)), 0)  # length of the first part, 0 if whole
    counts = -(-(n - offsets) // max_length) + (offsets > 0)
    owners = np.repeat(np.arange(len(n)), counts)
    number = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    # with an offset, cuts are at offset, offset + max_length, ...
    begin = np.where(
        offsets[owners] > 0, np.maximum(offsets[owners] + (number - 1) * max_length, 0), number * max_length
    )
    end = np.where(offsets[owners] > 0, offsets[owners] + number * max_length, (number + 1) * max_length)
    end = np.minimum(end, n[owners])
    return Subsequences(starts[:-1][owners] + begin, end - begin)


def random_restarts(subsequences: Subsequences, probability: float, rng: np.random.Generator) -> Subsequences:
    """Augmentation: in a random half of the subsequences each transition starts a new one with this probability."""
    if probability == 0:
        return subsequences
    bounds = np.concatenate([[0], np.cumsum(subsequences.lengths)])
    owners = rows_of(bounds)
    transitions = subsequences.begins[owners] + np.arange(bounds[-1]) - bounds[owners]
    is_first = (rng.random(bounds[-1]) < probability) & (rng.random(len(subsequences)) < 0.5)[owners]
    is_first[bounds[:-1]] = True
    first = np.flatnonzero(is_first)
    return Subsequences(transitions[first], np.diff(first, append=bounds[-1]))


def batches_by_length(
    subsequences: Subsequences, n_transitions: int, rng: np.random.Generator
) -> Iterator[Subsequences]:
    """Batches of subsequences of similar length, in random order; within a batch longest first.

    Each holds up to n_transitions transitions (see transitions_per_step), and one subsequence at least.
    """
    size = transitions_per_step(int(subsequences.lengths.sum()), n_transitions)
    # a little noise, so that batches differ between epochs
    noisy = subsequences.lengths * rng.uniform(0.9, 1.1, len(subsequences))
    order = np.argsort(-noisy, kind="stable")
    totals = np.cumsum(subsequences.lengths[order])
    groups = (totals - 1) // size
    bounds = np.flatnonzero(np.diff(groups, prepend=-1))
    blocks = np.split(order, bounds[1:])
    for number in rng.permutation(len(blocks)):
        rows = blocks[number]
        if len(rows):
            yield subsequences.take(rows[np.argsort(-subsequences.lengths[rows], kind="stable")])


def transitions_per_step(n_transitions: int, most: int) -> int:
    """Transitions in a step: `most`, or fewer so that an epoch has MIN_STEPS steps."""
    return max(1, min(most, -(-n_transitions // MIN_STEPS)))


def pack(batch: Subsequences) -> tuple[IntArray, IntArray]:
    """Subsequences, longest first, as torch's PackedSequence: (transitions by step [P], batch sizes [T])."""
    steps = np.arange(int(batch.lengths[0]))[:, None]
    present = batch.lengths > steps  # [T, R]
    return (batch.begins + steps)[present], present.sum(axis=1)


def pad(batch: Subsequences, few_shapes_up_to: int | None = None) -> tuple[IntArray, BoolArray]:
    """Subsequences padded at their end: (transitions [R, T], whether each is one and not padding [R, T]).

    few_shapes_up_to: with more padding, R and T as `of_few` says, T at most this.
    """
    begins, lengths = batch.begins, batch.lengths
    n_steps = int(lengths.max())
    if few_shapes_up_to is not None:
        added = of_few(len(batch)) - len(batch)
        begins, lengths = np.pad(begins, (0, added)), np.pad(lengths, (0, added))
        n_steps = min(of_few(n_steps), few_shapes_up_to)
    steps = np.arange(n_steps)
    present = steps < lengths[:, None]
    return begins[:, None] + np.minimum(steps, np.maximum(lengths[:, None] - 1, 0)), present


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """Subsequences one after another in parallel lanes.

    transitions: [T, lanes], -1 after the end of a lane; resets: [T, lanes], where a new subsequence begins.
    """

    transitions: IntArray
    resets: BoolArray


def fill_lanes(subsequences: Subsequences, n_lanes: int, rng: np.random.Generator) -> Lanes:
    """Session-parallel mini-batches: in random order, each subsequence goes to the lane that is free first.

    Source: Hidasi et al. 2016, section 3.1.1. There the epoch ends when no sequence is left to fill a lane; here the
    remaining lanes run to their end, so that every transition is trained.
    """
    n = subsequences.lengths
    # long ones tend to come early, so that lanes end at about the same step
    order = np.argsort(rng.random(len(n)) * (1 - n / (n.max(initial=0) + 1)))
    free = [(0, lane) for lane in range(min(n_lanes, max(len(order), 1)))]
    lane_of, step_of = np.empty(len(order), dtype=np.int64), np.empty(len(order), dtype=np.int64)
    for number, length in enumerate(n[order].tolist()):
        step, lane = heapq.heappop(free)
        lane_of[number], step_of[number] = lane, step
        heapq.heappush(free, (step + length, lane))
    shape = (max(step for step, _ in free), len(free))
    transitions, resets = np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=bool)
    bounds = np.concatenate([[0], np.cumsum(n[order])])
    owners = rows_of(bounds)
    offsets = np.arange(bounds[-1]) - bounds[owners]
    transitions[step_of[owners] + offsets, lane_of[owners]] = subsequences.begins[order][owners] + offsets
    resets[step_of, lane_of] = True
    return Lanes(transitions, resets)
