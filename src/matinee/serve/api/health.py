"""Health checks, for supervisors and load balancers. They need no thread of those that serve pages."""

from anyio import CapacityLimiter, move_on_after, to_thread
from anyio.lowlevel import RunVar
from fastapi import APIRouter, Request, Response

from matinee.serve.api.schemas import Health
from matinee.serve.dependencies import CurrentSite
from matinee.serve.versions import ServedVersion
from matinee.store.protocols import DatabaseState

CHECK_SECONDS = 2.0
"""How long a check waits for the database."""
CHECKS = 4
"""Checks at a time: one that hangs does not keep others from answering."""

_threads: RunVar[CapacityLimiter] = RunVar("threads of health checks")

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> Health:
    """Whether the process answers."""
    return Health(status="alive")


@router.get("/health")
@router.get("/health/ready")
async def ready(request: Request, response: Response, site: CurrentSite) -> Health:
    """Whether lists are served: ready, degraded (nothing can be written, why), or not ready, with a 503."""
    state = await _state(site)
    version: ServedVersion | None = request.app.state.version
    refused = [version.refused] if version is not None and version.refused else []
    is_whole = state.is_writable and not refused
    response.status_code = 200 if state.is_readable else 503
    return Health(
        status="ready" if state.is_readable and is_whole else "degraded" if state.is_readable else "not ready",
        why=[*state.why, *refused],
        lists_waiting=len(site.database.later),
        lists_dropped=site.database.later.dropped,
        models=list(site.engine.models),
        items=len(site.engine.items),
        version=None if version is None else version.number,
        lists=[each.note for each in site.engine.tested_indexes],
    )


async def _state(site: CurrentSite) -> DatabaseState:
    with move_on_after(CHECK_SECONDS):
        return await to_thread.run_sync(site.database.check, abandon_on_cancel=True, limiter=_limiter())
    return DatabaseState(False, False, ("the database does not answer",))


def _limiter() -> CapacityLimiter:
    """The threads of the checks of this event loop."""
    try:
        return _threads.get()
    except LookupError:
        _threads.set(limiter := CapacityLimiter(CHECKS))
        return limiter
