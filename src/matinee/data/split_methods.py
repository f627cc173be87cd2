"""The ways to cut a log: each gives every event a label."""

import math
from collections.abc import Callable

import numpy as np

from matinee.arrays import IntArray
from matinee.config import SplitConfig
from matinee.data.labels import TEST, TEST_SHOWN, TRAIN, UNUSED, VALID, VALID_SHOWN, Labels
from matinee.data.moments import iso, moment
from matinee.data.sessions import find_sessions
from matinee.dataset import Dataset
from matinee.errors import DataError, MatineeError

Notes = tuple[str, ...]
Method = Callable[[Dataset, SplitConfig], tuple[Labels, Notes]]


def random(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Ratios of each user's events: floor of train, floor of valid, the rest is test."""
    place, lengths = _drawn_places(data, config.seed)
    first_valid, first_test = _cuts(lengths, config)
    rows = data.events.user_rows
    return _label(place, first_valid[rows], first_test[rows]), ()


def leave_last(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Each user's last event is test, the one before valid; users with fewer than three events stay in train.

    Of events at the same moment the one later in the log is the last.
    """
    lengths = np.diff(data.user_starts)
    from_end = data.user_starts[1:][data.events.user_rows] - np.arange(len(data.events))  # 1 for the last
    labels = _label(-from_end, np.full_like(from_end, -2), np.full_like(from_end, -1))
    short = lengths < 3
    labels[short[data.events.user_rows]] = TRAIN
    notes = []
    if short.any():
        notes.append(f"leave-last: {_users(int(short.sum()))} with fewer than 3 events stay in train whole")
    if not data.timed:
        notes.append("leave-last: the log has no times, so each user's last event is the last in the log")
    return labels, tuple(notes)


def time(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """One moment for all users where valid begins, one where test begins: an event at a moment lies after it."""
    if not data.timed:
        raise DataError(f"{data.name} has no times, so it cannot be split by time; use --split random or leave-last")
    times = data.events.times
    at_valid, at_test = _named_moments(times, config) if config.at else _moments(times, config)
    said = f"time: test begins at {iso(at_test)}"
    if at_valid < at_test:
        said = f"time: valid begins at {iso(at_valid)}, test at {iso(at_test)}"
    return _label(times, np.full_like(times, at_valid), np.full_like(times, at_test)), (said,)


def new_users(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Whole users are held out: the first share of their events is shown, the rest hidden.

    A held-out user has at least one shown and one hidden event; one with a single event goes to train.
    """
    lengths = np.diff(data.user_starts)
    n_users = np.array([len(lengths)])
    first_valid, first_test = _cuts(n_users, config)
    drawn = np.random.default_rng(config.seed).permutation(len(lengths))
    part = _label(drawn, np.broadcast_to(first_valid, drawn.shape), np.broadcast_to(first_test, drawn.shape))
    single = (part != TRAIN) & (lengths < 2)
    part[single] = TRAIN
    n_shown = np.clip(np.floor(lengths * config.input_share), 1, np.maximum(lengths - 1, 1))

    rows = data.events.user_rows
    shown = np.arange(len(rows)) - data.user_starts[rows] < n_shown[rows]
    labels = part[rows]
    labels[shown & (labels == VALID)] = VALID_SHOWN
    labels[shown & (labels == TEST)] = TEST_SHOWN
    held = [int((part == label).sum()) for label in (VALID, TEST)]
    notes = [f"new-users: {_users(held[0])} held out for valid, {held[1]:,} for test"]
    if single.any():
        notes.append(f"new-users: {_users(int(single.sum()))} drawn for it with a single event went to train")
    return labels, tuple(notes)


def k_fold(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Each user's events are dealt into folds of even size: fold f is test, fold f + 1 valid, the rest train.

    The same seed deals the same folds, so that the test parts of all folds make up the log.
    """
    if config.folds < 3:
        raise MatineeError(f"folds = {config.folds}: one fold is test and one valid, so none is left; use 3 or more")
    if config.fold >= config.folds:
        raise MatineeError(f"fold = {config.fold}: folds are numbered 0 to {config.folds - 1}; choose one of them")
    rng = np.random.default_rng(config.seed)
    place, lengths = _drawn_places(data, config.seed)
    # each user's deal begins at another fold, or users with few events would all fill the first folds
    first = rng.integers(config.folds, size=len(lengths))
    fold = (place + first[data.events.user_rows]) % config.folds
    labels = np.full(len(place), TRAIN, dtype=np.int8)
    labels[fold == config.fold] = TEST
    labels[fold == (config.fold + 1) % config.folds] = VALID
    return labels, ()


def session(data: Dataset, config: SplitConfig) -> tuple[Labels, Notes]:
    """Whole sessions by the moment they begin: the first share is train, the next valid, the latest ones test.

    The first event of a session of valid and test is shown, the others are to be found. Events of sessions that are
    too short are unused.
    """
    found = find_sessions(data, config)
    kept = np.flatnonzero(found.kept)
    order = kept[np.argsort(found.begun[kept], kind="stable")]
    first_valid, first_test = (int(cut[0]) for cut in _cuts(np.array([len(order)]), config))
    part: Labels = np.full(len(found), UNUSED, dtype=np.int8)
    part[order] = TRAIN
    part[order[first_valid:]] = VALID
    part[order[first_test:]] = TEST
    labels = np.repeat(part, found.lengths)
    firsts = found.starts[:-1]
    labels[firsts[part == VALID]] = VALID_SHOWN
    labels[firsts[part == TEST]] = TEST_SHOWN
    counts = [int((part == label).sum()) for label in (TRAIN, VALID, TEST)]
    notes = [f"session: {counts[0]:,} sessions in train, {counts[1]:,} in valid, {counts[2]:,} in test"]
    if counts[2]:
        notes.append(f"session: test begins at {iso(int(found.begun[order[first_test]]))}")
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
    "time": time,
    "new-users": new_users,
    "k-fold": k_fold,
    "session": session,
}


def from_files(config: SplitConfig) -> tuple[Dataset, Labels]:
    """The events and labels of a split that stands in files."""
    from matinee.data.loading import load_parts  # readers are heavy, and only this method needs them

    if config.path is None:
        raise MatineeError("split files needs the folder of its tables; give --split files:PATH")
    return load_parts(config.path)


def _drawn_places(data: Dataset, seed: int) -> tuple[IntArray, IntArray]:
    """Each event's place in a shuffle of its user's events [N], and how many events each user has [U].

    One `RandomState(seed)` shuffles user after user, each user's events in the order of item rows. Its stream is
    frozen, so a split is the same under every NumPy, and this is the draw of the published protocols
    (docs/decisions/003-random-split.md).
    """
    lengths = np.diff(data.user_starts)
    by_item = np.lexsort((data.events.item_rows, data.events.user_rows))
    generator = np.random.RandomState(seed)
    shuffles = [generator.permutation(length) for length in lengths.tolist()]
    starts = np.repeat(data.user_starts[:-1], lengths)
    place = np.empty(len(by_item), dtype=np.int64)
    place[by_item[starts + np.concatenate([np.empty(0, dtype=np.int64), *shuffles])]] = np.arange(len(by_item)) - starts
    return place, lengths


def _cuts(lengths: IntArray, config: SplitConfig) -> tuple[IntArray, IntArray]:
    """Where valid and test begin in rows of these lengths: floor, floor, and the rest to the last part asked for.

    The floor is that of the binary product, as published splits have it: 0.7 * 90 gives 62.
    """
    train, valid, test = _checked_ratios(config)
    n_train = np.floor(lengths * train).astype(np.int64)
    n_valid = np.floor(lengths * valid).astype(np.int64)
    if test == 0:
        n_train = n_train if valid else lengths
        n_valid = lengths - n_train
    return n_train, n_train + n_valid


def _checked_ratios(config: SplitConfig) -> tuple[float, float, float]:
    ratios = config.ratios
    said = "ratios " + ", ".join(f"{ratio:g}" for ratio in ratios)
    if not all(math.isfinite(ratio) and ratio >= 0 for ratio in ratios):
        raise MatineeError(f"{said}: each must be from 0 to 1; for example 0.70,0.15,0.15")
    if abs(sum(ratios) - 1) > 1e-6:
        raise MatineeError(f"{said} sum to {sum(ratios):g}; they must sum to 1, for example 0.70,0.15,0.15")
    return ratios


def _moments(times: IntArray, config: SplitConfig) -> tuple[int, int]:
    """The moments before which the shares of train, and of train and valid, lie; ties go after."""
    ordered = np.sort(times)
    after = int(ordered[-1]) + 1
    first_valid, first_test = (int(cut[0]) for cut in _cuts(np.array([len(times)]), config))
    at_valid, at_test = (int(ordered[cut]) if cut < len(ordered) else after for cut in (first_valid, first_test))
    return at_valid, at_test


def _named_moments(times: IntArray, config: SplitConfig) -> tuple[int, int]:
    moments = [moment(text, "at") for text in config.at]
    said = f"at = {', '.join(config.at)}"
    if len(moments) > 2 or sorted(moments) != moments:
        raise MatineeError(f"{said}: give the moment where test begins, or those of valid and test in that order")
    first, last = int(times.min()), int(times.max())
    if moments[0] <= first or moments[-1] > last:
        raise MatineeError(f"{said}: the log runs from {iso(first)} to {iso(last)}; choose moments within it")
    return moments[0], moments[-1]


def _label(values: IntArray, first_valid: IntArray, first_test: IntArray) -> Labels:
    """TRAIN below first_valid, VALID from there, TEST from first_test on."""
    labels: Labels = np.where(values >= first_test, TEST, np.where(values >= first_valid, VALID, TRAIN)).astype(np.int8)
    return labels


def _users(count: int) -> str:
    return f"{count:,} user" if count == 1 else f"{count:,} users"
