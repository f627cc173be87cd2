"""Kills and power cuts while an artefact is saved over another: a few of those of benchmarks/faults_artefact.py."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "faults_artefact.py"
MODES = ("exchange", "renames")


@pytest.fixture(scope="module")
def faults() -> dict[str, Any]:
    command = [sys.executable, str(SCRIPT), "--kills", "15", "--cuts", "60", "--commands", "2", "--disks", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_killed_at_random_moments_the_old_or_the_new_one_loads(faults: dict[str, Any], mode: str) -> None:
    found = faults["kills"][mode]
    assert found["neither"] == 0, found["examples"]
    assert found["old"] + found["new"] == 15
    assert found["all_swept_by_the_next_save"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_killed_before_each_operation_the_old_or_the_new_one_loads(faults: dict[str, Any], mode: str) -> None:
    found = faults["steps"][mode]
    assert found["neither"] == 0, found["examples"]
    assert found["old"] > 10
    assert found["new"] > 3
    assert found["all_swept_by_the_next_save"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_after_a_power_cut_the_old_or_the_new_one_loads(faults: dict[str, Any], mode: str) -> None:
    found = faults["cuts"][mode]
    assert found["neither"] == 0, found["examples"]
    assert found["old"] > 5
    assert found["new"] > 5


@pytest.mark.slow
def test_the_command_is_killed_and_an_artefact_loads(faults: dict[str, Any]) -> None:
    assert faults["commands"]["neither"] == 0
