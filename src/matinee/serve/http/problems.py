"""Errors of the API as `application/problem+json` (RFC 9457), each with the id of its request."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Scope

from matinee.serve.http.root_path import site_path

PROBLEM_TYPE = "application/problem+json"


class ProblemResponse(JSONResponse):
    """An answer of this type."""

    media_type = PROBLEM_TYPE


def is_api(scope: Scope) -> bool:
    """Whether a request is for the API, whose errors are problems, and not for a page."""
    return f"{site_path(scope)}/".startswith(("/api/v1/", "/health/"))


def problem(
    scope: Scope,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
) -> ProblemResponse:
    """What went wrong: `detail` in a sentence, `errors` by field, `request_id` as in `X-Request-ID` and the log."""
    about: dict[str, Any] = {"type": "about:blank", "title": _title(status), "status": status, "detail": detail}
    about["request_id"] = scope.get("state", {}).get("request_id", "")
    if errors:
        about["errors"] = list(errors)
    return ProblemResponse(about, status, dict(headers or {}))


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
