"""The commands of deploy/, Dockerfile and compose.yaml, run without a container; nginx with its file before the site.

Only locations are changed: folders, ports, and the names of other machines.
"""

import configparser
import json
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import yaml

from database_servers import PostgreSQL, children_of, free_port
from matinee.store.artefact import load
from matinee.store.versions import Registry
from needs import require
from stream_servers import TestBroker

pytestmark = [pytest.mark.slow, pytest.mark.service]
ROOT = Path(__file__).parents[2]
NAME = "films.example.org"
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    port: int, path: str, method: str = "GET", body: object = None, *, tls: bool = False, source: str = "127.0.0.1",
    **headers: str,
) -> Answer:  # fmt: skip
    """An answer to a request of its own connection, from an address of this machine."""
    place: dict[str, Any] = {"timeout": 30, "source_address": (source, 0)}
    insecure = ssl._create_unverified_context()
    connection = (
        HTTPSConnection("127.0.0.1", port, context=insecure, **place)
        if tls
        else HTTPConnection("127.0.0.1", port, **place)
    )
    try:
        given = {"Host": NAME, **{name.replace("_", "-"): value for name, value in headers.items()}}
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, given | ({"Content-Type": "application/json"} if text else {}))
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def wait_until(is_true: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, HTTPException):
            if is_true():
                return
        time.sleep(0.1)
    pytest.fail(log.read_text()[-3000:])


def start_site(arguments: list[str], port: int, log: Path) -> "subprocess.Popen[bytes]":
    """`matinee` with some arguments, once it is ready."""
    command = [sys.executable, "-m", "matinee", *arguments, "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    wait_until(lambda: ask(port, "/health/ready", Host="127.0.0.1").status == 200, process, log)
    return process


def stop(process: "subprocess.Popen[bytes]") -> int:
    """The exit code after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    return process.wait(30)


def moved(arguments: list[str], **locations: object) -> list[str]:
    """Arguments with other locations."""
    for old, new in locations.items():
        arguments = [part.replace(LOCATIONS[old], str(new)) for part in arguments]
    return arguments


LOCATIONS = {
    "state": "/var/lib/matinee", "logs": "/var/log/matinee", "data": "/data", "host": "0.0.0.0",
    "password": "${MATINEE_DB_PASSWORD:?}", "broker": "broker:9092",
    "database": "postgresql://matinee:${MATINEE_DB_PASSWORD:?}@database/matinee",
}  # fmt: skip


@pytest.fixture(scope="module")
def registry(artefact_paths: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state") / "registry"
    made = Registry.create(folder)
    made.add([load(artefact_paths[-1])])
    made.promote(1)
    return folder


@dataclass(frozen=True, slots=True)
class Deployed:
    """The service of deploy/matinee.service behind nginx. port: the site's own; tls, plain: those of the proxy."""

    port: int
    tls: int
    plain: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    def seen(self, answer: Answer) -> str:
        """The address that the access log has for the request of an answer; the line may come after the answer."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in map(json.loads, (self.folder / "access.log").read_text().splitlines()):
                if line["id"] == answer.headers["x-request-id"]:
                    return str(line["address"])
            time.sleep(0.05)
        raise AssertionError("the request is not in the access log")


@pytest.fixture(scope="module")
def deployed(registry: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    require(nginx is not None, "nginx (on Debian: apt-get install nginx-light)")
    folder = tmp_path_factory.mktemp("deployed")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "matinee.service")
    arguments = moved(shlex.split(unit["Service"]["ExecStart"])[1:], logs=folder, state=registry.parent)
    site_port = free_port()
    site = start_site(arguments, site_port, folder / "site.log")
    found = Deployed(site_port, free_port(), free_port(), folder, site)
    proxy = None
    try:
        proxy = start_nginx(str(nginx), found)
        yield found
    finally:
        if proxy:
            stop(proxy)
        if site.poll() is None:
            stop(site)


def start_nginx(nginx: str, on: Deployed) -> "subprocess.Popen[bytes]":
    """nginx with deploy/nginx.conf in the `http` block of a file of its own, as Debian's includes it."""
    folder, certificate = on.folder, on.folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for old, new in (
        ("127.0.0.1:8000", f"127.0.0.1:{on.port}"),
        ("listen 443 ssl", f"listen 127.0.0.1:{on.tls} ssl"),
        ("listen 80", f"listen 127.0.0.1:{on.plain}"),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", str(certificate)),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", str(folder / "key.pem")),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "matinee.conf").write_text(text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;\n" if Path(folder).owner() == "root" else ""
    main = f"{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{main}http {{\naccess_log off;\n{paths}include {folder}/matinee.conf;\n}}\n")
    started = [nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    tested = subprocess.run([*started, "-t"], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr, tested.stderr
    process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: ask(on.tls, "/health/live", tls=True).status == 200, process, folder / "error.log")
    return process


def test_the_proxy_speaks_tls_and_the_site_knows_it(deployed: Deployed) -> None:
    plain = ask(deployed.plain, "/search?q=alien")
    assert (plain.status, plain.headers["location"]) == (301, f"https://{NAME}/search?q=alien")
    page = ask(deployed.tls, "/", tls=True)
    assert page.status == 200
    assert page.headers["strict-transport-security"] == "max-age=31536000"
    event = ask(deployed.tls, "/api/v1/events", "POST", {"item_id": 1, "kind": "click"}, tls=True)
    assert event.status == 201
    assert event.headers["set-cookie"].startswith("__Host-")
    assert "Secure" in event.headers["set-cookie"]


def test_files_come_through_and_figures_do_not(deployed: Deployed) -> None:
    page = ask(deployed.tls, "/", tls=True).body.decode()
    style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', page)
    assert style is not None
    through, direct = ask(deployed.tls, style[1], tls=True), ask(deployed.port, style[1])
    assert (through.status, through.body) == (200, direct.body)
    for name in ("cache-control", "etag", "content-type", "content-security-policy", "x-content-type-options"):
        assert through.headers.get(name) == direct.headers.get(name)
    assert ask(deployed.tls, "/metrics", tls=True).status == 404
    assert ask(deployed.tls, "/", tls=True, Host="evil.example").status == 421


def test_a_visitor_is_who_the_proxy_says_and_nobody_whom_the_visitor_says(deployed: Deployed) -> None:
    for forged in ("203.0.113.9", "127.0.0.1", "203.0.113.9, 198.51.100.2", "nonsense"):
        answer = ask(deployed.tls, "/health/live", tls=True, source="127.0.0.2", X_Forwarded_For=forged)
        assert deployed.seen(answer) == "127.0.0.2"
    answer = ask(deployed.port, "/health/live", source="127.0.0.3", X_Forwarded_For="203.0.113.9")
    assert deployed.seen(answer) == "127.0.0.3"  # no proxy that is named
    insecure = ask(
        deployed.port, "/api/v1/events", "POST", {"item_id": 1, "kind": "click"}, source="127.0.0.3",
        X_Forwarded_Proto="https",
    )  # fmt: skip
    assert "Secure" not in insecure.headers["set-cookie"]


def connections_to(port: int) -> int:
    """Established connections that a process on this machine accepted at a port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


def test_the_proxy_keeps_its_connections_to_the_site(deployed: Deployed) -> None:
    before = connections_to(deployed.port)
    for _ in range(20):
        assert ask(deployed.tls, "/health/live", tls=True).status == 200
    assert before <= connections_to(deployed.port) <= max(before, 1) + 1


def test_a_large_import_comes_through_and_a_larger_one_is_refused_by_the_proxy(deployed: Deployed) -> None:
    refused = ask(deployed.tls, "/api/v1/events", "POST", "x" * (7 << 20), tls=True)
    assert refused.status == 413
    by_site = ask(deployed.tls, "/api/v1/events", "POST", "x" * (5 << 20), tls=True)
    assert by_site.status in (413, 422)
    assert by_site.headers["content-type"] == "application/problem+json"


def test_a_refusal_of_the_site_comes_through_as_it_is_and_sigterm_ends_the_service(deployed: Deployed) -> None:
    """Last: the database goes."""
    database = next(deployed.process.args[n + 1] for n, part in enumerate(deployed.process.args) if part == "--db")  # type: ignore[arg-type,index]
    Path(str(database).removeprefix("sqlite:///")).unlink()
    answers = [ask(deployed.tls, "/api/v1/events", "POST", {"item_id": 1, "kind": "click"}, tls=True) for _ in range(2)]
    assert [answer.status for answer in answers] == [503, 503]
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers)
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert ask(deployed.tls, "/", tls=True).status == 200
    workers = children_of(deployed.process.pid)
    assert stop(deployed.process) == 143
    deadline = time.monotonic() + START_SECONDS
    while left := [pid for pid in workers if Path(f"/proc/{pid}/cmdline").exists()]:  # a moment for Python's own
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    assert ask(deployed.tls, "/", tls=True).status == 502


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    require(analyze is not None, "systemd-analyze (on Debian: apt-get install systemd)")
    text = (ROOT / "deploy" / "matinee.service").read_text(encoding="utf-8")
    (tmp_path / "matinee.service").write_text(text.replace("/opt/matinee/bin/matinee", "/bin/true"))
    done = subprocess.run([str(analyze), "verify", str(tmp_path / "matinee.service")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_composition_and_the_image_run_their_commands(
    registry: Path, test_broker: TestBroker, new_name: str, tmp_path: Path
) -> None:
    require(PostgreSQL.is_installed(), PostgreSQL.install)
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    with PostgreSQL(syncs=False) as server:
        locations = {"database": server.create("site"), "host": "127.0.0.1", "data": registry.parent}
        port = free_port()
        site = start_site(moved(services["site"]["command"], **locations), port, tmp_path / "site.log")
        try:
            check = next(line for line in lines if line.startswith("HEALTHCHECK")).partition("CMD ")[2]
            healthy = [part.replace("127.0.0.1:8000", f"127.0.0.1:{port}") for part in json.loads(check)]
            assert subprocess.run([sys.executable, *healthy[1:]], timeout=30).returncode == 0
            sent = [{"item_id": 1, "kind": "click", "event_id": f"e{n}"} for n in range(5)]
            assert ask(port, "/api/v1/events", "POST", sent, Host="127.0.0.1").status == 201
            relay = moved(services["relay"]["command"], **locations, broker=test_broker.address)
            relay = [part.replace("--topic=events", f"--topic={new_name}") for part in relay]
            done = subprocess.run(
                [sys.executable, "-m", "matinee", *relay, "--once", "--json"], capture_output=True, timeout=120
            )
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["n_read"] == 5
        finally:
            assert stop(site) == 143
        assert subprocess.run([sys.executable, *healthy[1:]], timeout=30, stderr=subprocess.DEVNULL).returncode != 0
    image = moved(json.loads(next(line for line in lines if line.startswith("CMD"))[4:]), host="127.0.0.1")
    image = moved(image, data=registry.parent)
    process = subprocess.Popen(
        [sys.executable, "-m", "matinee", *image, "--port", str(port)], cwd=tmp_path, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: ask(port, "/health/ready", Host="127.0.0.1").status == 200, process, tmp_path / "site.log")
    assert stop(process) == 143
    assert (tmp_path / "matinee.sqlite3").exists()  # in /data, which outlives the container
