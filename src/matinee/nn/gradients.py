"""Functions whose gradient is written by hand, for autograd."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Gradients = tuple[Tensor | None, ...]


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, forward: Callable[..., Any], backward: Callable[..., Gradients], *inputs: object) -> Tensor:  # noqa: ANN401
        result: Tensor
        result, saved = forward(*inputs)
        ctx.gradients_of, ctx.n_inputs = backward, len(inputs)
        ctx.save_for_backward(*saved)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:  # noqa: ANN401
        found = ctx.gradients_of(gradients[0], *ctx.saved_tensors)
        return None, None, *found, *[None] * (ctx.n_inputs - len(found))


def with_gradient(
    forward: Callable[..., tuple[Tensor, Gradients]],
    backward: Callable[..., Gradients],
    *inputs: object,
) -> Tensor:
    """The result of `forward(*inputs)`, differentiated by `backward`.

    forward returns the result and the tensors (or None) that backward needs. `backward(gradient, *tensors)` returns
    the gradients of the first inputs, in order. The other inputs get none.
    """
    result: Tensor = _WithGradient.apply(forward, backward, *inputs)  # type: ignore[no-untyped-call]
    return result


def loss_with_gradients(forward: Callable[..., tuple[Tensor, tuple[Tensor, ...]]], *inputs: object) -> Tensor:
    """The loss of `forward(*inputs)`, which returns it with its gradients by the first inputs, in their order."""
    return with_gradient(forward, _scaled, *inputs)


def _scaled(outer: Tensor, *gradients: Tensor) -> Gradients:
    if outer.device.type == "cpu" and outer.item() == 1:  # the loss is the last step: no copies
        return gradients
    return tuple(outer * gradient for gradient in gradients)
