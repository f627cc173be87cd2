"""Health checks, for supervisors and load balancers."""

from fastapi import APIRouter, Response

from matinee.serve.api.schemas import Health
from matinee.serve.dependencies import CurrentSite

router = APIRouter(tags=["health"])


@router.get("/health/live")
def live() -> Health:
    """Whether the process answers."""
    return Health(status="alive")


@router.get("/health/ready")
def ready(response: Response, site: CurrentSite) -> Health:
    """Whether the models are loaded and the database answers; 503 if not."""
    is_ready = site.database.is_readable()
    response.status_code = 200 if is_ready else 503
    status = "ready" if is_ready else "not ready"
    return Health(status=status, models=list(site.engine.models), items=len(site.engine.items))
