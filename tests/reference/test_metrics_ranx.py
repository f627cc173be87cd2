"""Accuracy metrics against ranx, an independent evaluator."""

import warnings

import numpy as np
import pytest

from matinee.evaluation.liking import Scale, measure_liking
from matinee.evaluation.metrics import PerUser, accuracy, find_hits
from matinee.histories import Histories

with warnings.catch_warnings():  # its dependencies warn on import, which we cannot fix
    warnings.simplefilter("ignore")
    import numba

    numba.config.DISABLE_JIT = True  # compiling takes half a minute, running uncompiled a second
    import ranx

N_USERS, N_ITEMS, DEPTH = 150, 300, 20
KS = (1, 5, 10, 20)
THEIR_NAMES = {
    "precision": "precision",
    "recall": "recall",
    "ndcg": "ndcg",
    "hit-rate": "hit_rate",
    "mrr": "mrr",
    "map": "map",
}


@pytest.fixture(scope="module")
def lists():
    """Random lists, and targets of which most are in the lists, so that there are many hits."""
    rng = np.random.default_rng(11)
    items = np.array([rng.permutation(N_ITEMS)[:DEPTH] for _ in range(N_USERS)], dtype=np.int32)
    targets = [
        np.union1d(rng.choice(row, rng.integers(0, 9), replace=False), rng.choice(N_ITEMS, rng.integers(1, 30)))
        for row in items
    ]
    return items, targets


@pytest.mark.parametrize("k", KS)
def test_every_user_has_the_value_of_ranx(lists, k):
    items, targets = lists
    starts = np.concatenate([[0], np.cumsum([len(row) for row in targets])])
    flat = np.concatenate(targets).astype(np.int32)
    ours = accuracy(find_hits(items, starts, flat, N_ITEMS), np.diff(starts), [k])

    qrels = ranx.Qrels({f"u{user:03}": {str(item): 1 for item in row} for user, row in enumerate(targets)})
    run = ranx.Run(
        {
            f"u{user:03}": {str(item): float(DEPTH - rank) for rank, item in enumerate(row)}
            for user, row in enumerate(items)
        }
    )
    names = [f"{theirs}@{k}" for theirs in THEIR_NAMES.values()]
    means = ranx.evaluate(qrels, run, names)
    for mine, theirs in THEIR_NAMES.items():
        values = np.array([run.scores[f"{theirs}@{k}"][f"u{user:03}"] for user in range(N_USERS)])
        np.testing.assert_allclose(ours[f"{mine}@{k}"], values, rtol=0, atol=1e-9, err_msg=mine)
        assert PerUser(ours[f"{mine}@{k}"]).mean == pytest.approx(means[f"{theirs}@{k}"], abs=1e-9)


@pytest.mark.parametrize("k", KS)
def test_the_ndcg_of_liked_disliked_and_graded_targets_is_that_of_ranx(lists, k):
    """ranx has gains of 2^grade - 1 as `ndcg_burges`; liked and disliked targets are its `ndcg` of these alone."""
    items, targets = lists
    rng = np.random.default_rng(4)
    stars = [rng.integers(1, 6, len(row)) for row in targets]
    judged = Histories.of([row.tolist() for row in targets], [row.tolist() for row in stars])
    ours = measure_liking(items, judged, Scale(0.0, 5.0, 4.0, 2.0), N_ITEMS, [k])
    run = {
        f"u{user:03}": {str(item): float(DEPTH - rank) for rank, item in enumerate(row)}
        for user, row in enumerate(items)
    }
    for name, theirs, grade in (
        ("graded-ndcg", "ndcg_burges", lambda value: int(value)),
        ("liked-ndcg", "ndcg", lambda value: int(value >= 4)),
        ("disliked-ndcg", "ndcg", lambda value: int(value <= 2)),
    ):
        qrels = {
            f"u{user:03}": {str(item): grade(value) for item, value in zip(row, values, strict=True) if grade(value)}
            for user, (row, values) in enumerate(zip(targets, stars, strict=True))
        }
        known = [user for user, row in qrels.items() if row]
        theirs_run = ranx.Run({user: run[user] for user in known})
        ranx.evaluate(ranx.Qrels({user: qrels[user] for user in known}), theirs_run, [f"{theirs}@{k}"])
        expected = np.array([theirs_run.scores[f"{theirs}@{k}"].get(user, np.nan) for user in qrels])
        np.testing.assert_allclose(ours[f"{name}@{k}"], expected, rtol=0, atol=1e-9, err_msg=name)
