"""The circumstances of a fit: randomness, device, threads, progress and checkpoints."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

OnEpoch = Callable[[int, int, dict[str, float]], None]
"""Called as (epoch, epochs, figures of this epoch)."""


@dataclass(frozen=True, slots=True)
class Run:
    """The circumstances of a fit, apart from what is fitted.

    rng: the only source of chance; device: where tensors live; threads: None leaves it to the library;
    on_epoch: told of progress; validation: the metric that early stopping watches, higher is better;
    memory: bytes that a fit may use, None asks the machine; checkpoint: the file that a fit by epochs writes what it
    needs to go on to, every so many seconds, and with `resume` goes on from.
    """

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(42))
    device: str = "cpu"
    threads: int | None = None
    on_epoch: OnEpoch | None = None
    validation: Callable[[Any], float] | None = None
    memory: int | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 10.0
    resume: bool = False

    @classmethod
    def seeded(cls, seed: int, on_epoch: OnEpoch | None = None) -> "Run":
        """A run whose chance comes from one seed."""
        return cls(rng=np.random.default_rng(seed), on_epoch=on_epoch)
