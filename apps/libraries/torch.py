"""PyTorch: a group of one process adds up a tensor; a group whose operation fails.

It needs no GPU: the group is of Gloo's. The tracer looks at processes that a launcher started, and
sends a span of its own for each time in a group, which has the name of the job. The wheels for
x86-64 bring CUDA's libraries, some gigabytes; those for aarch64 do not.
"""

from __future__ import absolute_import

import os
import threading

DISTRIBUTION = "torch"
INTEGRATION = "pytorch"
SPAN = {
    "name": "pytorch.rank",
    "component": "pytorch",
    "trace": "own",
    "tags": {"rank": "0", "world_size": "1"},
}
SERVICE = ""
PYTHON = ">=3.8"
# A process is in one group at a time.
GROUP = threading.Lock()


def patch():
    from ddtrace import patch

    patch(pytorch=True)


def prepare(context):
    # What a launcher sets; Gloo otherwise looks up the name of the host.
    os.environ.update(RANK="0", WORLD_SIZE="1", GLOO_SOCKET_IFNAME="lo")
    import torch
    import torch.distributed

    # It warns where NumPy is not installed, and uses all CPUs.
    torch.set_num_threads(1)


def add_up(context, source):
    """Add up the pages of all processes; `source` is the one that sends them first."""
    import torch
    from torch import distributed

    with GROUP:
        os.environ["DD_PYTORCH_JOB_ID"] = context.shop
        store = distributed.HashStore()
        distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
        try:
            pages = torch.tensor([474, 512])
            distributed.broadcast(pages, src=source)
            distributed.all_reduce(pages)
        finally:
            distributed.destroy_process_group()
    return "%d pages" % int(pages.sum())


def call(context):
    return add_up(context, 0)


def fail(context):
    add_up(context, 1)
