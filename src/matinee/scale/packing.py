"""A job as bytes: a small pickle, and the memory of its arrays, which workers map without a copy."""

import pickle
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: object) -> Any:  # noqa: ANN401 - as pickle has it
        """Arrays of a mapped file are pickled as plain ones: numpy copies those of its subclasses into the pickle."""
        return np.asarray(value).__reduce_ex__(5) if isinstance(value, np.memmap) else NotImplemented


def pack(job: object) -> tuple[bytes, list[memoryview]]:
    """A job as a pickle and the memory of its arrays, not copied."""
    buffers: list[pickle.PickleBuffer] = []
    file = BytesIO()
    _Pickler(file, protocol=5, buffer_callback=buffers.append).dump(job)
    return file.getvalue(), [buffer.raw() for buffer in buffers]


def unpack(pickled: bytes, buffers: Sequence[Any]) -> Any:  # noqa: ANN401 - any job
    """A job whose arrays lie in the given memory, read-only if that is."""
    return pickle.loads(pickled, buffers=buffers)  # noqa: S301 - packed by this process's parent or driver
