"""The fits of a site's visitors: one at a time, kept in a folder until they are thrown away or nobody looks at them."""

import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from matinee.errors import MatineeError
from matinee.histories import EventSource
from matinee.ranking.new_items import NewItems, with_unranked
from matinee.recommender import Engine
from matinee.serve.accounts.rate_limit import RateLimit
from matinee.serve.own_fits.process import FitProcess
from matinee.store.artefact import Artefact, load

Refusal = Literal["busy", "own", "full", "disk"]
COMMAND = (sys.executable, "-m", "matinee.workflow.own_fit")
SEED = 42
MOST_OF_VISITOR, MOST = 4, 12
"""Fits that are kept of one visitor, and of all."""
PER_HOUR = 30
"""Fits that are begun from one address in an hour."""
IDLE_SECONDS = 3600
"""A fit that nobody looked at for so long is thrown away."""
FREE_BYTES = 2**30
"""What must be free on the disk before a fit is begun: the largest artefact of the bundled data has 350 MB."""


class Refused(MatineeError):
    """A fit that is not begun. reason: another one runs, the visitor has enough, the site has enough, or the disk."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(f"no fit is begun: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFitOptions:
    """Whether and how visitors may fit. seconds: after which a fit is ended; memory_mb: that it may use."""

    seconds: int = 180
    memory_mb: int = 3000
    command: tuple[str, ...] = COMMAND


@dataclass(eq=False)
class OwnFit:
    """A fit of a visitor.

    owner: the secret of their browser; changes: to the settings of the served model `like`; is_at_home: whether it
    makes the list of their home page.
    """

    fit_id: str
    owner: str
    like: Artefact
    changes: Mapping[str, float | int]
    path: Path
    process: FitProcess
    seen_at: float
    is_kept: bool = False
    is_at_home: bool = False
    _engine: Engine | None = field(default=None, init=False)

    @cached_property
    def artefact(self) -> Artefact:
        """What was fitted. Raises MatineeError if it cannot be read."""
        return load(self.path)

    def label(self, model: str) -> str:
        """By what was changed: `EASE · l2 1000`. model: the label of the served one."""
        return f"{model} · {', '.join(f'{name} {value:g}' for name, value in self.changes.items())}"

    def engine_of(self, now: NewItems) -> Engine:
        """Makes its lists. now: the catalogue as it is, with the items that came since training."""
        if self._engine is None or self._engine.now.items is not now.items or self._engine.now.listed is not now.listed:
            artefact, n_items = self.artefact, len(now.items)
            is_grown = n_items > len(artefact.items)
            models = {artefact.name: with_unranked(artefact.model, n_items)} if is_grown else {}
            own = NewItems(now.items, now.catalogue, models, now.listed)
            self._engine = Engine([artefact], EventSource(artefact.known.events, artefact.users), artefact.name, own)
        return self._engine


class OwnFits:
    """All fits of a site. Safe to use from any thread.

    ticks: seconds of a clock that is never set back; limit: by address.
    """

    def __init__(self, options: OwnFitOptions, ticks: Callable[[], float]) -> None:
        self.options = options
        self.limit = RateLimit(ticks, PER_HOUR, 3600)
        self._ticks = ticks
        self._fits: dict[str, OwnFit] = {}
        self._lock = threading.Lock()
        self._folder: Path | None = None

    def begin(self, owner: str, like: Artefact, changes: Mapping[str, float | int]) -> OwnFit:
        """Begin a fit. Raises Refused if it cannot begin now."""
        self._forget_idle()
        with self._lock:
            fits = list(self._fits.values())
            if any(fit.process.state == "running" for fit in fits):
                raise Refused("busy")
            if sum(fit.owner == owner for fit in fits) >= MOST_OF_VISITOR:
                raise Refused("own")
            if len(fits) >= MOST:
                raise Refused("full")
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="matinee-own-fits-"))
            if shutil.disk_usage(self._folder).free < FREE_BYTES:
                raise Refused("disk")
            fit_id = secrets.token_urlsafe(9)
            path = self._folder / fit_id / like.name
            path.parent.mkdir()
            order: dict[str, Any] = {
                "like": str(like.path),
                "settings": dict(changes),
                "seed": like.manifest.get("seed", SEED),
                "out": str(path),
                "memory_mb": self.options.memory_mb,
            }
            process = FitProcess(self.options.command, order, self.options.seconds, self._ticks)
            fit = OwnFit(fit_id, owner, like, dict(changes), path, process, self._ticks())
            self._fits[fit_id] = fit
            return fit

    def find(self, owner: str, fit_id: str) -> OwnFit | None:
        """A fit of this visitor; None for an unknown one, or another's."""
        self._forget_idle()
        fit = self._fits.get(fit_id)
        if fit is None or not owner or not secrets.compare_digest(fit.owner, owner):
            return None
        fit.seen_at = self._ticks()
        return fit

    def of(self, owner: str) -> list[OwnFit]:
        """The fits of this visitor, the oldest first."""
        return [fit for fit in list(self._fits.values()) if owner and fit.owner == owner] if self._fits else []

    def at_home_of(self, owner: str) -> OwnFit | None:
        """The fit that makes the list of this visitor's home page; None where a served model does."""
        found = next((fit for fit in self.of(owner) if fit.is_at_home), None)
        return found and self.find(owner, found.fit_id)

    def put_at_home(self, fit: OwnFit) -> None:
        """Let a kept fit make the list of its visitor's home page, in place of another."""
        for other in self.of(fit.owner):
            other.is_at_home = other is fit

    def throw_away(self, fit: OwnFit) -> None:
        """End a fit and delete what it wrote."""
        fit.process.end()
        with self._lock:
            self._fits.pop(fit.fit_id, None)
        fit.process.join()
        shutil.rmtree(fit.path.parent, ignore_errors=True)

    def stop(self) -> None:
        """End and delete all fits: the site closes."""
        for fit in list(self._fits.values()):
            self.throw_away(fit)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _forget_idle(self) -> None:
        for fit in list(self._fits.values()):
            if fit.process.state != "running" and self._ticks() - fit.seen_at > IDLE_SECONDS:
                self.throw_away(fit)
