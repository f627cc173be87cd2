"""Split methods: each gives every event of a log a label."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from matinee.arrays import BoolArray, IntArray, blocks, row_blocks
from matinee.config import SplitConfig
from matinee.data.labels import TEST, TEST_INPUTS, TRAIN, UNUSED, VALID, VALID_INPUTS, Labels
from matinee.data.new_items import new_items
from matinee.data.sessions import find_sessions
from matinee.data.split_settings import checked_ratios
from matinee.dataset import Dataset, event_order
from matinee.errors import DataError, MatineeError, UsageError
from matinee.reading.timestamps import parse_time
from matinee.times import format_time

Notes = tuple[str, ...]
Method = Callable[[Dataset, SplitConfig], tuple[Labels, Notes]]


def random(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Split each user's events at random by the ratios: floor for train, floor for valid, the rest is test.

    With rest = train, floor for valid, floor for test, the rest is train. By item, each item's events are split so
    instead. Every user, or item, keeps at least one event in train, unless its ratio is 0.
    """
    if config.repeats > 1:
        raise UsageError(
            f"repeats = {config.repeats} draws several splits for `matinee evaluate` and `compare` to take the mean; "
            "here there is one, so leave it out"
        )
    if config.by == "item":
        return _random_by_item(data, config)
    lengths = np.diff(data.user_starts)
    first_valid, first_test = _cuts(lengths, config)
    short = (first_valid == 0) & (lengths > 0) & (config.ratios[0] > 0)
    first_valid, first_test = np.where(short, 1, first_valid), np.where(short, np.maximum(first_test, 1), first_test)
    notes = _short_notes("random", lengths, short) if short.any() else ()
    return _label_shuffled(data, config.seed, first_valid, first_test), notes


def _random_by_item(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """See random. The events of all items are shuffled at once, then each item's are cut in that order."""
    rows = data.events.item_rows
    order = np.lexsort((np.random.default_rng(config.seed).permutation(len(rows)), rows))
    lengths = np.bincount(rows, minlength=len(data.items))
    position = np.empty(len(rows), dtype=np.int64)
    position[order] = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    first_valid, first_test = _cuts(lengths, config)
    short = (first_valid == 0) & (lengths > 0) & (config.ratios[0] > 0)
    first_valid, first_test = np.where(short, 1, first_valid), np.where(short, np.maximum(first_test, 1), first_test)
    n_short = int(short.sum())
    notes = (f"random by item: {n_short:,} items with few events keep one in train",) if n_short else ()
    return _label(position, first_valid[rows], first_test[rows]), notes


def leave_random(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """One random event of each user is test, and another is valid; users with fewer than three stay in train.

    Source: the held-out item of He et al. 2017 (NCF), where it is drawn for choosing settings.
    """
    lengths = np.diff(data.user_starts)
    short = lengths < 3
    first_valid, first_test = np.where(short, lengths, lengths - 2), np.where(short, lengths, lengths - 1)
    labels = _label_shuffled(data, config.seed, first_valid, first_test)
    n_short = int((short & (lengths > 0)).sum())
    notes = (f"leave-random: {_users(n_short)} with fewer than 3 events are entirely in train",) if n_short else ()
    return labels, notes


def leave_last(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Each user's last event is test, the one before is valid; users with fewer than three events stay in train.

    Among events at the same time, the one later in the log is the last.
    """
    lengths = np.diff(data.user_starts)
    short = lengths < 3
    labels = np.full(len(data.events), TRAIN, dtype=np.int8)
    ends = data.user_starts[1:][~short]
    labels[ends - 2] = VALID
    labels[ends - 1] = TEST
    notes = []
    if short.any():
        notes.append(f"leave-last: {_users(int(short.sum()))} with fewer than 3 events are entirely in train")
    if not data.timed:
        notes.append("leave-last: the log has no times, so each user's last event is the last in the log")
    return labels, tuple(notes)


def time(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Split all users at the same times; an event exactly at such a time belongs to the later part."""
    if not data.timed:
        raise DataError(f"{data.name} has no times, so it cannot be split by time; use --split random or leave-last")
    times = data.events.times
    at_valid, at_test = _configured_times(times, config) if config.at else _times_by_ratio(times, config)
    note = f"time: test begins at {format_time(at_test)}"
    if at_valid < at_test:
        note = f"time: valid begins at {format_time(at_valid)}, test at {format_time(at_test)}"
    labels = np.empty(len(times), dtype=np.int8)
    for block in blocks(len(times)):
        labels[block] = _label(times[block], at_valid, at_test)
    return labels, (note,)


def new_users(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Hold out whole users (strong generalisation): the first share of their events is input, the rest are targets.

    A held-out user has at least one input and one target; users with a single event go to train.
    """
    lengths = np.diff(data.user_starts)
    n_users = np.array([len(lengths)])
    first_valid, first_test = _cuts(n_users, config)
    drawn = np.random.default_rng(config.seed).permutation(len(lengths))
    part = _label(drawn, first_valid, first_test)
    single = (part != TRAIN) & (lengths < 2)
    part[single] = TRAIN
    n_inputs = np.clip(np.floor(lengths * config.input_share), 1, np.maximum(lengths - 1, 1))

    labels = np.empty(len(data.events), dtype=np.int8)
    for block in blocks(len(labels)):
        rows = data.events.user_rows[block]
        is_input = np.arange(block.start, block.stop) - data.user_starts[rows] < n_inputs[rows]
        of_block = part[rows]
        of_block[is_input & (of_block == VALID)] = VALID_INPUTS
        of_block[is_input & (of_block == TEST)] = TEST_INPUTS
        labels[block] = of_block
    held_out = [int((part == label).sum()) for label in (VALID, TEST)]
    notes = [f"new-users: {_users(held_out[0])} held out for valid, {held_out[1]:,} for test"]
    if single.any():
        notes.append(f"new-users: {_users(int(single.sum()))} drawn with a single event went to train")
    return labels, tuple(notes)


def k_fold(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Assign each user's events to folds of equal size: fold f is test, fold f + 1 valid, the rest train.

    The same seed gives the same folds, so the test parts of all folds together are the log, except users with a single
    event: they stay in train, and so does the valid event of a user who would have no other in train.
    """
    rng = np.random.default_rng(config.seed)
    lengths = np.diff(data.user_starts)
    # start each user at a random fold, otherwise users with few events would only fill the first folds
    first = rng.integers(config.folds, size=len(lengths))
    labels = np.full(len(data.events), TRAIN, dtype=np.int8)
    short = lengths > 0
    for block, positions in _shuffled_positions(data, config.seed):
        rows = data.events.user_rows[block]
        fold = (positions + first[rows]) % config.folds
        of_block = labels[block]  # a view
        of_block[fold == config.fold] = TEST
        of_block[fold == (config.fold + 1) % config.folds] = VALID
        short[rows[of_block == TRAIN]] = False
        of_block[short[rows] & ((of_block == VALID) | (lengths == 1)[rows])] = TRAIN
    return labels, _short_notes("k-fold", lengths, short) if short.any() else ()


def session(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Split whole sessions by start time: the earliest are train, the next valid, the latest test.

    In valid and test the first event of a session is input, the others are targets. Events of sessions that are too
    short are unused.
    """
    found = find_sessions(data, config)
    kept = np.flatnonzero(found.kept)
    order = kept[np.argsort(found.start_times[kept], kind="stable")]
    first_valid, first_test = (int(cut[0]) for cut in _cuts(np.array([len(order)]), config))
    part: Labels = np.full(len(found), UNUSED, dtype=np.int8)
    part[order] = TRAIN
    part[order[first_valid:]] = VALID
    part[order[first_test:]] = TEST
    labels = np.repeat(part, found.lengths)
    firsts = found.starts[:-1]
    labels[firsts[part == VALID]] = VALID_INPUTS
    labels[firsts[part == TEST]] = TEST_INPUTS
    counts = [int((part == label).sum()) for label in (TRAIN, VALID, TEST)]
    notes = [f"session: {counts[0]:,} sessions in train, {counts[1]:,} in valid, {counts[2]:,} in test"]
    if counts[2]:
        notes.append(f"session: test begins at {format_time(int(found.start_times[order[first_test]]))}")
    if not found.kept.all():
        short = ~found.kept
        notes.append(
            f"session: {int(short.sum()):,} of {len(found):,} sessions have fewer than {config.min_length} events "
            f"({int(found.lengths[short].sum()):,} events) and are left out"
        )
    return labels, tuple(notes)


METHODS: dict[str, Method] = {
    "random": random,
    "leave-last": leave_last,
    "leave-random": leave_random,
    "time": time,
    "new-users": new_users,
    "new-items": new_items,
    "k-fold": k_fold,
    "session": session,
}


def _shuffled_positions(data: Dataset, seed: int) -> Iterator[tuple[slice, IntArray]]:
    """Blocks of whole users' events, and each event's position in a shuffle of its user's events.

    A single RandomState(seed) shuffles one user after the other, each user's events in item-row order. Its stream is
    frozen across numpy versions, and this draw is that of the published protocols
    (docs/decisions/003-random-split.md).
    """
    generator = np.random.RandomState(seed)
    for users, block in row_blocks(data.user_starts):
        n = block.stop - block.start
        index = np.dtype(np.int32 if n < 2**31 else np.int64)
        starts = data.user_starts[users.start : users.stop + 1] - block.start
        shuffled: IntArray = np.empty(n, dtype=index)
        for start, stop in pairwise(starts.tolist()):
            shuffled[start:stop] = generator.permutation(stop - start)
        firsts = np.repeat(starts[:-1].astype(index), np.diff(starts))
        shuffled += firsts
        by_item = event_order(data.events.user_rows[block], data.events.item_rows[block])
        positions: IntArray = np.empty(n, dtype=index)
        positions[by_item[shuffled]] = np.arange(n, dtype=index) - firsts
        yield block, positions


def _label_shuffled(data: Dataset, seed: int, first_valid: IntArray, first_test: IntArray) -> Labels:
    """Labels of the events by the positions at which each user's valid and test begin. [U] -> [N]."""
    labels = np.empty(len(data.events), dtype=np.int8)
    for block, positions in _shuffled_positions(data, seed):
        rows = data.events.user_rows[block]
        labels[block] = _label(positions, first_valid[rows], first_test[rows])
    return labels


def _cuts(lengths: IntArray, config: SplitConfig) -> tuple[IntArray, IntArray]:
    """Where valid and test begin in rows of these lengths: floor, floor, and the rest goes to the last non-empty part.

    The floor is that of the floating-point product, as in published splits: 0.7 * 90 gives 62.
    """
    train, valid, test = checked_ratios(config)
    if config.rest == "train":
        held_out = [np.floor(lengths * ratio).astype(np.int64) for ratio in (valid, test)]
        return lengths - held_out[0] - held_out[1], lengths - held_out[1]
    n_train = np.floor(lengths * train).astype(np.int64)
    n_valid = np.floor(lengths * valid).astype(np.int64)
    if test == 0:
        n_train = n_train if valid else lengths
        n_valid = lengths - n_train
    return n_train, n_train + n_valid


def _times_by_ratio(times: IntArray, config: SplitConfig) -> tuple[int, int]:
    """The start times of valid and test by the ratios; ties go to the later part."""
    ordered = np.sort(times)
    after = int(ordered[-1]) + 1
    first_valid, first_test = (int(cut[0]) for cut in _cuts(np.array([len(times)]), config))
    at_valid, at_test = (int(ordered[cut]) if cut < len(ordered) else after for cut in (first_valid, first_test))
    return at_valid, at_test


def _configured_times(times: IntArray, config: SplitConfig) -> tuple[int, int]:
    """The start times of valid and test as configured; they are equal if only one is given."""
    cuts = [parse_time(text, "at") for text in config.at]
    given = f"at = {', '.join(config.at)}"
    if len(cuts) > 2 or sorted(cuts) != cuts:
        raise MatineeError(f"{given}: give the time at which test begins, or those of valid and test in this order")
    first, last = int(times.min()), int(times.max())
    if cuts[0] <= first or cuts[-1] > last:
        span = f"{format_time(first)} to {format_time(last)}"
        raise MatineeError(f"{given}: the log runs from {span}; choose times within it")
    return cuts[0], cuts[-1]


def _label(values: IntArray, first_valid: IntArray | int, first_test: IntArray | int) -> Labels:
    """TRAIN below first_valid, VALID from first_valid on, TEST from first_test on."""
    labels = np.full(len(values), TRAIN, dtype=np.int8)
    labels[values >= first_valid] = VALID
    labels[values >= first_test] = TEST
    return labels


def _short_notes(method: str, lengths: IntArray, short: BoolArray) -> Notes:
    """Sentences on users who have too few events for a share of train, and keep one there. lengths, short: [U]."""
    longest = int(lengths[short].max())
    single = int((short & (lengths == 1)).sum())
    which = f"with {longest} events or fewer" if longest > 1 else "with one event"
    alone = f"; {single:,} of them have one event, so they have no targets" if single and longest > 1 else ""
    alone = ", so they have no targets" if longest == 1 else alone
    return (f"{method}: {_users(int(short.sum()))} {which} keep one in train{alone}",)


def _users(count: int) -> str:
    return f"{count:,} user" if count == 1 else f"{count:,} users"
