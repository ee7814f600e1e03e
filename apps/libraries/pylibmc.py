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
SERVICE = "memcached"
# Its setup.py opens a file in a mode that 3.11 dropped.
PYTHON = [["<=1.6.1", "<3.11"]]
PACKAGES = ["gcc", "libmemcached-dev", "zlib1g-dev"]


def prepare(place):
    import pylibmc  # noqa: F401


def connect(place):
    import pylibmc

    return pylibmc.Client(["%s:%d" % (place.host, place.port)])


def call(place):
    client = connect(place)
    client.set(place.shop, "Emma")
    return client.get(place.shop)


def fail(place):
    # There is no number to add to.
    return str(connect(place).incr(place.shop + "-visits"))
