"""docs/api.md: every example is sent as it stands, and answered."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.testclient import TestClient

from site_fixtures import key_headers

PAGE = Path(__file__).parents[2] / "docs/api.md"
EXPECTED = {"/api/v1/recommendations?k=0": 422, "/api/v1/events": 201}


def test_every_example_is_answered(client: TestClient, app: FastAPI) -> None:
    examples = re.findall(r"^curl .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(examples) > 12
    for example in examples:
        method, headers, body, url = "GET", {}, None, ""
        words = iter(shlex.split(example)[1:])
        for word in words:
            if word == "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            elif word == "-X":
                method = next(words)
            elif word == "-d":
                method, body = "POST", next(words)
            else:
                parts = urlsplit(f"http://{word}")
                url = parts.path + (f"?{parts.query}" if parts.query else "")
        if "list=ID" in url:
            first = client.get(f"{parts.path}?history=1214&offset=0").json()
            url = url.replace("ID", first["list_id"])
        if "Authorization" in headers:
            headers |= key_headers(app, "admin")
        answer = client.request(method, url, headers=headers, content=body)
        assert answer.status_code == EXPECTED.get(url, 200), (example, answer.text)
