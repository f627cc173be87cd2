"""Memory that this process can still get: asked before a work whose need is known; and what it keeps while it works."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matinee.errors import MatineeError

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
UNLIMITED = 2**60
"""Limits from here on mean none: cgroups write a number near 2^63."""
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings, in malloc.h."""
LARGEST_KEPT, FREE_AT_REST, FREE_IN_WORK = 2**25, 2**26, 2**30
"""Bytes: of a block that is not mapped by itself (glibc allows no more), and of free memory that the process keeps:
what glibc comes to by itself for such blocks, and while a work repeats its allocations."""


def require_memory(needed: int, what: str, fix: str, available: int | None = None) -> None:
    """Raises MatineeError without `needed` free bytes. available: None asks the machine; fix: what to do instead."""
    available = available_memory() if available is None else available
    if available is not None and needed > available:
        raise MatineeError(f"not enough memory: {what} needs {size(needed)} and {size(available)} are free; {fix}")


def available_memory() -> int | None:
    """Bytes that can be allocated without swapping, None where the system does not say.

    The least of what is free in the machine, in the container, and under the limits of the process (ulimit).
    """
    return min((max(0, each) for each in _limits()), default=None)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """While it is open, memory that is freed stays with the process; then it goes back to the system.

    Each step of a training frees and allocates the same arrays. glibc gives large ones back each time, and the kernel
    clears their pages again: up to half of the time. Without glibc nothing is done.
    """
    libc = ctypes.CDLL(None) if os.name == "posix" else None
    is_glibc = hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim")
    if libc is None or not is_glibc:
        yield
        return
    libc.mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
    libc.mallopt(TRIM_THRESHOLD, FREE_IN_WORK)
    try:
        yield
    finally:
        libc.mallopt(TRIM_THRESHOLD, FREE_AT_REST)
        libc.malloc_trim(0)


def size(n_bytes: int) -> str:
    """`1.9 GB`, `120 MB`: 10^9 and 10^6 bytes."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def _limits() -> Iterator[int]:
    for line in _lines(PROC / "meminfo"):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024
    yield from _limits_of_process()
    yield from _limits_of_container()


def _limits_of_process() -> Iterator[int]:
    """What is left of the address space and of the data segment."""
    try:
        import resource
    except ImportError:  # Windows
        return
    used = [int(part) * os.sysconf("SC_PAGE_SIZE") for line in _lines(PROC / "self" / "statm") for part in line.split()]
    for limit, pages in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY and used:
            yield most - used[pages]


def _limits_of_container() -> Iterator[int]:
    """What is left in the control groups of this process, version 2 and 1, and those above them."""
    for line in _lines(PROC / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = CGROUPS, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            root, names = CGROUPS / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        folder = root / path.strip("/")
        for each in (folder, *folder.parents):
            if each.is_relative_to(root):
                yield from _left_in_group(each, *names)


def _left_in_group(folder: Path, limit: str, usage: str) -> Iterator[int]:
    """The limit of a control group less what its processes use; the page cache, which gives way, is not counted."""
    most, used = (next(iter(_lines(folder / name)), "") for name in (limit, usage))
    if most.isdecimal() and used.isdecimal() and int(most) < UNLIMITED:
        cache = (line.split()[1] for line in _lines(folder / "memory.stat") if line.startswith("inactive_file "))
        yield int(most) - int(used) + int(next(cache, "0"))


def _lines(path: Path) -> list[str]:
    """The lines of a file of the system, none if it is not there."""
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
