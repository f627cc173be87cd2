"""Memory that this process can still get: asked before a work whose need is known; its bound; and what it keeps."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matinee.errors import MatineeError, UsageError

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
UNLIMITED = 2**60
"""Limits from here on mean none: cgroups write a number near 2^63."""
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings, in malloc.h."""
LARGEST_KEPT, FREE_AT_REST, FREE_IN_WORK = 2**25, 2**26, 2**30
"""Bytes: of a block that is not mapped by itself (glibc allows no more), and of free memory that the process keeps:
what glibc comes to by itself for such blocks, and while a work repeats its allocations."""
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
LEAST_BOUND = 10**8
"""Bytes: less than the libraries need alone."""


def require_memory(needed: int, what: str, fix: str, available: int | None = None) -> None:
    """Raises MatineeError without `needed` free bytes. available: None asks the machine; fix: what to do instead."""
    available = available_memory() if available is None else available
    if available is not None and needed > available:
        bound = f" within the bound of {size(_bounds[-1])}" if _bounds else ""
        raise MatineeError(
            f"not enough memory: {what} needs {size(needed)} and {size(available)} are free{bound}; {fix}"
        )


def parse_size(text: str | int) -> int:
    """Bytes of `4GB` (10^9 each), `512 MiB` (2^20 each), or a number of bytes.

    Raises UsageError for anything else, and for less than the libraries need alone.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?", str(text).strip(), re.IGNORECASE)
    if found is None or found[2].upper() not in UNITS:
        raise UsageError(f"memory = {text!r} is not a size; write 4GB or 500MB")
    n_bytes = int(float(found[1]) * UNITS[found[2].upper()])
    if n_bytes < LEAST_BOUND:
        raise UsageError(f"memory = {text!r} is less than the libraries need alone; write {size(LEAST_BOUND)} or more")
    return n_bytes


@contextmanager
def bounded(n_bytes: int | None) -> Iterator[None]:
    """While it is open, this process holds no more memory than `n_bytes`, what it holds already included.

    A work whose need is known and larger is refused before it starts. Where the system can limit a process (Linux), an
    allocation beyond the bound fails, as it does on a machine with no more. None: no bound.
    """
    if n_bytes is None:
        yield
        return
    _bounds.append(n_bytes)
    try:
        with _limited_data(n_bytes):
            yield
    finally:
        _bounds.pop()


def resident_memory() -> int | None:
    """Bytes that this process holds, None where the system does not say.

    Pages of mapped files, those of libraries among them, are cache: the system takes them where memory is wanted.
    """
    pages = _pages()
    return (pages[1] - pages[2]) * os.sysconf("SC_PAGE_SIZE") if pages else None


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


_bounds: list[int] = []
"""Those that are open, the innermost last."""


@contextmanager
def _limited_data(n_bytes: int) -> Iterator[None]:
    """A limit of the process's data segment. What is mapped and not held, such as stacks of threads, is not counted."""
    try:
        import resource
    except ImportError:  # Windows
        yield
        return
    pages = _pages()
    before = resource.getrlimit(resource.RLIMIT_DATA)
    if not pages:
        yield
        return
    limit = n_bytes + max(0, pages[5] - pages[1] + pages[2]) * os.sysconf("SC_PAGE_SIZE")
    if before[0] != resource.RLIM_INFINITY:
        limit = min(limit, before[0])
    resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _limits() -> Iterator[int]:
    held = resident_memory() if _bounds else None
    if held is not None:
        yield _bounds[-1] - held
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
    used = [part * os.sysconf("SC_PAGE_SIZE") for part in _pages()]
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
        lines = (line.split() for line in _lines(folder / "memory.stat"))
        yield int(most) - int(used) + sum(int(n) for name, n in lines if name in ("inactive_file", "active_file"))


def _pages() -> list[int]:
    """Of this process: the address space, what is held, mapped files of that, code, 0, data; empty if unknown."""
    return [int(part) for line in _lines(PROC / "self" / "statm") for part in line.split()]


def _lines(path: Path) -> list[str]:
    """The lines of a file of the system, none if it is not there."""
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
