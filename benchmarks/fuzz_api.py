"""Requests that nobody thought of, to the whole API of a site in this process. Prints JSON.

    python benchmarks/fuzz_api.py --examples 20 --requests 100000 --out benchmarks/fuzz_api.json

examples: schemathesis makes requests from /api/openapi.json, so many drawn ones for each route beside those at the
edges of every rule, and holds each answer to the description, with all its checks. A request that obeys it may be
refused for what no schema can say (an id that no item has, a model that is not served); such a 422 names no field in
`errors`, and is counted. requests: values of all kinds in every place, sent straight to the application; statuses are
counted, and the memory of the process is read after each thousand. With --out, the counts are stored after each piece
of 5,000, and a run that was ended goes on behind the last one, in a process whose memory is listed apart.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import schemathesis
from fastapi import FastAPI
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import ScenarioFinished

import matinee as mt
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.store.artefact import save

MODELS = ("popularity", "item-knn", "ease")
NO_LIMITS = {"address": 0, "visitor": 0, "key": 0}
PIECE, MEMORY_EVERY = 5_000, 1_000
"""Requests in a piece, and between two readings of the memory."""
OWN_REFUSAL = "value_error"
"""The kind of an error of a field that a rule of ours found."""
ODD = ["", "0", "-1", "1e9", "nan", "true", "null", "%00", "\0", "é", "\ud800", "a" * 3000, "../..", "1,2,zzz"]
ODD_VALUES = [*ODD, None, True, 0, -1, 10**30, 1.5, 1e308, float("nan"), [], {}, [[]], {"a": [None]}]


def make_site(folder: Path) -> tuple[FastAPI, str]:
    """A site over three models on the better-known bundled movies, and a key that may do all."""
    data = mt.load("bundled")
    data = data.keep(np.bincount(data.events.item_rows)[data.events.item_rows] >= 25)
    for name in MODELS:
        save(mt.fit(name, data), folder / name)
    options = SiteOptions(rates=NO_LIMITS)
    app = create_app([folder / name for name in MODELS], db_url=f"sqlite:///{folder}/site.db", options=options)
    _, key = app.state.site.api_keys.create("fuzz", ("read", "write", "admin"))
    return app, key


def hold_to_description(app: FastAPI, key: str, examples: int, seed: int) -> dict[str, Any]:
    """What the checks of schemathesis find."""
    generation = {"max-examples": examples, "deterministic": True, "database": "none", "no-shrink": True}
    settings = {"seed": seed, "generation": generation, "continue-on-failure": True, "warnings": False}
    config = SchemathesisConfig.from_dict({**settings, "headers": {"Authorization": f"Bearer {key}"}})
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, config=config)
    statuses, checks, refused, findings = Counter[str](), Counter[str](), 0, []
    for event in from_schema(schema).execute():
        if not isinstance(event, ScenarioFinished):
            if (info := getattr(event, "info", None)) is not None:
                findings.append({"check": "the run itself", "message": str(info)})
            continue
        answers = {case: one.response for case, one in event.recorder.interactions.items() if one.response}
        statuses.update(str(answer.status_code) for answer in answers.values())
        for case, nodes in event.recorder.checks.items():
            checks.update(node.name for node in nodes)
            for node in nodes:
                if node.failure_info is None:
                    continue
                if node.name == "positive_data_acceptance" and is_refused_by_content(answers[case]):
                    refused += 1
                else:
                    failure = node.failure_info
                    about = {"check": node.name, "route": event.label, "message": failure.failure.message}
                    findings.append(about | {"request": failure.code_sample[:2000]})
    counts = {"requests": statuses.total(), "statuses": dict(statuses), "checks": dict(checks)}
    return {"seed": seed, **counts, "refused_by_content": refused, "findings": findings}


def is_refused_by_content(answer: Any) -> bool:
    """Whether an answer refuses what the description allows, for a reason that no schema can express."""
    if answer.status_code != 422:
        return False
    return all(error["type"] == OWN_REFUSAL for error in json.loads(answer.content).get("errors", ()))


def fuzz_in_pieces(app: FastAPI, key: str, options: argparse.Namespace, found: dict[str, Any]) -> None:
    """Send what is left of the requests, each piece from a seed of its own; what was found is stored after each."""
    counts = found.setdefault("fuzzed", {"seed": options.seed, "requests": 0, "statuses": {}, "failed": []})
    begun = {"from": counts["requests"], "megabytes": [round(resident_bytes() / 1e6, 1)]}
    counts.setdefault("processes", []).append(begun)
    while (n_left := options.requests - counts["requests"]) > 0:
        n, random = min(PIECE, n_left), Random(f"{options.seed} {counts['requests']}")
        statuses = asyncio.run(fuzz(app, key, n, random, counts["failed"], begun["megabytes"]))
        counts["statuses"] = dict(Counter(counts["statuses"]) + statuses)
        counts["requests"] += n
        store(options.out, found)
        print(f"{counts['requests']:,} requests, {counts['statuses']}, {begun['megabytes'][-1]} MB", file=sys.stderr)


async def fuzz(
    app: FastAPI, key: str, n_requests: int, random: Random, failed: list[Any], megabytes: list[float]
) -> Counter[str]:
    """Send random requests: how many had each status. The worst ones and the memory are added to what is known."""
    statuses = Counter[str]()
    routes = [(path, *pair) for path, methods in app.openapi()["paths"].items() for pair in methods.items()]
    shapes = app.openapi()["components"]["schemas"]
    for n in range(1, n_requests + 1):
        scope, body = make_request(random, *random.choice(routes), shapes, key)
        status = await send(app, scope, body)
        statuses[str(status)] += 1
        if status >= 500:
            failed.append({"status": status, "method": scope["method"], "path": scope["path"], "body": str(body[:500])})
        if n % MEMORY_EVERY == 0:
            gc.collect()
            megabytes.append(round(resident_bytes() / 1e6, 1))
    return statuses


def store(path: Path | None, found: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def make_request(
    random: Random, path: str, method: str, about: dict[str, Any], shapes: dict[str, Any], key: str
) -> tuple[dict[str, Any], bytes]:
    """An ASGI scope and a body for a route, each value a known one or an odd one."""
    for parameter in about.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", value_of(random, parameter["schema"]))
    asked = [one for one in about.get("parameters", ()) if one["in"] == "query" and random.random() < 0.4]
    query = urlencode([(one["name"], value_of(random, one["schema"])) for one in asked], errors="replace")
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    if random.random() < 0.6:
        headers.append((b"authorization", f"Bearer {key}".encode() if random.random() < 0.9 else b"Bearer wrong"))
    body = body_of(random, shapes) if method in ("post", "put") else b""
    headers.append((b"content-length", str(len(body)).encode()))
    scope = {"type": "http", "http_version": "1.1", "method": method.upper(), "scheme": "http", "root_path": ""}
    address = {"client": ("127.0.0.1", 1), "server": ("localhost", 80)}
    text = path.encode("utf-8", "replace").decode()
    line = {"path": text, "raw_path": quote(text).encode(), "query_string": query.encode(), "headers": headers}
    return scope | address | line, body


def value_of(random: Random, schema: dict[str, Any]) -> str:
    if "examples" in schema and random.random() < 0.6:
        return str(schema["examples"][0])
    return random.choice(ODD) if random.random() < 0.5 else str(random.randrange(3000))


def body_of(random: Random, shapes: dict[str, Any]) -> bytes:
    """A body: fields of one of the API's shapes with values of all kinds, sometimes a list of those, or no JSON."""
    if random.random() < 0.05:
        return random.randbytes(random.randrange(200))
    fields = list(shapes[random.choice(["EventIn", "ListsIn", "ItemIn"])]["properties"].items())
    bodies = [{name: field_of(random, one) for name, one in fields if random.random() < 0.4} for _ in range(3)]
    bodies += [{"item_id": random.randrange(3000), "kind": "watched"}, {"title": "A film"}]
    body = random.choice(bodies) if random.random() < 0.7 else bodies
    return json.dumps(body).encode()


def field_of(random: Random, schema: dict[str, Any]) -> Any:
    if "examples" in schema and random.random() < 0.7:
        return schema["examples"][0]
    return random.choice(ODD_VALUES) if random.random() < 0.6 else [random.randrange(3000) for _ in range(3)]


async def send(app: FastAPI, scope: dict[str, Any], body: bytes) -> int:
    """The status of the answer; 599 if the application raises."""
    statuses: list[int] = []
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if sent:
            await asyncio.Event().wait()  # the caller stays until the answer is whole
        sent.append(body)
        return {"type": "http.request", "body": body, "more_body": False}

    async def note(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    try:
        async with asyncio.timeout(20):
            await app({**scope, "state": {}}, receive, note)
    except Exception:
        return 599
    return statuses[0]


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=0)
    parser.add_argument("--requests", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where to store what was found, and to go on from")
    options = parser.parse_args()
    found = json.loads(options.out.read_text(encoding="utf-8")) if options.out and options.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        app, key = make_site(Path(folder))
        if options.requests:
            fuzz_in_pieces(app, key, options, found)
        if options.examples:
            found["described"] = hold_to_description(app, key, options.examples, options.seed)
            store(options.out, found)
        app.state.site.database.close()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
