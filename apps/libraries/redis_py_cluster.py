"""redis-py-cluster: a key is set and read, alone and in a pipeline; a text is no list."""

from __future__ import absolute_import

DISTRIBUTION = "redis-py-cluster"
INTEGRATION = "rediscluster"
SPAN = {"name": "redis.command", "component": "rediscluster", "resource": "GET*", "type": "redis"}
STATEMENT = {"tags": {"redis.raw_command": "GET *"}}
SERVICE = "redis-cluster"
# It accepts any Redis client from 2.10.6 on, but imports names that 3.0 removed; the clients that
# work need `distutils`.
ALSO = [["<2", "redis<3"], ["", "setuptools<81; python_version >= '3.12'"]]


def prepare(context):
    import rediscluster

    # The name until 2.0.
    client_class = getattr(rediscluster, "StrictRedisCluster", None) or rediscluster.RedisCluster
    nodes = [{"host": context.host, "port": port} for port in context.ports]
    return client_class(startup_nodes=nodes)


def call(context):
    context.ready.set(context.shop, "Emma")
    pipeline = context.ready.pipeline()
    pipeline.get(context.shop)
    titles = [context.ready.get(context.shop), pipeline.execute()[0]]
    return ", ".join(title.decode("ascii") for title in titles)


def fail(context):
    context.ready.set(context.shop, "Emma")
    context.ready.lpush(context.shop, "Kokoro")


def wait(context):
    context.ready.execute_command("BLPOP", context.shop + "-none", "0.1")
