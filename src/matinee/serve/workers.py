"""Several processes that run one site from one socket, and the parent that keeps them alive.

Each worker is a fresh interpreter, so that no lock, thread or connection is shared; artefacts are memory-mapped, so
that what a model learned is in memory once. The kernel gives a connection to whichever worker accepts it first.
"""

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from math import ceil
from multiprocessing.connection import Connection, wait
from pathlib import Path

from matinee.errors import MatineeError
from matinee.serve import logs
from matinee.serve.http.server import SHUTDOWN_SECONDS, ServerSettings, address_of, listen
from matinee.serve.metrics import SHARED
from matinee.serve.options import SiteOptions

RESTART_SECONDS, LONGEST_RESTART_SECONDS = 0.5, 30.0
"""Before a worker that died is started again; twice as long each time it dies before it has answered."""
_SPAWN = multiprocessing.get_context("spawn")
_log = logging.getLogger("matinee")


@dataclass(frozen=True, slots=True)
class SiteTask:
    """What every worker serves."""

    artefacts: Sequence[Path]
    settings: ServerSettings
    db: str
    default: str | None
    options: SiteOptions


def serve_by_workers(task: SiteTask, on_ready: Callable[[str], None] | None = None) -> None:
    """Run the site in `task.settings.workers` processes until it is interrupted. on_ready: called when all answer.

    The first worker starts alone, so that what is wrong is said once. Raises MatineeError as `serve`.
    """
    n, settings = task.settings.workers, task.settings
    each = replace(task, settings=replace(settings, workers=1, max_connections=ceil(settings.max_connections / n)))
    with listen(settings.host, settings.port) as listener, _shared_counts():
        workers: list[_Worker] = []
        try:
            for _ in range(n):
                workers.append(_Worker(each, listener))
                workers[-1].wait_until_ready()
            if on_ready:
                on_ready(address_of(settings.host, listener, task.options.root_path))
            while True:
                wait([worker.process.sentinel for worker in workers if worker.process.is_alive()], RESTART_SECONDS)
                for worker in workers:
                    worker.revive()
        finally:
            _end(workers)


class _Worker:
    """A process that serves, and the next one if it dies."""

    def __init__(self, task: SiteTask, listener: socket.socket) -> None:
        self._task, self._listener = task, listener
        self._pause, self._again_at = RESTART_SECONDS, 0.0
        self._start()

    def wait_until_ready(self) -> None:
        """Wait until it answers. Raises MatineeError if it cannot."""
        wait([self._news, self.process.sentinel])
        self._listen()
        if self._said is None:
            self.process.join()
            raise MatineeError(f"a worker ended before it answered, with exit code {self.process.exitcode}")
        if self._said:
            raise MatineeError(self._said)

    def revive(self) -> None:
        """Start it again if it is dead, after a pause."""
        now = time.monotonic()
        if self.process.is_alive():
            return
        if not self._again_at:
            self._listen()
            self._pause = RESTART_SECONDS if self._said == "" else min(2 * self._pause, LONGEST_RESTART_SECONDS)
            self._again_at = now + self._pause
            why = self._said or f"exit code {self.process.exitcode}"
            _log.warning("worker %s ended (%s) and is started again in %g s", self.process.pid, why, self._pause)
            self._forget()
        elif now >= self._again_at:
            self._again_at = 0.0
            self._start()

    def _start(self) -> None:
        self._said: str | None = None
        self._news, tell = _SPAWN.Pipe(duplex=False)
        self.process = _SPAWN.Process(target=_work, args=(self._task, self._listener, tell, logs.files()), daemon=True)
        self.process.start()
        tell.close()

    def _listen(self) -> None:
        """Note the newest of what it said: empty for "ready", or why it cannot serve; None is nothing yet."""
        with suppress(EOFError):
            while self._news.poll():
                self._said = self._news.recv()

    def _forget(self) -> None:
        """Take what is only true of a living process out of the counts."""
        from prometheus_client.multiprocess import mark_process_dead

        self._news.close()
        mark_process_dead(self.process.pid)  # type: ignore[no-untyped-call]


def _work(task: SiteTask, listener: socket.socket, tell: Connection, log_files: dict[logs.Log, Path]) -> None:
    """Serve in this process until SIGTERM, or until its parent is gone."""
    from matinee.serve.app import serve_on  # only here: the parent stays small

    for name, path in log_files.items():
        logs.open_log(name, path)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        serve_on(
            listener,
            task.artefacts,
            task.settings,
            task.db,
            lambda _: tell.send(""),
            default=task.default,
            options=task.options,
        )
    except MatineeError as error:
        tell.send(str(error))
    except KeyboardInterrupt:
        pass  # Ctrl+C reaches every process of a terminal; the parent says what there is to say


def _end_with_parent() -> None:
    """End this process as SIGTERM does when its parent was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _end(workers: Sequence[_Worker]) -> None:
    """End the processes after the requests under way; one that takes too long, or a second interrupt, kills them."""
    try:
        for worker in workers:
            worker.process.terminate()
        deadline = time.monotonic() + SHUTDOWN_SECONDS + 5
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
    finally:
        for worker in workers:
            worker.process.kill()


@contextmanager
def _shared_counts() -> Iterator[None]:
    """A new folder in which the processes that start meanwhile share their counts."""
    before = os.environ.get(SHARED)
    with tempfile.TemporaryDirectory(prefix="matinee-counts-", ignore_cleanup_errors=True) as folder:
        os.environ[SHARED] = folder
        try:
            yield
        finally:
            del os.environ[SHARED]
            if before is not None:
                os.environ[SHARED] = before
