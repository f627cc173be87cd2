"""Databases killed and started again under load: a few of the kills of benchmarks/faults_database.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from database_servers import SERVERS
from needs import require

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "faults_database.py"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
def test_what_was_acknowledged_is_there_once_after_kills_under_load(kind: str) -> None:
    if kind in SERVERS:
        require(SERVERS[kind].is_installed(), SERVERS[kind].install)
    command = [sys.executable, str(SCRIPT), "--kills", "2", "--databases", kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    found = json.loads(done.stdout)[f"{kind}, seed 1"]
    assert (found["lost"], found["doubled"], found["stuck"]) == (0, 0, 0)
    assert found["acknowledged"] > found["clients"] == found["users"]
    assert found["slowest_refusal_s"] < 10
