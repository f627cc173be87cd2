"""The version of a registry that a site serves: followed, loaded beside the running one, and put in its place."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic

from starlette.concurrency import run_in_threadpool

from matinee.errors import MatineeError
from matinee.serve.garbage import keep_again
from matinee.store.artefact import Artefact
from matinee.store.compatible import require_compatible
from matinee.store.database import SqlDatabase
from matinee.store.log_reading import highest_sequence
from matinee.store.versions import Registry

_log = logging.getLogger("matinee")
POLL_SECONDS = 1.0
"""How often the pointer is read."""
RETRY_SECONDS = 30.0
"""After which a refused version is tried again: it may have been copied only half."""


class ServedVersion:
    """The version that is served, of those of a registry.

    number: its number; refused: why the one that the registry names is not served, empty if it is.
    Raises MatineeError if neither the version that the registry names nor the one before it can be served.
    """

    def __init__(self, path: Path) -> None:
        self.registry = Registry(path)
        self.refused = ""
        self._retry_at, self._refused_number = 0.0, 0
        self._following = Lock()
        pointer = self.registry.pointer()
        self.number = pointer.current
        try:
            self.artefacts = self.registry.load(pointer.current)
        except MatineeError as error:
            if pointer.previous is None:
                raise
            self.number, self.artefacts = pointer.previous, self.registry.load(pointer.previous)
            self._refuse(pointer.current, error)

    def warn_of_older_log(self, database: SqlDatabase) -> None:
        """Say in the log if the version that serves has learned events that the database never had, or lost."""
        offset = int(self.registry.version(self.number).log.get("offset", 0))
        if offset and (newest := highest_sequence(database)) < offset:
            _log.warning(
                "the database %s ends at event %s, and version %s has learned up to %s: it is an older copy, or "
                "another one; what came between is not in it, and matinee retrain refuses it",
                *(database.name, f"{newest:,}", self.number, f"{offset:,}"),
            )

    def follow(self, serve: Callable[[Sequence[Artefact]], None]) -> None:
        """Serve the version that the registry names, if it is another one and sound; else keep this one and say why.

        serve: puts artefacts in the place of those that are served.
        """
        with self._following:
            try:
                wanted = self.registry.pointer().current
            except MatineeError as error:
                self._refuse(0, error)
                return
            if wanted == self.number:
                self.refused, self._refused_number = "", 0
            elif wanted != self._refused_number or monotonic() >= self._retry_at:
                self._change_to(wanted, serve)

    def _change_to(self, wanted: int, serve: Callable[[Sequence[Artefact]], None]) -> None:
        try:
            artefacts = self.registry.load(wanted)
            require_compatible(artefacts[0], self.artefacts[0], wanted, self.number)
            serve(artefacts)
        except MatineeError as error:
            self._refuse(wanted, error)
        except Exception as error:  # whatever a version leads to, the one that is served stays
            _log.exception("version %s cannot be served", wanted)
            self._refuse(wanted, MatineeError(f"version {wanted} cannot be served ({type(error).__name__})"))
        else:
            before, self.number, self.artefacts = self.number, wanted, artefacts
            self.refused, self._refused_number = "", 0
            keep_again()
            _log.warning("version %s serves, in place of version %s", wanted, before)

    def _refuse(self, number: int, error: MatineeError) -> None:
        said, self._refused_number = self.refused, number
        which = f"version {number} is refused" if number else "no other version can be found"
        self.refused = f"{which}, and version {self.number} goes on serving: {error}"
        self._retry_at = monotonic() + RETRY_SECONDS
        if self.refused != said:
            _log.warning("%s", self.refused)


async def follow_versions(
    version: ServedVersion, serve: Callable[[Sequence[Artefact]], None], ends: asyncio.Event
) -> None:
    """Follow a registry until the application ends; a version is loaded in a thread, while requests run."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(ends.wait(), POLL_SECONDS)
            return
        await run_in_threadpool(version.follow, serve)
