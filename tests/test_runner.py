"""Runners: the same results in the same order, whatever runs the parts; and what is said when one fails."""

import operator
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array, issparse

import matinee as mt
from matinee.cli.running import run
from matinee.data.synthetic import two_groups
from matinee.dataset import Dataset
from matinee.errors import MatineeError, UsageError
from matinee.lists import everyone
from matinee.lists.everyone import require_length
from matinee.lists.file import write
from matinee.models import item_strips, model_class
from matinee.models.factors import ials
from matinee.scale.choice import runner_of
from matinee.scale.cluster import why_lost, why_not
from matinee.scale.local import LARGE, Processes
from matinee.scale.packing import pack, unpack
from matinee.scale.runner import AHEAD, HELD, Here, Runner, Workers, attempt
from matinee.tensors import read_arrays, write_arrays
from matinee.training.run import Run
from matinee.workflow import counting
from matinee.workflow.data import whole


@pytest.fixture(scope="module")
def processes() -> Iterator[Runner]:
    with Processes(2) as runner:
        yield runner


def late_first(part: int) -> int:
    """The earlier a part, the later its result."""
    time.sleep((3 - part) * 0.02)
    return part


def drawn(part: tuple[int, int]) -> float:
    """What a job draws follows from its part."""
    return float(np.random.default_rng(part).random())


def process_of(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def die(part: int) -> int:
    if part == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return part


def exhausted(part: int) -> None:
    raise MemoryError


@pytest.mark.slow
def test_results_come_in_the_order_of_the_parts_and_from_several_processes(processes):
    assert list(processes.map(late_first, range(4))) == list(Here().map(late_first, range(4))) == [0, 1, 2, 3]
    seeds = [(42, part) for part in range(9)]
    assert list(processes.map(drawn, seeds)) == list(Here().map(drawn, seeds)) == [drawn(seed) for seed in seeds]
    assert len(set(processes.map(process_of, range(8)))) == 2
    assert list(processes.map(drawn, [])) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["here", "processes"])
def test_an_error_names_the_part_and_keeps_its_kind(kind, processes):
    runner = Here() if kind == "here" else processes
    with pytest.raises(MatineeError, match="part 2: k = 0: a list has at least one item"):
        list(runner.map(require_length, [1, 0, 2]))
    with pytest.raises(MatineeError, match="part 3: unexpected ZeroDivisionError: division by zero") as caught:
        list(runner.map(partial(operator.truediv, 1), [2, 1, 0, 3]))
    assert any("Traceback" in note for note in caught.value.__notes__)
    with pytest.raises(MatineeError, match="part 1: not enough memory"):
        list(runner.map(exhausted, [1]))
    results = runner.map(require_length, [1, 2, 0])
    assert [next(results), next(results)] == [None, None]  # what came before is there


@pytest.mark.slow
def test_a_process_that_is_killed_is_one_line():
    with (
        Processes(2) as runner,
        pytest.raises(MatineeError, match="killed, perhaps for want of memory; fewer at a time"),
    ):
        list(runner.map(die, range(4)))


@pytest.mark.slow
def test_a_process_starts_when_there_is_work_and_another_when_one_was_killed():
    with Processes(2) as runner:
        shipped = runner.ship(process_of)
        first = runner.begin(shipped, 0).result().value
        assert list(runner.map(process_of, [1])) == [first]
        assert [process.pid for process, _ in runner._started] == [first]
        assert len(set(runner.map(process_of, range(8)))) == len(runner._started) == 2
        with pytest.raises(MatineeError, match="killed, perhaps for want of memory"):
            list(runner.map(die, [1]))
        after = set(runner.map(process_of, range(8)))
        assert len(after) == 2
        assert len(runner._started) == 3
        assert after < {process.pid for process, _ in runner._started}


@pytest.mark.slow
def test_processes_killed_as_they_start_and_as_they_end_are_one_line(monkeypatch):
    monkeypatch.setattr(Processes, "_start", killed_at_once(Processes._start))
    for parts in (1, 2, 5):
        with Processes(3) as runner, pytest.raises(MatineeError, match="a worker process was killed"):
            list(runner.map(process_of, range(parts)))
        assert all(process.exitcode == -signal.SIGKILL for process, _ in runner._started)


def killed_at_once(start):
    """How a process starts, and is killed."""

    def start_and_kill(runner):
        pipe = start(runner)
        for process, _ in runner._started:
            process.kill()
        return pipe

    return start_and_kill


def test_a_process_that_cannot_start_is_one_line(monkeypatch):
    def fails(_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", fails)
    with (
        Processes(2) as runner,
        pytest.raises(MatineeError, match=r"cannot start: .*temporarily unavailable; try fewer"),
    ):
        list(runner.map(process_of, range(3)))


@pytest.mark.slow
def test_an_interrupted_map_ends_its_processes(tmp_path):
    runner, pids = Processes(2), []

    def interrupted() -> None:
        with runner:
            for _ in runner.map(time.sleep, [0.01, 600, 600]):
                pids.extend(process.pid for process, _ in runner._started)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not runner._folder.exists()


@dataclass(eq=False)
class Task:
    job: object
    part: object


class Slowest(Workers):
    """Workers that end the last task first."""

    workers = 2

    def __init__(self) -> None:
        self.most, self.held, self.cancelled = 0, 0, []

    def ship(self, job):
        return job

    def begin(self, shipped, part):
        return Task(shipped, part)

    def ended(self, tasks):
        self.most = max(self.most, len(tasks))
        return {tasks[-1]: attempt(tasks[-1].job, tasks[-1].part, 1)}

    def cancel(self, tasks):
        self.cancelled += tasks

    def __exit__(self, *error):
        pass


def test_parts_are_taken_as_workers_get_free_and_results_that_wait_are_bounded():
    taken = []
    parts = (taken.append(part) or part for part in range(60))
    workers = Slowest()
    results = workers.map(abs, parts)
    assert next(results) == 0
    assert len(taken) == HELD * workers.workers  # the first was last of all that may be held
    assert workers.most == AHEAD * workers.workers
    assert list(results) == list(range(1, 60))


def test_what_nobody_waits_for_is_cancelled():
    workers = Slowest()
    with pytest.raises(MatineeError, match="part 1: "):
        list(workers.map(len, [0, [], [], [], [], []]))
    assert not workers.cancelled  # an error waits for its turn, as a result does
    results = workers.map(len, [[], [], [], 0, [], []])
    workers.ended = lambda tasks: {tasks[0]: attempt(tasks[0].job, tasks[0].part, 1)}
    next(results)
    results.close()
    assert len(workers.cancelled) == AHEAD * workers.workers - 1


def test_a_job_is_packed_without_a_copy_of_its_arrays_and_read_as_it_was(tmp_path):
    write_arrays(tmp_path / "mapped.safetensors", {"mapped": np.arange(1000.0)})
    mapped = read_arrays(tmp_path / "mapped.safetensors")["mapped"]
    job = {"mapped": mapped, "sparse": csr_array(np.eye(5)), "fortran": np.asfortranarray(np.ones((3, 4))), "k": 3}
    pickled, buffers = pack(job)
    assert len(pickled) < 2000
    assert sum(len(each) for each in buffers) >= 8000
    found = unpack(pickled, [bytes(each) for each in buffers])
    assert np.array_equal(found["mapped"], mapped)
    assert not found["mapped"].flags.writeable
    assert (found["sparse"] != job["sparse"]).nnz == 0
    assert found["k"] == 3
    assert found["fortran"].flags.f_contiguous


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0, "workers = 0: at least one worker"),
        (-1, "workers = -1"),
    ],
)
def test_a_wrong_runner_is_one_line(given, message):
    with pytest.raises(UsageError, match=message):
        runner_of(given)


def test_one_worker_is_this_process():
    assert isinstance(runner_of(), Here)
    assert isinstance(runner_of(1), Here)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_lists_of_several_processes_are_those_of_one_byte_for_byte(ending, processes, tmp_path, monkeypatch):
    monkeypatch.setattr(everyone, "PART_ROWS", 5 * 3)
    for model, settings in (("ease", {"l2": 1.0}), ("ials", {"dim": 4, "epochs": 2})):
        lists = everyone.for_users(mt.fit(model, two_groups(24, 12), **settings), "all", 3)
        alone, together = tmp_path / f"{model}-1.{ending}", tmp_path / f"{model}-2.{ending}"
        write(lists, alone, runner=Here(1))
        assert write(lists, together, runner=processes).parts == 5
        assert alone.read_bytes() == together.read_bytes()


@pytest.mark.slow
def test_a_second_run_with_workers_skips_what_is_done(processes, tmp_path, monkeypatch):
    monkeypatch.setattr(everyone, "PART_ROWS", 5 * 3)
    lists, out = everyone.for_users(mt.fit("ease", two_groups(24, 12)), "all", 3), tmp_path / "lists.csv"
    write(lists, tmp_path / "whole.csv")

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(lists, out, stop, processes)
    assert len(list((tmp_path / ".lists.csv.parts").glob("0*.csv"))) == 3
    assert write(lists, out, runner=processes).continued == 3
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("10.0.0.1", "a cluster is HOST:PORT, such as"),
        ("10.0.0.1:", "a cluster is HOST:PORT"),
        (":6379", "a cluster is HOST:PORT"),
        ("10.0.0.1:99999", "a cluster is HOST:PORT"),
        ("10.0.0.1:6e3", "a cluster is HOST:PORT"),
        ("http://10.0.0.1:6379", "a cluster is HOST:PORT"),
        ("ray://10.0.0.1", "a cluster is HOST:PORT"),
        ("", "a cluster is HOST:PORT"),
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1: .*refused; is `ray start` running"),
        ("nowhere.invalid:6379", "no Ray cluster answers at nowhere.invalid:6379: "),
        ("ray://127.0.0.1:1", "no Ray cluster answers at ray://127.0.0.1:1: .*refused"),
    ],
)
def test_an_address_that_is_no_cluster_is_one_line_at_once(address, message):
    pytest.importorskip("ray")
    with pytest.raises(MatineeError, match=message):
        runner_of(address)


def test_another_server_at_the_address_is_one_line_at_once():
    pytest.importorskip("ray")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        with pytest.raises(MatineeError, match="is no Ray cluster: it does not speak gRPC"):
            runner_of(f"127.0.0.1:{server.getsockname()[1]}")
        answering.join()


MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.52.0
    Python: 3.12.1
This process on 10.0.0.9 was started with:
    Ray: 2.60.0
    Python: 3.11.7
"""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError(MISMATCH), "Ray 2.52.0 with Python 3.12.1 and Ray 2.60.0 with Python 3.11.7 do not go together"),
        (RuntimeError("InvalidAuthToken: Authentication failed"), "wants its token: set RAY_AUTH_MODE=token"),
        (ConnectionError("ray client connection timeout"), "HOST:PORT is what `ray start --head` prints"),
    ],
)
def test_a_cluster_that_does_not_take_this_process_is_one_line(error, message):
    line = why_not("10.0.0.1:6379", error)
    assert message in line
    assert "10.0.0.1:6379" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("failed to import ...\nModuleNotFoundError: No module named 'matinee'"), "has no matinee: pip"),
        (RuntimeError("No module named 'matinee.scale'\n"), "has no matinee.scale: pip install 'matinee"),
        (MemoryError("Task was killed\nby the node"), "gave a part up: MemoryError Task was killed; give nodes more"),
    ],
)
def test_a_part_that_the_cluster_gives_up_is_one_line(error, message):
    assert message in why_lost(error)
    assert "\n" not in why_lost(error)


@pytest.fixture(scope="module")
def few_items() -> Dataset:
    """671 users and 152 items."""
    return mt.keep(mt.load("bundled"), min_item_events=110)


COUNTED = [
    ("ease", {}),
    ("ease", {"closeness": 0.5, "span": 4}),
    ("item-knn", {}),
    ("pmi", {"pair_weight": "user"}),
    ("markov", {}),
    ("linear-next", {"user_power": 0.5}),
    ("movie-pairs", {}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings"), COUNTED)
def test_counts_by_strips_of_items_are_the_same_bits_for_every_runner(
    name, settings, processes, few_items, monkeypatch
):
    train, model = whole(few_items).training(), model_class(name)(**settings)
    together = item_strips.count_in_strips(model.strips(train))
    monkeypatch.setattr(item_strips, "STRIP_COST", 2_000)
    monkeypatch.setattr(item_strips, "BLOCK_CELLS", 20_000)
    assert len(item_strips.strip_ranges(model.strips(train).costs)) > 3
    here, there = (counting.count_by_parts(model, train, runner) for runner in (Here(1), processes))
    one, two, all_at_once = (each.toarray() if issparse(each) else each for each in (here, there, together))
    assert np.array_equal(one, two)
    half = np.tril if name == "ease" else np.copy  # the other is not read
    assert np.array_equal(half(one), half(all_at_once))


@pytest.mark.slow
def test_ials_by_blocks_is_that_of_one_process_bit_for_bit(processes, few_items, monkeypatch):
    monkeypatch.setattr(ials, "BLOCK_VALUES", 4000)
    train, fits = whole(few_items).training(), []
    for runner in (None, Here(1), processes):
        model, run_ = model_class("ials")(dim=8, epochs=2), Run.seeded(3)
        fits.append(model.fit(train, run_) if runner is None else counting.fit_by_parts(model, train, run_, runner))
    for fitted in fits[1:]:
        assert np.array_equal(fitted.items, fits[0].items)
        assert [each["loss"] for each in fitted.curves] == [each["loss"] for each in fits[0].curves]


@pytest.mark.slow
def test_parts_come_as_they_end_each_with_its_result(processes):
    found = list(processes.as_ended(late_first, range(4)))
    assert sorted(found) == [(part, part) for part in range(4)]
    assert list(Here().as_ended(abs, [-1, 2])) == [(-1, 1), (2, 2)]
    with pytest.raises(MatineeError, match="part 2: k = 0"):
        list(processes.as_ended(require_length, [1, 0]))


@pytest.mark.slow
def test_a_large_result_comes_back_through_a_file_that_is_gone_then(processes):
    n = LARGE // 8 + 1
    found = list(processes.map(partial(np.full, n), [1.0, 2.0, 3.0]))
    assert [(each[0], each[-1], len(each)) for each in found] == [(1, 1, n), (2, 2, n), (3, 3, n)]
    found[0] += 1  # as a caller's own
    assert found[0].sum() == 2 * n
    assert not [file for file in processes._folder.iterdir() if file.stat().st_size > LARGE]


def test_a_part_is_taken_only_when_a_worker_is_free():
    taken = []
    workers = Slowest()
    results = workers.as_ended(abs, (taken.append(part) or part for part in range(6)))
    assert next(results) == (1, 1)
    assert taken == [0, 1]
    assert sorted(results) == [(part, part) for part in (0, 2, 3, 4, 5)]


def test_strips_cover_all_items_and_cost_about_the_same(few_items, monkeypatch):
    monkeypatch.setattr(item_strips, "STRIP_COST", 100)
    matrix = whole(few_items).training().matrix()
    costs = item_strips.pairs_of(matrix)
    assert costs.sum() == pytest.approx((np.diff(matrix.indptr).astype(float) ** 2).sum())
    strips = item_strips.strip_ranges(costs)
    assert len(strips) == item_strips.STRIPS
    assert [0, *(stop for _, stop in strips)] == [*(start for start, _ in strips), len(costs)]
    assert max(costs[start:stop].sum() for start, stop in strips) < 1.5 * costs.sum() / len(strips)
    monkeypatch.setattr(item_strips, "STRIP_COST", 1e12)
    assert item_strips.strip_ranges(costs) == [(0, len(costs))]


def test_a_fit_by_workers_is_that_of_one_process(few_items):
    fits = [mt.fit("ease", few_items, workers=workers, values="unary").model.weights for workers in (None, 1)]
    assert np.array_equal(*fits)


@pytest.mark.parametrize("workers", [1, 2, "10.0.0.1:6379"])
def test_a_model_without_counts_and_blocks_says_that_workers_have_no_effect(workers, few_items):
    with pytest.raises(UsageError, match=r"--workers and --on have no effect on user-knn .* leave them out"):
        mt.fit("user-knn", few_items, workers=workers)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train user-knn --workers 2 --out A", "--workers and --on have no effect on user-knn"),
        ("train ease --workers 0 --out A", "--workers"),
        ("train ease --workers 2 --on 10.0.0.1:6379 --out A", "--workers and --on were both given"),
        ("train markov --on 10.0.0.1 --out A", "--on 10.0.0.1: a cluster is HOST:PORT"),
        ("recommend A --user 1 --workers 2", "--out, --titles, --ann, --workers and --on are for the lists of many"),
        ("recommend A --users all --out L.csv --workers 1 --on auto", "--workers and --on were both given"),
        ("similar A --title X --on auto", "--out, --titles, --workers and --on are for the lists of many"),
    ],
)
def test_a_wrong_command_is_one_line(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run([*line.split()]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""
    assert not list(tmp_path.iterdir())
