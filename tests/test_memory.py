"""What memory is free, and models that say before they start that it is not enough."""

from pathlib import Path

import pytest

from matinee import memory
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import create


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GB free, and no limits, as files below a folder."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "cgroup")
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable:    8000000 kB\n")
    return tmp_path


def write(path: Path, **files: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text + "\n")


def test_free_memory_is_that_of_the_machine(system: Path) -> None:
    assert memory.available_memory() == 8_192_000_000
    (system / "proc" / "meminfo").unlink()
    assert memory.available_memory() is None


def test_a_container_may_have_less(system: Path) -> None:
    (system / "proc" / "self" / "cgroup").write_text("0::/a/b\n")
    write(system / "cgroup" / "a" / "b", memory__max="max", memory__current="5")
    assert memory.available_memory() == 8_192_000_000
    write(
        system / "cgroup" / "a", memory__max="3000000", memory__current="1000000", memory__stat="inactive_file 400000"
    )
    assert memory.available_memory() == 2_400_000  # of the group above: what is not used, and the page cache
    write(system / "cgroup" / "a" / "b", memory__max="2000000", memory__current="2500000")
    assert memory.available_memory() == 0


def test_control_groups_of_version_1(system: Path) -> None:
    (system / "proc" / "self" / "cgroup").write_text("5:cpu,cpuacct:/x\n4:memory:/box\n")
    group = system / "cgroup" / "memory" / "box"
    write(group, **{"memory__limit_in_bytes": "9223372036854771712", "memory__usage_in_bytes": "5"})
    assert memory.available_memory() == 8_192_000_000
    write(group, **{"memory__limit_in_bytes": "7000", "memory__usage_in_bytes": "5000"})
    assert memory.available_memory() == 2000


@pytest.mark.parametrize(("limit", "pages"), [("RLIMIT_AS", 0), ("RLIMIT_DATA", 5)])
def test_ulimit_counts(system: Path, monkeypatch: pytest.MonkeyPatch, limit: str, pages: int) -> None:
    import os
    import resource

    used = [0] * 7
    used[pages] = 100
    (system / "proc" / "self" / "statm").write_text(" ".join(map(str, used)) + "\n")
    most = 300 * os.sysconf("SC_PAGE_SIZE")
    limits = {getattr(resource, limit): (most, most)}
    none = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda number: limits.get(number, none))
    assert memory.available_memory() == 200 * os.sysconf("SC_PAGE_SIZE")


def test_what_does_not_fit_is_said_with_both_sizes() -> None:
    memory.require_memory(100, "a model", "use another", 100)
    message = "not enough memory: a model needs 1.9 GB and 120 MB are free; use another"
    with pytest.raises(MatineeError, match=message):
        memory.require_memory(1_920_000_000, "a model", "use another", 120_000_000)


def test_models_with_vectors_need_at_least_these() -> None:
    train = TrainingData(Histories.of([[0, 1, 2], [1]]), 5)
    for name in ("lightgcn", "item2vec", "mult-vae", "sasrec"):
        assert create(name, dim=10).least_memory(train) >= 4 * 10 * 5
    assert create("popularity").least_memory(train) == 0
    long = TrainingData(Histories.of([list(range(1000))]), 1000)
    assert create("pmi").least_memory(long) >= 8 * 1000**2
