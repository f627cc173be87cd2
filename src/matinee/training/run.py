"""What surrounds a fit: random numbers, device, memory, progress and checkpoints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.training.share import ALONE, Share

OnEpoch = Callable[[int, int, dict[str, float]], None]
"""Called after each epoch as (epoch, epochs, metrics of this epoch)."""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a fit needs that is neither a hyper-parameter nor data.

    rng: the only source of randomness; device: where torch keeps its tensors, one that is there (`resolve_device`);
    on_epoch: reports progress;
    validation: the metric that early stopping monitors, higher is better; memory: bytes a fit may use, None asks the
    machine; checkpoint: the file that training in epochs saves its state to, at most every `checkpoint_seconds`;
    resume: continue from that file if it exists; start: values to start training from, by the name of the parameter,
    NaN where the model initialises, as for new items; share: which of several processes this is that train together.
    """

    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(42))
    device: str = "cpu"
    on_epoch: OnEpoch | None = None
    validation: Callable[[Any], float] | None = None
    memory: int | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 10.0
    resume: bool = False
    start: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    share: Share = ALONE

    @classmethod
    def seeded(cls, seed: int, on_epoch: OnEpoch | None = None, device: str = "cpu") -> "Run":
        """A run whose random numbers follow from one seed."""
        return cls(rng=np.random.default_rng(seed), device=device, on_epoch=on_epoch)
