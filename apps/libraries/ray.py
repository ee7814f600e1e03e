"""Ray: a task and a method of an actor on a cluster of this machine; a task that raises."""

from __future__ import absolute_import

import clusters

DISTRIBUTION = "ray"
INTEGRATION = "ray"
SPAN = [
    {"name": "task.execute", "component": "ray", "type": "ray", "resource": "libraries.ray.find"},
    {
        "name": "actor_method.execute",
        "component": "ray",
        "type": "ray",
        "resource": "Shelf.put",
    },
]
ERROR_SPAN = {"name": "task.execute", "component": "ray", "resource": "libraries.ray.find"}
SERVICE = ""
PYTHON = ">=3.9"


def patch():
    clusters.trace_ray()


def find(title):
    """Run as the task, in another process."""
    if title == "lost":
        raise LookupError("no such book")
    return title


class Shelf(object):
    """An actor."""

    def put(self, title):
        return title + " in paper"


def prepare(context):
    ray = clusters.start_ray()
    return ray.remote(find), ray.remote(Shelf).remote()


def call(context):
    import ray

    task, shelf = context.ready
    return ray.get(shelf.put.remote(ray.get(task.remote("Emma"))))


def fail(context):
    import ray

    clusters.raise_cause(lambda: ray.get(context.ready[0].remote("lost")))
