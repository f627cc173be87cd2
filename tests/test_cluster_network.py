"""A cluster of hosts in network namespaces: a job crosses the network, and nobody outside gets in."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import matinee as mt
from matinee.data.synthetic import two_groups
from matinee.lists.everyone import for_users
from matinee.lists.file import write
from matinee.scale.runner import Here
from needs import require

pytestmark = [pytest.mark.slow, pytest.mark.service]
HEAD, NODE, OUTSIDE, OUTSIDER = "10.81.1.1", "10.81.1.2", "10.81.2.1", "10.81.2.2"
RAY = ["--object-store-memory", "83886080", "--disable-usage-stats", "--block"]
ASK = """
import sys
from matinee.scale.choice import runner_of
try:
    with runner_of(sys.argv[1]) as runner:
        print(list(runner.map(abs, [1])))
except Exception as error:
    print(error)
"""


class Hosts:
    """Three hosts: head and node on one network, head and outsider on another; no route leads on."""

    def __init__(self) -> None:
        self.names = {name: f"mt{os.getpid()}{name}" for name in ("head", "node", "outsider")}
        self.folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # Ray's sockets have short paths
        self.token = secrets.token_hex(32)
        self.started: list[subprocess.Popen[bytes]] = []
        self.outsider: subprocess.Popen[str] | None = None

    def connect(self) -> None:
        for name in self.names.values():
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        self._link("head", HEAD, "node", NODE, "in")
        self._link("head", OUTSIDE, "outsider", OUTSIDER, "out")

    def _link(self, one: str, address: str, other: str, other_address: str, device: str) -> None:
        ends = [(self.names[one], f"{device}0", address), (self.names[other], f"{device}1", other_address)]
        (first, first_device, _), (second, second_device, _) = ends
        _ip("link", "add", first_device, "netns", first, "type", "veth", "peer", "name", second_device, "netns", second)
        for host, device_, each in ends:
            _ip("-n", host, "addr", "add", f"{each}/24", "dev", device_)
            _ip("-n", host, "link", "set", device_, "up")

    def command(self, host: str, *words: str, token: bool = True) -> tuple[list[str], dict[str, str]]:
        """Words and environment of a command on a host."""
        known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token} if token else {"RAY_AUTH_MODE": "disabled"}
        line = ["ip", "netns", "exec", self.names[host], sys.executable, *words]
        return line, os.environ | known | {"RAY_USAGE_STATS_ENABLED": "0", "HOME": str(self.folder)}

    def start(self, host: str, *words: str) -> None:
        line, environment = self.command(host, "-m", "ray.scripts.scripts", "start", *words, *RAY)
        out = (self.folder / f"{host}.log").open("wb")
        with out:
            self.started.append(subprocess.Popen(line, env=environment, stdout=out, stderr=out, start_new_session=True))

    def run(self, host: str, *words: str, token: bool = True) -> str:
        line, environment = self.command(host, *words, token=token)
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def ask_from_outside(self) -> None:
        """Begin what Ray takes 20 seconds to refuse."""
        line, environment = self.command("outsider", "-c", ASK, f"{OUTSIDE}:6379", token=False)
        self.outsider = subprocess.Popen(
            line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def log(self, host: str) -> str:
        return (self.folder / f"{host}.log").read_text("utf-8", "replace")

    def remove(self) -> None:
        if self.outsider is not None and self.outsider.stdout is not None:  # nobody may have waited for its answer
            self.outsider.kill()
            self.outsider.wait()
            self.outsider.stdout.close()
        for process in reversed(self.started):
            process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for name in self.names.values():
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
            for pid in pids:  # what a node that was killed leaves: its namespace has nothing else
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    require(find_spec("ray") is not None, "pip install 'ray[client]'")
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("network namespaces need Linux and root")
    require(shutil.which("ip") is not None, "ip (apt-get install iproute2)")
    hosts = Hosts()
    try:
        try:
            hosts.connect()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine lets nobody make network namespaces: {error.stderr.strip()}")
        hosts.start("head", "--head", "--port", "6379", "--node-ip-address", HEAD, "--num-cpus", "0",
                    "--include-dashboard", "false", "--temp-dir", str(hosts.folder / "ray"))  # fmt: skip
        _wait(lambda: "6379" in hosts.run("head", "-c", LISTENS))
        hosts.start("node", "--address", f"{HEAD}:6379", "--node-ip-address", NODE, "--num-cpus", "1")
        hosts.ask_from_outside()
        _wait(lambda: "Ray runtime started" in hosts.log("node"))
        yield hosts
    finally:
        hosts.remove()


LISTENS = f"import socket; socket.create_connection(('{HEAD}', 6379), 2); print(6379)"


def _wait(happened) -> None:
    until = time.monotonic() + 45
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.5)


def test_lists_cross_the_network_and_are_those_of_one_worker(hosts, tmp_path):
    model = mt.save_artefact(mt.fit("ease", two_groups(24, 12)), tmp_path / "ease")
    write(for_users(model, "all", 3), tmp_path / "here.csv", runner=Here(1))
    words = ["-m", "matinee", "recommend", str(tmp_path / "ease"), "--users", "all", "-k", "3"]
    before = _received(hosts)
    hosts.run("head", *words, "--out", str(tmp_path / "there.csv"), "--on", f"{HEAD}:6379")  # it has no core
    lists = (tmp_path / "there.csv").read_bytes()
    assert lists == (tmp_path / "here.csv").read_bytes()
    assert _received(hosts) - before > len(lists)


def _received(hosts) -> int:
    """Bytes that have come to the head over its network."""
    counter = "/sys/class/net/in0/statistics/rx_bytes"
    return int(hosts.run("head", "-c", f"print(open('{counter}').read())"))


def test_nobody_outside_gets_in(hosts):
    assert hosts.outsider is not None
    answer, _ = hosts.outsider.communicate(timeout=90)
    assert "a cluster with a token wants RAY_AUTH_MODE=token" in answer  # Ray listens there too, and refuses
    assert "[1]" not in answer
    connect = "import socket; socket.create_connection(('192.0.2.1', 53), 2)"
    assert "Network is unreachable" in hosts.run("node", "-c", connect)  # nor does a node get out
