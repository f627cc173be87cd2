"""Processes that train one model together: each on its share of a batch, with the mean of their gradients."""

import pickle
import re
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed
from torch import Tensor

from matinee.training.share import RankLostError, Share

T = TypeVar("T")
distributed: Any = torch.distributed
"""Its types name little of what it has."""
JOINING = timedelta(seconds=180)
"""For all processes to come together: each has to start and to import torch."""
WAITING = timedelta(minutes=30)
"""For one that does something else, such as to validate. A process that ends is noticed at once."""


class Meeting(NamedTuple):
    """Where n processes find each other: a port at an address, or on one machine a file."""

    n: int
    address: str
    port: int = 0
    path: str = ""

    @classmethod
    def open(cls, n: int, host: str, path: Path) -> "tuple[Meeting, Any]":
        """By process 0: a meeting, and its table of addresses. host: this machine in a cluster; empty: no others."""
        if not host:
            here = cls(n, "127.0.0.1", path=str(path))
            return here, here.store()
        store = distributed.TCPStore(host, 0, None, True, JOINING, wait_for_workers=False)
        return cls(n, host, store.port), store

    def store(self) -> Any:  # noqa: ANN401 - a store of torch
        """The table through which they exchange addresses."""
        if self.path:
            return distributed.FileStore(self.path, self.n)
        return distributed.TCPStore(self.address, self.port, None, False, JOINING, wait_for_workers=False)


class Ranks(Share):
    """One of several processes that exchange gradients by gloo. Raises RankLostError where another does not answer."""

    def __init__(self, rank: int, meeting: Meeting, store: Any = None) -> None:  # noqa: ANN401 - a store of torch
        self.rank, self.n = rank, meeting.n
        self._store = _answered(meeting.store) if store is None else store
        gloo = distributed.ProcessGroupGloo
        options = gloo._Options()
        options._devices = [gloo.create_device(hostname=_own_address(meeting))]
        options._timeout = WAITING
        self._store.set_timeout(JOINING)
        self._group = _answered(lambda: gloo(self._store, rank, meeting.n, options))

    def average(self, gradients: Sequence[Tensor | None], loss: Tensor) -> Tensor:
        """See Share. All in one exchange."""
        present = [each for each in gradients if each is not None]
        flat = torch.cat([each.flatten() for each in present] + [loss.detach().reshape(1)])
        _answered(lambda: self._group.allreduce([flat]).wait())
        flat /= self.n
        start = 0
        for each in present:
            each.copy_(flat[start : start + each.numel()].view_as(each))
            start += each.numel()
        return flat[-1]

    def agree(self, value: T) -> T:
        """See Share."""
        pickled = torch.from_numpy(np.frombuffer(pickle.dumps(value), dtype=np.uint8).copy())
        length = torch.tensor([len(pickled)])
        _answered(lambda: self._group.broadcast(length, 0).wait())
        if self.rank:
            pickled = torch.empty(int(length), dtype=torch.uint8)
        _answered(lambda: self._group.broadcast(pickled, 0).wait())
        agreed: T = pickle.loads(pickled.numpy().tobytes())  # noqa: S301 - from the process that started this one
        return agreed


def _answered(exchange: Callable[[], T]) -> T:
    try:
        return exchange()
    except RuntimeError as error:
        why = re.sub(r"^\[\S+\] ", "", str(error).splitlines()[0]).partition(". ")[0]  # without gloo's file and advice
        raise RankLostError(f"a process of the fit does not answer: {why}") from None


def _own_address(meeting: Meeting) -> str:
    """The address of this machine in the network of the meeting; nothing is sent to find it."""
    if meeting.path:
        return meeting.address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((meeting.address, meeting.port))
        return str(probe.getsockname()[0])
