"""pylibmc: a key is set and read."""

from __future__ import absolute_import

DISTRIBUTION = "pylibmc"
INTEGRATION = "pylibmc"
SPAN = {
    "name": "memcached.cmd",
    "component": "pylibmc",
    "resource": "get",
    "tags": {"memcached.query": "get *"},
}
ERROR_SPAN = {"name": "memcached.cmd", "component": "pylibmc", "resource": "incr"}
STATEMENT = {"without": "Emma"}
SERVICE = "memcached"
# Its setup.py opens a file in a mode that 3.11 removed.
PYTHON = [["<=1.6.1", "<3.11"]]
PACKAGES = ["gcc", "libmemcached-dev", "zlib1g-dev"]


def prepare(context):
    import pylibmc  # noqa: F401


def connect(context):
    import pylibmc

    return pylibmc.Client(["%s:%d" % (context.host, context.port)])


def call(context):
    client = connect(context)
    client.set(context.shop, "Emma")
    return client.get(context.shop)


def fail(context):
    # The key does not exist.
    return str(connect(context).incr(context.shop + "-visits"))
