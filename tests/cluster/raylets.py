"""A Ray cluster of several machines on this one: each has a raylet, an address and processors of its own, on the loopback.

Ray is started by tests and benchmarks alone. It tells nobody that it runs, has no dashboard, and counts a machine as dead after
two seconds in place of a minute.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STORE = 100 * 2**20  # bytes; the least that Ray is content with is near
SOON = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
SURROUNDINGS = {  # read when Ray is imported, by every process of it
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # what a machine that is alone goes by: the loopback
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
    "OMP_NUM_THREADS": "1",
}


needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="expected Ray, found none: pip install 'trueline[ray]'")


class Raylets:
    """The cluster: `address` for those on its machines, `client` for those outside."""

    def __init__(self, cluster: Any, nodes: list[Any], port: int) -> None:
        self._cluster, self.nodes = cluster, nodes
        self.address, self.client = cluster.address, f"ray://127.0.0.1:{port}"

    def kill(self, number: int) -> None:
        """End a machine as a power cut does."""
        self._cluster.remove_node(self.nodes.pop(number), allow_graceful=False)


@contextmanager
def raylets(nodes: int, cpus: int = 1, port: int = 0) -> Iterator[Raylets]:
    """A head without processors for tasks, and so many machines beside it; `port` is where it takes drivers from outside."""
    before = dict(os.environ)
    os.environ.update(SURROUNDINGS, PYTHONPATH=os.pathsep.join([str(ROOT), *filter(None, sys.path)]))
    try:
        from ray.cluster_utils import Cluster

        beside = {"ray_client_server_port": port} if port else {}
        common = {"object_store_memory": STORE, "include_dashboard": False}
        head = {"num_cpus": 0, "node_ip_address": "127.0.0.1", "_system_config": SOON, **common, **beside}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            made = [cluster.add_node(num_cpus=cpus, node_ip_address=f"127.0.0.{n + 2}", **common) for n in range(nodes)]
            cluster.wait_for_nodes()
            yield Raylets(cluster, made, port)
        finally:
            cluster.shutdown()
    finally:
        os.environ.clear()
        os.environ.update(before)
