"""The server that runs the site: uvicorn, with limits of connections and times."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from matinee.errors import MatineeError
from matinee.serve.http.addresses import read_networks
from matinee.serve.http.connections import ConnectionGate, guarded_by

KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s of proxies: one that closes first never sends a request into a closed connection."""
SHUTDOWN_SECONDS = 10
"""For the requests under way when the server is stopped."""
ACCEPTED_AT_ONCE, BACKLOG = 64, 2048
"""Connections that asyncio accepts before it goes on with the others, and that wait in the kernel."""
OTHER_FILES = 300
"""Open files kept for all but connections: the database, artefacts, logs."""
_log = logging.getLogger("matinee")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where to listen, whom to trust, and how many connections to hold.

    port: 0 for any free one; forwarded_allow_ips: the proxies whose X-Forwarded-For and -Proto count, as addresses and
    networks with commas; max_connections: in all; max_per_address: of one address and worker, proxies and this machine
    aside; workers: processes that serve.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    forwarded_allow_ips: str = "127.0.0.1,::1"
    max_connections: int = 2000
    max_per_address: int = 200
    workers: int = 1

    def __post_init__(self) -> None:
        read_networks("--forwarded-allow-ips", self.forwarded_allow_ips)

    @property
    def proxies(self) -> list[str]:
        """The proxies, one by one."""
        return [part.strip() for part in self.forwarded_allow_ips.split(",") if part.strip()]


class Server(uvicorn.Server):
    """A server that calls on_ready when it accepts requests."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    def stop(self) -> None:
        """End the server after the requests under way; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server."""
        asyncio.get_running_loop().set_exception_handler(_log_briefly)
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # uvicorn has set it to what asyncio accepts at once
        if self._on_ready and self.started:
            self._on_ready()


def server_of(app: ASGIApp, settings: ServerSettings, on_ready: Callable[[], None] | None = None) -> Server:
    """A server of an application. on_ready: called when it accepts requests."""
    most = min(settings.max_connections, _files() - OTHER_FILES)
    if most < settings.max_connections:
        _log.warning("%d connections at most: a process may open %d files (ulimit -n)", most, _files())
    unlimited = frozenset({"127.0.0.1", "::1", *settings.proxies})
    config = uvicorn.Config(
        app,
        ws="none",
        http=guarded_by(ConnectionGate(max(1, most), settings.max_per_address, unlimited)),
        log_level="error",
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        backlog=ACCEPTED_AT_ONCE,
    )
    return Server(config, on_ready)


def require_free(host: str, port: int) -> None:
    """Raises MatineeError if the port is taken."""
    listen(host, port).close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises MatineeError if the port is taken or the host is not one of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # without IPPROTO_TCP, asyncio leaves Nagle's algorithm on, and each answer with a body waits 40 ms for an ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError, UnicodeError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        option = "--host" if isinstance(error, socket.gaierror | UnicodeError) else "--port"
        raise MatineeError(f"{host}:{port} cannot be listened on ({reason}); choose another {option}") from None
    return listener


def address_of(host: str, listener: socket.socket, root_path: str) -> str:
    """The URL of a site that listens there."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}{root_path}/"


def _files() -> int:
    """How many files this process may open; raised to what it is allowed to."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return sys.maxsize
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def _log_briefly(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """One line for what asyncio cannot give to anyone, such as a connection that ends while it is accepted."""
    _log.error("%s: %s", context.get("message"), context.get("exception"))
