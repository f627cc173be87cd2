"""Processes beside this one: how many threads they use, and that they end with it."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that numeric libraries read when they are loaded."""


def n_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def threads_of_children(n_threads: int) -> Iterator[None]:
    """Processes that start inside use so many threads each; a variable that is set already stays.

    They never see Ctrl+C, so none dies of it with a trace while it imports.
    """
    added = {name: str(n_threads) for name in THREADS if name not in os.environ}
    os.environ |= added
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for name in added:
            del os.environ[name]


def settle_child() -> None:
    """In a process that this one started: Ctrl+C is for the parent, and a parent that is killed takes it along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
