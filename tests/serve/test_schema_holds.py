"""The API is as its OpenAPI description says: some of benchmarks/fuzz_api.py, with all checks of schemathesis."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from site_fixtures import key_headers

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_api.py"


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), "--examples", "2", "--requests", "500"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.slow
def test_no_check_finds_an_answer_that_is_not_described(found: dict[str, Any]) -> None:
    described = found["described"]
    assert described["findings"] == []
    assert described["requests"] > 300
    assert {"200", "201", "204", "401", "404", "405", "422"} <= described["statuses"].keys()
    assert {"not_a_server_error", "ignored_auth", "unsupported_method"} <= described["checks"].keys()


@pytest.mark.slow
def test_no_odd_request_is_a_defect(found: dict[str, Any]) -> None:
    fuzzed = found["fuzzed"]
    assert fuzzed["failed"] == []
    assert {"200", "422"} <= fuzzed["statuses"].keys()


def test_allow_names_all_methods_of_a_path(client: TestClient) -> None:
    paths = {
        "/api/v1/recommendations": "GET, POST",
        "/api/v1/users/1": "DELETE, GET",
        "/api/v1/items/1": "DELETE, GET, PUT",
        "/api/v1/items/1/similar": "GET",
        "/health": "GET",
    }
    for path, methods in paths.items():
        answer = client.request("PATCH", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods), path


@pytest.mark.parametrize("part", ["similar", "next", "why", "counterfactual"])
def test_no_item_has_a_name_that_nobody_could_read(client: TestClient, app: FastAPI, part: str) -> None:
    for method in ("PUT", "DELETE"):
        path = f"/api/v1/items/1/{part}"
        answer = client.request(method, path, json={"title": "A film"}, headers=key_headers(app, "admin"))
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("item_id", ["", " ", "%20", "007", "seven", "x" * 201, "%00", "1/", "-"])
def test_no_item_has_an_id_that_is_none(client: TestClient, app: FastAPI, item_id: str) -> None:
    n_items = len(app.state.site.engine.items)
    answer = client.put(f"/api/v1/items/{item_id}", json={"title": "A film"}, headers=key_headers(app, "admin"))
    assert answer.status_code == 422
    assert len(app.state.site.engine.items) == n_items


@pytest.mark.parametrize("body", [{"year": False}, {"year": "1999"}, {"numbers": {"price": True}}, {"genres": "Drama"}])
def test_a_value_of_another_type_is_not_guessed(client: TestClient, app: FastAPI, body: dict[str, Any]) -> None:
    sent = {"title": "A film"} | body
    answer = client.put("/api/v1/items/1", json=sent, headers=key_headers(app, "admin"))
    assert answer.status_code == 422
