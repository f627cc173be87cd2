"""What memory is free, and models that say before they start that it is not enough."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee import memory
from matinee.errors import MatineeError, UsageError
from matinee.experiment import MachineConfig
from matinee.histories import Histories, TrainingData
from matinee.models import create, model_names
from matinee.models.needs import count_pairs


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
    assert create("popularity").least_memory(train) == 4 * 5  # a number for each item
    long = TrainingData(Histories.of([list(range(1000))]), 1000)
    assert create("pmi").least_memory(long) >= 8 * 1000**2


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("4GB", 4 * 10**9), ("1.5 gb", 15 * 10**8), ("512MiB", 2**29), ("2G", 2 * 10**9), (10**9, 10**9)],
)
def test_sizes_are_read_as_people_write_them(text: str | int, n_bytes: int) -> None:
    assert memory.parse_size(text) == n_bytes


@pytest.mark.parametrize("text", ["much", "-1GB", "4 GBs", "1e9", "", "5MB", "4 XB"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="memory = "):
        memory.parse_size(text)


def test_a_machine_with_a_wrong_bound_says_how_to_write_one() -> None:
    with pytest.raises(ValueError, match="is not a size; write 4GB"):
        MachineConfig(memory="much")


def test_what_is_held_counts_against_a_bound() -> None:
    held = memory.resident_memory()
    assert held is not None
    with memory.bounded(held + 300 * 10**6):
        free = memory.available_memory()
        assert free is not None
        assert 100 * 10**6 < free <= 310 * 10**6
        with pytest.raises(MatineeError, match=r"free within the bound of .*; use another"):
            memory.require_memory(10**9, "a model", "use another")
    memory.require_memory(10**8, "a model", "use another")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's data")
def test_an_allocation_beyond_a_bound_fails_and_one_within_does_not() -> None:
    script = (
        "import numpy as np\nfrom matinee.memory import bounded, resident_memory\n"
        "with bounded(resident_memory() + 400_000_000):\n"
        "    np.ones(300_000_000, dtype=np.int8)\n"
        "    try:\n        np.ones(600_000_000, dtype=np.int8)\n    except MemoryError:\n        print('refused')\n"
        "np.ones(600_000_000, dtype=np.int8)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"


def test_a_fit_that_cannot_keep_a_bound_is_refused_before_it_starts() -> None:
    held = memory.resident_memory()
    assert held is not None
    rng = np.random.default_rng(1)
    items = {"user": np.repeat(np.arange(4000), 8), "item": rng.integers(0, 20_000, 32_000)}
    split = mt.split(mt.events(items))
    with pytest.raises(
        MatineeError,
        match=r"ease on .* items, for it keeps a weight for every pair of items, needs 1\..* GB .* within the bound",
    ):
        mt.fit("ease", split, memory=held + 500 * 10**6)
    assert mt.fit("ials", split, dim=8, epochs=1, memory=held + 900 * 10**6).name == "ials"


def test_pairs_of_few_items_are_all_and_of_many_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    data = mt.synthesize(users=400, items=600, events=12_000, seed=2)
    histories = Histories.from_events(data.events, np.arange(len(data.users), dtype=np.int32))
    train = TrainingData(histories, len(data.items))
    assert count_pairs(train) == len(data.items) ** 2
    monkeypatch.setattr("matinee.models.needs.FEW_PAIRS", 0)
    together = histories.matrix(len(data.items))
    exact = (together.T @ together).nnz
    assert 0.8 * exact < count_pairs(train) < 1.25 * exact


@pytest.mark.parametrize("name", [name for name in model_names() if name != "popularity"])
def test_every_model_says_before_it_starts_that_it_does_not_fit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "rerank":
        pytest.importorskip("lightgbm")
    split = mt.split(mt.synthesize(users=60, items=40, events=900, seed=2))
    monkeypatch.setattr("matinee.memory.available_memory", lambda: 100)
    words = rf"not enough memory: {name} on 60 users and \d+ items.* needs 0? ?\d* MB and 0 MB are free; .*filter items"
    with pytest.raises(MatineeError, match=words):
        mt.fit(name, split)
