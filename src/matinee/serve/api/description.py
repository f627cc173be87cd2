"""What the OpenAPI description says beyond the routes: every status that one can answer with, and the site's kinds."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from matinee.serve.http.problems import PROBLEM_TYPE

OF_ALL = {
    400: "The request is not valid HTTP or JSON, or has no valid Host.",
    401: "The API key is missing, unknown, revoked or expired.",
    403: "The API key lacks the scope, or the request comes from a page of another site.",
    404: "There is no such item, user or list.",
    405: "The route has no such method; `Allow` names those that it has.",
    408: "The body came too slowly.",
    409: "The request contradicts what is stored.",
    413: "The body is too large.",
    421: "The site does not answer for this host.",
    422: "A value is not valid; `errors` says which.",
    429: "Too many requests; `Retry-After` says when to come again.",
    500: "A defect of the site.",
    503: "Busy, or the database does not answer; nothing was kept. `Retry-After` says when to come again.",
}
WRITES = ("post", "put", "delete", "patch")
ONLY_OF_WRITES = {408, 409, 413}


class Problem(BaseModel):
    """An error (RFC 9457). request_id: as in the header X-Request-ID and the access log; errors: by field."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[dict[str, Any]] | None = None


def describe(app: FastAPI) -> None:
    """Let the application's description name the errors of its API, and the kinds of events of its data."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
            schemas["EventIn"]["properties"]["kind"]["enum"] = list(app.state.site.kinds)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            for methods in schema["paths"].values():
                for method, operation in methods.items():
                    operation["responses"] |= _problems(method)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _problems(method: str) -> dict[str, Any]:
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    statuses = (status for status in OF_ALL if method in WRITES or status not in ONLY_OF_WRITES)
    return {str(status): {"description": OF_ALL[status], "content": content} for status in statuses}
