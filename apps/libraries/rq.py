"""RQ: a job is put in a queue and done by a worker in this process; another job fails."""

from __future__ import absolute_import

DISTRIBUTION = "rq"
INTEGRATION = "rq"
SPAN = [
    {
        "name": "rq.queue.enqueue_job",
        "component": "rq",
        "resource": "libraries.rq.order",
        "type": "worker",
    },
    {
        "name": "rq.worker.perform_job",
        "component": "rq",
        "resource": "libraries.rq.order",
        "type": "worker",
        "tags": {"job.status": "finished"},
    },
    {"name": "rq.job.perform", "component": "rq", "resource": "libraries.rq.order"},
]
ERROR_SPAN = {"name": "rq.job.perform", "component": "rq", "resource": "libraries.rq.order"}
SERVICE = "redis"
# It imports distutils.
PYTHON = [["<1.11", "<3.12"]]


def order(title):
    """Run as the job; fail without a title."""
    if title is None:
        raise ValueError("no title")
    return title


def prepare(context):
    import redis
    import rq  # noqa: F401

    return redis.Redis(host=context.host, port=context.port)


def work(context, title):
    """Put a job in a queue of its own, and do it; return the job."""
    import rq
    from rq.timeouts import BaseDeathPenalty

    class NoLimit(BaseDeathPenalty):
        def setup_death_penalty(self):
            pass

        def cancel_death_penalty(self):
            pass

    class Worker(rq.SimpleWorker):
        # Requests are in threads, where signals cannot be used.
        death_penalty_class = NoLimit

        def _install_signal_handlers(self):
            pass

    queue = rq.Queue("bookshop-" + context.shop, connection=context.ready)
    job = queue.enqueue(order, title)
    Worker([queue], connection=context.ready).work(burst=True)
    return queue.fetch_job(job.id)


def call(context):
    job = work(context, "Emma")
    return "%s: %s" % (getattr(job.get_status(), "value", job.get_status()), job.result)


def fail(context):
    job = work(context, None)
    raise RuntimeError(job.exc_info.strip().splitlines()[-1])
