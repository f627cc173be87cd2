"""Gradient descent for the epoch loop: named parameters, Adam, and the losses of one epoch. Also dropout."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from matinee.training.adam import Adam
from matinee.training.configs import GradientConfig
from matinee.training.divergence import require_step
from matinee.training.share import ALONE, Share
from matinee.training.transfers import to_array, to_numbers

if TYPE_CHECKING:
    from matinee.training.run import Run

STEPS_UNCHECKED = 256
"""On an accelerator, steps between two looks at their losses: each look waits for the device."""


class TorchTrainer:
    """A Trainer: `losses()` yields one loss per step, and its gradient is applied before the next.

    parameters: leaf tensors by name, all on one device; buffers: other tensors that training changes in place;
    generator: torch's random generator, if the losses use one; learned: returns the model's learned attributes; decay:
    Adam's weight decay; share: that of the run, for models whose losses are of a share of each batch.
    """

    def __init__(  # noqa: PLR0913 - one for each thing that training reads or changes
        self,
        parameters: Mapping[str, Tensor],
        losses: Callable[[], Iterable[Tensor]],
        learned: Callable[[], Mapping[str, Any]],
        config: GradientConfig,
        *,
        decay: float = 0.0,
        buffers: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
        share: Share = ALONE,
    ) -> None:
        self.parameters = {name: tensor.requires_grad_() for name, tensor in parameters.items()}
        self.buffers = dict(buffers or {})
        self.generator = generator
        self.learned = torch.no_grad()(learned)
        self._losses = losses
        self._share = share
        self._clip_norm = config.clip_norm
        self._learning_rate = config.learning_rate
        self._first_loss: float | None = None
        self.optimizer = Adam(self.parameters, config.learning_rate, decay)

    def epoch(self, rate: float) -> dict[str, float]:
        """See Trainer. The loss is the mean over steps."""
        self.optimizer.learning_rate = self._learning_rate * rate
        values: list[float] = []
        unchecked: list[Tensor] = []
        most = 1 if self._on_cpu else STEPS_UNCHECKED
        for loss in self._losses():
            unchecked.append(self._find_gradients(loss))
            if len(unchecked) == most:
                self._check(unchecked, values)
            self._step()
        if unchecked:
            self._check(unchecked, values)
        return {"loss": float(np.mean(values)) if values else 0.0}

    @property
    def _on_cpu(self) -> bool:
        return all(tensor.device.type == "cpu" for tensor in self.parameters.values())

    def _check(self, unchecked: list[Tensor], values: list[float]) -> None:
        """Move losses to the values of the epoch's steps. Raises DivergenceError for one that is of no use."""
        for value in to_numbers(unchecked):
            self._first_loss = value if self._first_loss is None else self._first_loss
            require_step(len(values) + 1, value, self._first_loss)
            values.append(value)
        unchecked.clear()

    def _find_gradients(self, loss: Tensor) -> Tensor:
        """Returns the loss, as the gradients the mean over all processes of the run."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        return self._share.average([each.grad for each in self.parameters.values()], loss.detach())

    def _step(self) -> None:
        if self._clip_norm:
            torch.nn.utils.clip_grad_norm_(self.parameters.values(), self._clip_norm)
        self.optimizer.step()

    def state(self) -> dict[str, NDArray[Any]]:
        """See Trainer."""
        state = {f"parameter.{name}": to_array(tensor) for name, tensor in self.parameters.items()}
        state |= {f"buffer.{name}": to_array(tensor) for name, tensor in self.buffers.items()}
        for name, kept in self.optimizer.state.items():
            for key, value in kept.items():
                state[f"optimizer.{key}.{name}"] = to_array(value)
        if self.generator is not None:
            state["generator"] = to_array(self.generator.get_state())
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """See Trainer. The state may be of another device; its random generator is then seeded from that state."""
        self.optimizer.state.clear()
        for key, value in state.items():
            kind, _, name = key.partition(".")
            tensor = torch.from_numpy(np.array(value))
            if kind == "parameter":
                self.parameters[name].data.copy_(tensor)
            elif kind == "buffer":
                self.buffers[name].data.copy_(tensor)
            elif kind == "optimizer":
                moment, _, parameter = name.partition(".")
                kept = self.optimizer.state.setdefault(parameter, {})
                kept[moment] = tensor.to(self.parameters[parameter].device)
            elif self.generator is not None:
                self._restore_generator(tensor)

    def _restore_generator(self, state: Tensor) -> None:
        """Generators of different devices are different algorithms: a state of one has no meaning for another."""
        assert self.generator is not None
        if len(state) == len(self.generator.get_state()):
            self.generator.set_state(state)
        else:
            self.generator.manual_seed(int.from_bytes(blake2b(state.numpy().tobytes(), digest_size=7).digest()))


new_generator = torch.Generator


def torch_generator(run: "Run") -> torch.Generator:
    """A torch generator on the run's device, seeded by one draw from run.rng."""
    return new_generator(run.device).manual_seed(int(run.rng.integers(2**63)))


def seeded_dropout(values: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Dropout with a generator of its own: zero with probability `rate`, else divide by 1 - rate. Any shape."""
    if rate == 0:
        return values
    kept = torch.empty_like(values).bernoulli_(1 - rate, generator=generator)
    return values * kept.mul_(1 / (1 - rate))


def fast_dropout(values: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Dropout from one random byte per value, so `rate` is rounded to 1/256. Any shape."""
    threshold = round(256 * rate)
    if threshold == 0:
        return values
    words = torch.empty(values.numel() // 8 + 1, dtype=torch.int64, device=values.device)
    words.random_(-(2**63), None, generator=generator)
    kept = words.view(torch.uint8)[: values.numel()].view(values.shape) >= threshold
    return values * kept.to(values.dtype).mul_(256 / (256 - threshold))


def bf16_products(device: torch.device, is_wanted: bool) -> AbstractContextManager[Any]:
    """Matrix products in bfloat16 while it is open, where that is wanted."""
    return torch.autocast(device.type, torch.bfloat16) if is_wanted else nullcontext()
