"""What a fitted model costs to keep and to ask: the size of what it learned, and the time of one list."""

from time import perf_counter
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.histories import Histories
from matinee.models.base import Recommender
from matinee.ranking.rank import rank

MOST_LISTS, MOST_SECONDS = 100, 1.0
"""Lists are timed until there are so many, or for so long."""
WARM_UP = 3
"""Lists that are made first and not timed."""


def measure_cost(model: Recommender[Any], split: Split, config: EvaluationConfig) -> dict[str, float]:
    """The cost of a model: size_mb (10^6 bytes of what it learned), and milliseconds of a list of 10, one at a time.

    latency_p50_ms and latency_p95_ms: of `lists` lists, of users at even steps among those with inputs.
    """
    size = sum(_bytes(getattr(model, name)) for name in model.learned) / 1e6
    inputs = split.inputs(config.on, config.inputs)
    users = np.unique(inputs.user_rows)
    drawn = users[np.linspace(0, len(users) - 1, min(len(users), MOST_LISTS + WARM_UP)).astype(int)]
    histories = Histories.from_events(inputs, drawn)
    times: list[float] = []
    started = perf_counter()
    for index in range(len(histories)):
        asked = perf_counter()
        rank(model, histories.take(np.array([index])), 10)
        times.append(perf_counter() - asked)
        if len(times) > WARM_UP and perf_counter() - started > MOST_SECONDS:
            break
    timed = np.array(times[WARM_UP:] or times) * 1000
    p50, p95 = np.quantile(timed, [0.5, 0.95])
    return {"size_mb": size, "latency_p50_ms": float(p50), "latency_p95_ms": float(p95), "lists": len(timed)}


def _bytes(learned: object) -> int:
    """Bytes of a learned attribute: an array, a sparse matrix, or a plain value."""
    if isinstance(learned, csr_array):
        return sum(int(part.nbytes) for part in (learned.data, learned.indices, learned.indptr))
    return int(learned.nbytes) if isinstance(learned, np.ndarray) else 8
