"""A Ray cluster of three nodes on this machine, which the tests of a cluster share."""

import logging
import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from needs import require

ATTEMPTS = 3
"""Starts of a cluster: under load a node sometimes does not answer in time."""
STORE = 80 * 2**20
"""Bytes of each node's object store, the least that Ray takes."""
LOOPBACK = "127.0.0.2"
"""Ray takes 127.0.0.1 for the address by which other machines reach this one."""
NOTICE = {"health_check_period_ms": 500}
"""A node that is gone is noticed after five refused calls: 3 seconds, in place of 15."""
NODE = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False, "include_log_monitor": False}


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Any]:
    """Three nodes of one core each, 127.0.0.1 alone; the first is the head, where the tests are."""
    require(find_spec("ray") is not None, "pip install 'ray[client]'")
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "PYTHONPATH": os.pathsep.join(paths),
    }  # nodes know slow_lists.py
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    cluster = _started(ATTEMPTS)
    yield cluster
    for node in [*cluster.worker_nodes]:
        cluster.remove_node(node)
    cluster.shutdown()


def _started(attempts: int) -> Any:
    """A cluster of three nodes, started one after another. Raises the last error."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        cluster.add_node(**NODE, node_ip_address=LOOPBACK, _system_config=NOTICE)
        for _ in range(2):
            cluster.add_node(**NODE, node_ip_address=LOOPBACK)
        cluster.wait_for_nodes(timeout=20)
    except Exception:
        cluster.shutdown()
        if attempts == 1:
            raise
        time.sleep(1)
        return _started(attempts - 1)
    return cluster
