"""Columns as long as a log: worked on by blocks, and in files where they are a large part of what is free."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array

import matinee as mt
from matinee import mapped
from matinee.arrays import count_rows, row_blocks, starts_of
from matinee.config import FilterConfig, SplitConfig
from matinee.data.filters import apply_filters
from matinee.data.splits import split
from matinee.data.tables import events_from_frame
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.models.needs import matrix_needs

METHODS = ("random", "leave-last", "leave-random", "time", "new-users", "k-fold", "session", "new-items")


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Users with few and with many events, some of them repeated."""
    rng = np.random.default_rng(1)
    n = 3000
    columns = {
        "user": (rng.random(n) ** 3 * 70).astype(np.int64),
        "item": rng.integers(0, 50, n),
        "value": rng.integers(1, 6, n),
        "at": rng.integers(10**9, 10**9 + 10**6, n),
    }
    return events_from_frame(columns, repeats="keep")


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 97 elements."""
    for module in ("arrays", "histories"):
        monkeypatch.setattr(f"matinee.{module}.BLOCK", 97)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A machine so small that every column lies in a file. Yields the folder of the files."""
    monkeypatch.setattr(mapped, "LARGEST_HELD", 0)
    monkeypatch.setattr(mapped, "available_memory", lambda: 100)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "matinee"


@pytest.mark.usefixtures("small_blocks")
def test_blocks_are_whole_rows_and_all_of_them() -> None:
    lengths = np.array([0, 50, 47, 1, 300, 0, 0, 97, 97, 1, 0])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    found = list(row_blocks(starts))
    assert [(rows.start, rows.stop) for rows, _ in found] == [(0, 3), (3, 4), (4, 5), (5, 8), (8, 9), (9, 11)]
    assert [elements.start for _, elements in found] == [starts[rows.start] for rows, _ in found]
    assert found[-1][1].stop == lengths.sum()


@pytest.mark.usefixtures("small_blocks")
def test_counts_are_those_of_bincount() -> None:
    rows = np.sort(np.random.default_rng(1).integers(0, 40, 1000)).astype(np.int32)
    for least in (0, 20, 60):
        assert np.array_equal(count_rows(rows, least), np.bincount(rows, minlength=least))
    assert np.array_equal(np.diff(starts_of(rows, 60)), np.bincount(rows, minlength=60))


@pytest.mark.parametrize("method", METHODS)
def test_a_split_by_blocks_is_the_split_of_the_whole(
    method: str, data: Dataset, request: pytest.FixtureRequest
) -> None:
    config = SplitConfig(split=method)  # type: ignore[arg-type] - one of METHODS
    whole = split(data, config)
    request.getfixturevalue("small_blocks")
    blocked = split(data, config)
    assert np.array_equal(blocked.labels, whole.labels)
    assert (blocked.leaks, blocked.notes, blocked.sizes()) == (whole.leaks, whole.notes, whole.sizes())
    assert blocked.training().fingerprint == whole.training().fingerprint


@pytest.mark.parametrize("order", ["users-items", "items-users", "fixed-point"])
def test_filters_by_blocks_are_those_of_the_whole(order: str, data: Dataset, request: pytest.FixtureRequest) -> None:
    least = {"min_user_events": 12, "min_item_events": 15}
    config = FilterConfig(**least, filter_order=order, sample_users=40)  # type: ignore[arg-type] - one of the orders
    whole = apply_filters(data, config, rng=np.random.default_rng(1))
    request.getfixturevalue("small_blocks")
    request.getfixturevalue("files")
    blocked = apply_filters(data, config, rng=np.random.default_rng(1))
    assert len(blocked) < len(data)
    assert blocked.fingerprint == whole.fingerprint
    assert blocked.notes == whole.notes


def test_leaks_are_those_of_a_plain_loop(data: Dataset, small_blocks: None) -> None:
    found = split(data, SplitConfig(split="random", seed=3))
    events, labels = data.events, found.labels
    train = [n for n in range(len(events)) if labels[n] == 0]
    given = {(events.user_rows[n], events.item_rows[n]) for n in train}
    latest = {events.user_rows[n]: events.times[n] for n in train}  # ascending, so the last stays
    targets = [n for n in range(len(events)) if labels[n] == 4]
    counts = found.count_leaks("test")
    assert counts.targets == len(targets)
    assert counts.older_than_train == sum(events.times[n] < events.times[train].max() for n in targets)
    assert counts.older_than_own == sum(events.times[n] < latest.get(events.user_rows[n], 0) for n in targets)
    assert counts.repeated == sum((events.user_rows[n], events.item_rows[n]) in given for n in targets) > 0


@pytest.mark.parametrize("weighed", [False, True])
def test_a_matrix_by_blocks_has_one_cell_for_each_pair(weighed: bool, data: Dataset, small_blocks: None) -> None:
    histories = mt.split(data).training().histories
    entries = histories.values if weighed else None
    matrix = histories.matrix(len(data.items), entries)
    last = dict.fromkeys(zip(histories.owners.tolist(), histories.items.tolist(), strict=True), 1.0)
    for owner, item, value in zip(histories.owners, histories.items, histories.values, strict=True):
        last[int(owner), int(item)] = float(value) if weighed else 1.0
    rows, columns = np.array(list(last)).T
    wanted = coo_array((list(last.values()), (rows, columns)), shape=matrix.shape).toarray()
    assert np.array_equal(matrix.toarray(), wanted)
    assert matrix.nnz == len(last)
    assert matrix.has_sorted_indices


def test_columns_in_files_are_those_in_memory(data: Dataset, request: pytest.FixtureRequest) -> None:
    held = mt.split(data)
    request.getfixturevalue("small_blocks")
    folder = request.getfixturevalue("files")
    filed = mt.split(data)
    assert filed.training().fingerprint == held.training().fingerprint
    column = filed.training().histories.times
    while isinstance(column.base, np.ndarray):
        column = column.base
    assert type(column.base).__name__ in ("mmap", "memoryview")
    assert list(folder.iterdir()) == []  # a file without a name
    assert np.array_equal(mt.fit("ials", filed, epochs=2).model.items, mt.fit("ials", held, epochs=2).model.items)


def test_an_array_is_in_memory_where_it_is_a_small_part_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "LARGEST_HELD", 10)
    for free, is_held in ((None, True), (1600, True), (1599, False)):
        monkeypatch.setattr(mapped, "available_memory", lambda free=free: free)
        assert mapped.empty(100, np.int8).flags.owndata == is_held


@pytest.mark.usefixtures("files")
def test_a_folder_that_cannot_hold_a_column_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "matinee").write_text("a file where a folder should be")
    with pytest.raises(MatineeError, match=r"a column of 0 MB has to lie in a file, and .*matinee cannot hold it \("):
        mapped.empty(200, np.int8)
    assert len(mapped.empty(100, np.int8)) == 100  # there is memory for it


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's data")
def test_what_lies_in_files_does_not_count_against_a_bound() -> None:
    script = (
        "import numpy as np\nfrom matinee.mapped import empty\nfrom matinee.memory import bounded, resident_memory\n"
        "with bounded(resident_memory() + 150_000_000):\n"
        "    held = [empty(60_000_000, np.int8) for _ in range(5)]\n"
        "    for each in held:\n        each[:] = 7\n"
        "    print(sum(int(each[-1]) for each in held))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "35\n", done.stderr


def test_what_lies_in_files_is_not_said_to_be_needed(data: Dataset, request: pytest.FixtureRequest) -> None:
    train = mt.split(data).training()
    n_bytes = 8 * len(train.histories.items)
    assert matrix_needs(train, 4) == 4 * n_bytes
    request.getfixturevalue("files")
    assert matrix_needs(train, 4) == 3 * n_bytes
    assert matrix_needs(train, 4, filed=3) == n_bytes
