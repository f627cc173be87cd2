"""The OpenAPI description as the API is: errors as problems, which routes need a key, what a parameter can be."""

from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict

from matinee.serve.http.problems import PROBLEM_TYPE
from matinee.serve.site import Site

OF_ALL = {
    400: "The request is not valid HTTP or JSON, or has no valid Host.",
    401: "The API key is missing, unknown, revoked or expired.",
    403: "The API key lacks the scope, or the request comes from a page of another site.",
    404: "There is no such item, user or list.",
    405: "The route has no such method; `Allow` names those that it has.",
    408: "The body came too slowly.",
    409: "An event_id is that of another event.",
    410: "The list was kept, and is no longer.",
    413: "The body is too large.",
    421: "The site does not answer for this host.",
    422: "A value is not valid; `errors` says which.",
    429: "Too many requests; `Retry-After` says when to come again.",
    500: "A defect of the site.",
    503: "Busy, or the database does not answer; nothing was kept. `Retry-After` says when to come again.",
}
WRITES = ("post", "put", "delete")
OF_WRITES = {408, 413}
OF_KEYS = {401, 403}
OF_ROUTES = {
    405: {("put", "/api/v1/items/{item_id}"), ("delete", "/api/v1/items/{item_id}")},
    409: {("post", "/api/v1/events")},
    410: {("get", "/api/v1/recommendations")},
}
"""Statuses of a few routes: of 405, those that refuse some of their own paths."""
HEADERS_OF = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
NEED_A_KEY = {("put", "/api/v1/items/{item_id}"), ("delete", "/api/v1/items/{item_id}")}
"""Others serve a session or a given history without one, and refuse a wrong one."""


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
            examples = _examples(app.state.site)
            for (method, path), body in _bodies(app.state.site).items():
                schema["paths"][path][method]["requestBody"]["content"]["application/json"]["example"] = body
            for path, methods in schema["paths"].items():
                for method, operation in methods.items():
                    _describe(operation, method, path)
                    for parameter in operation.get("parameters", ()):
                        _give_example(parameter["schema"], examples.get(parameter["name"]))
            for name, example in examples.items():
                _give_example(schemas["EventIn"]["properties"].get(name, {}), example)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def allowed_methods(request: Request) -> str:
    """All methods of the path of a request, for `Allow`: a router names those of one of its routes. Empty for pages."""
    path = getattr(request.scope.get("route"), "path", "").replace(":path}", "}")
    return ", ".join(sorted(method.upper() for method in request.app.openapi()["paths"].get(path, ())))


def _describe(operation: dict[str, Any], method: str, path: str) -> None:
    operation["responses"].pop("422", None)
    operation["responses"] |= _problems(operation, method, path)
    if "security" in operation and (method, path) not in NEED_A_KEY:
        operation["security"].append({})
    for parameter in operation.get("parameters", ()):
        kinds = [kind for kind in parameter["schema"].pop("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1:  # text that a request leaves out, but which is never null
            parameter["schema"] |= kinds[0]
        elif kinds:
            parameter["schema"]["anyOf"] = kinds


def _examples(site: Site) -> dict[str, Any]:
    """Values that this site knows, by the name of their parameter or field."""
    ids = [site.engine.items.id(row) for row in range(min(2, len(site.engine.items)))]
    return {
        "item_id": ids[0],
        "history": ",".join(map(str, ids)),
        "model": site.engine.default,
        "kind": site.wording.kind,
    }


def _bodies(site: Site) -> dict[tuple[str, str], object]:
    """A body that this site understands, by method and path."""
    first, second = (site.engine.items.id(row) for row in (0, min(1, len(site.engine.items) - 1)))
    event = {"item_id": first, "kind": site.wording.kind}
    return {
        ("post", "/api/v1/events"): event,
        ("post", "/api/v1/events/batch"): [event, {"item_id": second, "kind": site.wording.kind}],
        ("post", "/api/v1/recommendations"): {"history": [first, second], "k": 5},
        ("put", "/api/v1/items/{item_id}"): {"title": site.catalogue.titles[0]},
    }


def _give_example(schema: dict[str, Any], example: object) -> None:
    if example is not None:
        schema["examples"] = [str(example) if schema.get("type") == "string" else example]


def _problems(operation: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    found = {}
    for status, text in OF_ALL.items():
        if _can_be(status, operation, method, path):
            found[str(status)] = {"description": text, "content": content}
            if name := HEADERS_OF.get(status):
                found[str(status)]["headers"] = {name: {"schema": {"type": "string"}}}
    return found


def _can_be(status: int, operation: dict[str, Any], method: str, path: str) -> bool:
    """Whether a route can answer with an error; the others can come before every route."""
    if status in OF_ROUTES:
        return (method, path) in OF_ROUTES[status]
    if status in OF_KEYS:
        return "security" in operation or (status == 403 and method in WRITES)
    if status in OF_WRITES:
        return method in WRITES
    if status == 404:
        return "{" in path or (method, path) in OF_ROUTES[410]
    return status != 422 or bool(operation.get("parameters") or operation.get("requestBody"))
