"""Where torch trains, and on how many threads. Imports no torch: most commands need none."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matinee.errors import MatineeError, UsageError
from matinee.extras import is_installed, require

DEVICES = "cpu, cuda, cuda:1 (the second GPU), mps (Apple) or auto"
HOW_TO_GET_CUDA = "https://pytorch.org/get-started/locally"


def resolve_device(wanted: str) -> str:
    """The device that `cpu`, `cuda`, `cuda:N`, `mps` or `auto` (a GPU if there is one) means on this machine.

    Raises UsageError for any other word, and MatineeError for a device that is not there.
    """
    if not isinstance(wanted, str) or not re.fullmatch(r"cpu|mps|auto|cuda(:[0-9]{1,4})?", wanted):
        raise UsageError(f"device {wanted!r} is not known; use {DEVICES}")
    if wanted == "cpu" or (wanted == "auto" and not is_installed("torch")):
        return "cpu"
    require("torch", f"device {wanted} is found by torch")
    import torch

    missing = {"cuda": _missing_cuda(torch, 0), "mps": _missing_mps(torch)}
    if wanted == "auto":
        return next((name for name, problem in missing.items() if not problem), "cpu")
    kind, _, number = wanted.partition(":")
    problem = _missing_cuda(torch, int(number or 0)) if kind == "cuda" else missing["mps"]
    if problem:
        raise MatineeError(f"device {wanted} is not there: {problem}")
    return wanted


def _missing_cuda(torch: Any, number: int) -> str:  # noqa: ANN401 - a module
    """Why there is no GPU of this number; empty if there is."""
    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        return f"torch {torch.__version__} is built for the CPU; install one for GPUs ({HOW_TO_GET_CUDA}), or use cpu"
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no GPU (does nvidia-smi?); use cpu"
    n = torch.cuda.device_count()
    if number < n:
        return ""
    return f"this machine has {n} GPU{'s' if n > 1 else ''}, counted from cuda:0; use auto"


def _missing_mps(torch: Any) -> str:  # noqa: ANN401
    is_there = torch.backends.mps.is_available()
    return "" if is_there else "it is the GPU of Apple's processors, under macOS; use auto"


def name_of(device: str) -> str:
    """A resolved device in words, with the GPU's name."""
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"


@contextmanager
def thread_limit(threads: int | None, *, torch_trains: bool) -> Iterator[None]:
    """Limit the threads of numpy's and torch's products while it is open; None leaves them as they are.

    Raises UsageError for less than one.
    """
    if threads is None:
        yield
        return
    if threads < 1:
        raise UsageError(f"threads = {threads} is less than 1")
    from threadpoolctl import threadpool_limits

    if torch_trains:
        import torch

        before = torch.get_num_threads()
    with threadpool_limits(limits=threads):
        if torch_trains:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if torch_trains:
                torch.set_num_threads(before)
