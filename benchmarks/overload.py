"""A site with more to do than it can: connections, overload, a locked database. Prints one JSON object.

    OMP_NUM_THREADS=1 python benchmarks/overload.py [--source DIR] [--seconds 10] [--quick] [--parts NAME ...]

Starts `matinee serve` of the sources in a folder (this one's by default) on one core, and measures at the client:

    half_open      1,200 connections that send nothing, to a server of 1,024 open files: whether others get answers, and
                   how much it logs
    connections    1,000 connections, each asking again and again, 200 requests a second in all, open loop: a request is
                   sent at its time, whatever became of those before, and its latency counts from that time
    overload       open loop on kept connections at three times what the site answered of lists to 8 that ask one after
                   another; how late this script sent its requests is in their times too
    flood          the same at six times
    lock           another process holds the write lock: health, pages, lists and writes, every half second
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import uvloop

PORT = 8766
N_CALLERS = 100
"""Connections that are open before the load begins."""
PARTS = ("half_open", "connections", "overload", "flood", "lock")
FEW_FILES, MANY_FILES = 1024, 4096
"""Files that the server may open: for half-open connections, and for the rest."""
LIST = "/api/v1/recommendations?history=1,2,3,10,32&k=24&model=item-knn"
EVENT = json.dumps({"item_id": 1, "kind": "rating", "value": 4}).encode()
Answer = tuple[int, float]
"""Status and seconds; status 0: no answer."""


@contextmanager
def server(folder: Path, source: Path, n_files: int) -> Iterator[Path]:
    """`matinee serve` of some sources on one core; yields the file of what it prints on standard error."""
    pin = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    command = [*pin, sys.executable, "-c", "from matinee.cli import main; main()", "serve", str(folder / "item-knn")]
    command += ["--port", str(PORT), "--db", f"sqlite:///{folder}/site.db"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(source)}
    errors = folder / "stderr"
    with (
        errors.open("wb") as log,
        subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files)),
        ) as process,
    ):
        assert process.stdout is not None
        try:
            if "http://" not in process.stdout.readline():
                sys.exit("the server did not start: " + errors.read_text())
            yield errors
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


async def ask(path: str, body: bytes | None = None, *, timeout: float = 20, since: float | None = None) -> Answer:
    """One request on a connection of its own."""
    begun = since or time.perf_counter()
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
            try:
                status = await exchange(reader, writer, path, body)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
        status = 0
    return status, time.perf_counter() - begun


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: bytes | None = None
) -> int:
    """Send a request and read the whole answer. Returns its status."""
    head = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: 127.0.0.1:{PORT}"]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body is not None else []
    writer.write("\r\n".join([*head, "", ""]).encode() + (body or b""))
    header = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = header.partition("content-length: ")[2].partition("\r\n")[0]
    await reader.readexactly(int(length))
    return int(header.split(" ", 2)[1])


def summary(answers: list[Answer]) -> dict[str, object]:
    """Counts by status, and for each the percentiles of its milliseconds."""
    found: dict[str, object] = {"answers": {str(s): n for s, n in sorted(Counter(s for s, _ in answers).items())}}
    for status in {status for status, _ in answers}:
        times = [1000 * seconds for one, seconds in answers if one == status]
        if len(times) > 1:
            cuts = statistics.quantiles(times, n=100, method="inclusive")
            found[f"ms_of_{status}"] = {f"p{p}": round(cuts[p - 1], 1) for p in (50, 95, 99)}
    return found


async def open_loop(rate: float, seconds: float, send: Callable[[int, float], Awaitable[Answer]]) -> list[Answer]:
    """Send requests at even times. send: called with a number and its time."""
    begun, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        at = begun + number / rate
        await asyncio.sleep(max(0, at - time.perf_counter()))
        tasks.append(asyncio.create_task(send(number, at)))
    return list(await asyncio.gather(*tasks))


async def half_open(errors: Path, n: int) -> dict[str, object]:
    before, silent = errors.stat().st_size, []
    for _ in range(n):
        try:
            silent.append(await asyncio.wait_for(asyncio.open_connection("127.0.0.1", PORT), 2))
        except (OSError, TimeoutError):
            break
    answers = [await ask("/health/live", timeout=5) for _ in range(20)]
    await asyncio.sleep(3)
    for _, writer in silent:
        writer.close()
    return {"opened": len(silent), "stderr_bytes": errors.stat().st_size - before} | summary(answers)


async def connections(n: int, seconds: float) -> dict[str, object]:
    pairs = [await asyncio.open_connection("127.0.0.1", PORT) for _ in range(n)]
    locks = [asyncio.Lock() for _ in range(n)]

    async def send(number: int, at: float) -> Answer:
        index = number % n
        try:
            async with asyncio.timeout(20), locks[index]:
                status = await exchange(*pairs[index], "/health/ready")
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            status = 0
        return status, time.perf_counter() - at

    answers = await open_loop(200, seconds, send)
    for _, writer in pairs:
        writer.close()
    return {"connections": n} | summary(answers)


class Caller(asyncio.Protocol):
    """A connection that is used again for one request after another, at a tenth of the cost of streams."""

    def __init__(self) -> None:
        self.received, self.answered = b"", asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self.received += data
        head, _, body = self.received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if length and len(body) >= int(length):
            self.answered.set_result(int(self.received.split(b" ", 2)[1]))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if not self.answered.done():
            self.answered.set_result(0)

    async def get(self, path: str) -> int:
        """The status of an answer, 0 without one."""
        self.received, self.answered = b"", asyncio.get_running_loop().create_future()
        self.transport.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return cast(int, await self.answered)


async def overload(seconds: float, times: float) -> dict[str, object]:
    """Open loop, on as many kept connections as are needed: a proxy's way to send."""
    free = [await _connect() for _ in range(N_CALLERS)]
    done = 0

    async def one_after_another(end: float) -> None:
        nonlocal done
        caller = free.pop()
        while time.perf_counter() < end:
            status = await caller.get(LIST)
            done += status == 200
        free.append(caller)

    for duration in (2, 2):  # the first warms up
        done = 0
        await asyncio.gather(*(one_after_another(time.perf_counter() + duration) for _ in range(8)))
    rate, late = done / 2, list[float]()

    async def send(_: int, at: float) -> Answer:
        late.append(1000 * (time.perf_counter() - at))
        caller = free.pop() if free else await _connect()
        try:
            async with asyncio.timeout(20):
                status = await caller.get(LIST)
        except TimeoutError:
            status = 0
        free.append(caller if status else await _connect())
        return status, time.perf_counter() - at

    answers = await open_loop(times * rate, seconds, send)
    for caller in free:
        caller.transport.abort()
    found: dict[str, object] = {"answered_a_second_by_8": round(rate), "asked_a_second": round(times * rate)}
    return found | {"sent_late_ms_p95": round(statistics.quantiles(late, n=20)[-1], 1)} | summary(answers)


async def _connect() -> Caller:
    _, caller = await asyncio.get_running_loop().create_connection(Caller, "127.0.0.1", PORT)
    return caller


async def lock(database: Path, seconds: float) -> dict[str, object]:
    kinds = {
        "health": ("/health/live", None),
        "page": ("/about", None),
        "list": (LIST, None),
        "write": ("/api/v1/events", EVENT),
    }
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        tasks: dict[str, list[asyncio.Task[Answer]]] = {kind: [] for kind in kinds}
        for _ in range(int(2 * seconds)):
            for kind, (path, body) in kinds.items():
                tasks[kind] += [asyncio.create_task(ask(path, body)) for _ in range(8 if kind == "write" else 1)]
            await asyncio.sleep(0.5)
        other.execute("ROLLBACK")
    found = {kind: summary(list(await asyncio.gather(*sent))) for kind, sent in tasks.items()}
    return {"seconds": seconds} | found | {"after": summary([await ask("/api/v1/events", EVENT) for _ in range(5)])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[1] / "src")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--quick", action="store_true", help="a tenth of it, to see that it works")
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    options = parser.parse_args()
    scale = 0.1 if options.quick else 1.0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        train = [sys.executable, "-c", "from matinee.cli import main; main()", "train", "item-knn", "--data", "bundled"]
        environment = os.environ | {"PYTHONPATH": str(options.source)}
        subprocess.run([*train, "--out", str(folder / "item-knn")], env=environment, check=True, capture_output=True)
        found: dict[str, object] = {"load_average": round(os.getloadavg()[0], 1)}
        parts: dict[str, Callable[[Path], Coroutine[Any, Any, dict[str, object]]]] = {
            "half_open": lambda errors: half_open(errors, int(1200 * scale)),
            "connections": lambda _: connections(int(1000 * scale), options.seconds * scale),
            "overload": lambda _: overload(options.seconds * scale, 3),
            "flood": lambda _: overload(options.seconds * scale, 6),
            "lock": lambda _: lock(folder / "site.db", 30 * scale),
        }
        for name in options.parts:
            part = parts[name]
            print(name, file=sys.stderr, flush=True)
            with server(folder, options.source, FEW_FILES if name == "half_open" else MANY_FILES) as errors:
                try:
                    found[name] = uvloop.run(part(errors))
                except (OSError, asyncio.IncompleteReadError) as error:
                    found[name] = {"failed": str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
