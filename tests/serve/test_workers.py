"""A site of two processes: both answer, one that is killed comes back, and one signal ends all."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest

pytestmark = pytest.mark.slow
if not Path("/proc/self/task").exists():
    pytest.skip("workers are looked up in /proc", allow_module_level=True)


def workers_of(pid: int) -> list[int]:
    """The processes that serve, of this parent."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def site(artefact: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command with two workers, and its address; killed with its workers at the end, whatever happened."""
    command = [sys.executable, "-m", "matinee", "serve", str(artefact), "--workers", "2", "--port", str(free_port())]
    command += ["--db", f"sqlite:///{folder}/site.db", "--metrics-from", "127.0.0.1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=folder, **pipes) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line.startswith("Matinee is at http"), process.stderr and process.stderr.read()
            yield process, line.split()[3]
        finally:
            process.kill()  # the workers notice


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_workers_answer_come_back_and_end_together(artefact_paths: list[Path], tmp_path: Path) -> None:
    with site(artefact_paths[0], tmp_path) as (process, url):
        first, second = workers_of(process.pid)
        for stopped in (first, second):  # each answers while the other one cannot
            os.kill(stopped, signal.SIGSTOP)
            assert httpx2.get(f"{url}about", timeout=20).status_code == 200
            os.kill(stopped, signal.SIGCONT)
        assert 'route="/about",status="200"} 2.0' in httpx2.get(f"{url}metrics", timeout=20).text  # of both together

        for n in range(30):
            if n == 10:
                os.kill(first, signal.SIGKILL)
            post(url, n)
            post(url, n)
        wait_for(lambda: len(workers_of(process.pid)) == 2 and first not in workers_of(process.pid))
        with closing(sqlite3.connect(tmp_path / "site.db")) as database:
            assert database.execute("SELECT count(*), count(DISTINCT event_id) FROM events").fetchone() == (30, 30)

        left = workers_of(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
        assert not any(Path(f"/proc/{pid}").exists() for pid in left)
        assert process.stderr
        assert f"worker {first} ended (exit code -9) and is started again in 0.5 s" in process.stderr.read()


def post(url: str, n: int) -> None:
    """Post an event, again if the connection breaks: its worker may have been killed."""
    event = {"item_id": 1, "kind": "watched", "event_id": f"event-{n}"}
    headers = {"X-Client-ID": "0123456789abcdef0123456789abcdef"}
    for _ in range(3):
        try:
            answer = httpx2.post(f"{url}api/v1/events", json=event, headers=headers, timeout=20)
        except httpx2.TransportError:
            continue
        assert answer.status_code < 300, answer.text
        return
    raise AssertionError("no answer")


def test_what_is_wrong_is_said_once_and_ends_all(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "matinee", "serve", str(tmp_path / "nothing"), "--workers", "2"]
    command += ["--port", str(free_port()), "--db", f"sqlite:///{tmp_path}/site.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
