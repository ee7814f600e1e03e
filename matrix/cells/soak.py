"""A short soak: some releases crash now and then, also when their first request went well."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from matrix.cells import client
from matrix.cells.client import Endpoint
from matrix.cells.job import Deadline, Limits
from matrix.cells.requests import USER_AGENT, new_shop
from matrix.model.capture import Soak

__all__ = ["soak"]

THREADS = 4
ATTACK_AGENT = "Arachni/v1"
ATTACK_QUERY = quote("<script>alert(1)</script>")


def soak(
    door: Endpoint, requests: int, limits: Limits, deadline: Deadline, *, alive: object
) -> Soak:
    """Send plain and attack requests in turn over a few threads, then one plain request more.

    `alive` is a function that says whether the process still runs. Spans are not waited for.
    """
    began = deadline.left()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="soak") as pool:
        answers = list(pool.map(lambda n: _send(door, n, limits, deadline), range(requests)))
    last = _send(door, 0, limits, deadline)
    return Soak(
        sent=requests,
        statuses=dict(Counter(str(a.status) for a in answers if a.status is not None)),
        errors=dict(Counter((a.error or "").split(":")[0] for a in answers if a.status is None)),
        benign=last.status,
        alive=bool(alive()) if callable(alive) else False,
        seconds=began - deadline.left(),
    )


def _send(door: Endpoint, number: int, limits: Limits, deadline: Deadline) -> client.HttpResponse:
    attack = number % 2 == 1
    query = f"?q={ATTACK_QUERY}" if attack else "?q=Emma"
    agent = ATTACK_AGENT if attack else USER_AGENT
    return client.send(
        door,
        "GET",
        f"/{new_shop()}/search{query}",
        headers={"User-Agent": agent},
        timeout=deadline.left(limits.request),
    )
