"""The server itself, over sockets: connections that are half open, slow, or too many."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from matinee.serve.http import connections
from matinee.serve.http.server import Server, ServerSettings, listen, server_of

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Start = Callable[..., tuple[str, int]]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers `hello`, slowly at /slow and largely at /large."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    body = b"x" * 20_000_000 if scope["path"] == "/large" else b"hello"
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a server with these settings, and with short times."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(connections, "READ_SECONDS", 0.3)
    with ExitStack() as stack:

        def start(**settings: int) -> tuple[str, int]:
            listener = stack.enter_context(listen("127.0.0.1", 0))
            ready = threading.Event()
            server = server_of(hello, ServerSettings(port=0, **settings), ready.set)
            server.config.lifespan = "off"
            thread = threading.Thread(target=run, args=(server, listener))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.stop)
            assert ready.wait(10)
            address: tuple[str, int] = listener.getsockname()
            return address

        yield start


def run(server: Server, listener: socket.socket) -> None:
    """A server in a thread, where it cannot handle signals."""
    asyncio.run(server._serve([listener]))


def ask(address: tuple[str, int], request: bytes = GET) -> bytes:
    """The answer to a request, until the server closes or half a second passes."""
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(request)
        return read(client)


def read(client: socket.socket, seconds: float = 5) -> bytes:
    client.settimeout(seconds)
    found = b""
    try:
        while part := client.recv(65536):
            found += part
            if found.endswith(b"hello") or found.endswith(b".\n"):
                break
    except OSError:
        pass
    return found


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9000,
    ],
)
def test_a_request_that_does_not_arrive_is_given_up(start: Start, sent: bytes) -> None:
    address, begun = start(), time.monotonic()
    with socket.create_connection(address) as client:
        client.sendall(sent)
        answer = read(client)
    assert answer.startswith(b"HTTP/1.1 408")
    assert 0.2 < time.monotonic() - begun < 3


def test_no_answer_says_which_server_it_is(start: Start) -> None:
    address = start()
    for request in (GET, b"nonsense\r\n\r\n", GET.replace(b"GET", b"TRACE")):
        head = ask(address, request).partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 ")
        assert b"server:" not in head
        assert b"uvicorn" not in head


def test_a_header_sent_letter_by_letter_gets_no_more_time(start: Start) -> None:
    address, begun = start(), time.monotonic()
    with socket.create_connection(address) as client, suppress(OSError):
        while time.monotonic() - begun < 5:
            client.sendall(b"x")
            time.sleep(0.02)
    assert time.monotonic() - begun < 3


def test_after_an_answer_the_next_header_has_its_own_time(start: Start) -> None:
    with socket.create_connection(start()) as client:
        for _ in range(3):
            client.sendall(GET)
            assert read(client).endswith(b"hello")
            time.sleep(0.2)
        time.sleep(0.4)  # idle between requests, which may last longer
        client.sendall(GET)
        assert read(client).endswith(b"hello")
        client.sendall(b"GET / HT")
        assert b" 408 " in read(client)


@pytest.mark.parametrize(
    "request_",
    [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n", b"\r\n" * 40_000],
)
def test_what_is_no_request_is_refused(start: Start, request_: bytes) -> None:
    answer = ask(start(), request_)
    assert answer == b"" or b" 400 " in answer or b" 408 " in answer


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Content-Length: 4\r\nContent-Length: 5",
        b"Content-Length: +4",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity",
        b"Host : localhost",
        b" folded: yes",
        b"X: a\0b",
        b"X: a\nY: b",
        b"X: a\rY: b",
    ],
)
def test_what_two_servers_could_read_differently_is_refused(start: Start, header: bytes) -> None:
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n0\r\n\r\n"
    assert b" 400 " in ask(start(), request).partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "large", [b"GET /" + b"a" * 70_000, GET[:-2] + b"X: " + b"y" * 70_000, GET[:-2] + b"X: y\r\n" * 12_000]
)
def test_headers_that_are_too_large_are_refused_before_they_end(start: Start, large: bytes) -> None:
    assert b" 431 " in ask(start(), large)


def test_headers_behind_a_request_that_takes_long_are_bounded_too(start: Start) -> None:
    with socket.create_connection(start()) as client:
        client.sendall(GET.replace(b"/ ", b"/slow ") + b"GET /" + b"a" * 70_000)
        assert b" 431 " in read(client)


def test_pipelined_requests_are_answered_in_their_order(start: Start) -> None:
    with socket.create_connection(start()) as client:
        client.sendall(GET.replace(b"/ ", b"/slow ") + 3 * GET)
        found = b""
        while found.count(b"hello") < 4 and (part := read(client)):  # one read may bring several answers
            found += part
    assert found.count(b" 200 OK") == 4


def test_too_many_pipelined_requests_are_refused(start: Start) -> None:
    with socket.create_connection(start()) as client:
        client.sendall(1000 * GET)
        answer = read(client)
        while part := read(client, 1):
            answer += part
    assert b" 400 " in answer
    assert answer.count(b" 200 OK") <= connections.MOST_PIPELINED + 1


def test_an_answer_that_is_not_read_is_cut(start: Start) -> None:
    with socket.create_connection(start()) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(1)
        assert 0 < len(read(client)) < 20_000_000


def test_idle_connections_make_room_for_new_ones(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 60)
    address = start(max_connections=20)
    with ExitStack() as stack:
        for number in range(150):
            client = stack.enter_context(socket.create_connection(address))
            if number % 2:
                client.sendall(b"GET / HTTP/1.1\r\nHo")
        for _ in range(30):
            assert ask(address).endswith(b"hello")


def test_where_every_connection_is_busy_a_new_one_is_refused_at_once(start: Start) -> None:
    address = start(max_connections=3)
    with ExitStack() as stack:
        busy = [stack.enter_context(socket.create_connection(address)) for _ in range(3)]
        for client in busy:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.1)
        begun = time.monotonic()
        answer = ask(address)
        assert time.monotonic() - begun < 0.3
        assert b" 503 " in answer
        assert b"Retry-After" in answer
        assert all(read(client).endswith(b"hello") for client in busy)
    assert ask(address).endswith(b"hello")


def test_one_address_has_its_own_limit_and_gets_it_back() -> None:
    gate = connections.ConnectionGate(most=100, most_per_address=2, unlimited=frozenset({"10.0.0.1"}))
    gate.addresses["8.8.8.8"] = 2
    gate.addresses["10.0.0.1"] = 50
    assert not gate.admit("8.8.8.8")
    assert gate.admit("8.8.4.4")
    assert gate.admit("10.0.0.1")
