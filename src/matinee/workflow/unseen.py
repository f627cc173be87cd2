"""What a model loses on users it was not trained on: a second fit without some users, who get lists all the same."""

from dataclasses import replace
from typing import Any

import numpy as np

from matinee.arrays import IntArray
from matinee.config import EvaluationConfig
from matinee.data.labels import TEST_INPUTS, TRAIN, VALID, VALID_INPUTS
from matinee.data.splits import Split
from matinee.evaluation.bootstrap import percentiles, resample, resampled_means
from matinee.evaluation.metrics import OF_ALL_LISTS, parse_metric
from matinee.evaluation.report import Report

SHARE = 0.2
"""Of the users with targets: as many are left out of the second fit."""
FEWEST = 20
"""Users below which a difference says nothing."""
SAMPLES = 1000
METHODS = frozenset({"random", "leave-last", "leave-random", "time", "k-fold", "files"})
"""Splits whose users are all trained on; in the others some are unseen as it is, or lists are of sessions."""


def left_out(split: Split, report: Report, seed: int) -> IntArray:
    """The users to leave out of a second fit, drawn by a seed; none where the comparison says nothing."""
    n_left_out = round(SHARE * len(report.user_rows))
    if split.config.split not in METHODS or n_left_out < FEWEST:
        return np.zeros(0, dtype=np.int32)
    return np.sort(np.random.default_rng(seed).choice(report.user_rows, n_left_out, replace=False))


def without_users(split: Split, user_rows: IntArray, config: EvaluationConfig) -> Split:
    """The split in which some users are not trained on, and keep the inputs and targets that they have at test time."""
    theirs = np.isin(split.data.events.user_rows, user_rows)
    labels = split.labels.copy()
    if config.on == "valid":
        labels[theirs & (labels == TRAIN)] = VALID_INPUTS
        return replace(split, labels=labels)
    labels[theirs & np.isin(labels, [TRAIN, VALID_INPUTS])] = TEST_INPUTS
    if config.inputs == "train+valid":  # where valid is no input it stays masked, and so stays valid
        labels[theirs & (labels == VALID)] = TEST_INPUTS
    return replace(split, labels=labels)


def difference(known: Report, unseen: Report, user_rows: IntArray, seed: int) -> dict[str, Any]:
    """Each metric of some users from a fit with them and one without, and the difference with its interval."""
    of_both = [
        {name: each.take(np.isin(report.user_rows, user_rows)) for name, each in report.per_user.items()}
        for report in (known, unseen)
    ]
    names = [name for name in of_both[0].keys() & of_both[1].keys() if parse_metric(name)[0] not in OF_ALL_LISTS]
    pairs = [[measured[name] for measured in of_both] for name in sorted(names)]
    rng = np.random.default_rng(seed)
    counts = np.concatenate(list(resample(len(user_rows), SAMPLES, rng)))
    draws = [resampled_means(counts, pair) for pair in pairs]  # [R, 2] each
    found = {}
    for name, pair, draw in zip(sorted(names), pairs, draws, strict=True):
        mean = pair[1].mean - pair[0].mean
        interval = percentiles(mean, draw[:, 1] - draw[:, 0])
        ends = {"mean": mean, "low": interval.low, "high": interval.high}
        found[name] = {"known": pair[0].mean, "unseen": pair[1].mean, "difference": ends}
    return {"users": len(user_rows), "metrics": found}
