"""Files of deployment: they parse, and the commands that they run exist with their options."""

import ast
import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from matinee.cli.commands import build

ROOT = Path(__file__).parents[1]


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "deploy" / "matinee.service")
    return parser


def dockerfile() -> dict[str, list[str]]:
    """The instructions, by name."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    found: dict[str, list[str]] = {}
    for name, _, rest in (line.partition(" ") for line in lines if line):
        found.setdefault(name, []).append(rest)
    return found


def commands() -> dict[str, list[str]]:
    """Arguments of `matinee`, by where they are."""
    services = compose()["services"]
    started = shlex.split(unit()["Service"]["ExecStart"])
    assert started[0].endswith("/matinee")
    return {
        "Dockerfile": json.loads(dockerfile()["CMD"][0]),
        "matinee.service": started[1:],
        "compose site": [re.sub(r"\$\{.*?\}", "secret", part) for part in services["site"]["command"]],
        "compose relay": [re.sub(r"\$\{.*?\}", "secret", part) for part in services["relay"]["command"]],
    }


@pytest.mark.parametrize("where", ["Dockerfile", "matinee.service", "compose site", "compose relay"])
def test_the_command_is_one_of_matinee_with_all_its_options(where: str) -> None:
    arguments, command = commands()[where], build()
    while isinstance(command, typer.core.TyperGroup):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    context = command.make_context("matinee", arguments)  # an unknown option or a value out of range is an error
    assert context.params["workers" if where != "compose relay" else "topic"] in (2, "events")


def test_the_image_runs_the_package_as_a_user_of_its_own() -> None:
    found = dockerfile()
    assert json.loads(found["ENTRYPOINT"][0]) == ["matinee"]
    assert found["USER"] == ["matinee"]
    check = json.loads(found["HEALTHCHECK"][0].partition("CMD ")[2])
    assert check[:2] == ["python", "-c"]
    ast.parse(check[2])
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert kept[0] == "*"
    assert all((ROOT / name[1:]).exists() for name in kept[1:])


def test_services_of_the_composition_know_each_other() -> None:
    loaded = compose()
    services = loaded["services"]
    assert set(services) == {"site", "relay", "database", "broker"}
    for name in ("site", "relay"):
        assert set(services[name]["depends_on"]) <= set(services)
        assert any("@database/" in part for part in services[name]["command"])
    assert "--kafka=broker:9092" in services["relay"]["command"]
    named = {volume.partition(":")[0] for name in ("database", "broker") for volume in services[name]["volumes"]}
    assert named == set(loaded["volumes"])
    assert services["site"]["ports"] == ["127.0.0.1:8000:8000"]  # only the proxy of this machine reaches it


def test_the_service_ends_as_the_command_does() -> None:
    service = unit()["Service"]
    assert service["SuccessExitStatus"] == "143"
    assert int(service["TimeoutStopSec"]) > 10 + 5  # what serve_by_workers gives its workers


def test_the_proxy_names_the_visitor_and_passes_no_forged_name_on() -> None:
    text = re.sub(r"#.*", "", (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8"))
    depth = 0
    for token in re.findall(r"[{};]|[^{};]+", text):
        depth += (token == "{") - (token == "}")
        assert depth >= 0
    assert depth == 0
    statements = [line.strip() for line in text.splitlines() if line.strip()]
    assert all(line.endswith((";", "{", "}")) for line in statements)
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in statements  # not $proxy_add_x_forwarded_for
    assert "server 127.0.0.1:8000;" in statements
