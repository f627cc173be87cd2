"""Faults while people write: a few of those of benchmarks/faults_site.py."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "faults_site.py"
FEW = ["--kills", "8", "--lock", "2", "--clock", "60", "--disks", "0", "--record", "1"]


@pytest.fixture(scope="module")
def faults() -> dict[str, Any]:
    cuts = "15" if shutil.which("strace") else "0"
    command = [sys.executable, str(SCRIPT), *FEW, "--cuts", cuts]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kills, seed 1", "full", "lock"])
def test_no_acknowledged_event_is_lost_or_doubled(faults: dict[str, Any], name: str) -> None:
    found = faults[name]
    assert found["acknowledged"] > 0
    assert (found["lost"], found["doubled"], found["damaged"]) == (0, 0, 0)


@pytest.mark.slow
def test_a_full_disk_takes_no_page_away_and_health_says_so_for_as_long(faults: dict[str, Any]) -> None:
    found = faults["full"]
    assert found["pages"] == [200]
    assert (found["health_while_full"], found["health_after"]) == ("degraded", "ready")
    assert found["statuses"].keys() == {"201", "503"}


@pytest.mark.slow
def test_the_last_rating_counts_whatever_the_clock_does(faults: dict[str, Any]) -> None:
    assert (faults["clock"]["ratings"], faults["clock"]["wrong"]) == (60, 0)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_power_cut_loses_no_acknowledged_event_and_the_other_durability_shows_that_it_would_be_noticed(
    faults: dict[str, Any],
) -> None:
    full, normal = faults["cuts, full"], faults["cuts, normal"]
    assert full["acknowledged"] > 0
    assert (full["lost"], full["doubled"], full["damaged"]) == (0, 0, 0)
    assert normal["lost"] > 0
    assert (normal["doubled"], normal["damaged"]) == (0, 0)
