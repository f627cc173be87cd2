"""The recurrence of a GRU over packed steps, its gradient written out: one product a step each way, no more."""

from typing import Any

import torch
from torch import Tensor


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913
        ctx: Any,  # noqa: ANN401
        inputs: Tensor,
        weights: Tensor,
        bias: Tensor,
        first: Tensor,
        begins: Tensor | None,
        sizes: list[int],
        half: bool,
    ) -> Tensor:
        dtype = torch.bfloat16 if half else torch.float32
        n, width = inputs.shape[0], weights.shape[0]
        recurrent, offsets = weights.to(dtype), bias.to(dtype)
        states, before = torch.empty((n, width)), torch.empty((n, width))
        gates, heard = torch.empty((n, 2 * width)), torch.empty((n, width))  # r and z; h W_n + b_n
        news = torch.empty((n, width))
        state, start = first, 0
        for size in sizes:
            step = slice(start, start + size)
            previous = torch.mul(state[:size], 1, out=before[step])
            if begins is not None:
                previous.masked_fill_(begins[step, None], 0.0)
            told = torch.addmm(offsets, previous.to(dtype), recurrent).float()  # [b, 3H]
            reset_update = torch.add(inputs[step, : 2 * width], told[:, : 2 * width], out=gates[step]).sigmoid_()
            heard[step] = told[:, 2 * width :]
            new = torch.addcmul(
                inputs[step, 2 * width :], reset_update[:, :width], told[:, 2 * width :], out=news[step]
            ).tanh_()
            state = torch.lerp(new, previous, reset_update[:, width:], out=states[step])
            start += size
        ctx.save_for_backward(recurrent, before, gates, heard, news)
        ctx.begins, ctx.sizes, ctx.dtype = begins, sizes, dtype
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        recurrent, before, gates, heard, news = ctx.saved_tensors
        width = news.shape[1]
        resets, updates = gates[:, :width], gates[:, width:]
        by_new = (1 - updates) * (1 - news * news)  # [P, H]: d state / d (argument of tanh)
        factors = torch.empty((len(news), 3, width))  # d state / d (each part of h W + b)
        torch.mul(by_new * heard, resets * (1 - resets), out=factors[:, 0])
        torch.mul(before - news, updates * (1 - updates), out=factors[:, 1])
        torch.mul(by_new, resets, out=factors[:, 2])
        by_told = torch.empty_like(factors)
        by_state = gradients[0].clone()  # [P, H]
        transposed, later = recurrent.T.contiguous(), torch.zeros((0, width))
        start = len(news)
        for size in reversed(ctx.sizes):
            start -= size
            step = slice(start, start + size)
            total = by_state[step]
            total[: len(later)] += later
            told = torch.mul(total[:, None], factors[step], out=by_told[step]).view(size, 3 * width)
            later = torch.addcmul((told.to(ctx.dtype) @ transposed).float(), total, updates[step])
            if ctx.begins is not None:
                later.masked_fill_(ctx.begins[step, None], 0.0)
        by_inputs = by_told.view(-1, 3 * width).clone()
        torch.mul(by_state, by_new, out=by_inputs[:, 2 * width :])
        flat = by_told.view(-1, 3 * width)
        by_weights = (before.to(ctx.dtype).T @ flat.to(ctx.dtype)).float()
        return by_inputs, by_weights, flat.sum(dim=0), None, None, None, None


def recurrence(
    inputs: Tensor,
    weights: Tensor,
    bias: Tensor,
    sizes: list[int],
    *,
    first: Tensor | None = None,
    begins: Tensor | None = None,
    half: bool = False,
) -> Tensor:
    """The states of a GRU. inputs [P, 3H] = x W + b by step, rows that go on first; weights [H, 3H], bias [3H].

    In each third: reset, update, new, as h' = (1 - z) n + z h with n = tanh(x_n + r (h W_n + b_n)), r and z sigmoid
    (Cho et al. 2014, with the bias inside as cuDNN has it). sizes [T]: rows of each step, never more than of the one
    before; first [sizes[0], H]: the state to begin with, zero by default, through which no gradient goes; begins [P]:
    where a row starts anew; half: products in bfloat16. Returns [P, H].
    """
    start = torch.zeros((sizes[0], weights.shape[0])) if first is None else first
    states: Tensor = _Recurrence.apply(inputs, weights, bias, start, begins, sizes, half)  # type: ignore[no-untyped-call]
    return states
