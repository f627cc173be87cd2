"""What load scripts share: a request over a kept connection, and the processor time of a server."""

import asyncio
import json
from pathlib import Path


class Processor:
    """Processor time of all threads of a process, ended ones included."""

    def __init__(self, pid: int) -> None:
        self._tasks = Path(f"/proc/{pid}/task")
        self._known: dict[str, int] = {}

    def seconds(self) -> float:
        """The processor time so far."""
        for task in self._tasks.iterdir():
            try:
                self._known[task.name] = int((task / "schedstat").read_text().split()[0])
            except OSError:  # the thread has ended: its last value stays
                continue
        return sum(self._known.values()) / 1e9


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: tuple[str, str, dict[str, str], object]
) -> tuple[int, bytes]:
    """Send a request (method, path, headers, JSON body) and read the whole answer: its status and body."""
    method, path, headers, sent = request
    body = b"" if sent is None else json.dumps(sent).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if sent is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    header = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(header.partition("content-length: ")[2].partition("\r\n")[0] or 0)
    return int(header.split(" ", 2)[1]), await reader.readexactly(length)
