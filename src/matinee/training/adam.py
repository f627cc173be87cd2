"""Adam as torch's fused kernel, without torch.optim, whose first step imports a compiler that nothing here uses."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

BETAS, EPSILON = (0.9, 0.999), 1e-8


class Adam:
    """Steps of Adam (Kingma and Ba 2015, algorithm 1) with weight decay as an L2 gradient: bit for bit torch's own.

    learning_rate: of the next step, times a parameter's own factor where `factors` has one by its name; state: of each
    parameter that has had a gradient, by name: `step`, `exp_avg` and `exp_avg_sq`, as torch calls them.
    """

    def __init__(self, parameters: Mapping[str, Tensor], learning_rate: float, decay: float = 0.0) -> None:
        self.parameters = parameters
        self.learning_rate, self.decay = learning_rate, decay
        self.factors: dict[str, float] = {}
        self.state: dict[str, dict[str, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for tensor in self.parameters.values():
            tensor.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        names = [name for name, tensor in self.parameters.items() if tensor.grad is not None]
        for name in names:
            if name not in self.state:
                self.state[name] = _fresh(self.parameters[name])
        for factor in dict.fromkeys(self.factors.get(name, 1.0) for name in names):
            self._step([name for name in names if self.factors.get(name, 1.0) == factor], self.learning_rate * factor)

    def _step(self, names: list[str], learning_rate: float) -> None:
        tensors = [self.parameters[name] for name in names]
        kept = {key: [self.state[name][key] for name in names] for key in ("exp_avg", "exp_avg_sq", "step")}
        gradients = [tensor.grad for tensor in tensors if tensor.grad is not None]
        settings: dict[str, Any] = {
            "lr": learning_rate, "beta1": BETAS[0], "beta2": BETAS[1], "weight_decay": self.decay, "eps": EPSILON,
            "amsgrad": False, "maximize": False, "grad_scale": None, "found_inf": None,
        }  # fmt: skip
        torch._foreach_add_(kept["step"], 1)
        torch._fused_adam_(tensors, gradients, kept["exp_avg"], kept["exp_avg_sq"], [], kept["step"], **settings)


def _fresh(parameter: Tensor) -> dict[str, Tensor]:
    """The state of a parameter before its first step."""
    moments = {
        key: torch.zeros_like(parameter, memory_format=torch.preserve_format) for key in ("exp_avg", "exp_avg_sq")
    }
    return {"step": torch.zeros((), dtype=torch.float32, device=parameter.device), **moments}
