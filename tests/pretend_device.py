"""An accelerator that is pretended on the CPU: its tensors cannot be read or mixed with the host's unless copied.

torch takes a device `meta` everywhere, and tensors there have no values. Here they have: each wraps a tensor of the
CPU, on which every operation is done. So what a model learns is right, and what a GPU would refuse or wait for is seen:
an operation over tensors of both sides fails, and so does reading a tensor as an array; each copy either way, and each
wait of the host for a number (`item`, `bool`, a mask as an index) is counted, by the line of this package that asks.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
SOURCE = str(Path(__file__).resolve().parents[1] / "src")
READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal", "aten::is_nonzero"}
"""Operations whose result the host must see: its value, or its size."""


class Elsewhere(torch.Tensor):
    """A tensor of the pretended device. `here` holds its values."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> "Elsewhere":
        """A wrapper of the same shape and type."""
        layout = {}  # a sparse one looks dense: nobody asks
        if here.layout == torch.strided:
            layout = {"strides": here.stride(), "storage_offset": here.storage_offset()}
        return torch.Tensor._make_wrapper_subclass(cls, here.size(), dtype=here.dtype, device=DEVICE, **layout)

    def __init__(self, here: torch.Tensor) -> None:
        self.here = here

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Only within `PretendDevice`, which takes every operation before."""
        raise AssertionError(f"{function} outside of the pretended device")


class Generator(torch.Generator):
    """A generator of the pretended device, with the CPU's numbers."""

    device = DEVICE


class PretendDevice(TorchDispatchMode):
    """Runs torch with the pretended device. copies, waits: how often, by the line that asked."""

    def __init__(self) -> None:
        super().__init__()
        self.to_device: Counter[str] = Counter()
        self.to_host: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do an operation on the CPU, and put its results where its inputs are."""
        kwargs = dict(kwargs or {})
        name = function.name().partition(".")[0]
        tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
        away = [each for each in tensors if isinstance(each, Elsewhere)]
        asked = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        if name == "aten::_to_copy" and asked is not None:
            return self._copy(function, args, kwargs, asked)
        if not away and asked != DEVICE:
            return function(*args, **kwargs)
        stray = [each for each in tensors if not isinstance(each, Elsewhere) and each.dim() > 0]
        if away and stray:
            raise AssertionError(f"{name} over tensors of two devices, in {_line()}")
        if name in READS or (name in ("aten::index", "aten::index_put_", "aten::index_put") and _has_mask(args[1])):
            self.waits[_line()] += 1
        if asked == DEVICE:
            kwargs["device"] = torch.device("cpu")
        kwargs.pop("pin_memory", None)
        result = function(*tree_map(_here, args), **tree_map(_here, kwargs))
        return _as_inputs(result, away)

    def _copy(self, function: Any, args: Any, kwargs: Any, asked: torch.device) -> Any:
        source = args[0]
        kwargs["device"], kwargs["non_blocking"] = torch.device("cpu"), False
        moved = function(_here(source), *args[1:], **kwargs)
        if isinstance(source, Elsewhere) == (asked == DEVICE):
            return Elsewhere(moved) if asked == DEVICE else moved
        counts = self.to_device if asked == DEVICE else self.to_host
        counts[_line()] += 1
        return Elsewhere(moved.clone()) if asked == DEVICE else moved


def _here(value: Any) -> Any:
    return value.here if isinstance(value, Elsewhere) else value


def _has_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def _as_inputs(result: Any, inputs: list[Elsewhere]) -> Any:
    """Results as tensors of the device; one that an operation has changed in place is the input itself."""
    known = {id(each.here): each for each in inputs}

    def wrap(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return known[id(value)] if id(value) in known else Elsewhere(value)

    return tree_map(wrap, result)


def _line() -> str:
    """The module and function of this package, or else of a test, that the operation comes from."""
    frame = sys._getframe(2)
    while frame.f_back and (not frame.f_code.co_filename.startswith(SOURCE) or "transfers" in frame.f_code.co_filename):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}"


@contextmanager
def pretended(patch: pytest.MonkeyPatch) -> Iterator[PretendDevice]:
    """While it is open, models whose run names the device `meta` train on it."""
    from matinee.training import torch_trainer

    def generator(device: Any = "cpu") -> torch.Generator:
        return Generator() if torch.device(device) == DEVICE else torch.Generator(device)

    patch.setattr(torch_trainer, "new_generator", generator)
    with PretendDevice() as device:
        yield device
