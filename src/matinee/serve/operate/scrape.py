"""`/metrics`, for Prometheus."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from matinee.serve.api.dependencies import find_key, require_key
from matinee.serve.dependencies import CurrentSite
from matinee.serve.http.addresses import is_within
from matinee.serve.operate.facts import facts_of

router = APIRouter()


@router.get("/metrics")
def metrics(request: Request, site: CurrentSite) -> Response:
    """What the site counts, for an API key of scope admin, or an address of `--metrics-from`."""
    address = request.client.host if request.client else ""
    if not is_within(address, site.options.metrics_networks):
        try:
            require_key(find_key(request, site), "admin")
        except HTTPException as error:
            return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
    site.note_state()
    return Response(site.metrics.text(lambda: facts_of(site.database)), media_type=CONTENT_TYPE_LATEST)
