"""A cluster of Ray on this machine, for the modules of its libraries."""

import os
import tempfile

OPTIONS = {}


def trace_ray():
    """Enable the tracing of Ray in code, also in the processes of the cluster."""
    from ddtrace import patch

    patch(ray=True)
    OPTIONS["_tracing_startup_hook"] = "ddtrace.contrib.ray:setup_tracing"


def start_ray():
    """Start a small cluster, whose processes end with this one; return the module."""
    # It reports its use to its vendor, and looks for what else the machine has.
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_DISABLE_MEMORY_MONITOR="1")
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=0,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80 << 20,
        _node_ip_address="127.0.0.1",
        _temp_dir=short_folder(),
        **OPTIONS
    )
    return ray


def short_folder():
    """Return a folder with a short name: that of a socket in it has at most 107 bytes."""
    return tempfile.mkdtemp(prefix="r", dir="/tmp" if os.access("/tmp", os.W_OK) else None)
