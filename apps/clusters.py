"""A cluster of Ray on this machine, for the modules of its libraries."""

import os
import tempfile

OPTIONS = {}
# A node has 30 s to start, which a busy machine may not give it.
ATTEMPTS = 3


def trace_ray():
    """Enable the tracing of Ray in code, also in the processes of the cluster."""
    from ddtrace import patch

    patch(ray=True)
    OPTIONS["_tracing_startup_hook"] = "ddtrace.contrib.ray:setup_tracing"


def start_ray():
    """Start a small cluster, whose processes end with this one; return the module."""
    # It otherwise reports its use to its vendor, and ends tasks where memory is short.
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_memory_monitor_refresh_ms="0")
    import ray

    for attempt in range(1, ATTEMPTS + 1):
        try:
            start_node(ray)
            return ray
        except Exception:
            ray.shutdown()
            if attempt == ATTEMPTS:
                raise


def start_node(ray):
    """Start the only node of the cluster."""
    ray.init(
        address="local",
        num_cpus=1,
        num_gpus=0,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=80 << 20,
        _node_ip_address="127.0.0.1",
        _temp_dir=short_folder(),
        **OPTIONS
    )


def raise_cause(function):
    """Call a function; raise what a process of the cluster raised, without that process's id."""
    from ray.exceptions import RayTaskError

    try:
        function()
    except RayTaskError as error:
        raise error.cause


def short_folder():
    """Return a folder with a short name: that of a socket in it has at most 107 bytes."""
    return tempfile.mkdtemp(prefix="r", dir="/tmp" if os.access("/tmp", os.W_OK) else None)
