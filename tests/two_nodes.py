"""A Ray cluster of two nodes of a core each, on loopback, in a process of its own; it ends as its input does.

It prints its address and the process of the second node, as a line of JSON. The line `lose` on its input takes that
node away without a word; it prints `lost`.
"""

from __future__ import annotations

import json
import os
import sys

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # everything on loopback
os.environ["RAY_AUTH_MODE"] = "token"

from ray._private import services
from ray.cluster_utils import Cluster


def main() -> None:
    services.start_api_server = lambda *_, **__: (None, None)  # as `mien analyze --on ray` does it
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    (raylet,) = node.all_processes["raylet"]
    print(json.dumps({"address": cluster.address, "process": raylet.process.pid}), flush=True)
    for line in sys.stdin:
        if line.strip() == "lose":
            cluster.remove_node(node, allow_graceful=False)
            print("lost", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
