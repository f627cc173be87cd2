"""A job as bytes: a small pickle, and the memory of its arrays, which workers map without a copy."""

import pickle
from collections.abc import Sequence
from typing import Any


def pack(job: object) -> tuple[bytes, list[memoryview]]:
    """A job as a pickle and the memory of its arrays, not copied."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(job, protocol=5, buffer_callback=buffers.append)
    return pickled, [buffer.raw() for buffer in buffers]


def unpack(pickled: bytes, buffers: Sequence[Any]) -> Any:  # noqa: ANN401 - any job
    """A job whose arrays lie in the given memory, read-only if that is."""
    return pickle.loads(pickled, buffers=buffers)  # noqa: S301 - packed by this process's parent or driver
