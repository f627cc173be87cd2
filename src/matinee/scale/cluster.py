"""Workers that are tasks on the nodes of a Ray cluster."""

import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import numpy as np

from matinee.errors import MatineeError, UsageError, first_line
from matinee.extras import imported
from matinee.scale.packing import pack, unpack
from matinee.scale.runner import LostWorkerError, Outcome, Workers, attempt
from matinee.version import __version__

DECIDING = ("matinee", "numpy", "scipy", "polars")
"""Packages whose versions decide about results to the last bit."""
PATIENCE = 5.0
"""Seconds for a cluster to answer its port."""
GREETING, SETTINGS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", b"\4"
"""What a gRPC client sends first, and the type of the frame that a server answers with (RFC 9113, sections 3.4, 6.5).
Ray itself tries for minutes to speak with another server, and then ends this process."""
WAIT = 0.5
"""Seconds between two looks at whether another thread leaves the cluster."""
RETRIES = 10
"""Times that a part begins again elsewhere because its node was lost."""


class RayCluster(Workers):
    """Runs parts as tasks of one core each on a Ray cluster that is there already.

    address: HOST:PORT of its head (`ray start --head` prints it), as seen from a machine that has joined the cluster;
    `auto` for the cluster that this machine has joined. A part whose node is lost runs again on another.
    Raises UsageError for an address that is none, and MatineeError without Ray, without an answer, or if the cluster
    has another version of Ray or Python, or no core.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault("RAY_gcs_rpc_server_connect_timeout_s", f"{PATIENCE:.0f}")
        endpoint = parse_address(address)
        self._ray: Any = imported("ray", "--on runs jobs on a Ray cluster by ray")
        if endpoint is not None:
            _require_answer(address, endpoint)
        self._ray._private.worker.print_to_stdstream = _note  # Ray prints on standard output, where results are
        on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            self._ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL)
        except (
            RuntimeError,
            ConnectionError,
            ValueError,
            ImportError,
            SystemExit,
            self._ray.exceptions.RayError,
        ) as error:
            raise MatineeError(why_not(address, error)) from None
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, on_sigterm)  # Ray sets its own
        self.workers = self._cores(is_inside=not address.startswith("ray://"))
        if self.workers < 1:
            self._ray.shutdown()
            raise MatineeError(f"the Ray cluster at {address} has no core to work on; add a node: ray start --address")
        self.host = self._ray.util.get_node_ip_address()
        self._run = self._ray.remote(max_retries=RETRIES, num_cpus=1)(_run)
        self._calls, self._is_closing = threading.Lock(), False

    def _cores(self, *, is_inside: bool) -> int:
        """Cores of the nodes that are there. Ray counts a lost one's for 15 seconds more, so inside each is asked."""
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        there = [
            node for node in nodes if not is_inside or _answers(node["NodeManagerAddress"], node["NodeManagerPort"])
        ]
        return int(sum(node["Resources"].get("CPU", 0) for node in there))

    def ship(self, job: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - a reference of Ray
        """See Workers. The arrays lie in the memory that the workers of a node share."""
        pickled, buffers = pack(job)
        arrays = [np.frombuffer(each, dtype=np.uint8) for each in buffers]
        return self._ray.put((uuid4().hex, versions(), pickled, arrays))

    def begin(self, shipped: Any, part: Any) -> Any:  # noqa: ANN401 - references of Ray
        """See Workers."""
        return self._run.remote(shipped, part)

    def ended(self, tasks: list[Any]) -> dict[Any, Outcome]:
        """See Workers. Raises MatineeError if Ray gave a part up."""
        ready: list[Any] = []
        while not ready:
            with self._calls:
                self._require_open()
                ready, _ = self._ray.wait(tasks, num_returns=1, timeout=WAIT, fetch_local=False)
        try:
            with self._calls:
                self._require_open()
                return {task: self._ray.get(task) for task in ready}
        except self._ray.exceptions.RayError as error:
            kind = LostWorkerError if isinstance(error, self._ray.exceptions.WorkerCrashedError) else MatineeError
            raise kind(why_lost(error)) from None

    def cancel(self, tasks: list[Any]) -> None:
        """See Workers."""
        with self._calls:
            for task in [] if self._is_closing else tasks:
                self._ray.cancel(task, force=True)

    def _require_open(self) -> None:
        """Raises LostWorkerError when another thread leaves the cluster: Ray would join one again by itself."""
        if self._is_closing:
            raise LostWorkerError("the cluster was left")

    def __exit__(self, *error: object) -> None:
        self._is_closing = True
        with self._calls:
            self._ray.shutdown()


def versions() -> dict[str, str]:
    """The versions of the packages that decide about results."""
    return {name: __version__ if name == "matinee" else version(name) for name in DECIDING}


_job: list[tuple[str, Any]] = []
"""In a worker: the last job and its key."""


def _run(shipped: tuple[str, dict[str, str], bytes, list[Any]], part: object) -> Outcome:
    """On a node: run a part, if the node has the versions of the driver."""
    key, wanted, pickled, arrays = shipped
    if wanted != (found := versions()):
        differing = ", ".join(
            f"{name} {found[name]} and not {wanted[name]}" for name in wanted if found[name] != wanted[name]
        )
        return Outcome(error=MatineeError(f"node {socket.gethostname()} has {differing}; install the same versions"))
    if not _job or _job[0][0] != key:
        _job[:] = [(key, unpack(pickled, arrays))]
    return attempt(_job[0][1], part, 1)


def _note(data: Mapping[str, Any], ignore_prefix: bool = False) -> None:
    """What Ray says of the cluster, such as that a node is lost, as a note."""
    for line in data["lines"][:1]:
        logging.getLogger(__name__).warning("cluster: %s", first_line(Exception(line)))


def parse_address(address: str) -> tuple[str, int] | None:
    """Host and port; None for `auto`. Raises UsageError for an address that is none."""
    if address == "auto":
        return None
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(f"--on {address}: a cluster is HOST:PORT, such as 10.0.0.1:6379, ray://HOST:10001, or auto")
    return host.strip("[]"), int(port)


def _require_answer(address: str, endpoint: tuple[str, int]) -> None:
    """Raises MatineeError if no cluster answers there."""
    try:
        with socket.create_connection(endpoint, PATIENCE) as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(GREETING)
            answer = connection.recv(9)
    except OSError as error:
        raise MatineeError(
            f"no Ray cluster answers at {address}: {first_line(error)}; is `ray start` running?"
        ) from None
    if answer[3:4] != SETTINGS and os.environ.get("RAY_USE_TLS", "0") == "0":
        raise MatineeError(f"what answers at {address} is no Ray cluster: it does not speak gRPC; is that its port?")


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except OSError:
        return False
    return True


def why_not(address: str, error: BaseException) -> str:
    """Why a cluster does not take this process, in one line."""
    text = str(error)
    if "Version mismatch" in text:
        rays, pythons = (re.findall(rf"{each}: (\S+)", text) for each in ("Ray", "Python"))
        differing = " and ".join(f"Ray {ray} with Python {python}" for ray, python in zip(rays, pythons, strict=True))
        return f"{differing} do not go together: the first is that of the cluster at {address}; install the same"
    if "uthentication" in text or "oken" in text:
        return f"the cluster at {address} wants its token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (docs/cluster.md)"
    return (
        f"no Ray cluster takes jobs at {address} ({first_line(error).rstrip('.')}); HOST:PORT is what "
        "`ray start --head` prints, on a machine that has joined, ray://HOST:10001 from any other; a cluster with a "
        "token wants RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
    )


def why_lost(error: Exception) -> str:
    """Why Ray gave a part up, in one line."""
    text = str(error)
    if "No module named" in text:
        missing = text.rpartition("No module named ")[2].split()[0].strip("'\"")
        return f"a node of the cluster has no {missing}: pip install 'matinee[cluster]=={__version__}' there, as here"
    kind = type(error).__name__.partition("(")[0]
    fix = "; give nodes more memory, or fewer cores (ray start --num-cpus)" if "Memory" in kind else ""
    return f"the cluster gave a part up: {kind} {first_line(error)}{fix}"
