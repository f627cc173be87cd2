"""The self-test of a version: the best items of a few histories, stored with it, and found again where it is loaded."""

from typing import Any

import numpy as np

from matinee.arrays import top_k
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.store.artefact import Artefact

N_HISTORIES, LONGEST, N_ITEMS = 5, 20, 10
"""Histories of a self-test, events of each, and items listed for each."""
TOLERANCE = 1e-4
"""Of scores, relative to the largest of a list: other processors add in another order."""


def self_test_of(artefact: Artefact) -> list[dict[str, Any]]:
    """The best items of a few known users' last events, with scores, ready for JSON. Seen items are not left out."""
    users = np.unique(artefact.known.events.user_rows)
    if not len(users):
        return []
    chosen = users[np.unique(np.linspace(0, len(users) - 1, N_HISTORIES).astype(np.int64))]
    known = artefact.known.of_rows(chosen)
    from_end = known.starts[1:][known.owners] - np.arange(len(known.items))
    known = known.keep(from_end <= LONGEST)
    rows, scores = _best(artefact, _as_visitors(known))
    return [
        {
            "history": [artefact.items.id(row) for row in part.items.tolist()],
            "values": [value if np.isfinite(value) else None for value in part.values.tolist()],
            "times": part.times.tolist(),
            "items": [artefact.items.id(row) for row in rows[user].tolist()],
            "scores": scores[user].astype(np.float64).tolist(),
        }
        for user in range(len(known))
        for part in [known.block(user, user + 1)]
    ]


def require_self_test(artefact: Artefact, stored: list[dict[str, Any]]) -> None:
    """Raises MatineeError unless an artefact lists what it listed when its version was made."""
    for one in stored:
        history = Histories.of(
            [artefact.items.rows(one["history"]).tolist()],
            [[np.nan if value is None else value for value in one["values"]]],
        )
        if len(history.items) != len(one["history"]):
            raise _failed(artefact, "an item of its histories is missing")
        times = np.array(one["times"], dtype=np.int64)
        history = Histories(history.starts, history.items, history.values, times, history.user_rows)
        rows, scores = _best(artefact, history)
        found = dict(zip([artefact.items.id(row) for row in rows[0].tolist()], scores[0].tolist(), strict=True))
        if not _are_equal(found, dict(zip(one["items"], one["scores"], strict=True))):
            raise _failed(
                artefact, f"it lists {', '.join(map(str, found))} in place of {', '.join(map(str, one['items']))}"
            )


def _are_equal(found: dict[Any, float], wanted: dict[Any, float]) -> bool:
    """Whether two lists are equal, but for the order of items whose scores are: those may change their order."""
    if len(found) != len(wanted):
        return False
    scores = np.array([list(found.values()), list(wanted.values())])
    room = TOLERANCE * max(float(np.abs(scores).max(initial=0)), 1e-6)
    last = min(wanted.values(), default=0.0)
    moved = [abs(found.get(item, last) - score) for item, score in wanted.items()]
    return bool((np.abs(scores[0] - scores[1]) <= room).all()) and max(moved, default=0.0) <= room


def _best(artefact: Artefact, histories: Histories) -> tuple[Any, Any]:
    model = artefact.model
    return top_k(model.score(model.state_of(histories)), min(N_ITEMS, len(artefact.items)))


def _as_visitors(known: Histories) -> Histories:
    """The histories of people whom no model has stored."""
    unknown = np.full(len(known), -1, dtype=np.int32)
    return Histories(known.starts, known.items, known.values, known.times, unknown)


def _failed(artefact: Artefact, why: str) -> MatineeError:
    return MatineeError(f"artefact {artefact.path} fails its self-test: {why}; make the version again")
