"""redis-py-cluster: a key is set and read."""

from __future__ import absolute_import

DISTRIBUTION = "redis-py-cluster"
INTEGRATION = "rediscluster"
SPAN = {"name": "redis.command", "component": "rediscluster", "resource": "GET*", "type": "redis"}
SERVICE = "redis-cluster"
# It asks for any Redis client of 2.10.6 or later, and imports what 3.0 no longer has; those that it
# works with take `distutils`.
ALSO = [["<2", "redis<3"], ["", "setuptools<81; python_version >= '3.12'"]]


def prepare(place):
    import rediscluster

    # The name until 2.0.
    make = getattr(rediscluster, "StrictRedisCluster", None) or rediscluster.RedisCluster
    return make(startup_nodes=[{"host": place.host, "port": port} for port in place.ports])


def call(place):
    place.ready.set(place.shop, "Emma")
    return place.ready.get(place.shop).decode("ascii")
