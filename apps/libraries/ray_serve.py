"""Ray Serve: a deployment is called by its handle; a deployment that raises."""

from __future__ import absolute_import

import clusters

DISTRIBUTION = "ray"
INTEGRATION = "ray_serve"
SPAN = [
    {"name": "deployment.remote", "component": "ray"},
    {
        "name": "deployment.method_execution",
        "component": "ray",
        "type": "ray",
        "resource": "ServeDeployment:Shop.find",
    },
]
ERROR_SPAN = {"name": "deployment.method_execution", "resource": "ServeDeployment:Shop.find"}
SERVICE = ""
PYTHON = ">=3.9"
# It reads the label of a field, which protobuf 7 dropped.
ALSO = [["", "ray[serve]"], ["<2.54", "protobuf<7"]]


def patch():
    clusters.trace_ray()


class Shop(object):
    """A deployment, which runs in another process."""

    def find(self, title):
        if title == "lost":
            raise LookupError("no such book")
        return title + " in paper"


def prepare(context):
    clusters.start_ray()
    from ray import serve

    serve.start(proxy_location="Disabled")
    options = {"num_cpus": 0}
    return serve.run(serve.deployment(Shop).options(ray_actor_options=options).bind())


def call(context):
    return context.ready.find.remote("Emma").result(timeout_s=30)


def fail(context):
    clusters.raise_cause(lambda: context.ready.find.remote("lost").result(timeout_s=30))
