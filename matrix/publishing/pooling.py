"""Plain JSON values with each that is the same said once, for what says much of it often. Pure.

Deflate forgets what it saw 32 KiB ago; cells that were asked the same mostly answered the same.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["pooled", "unpooled"]


def pooled(value: object) -> list[Any]:
    """Return the values, of which the last is the whole; within one, others are by number."""
    pool: list[Any] = []
    numbers: dict[str, int] = {}

    def number(one: object) -> int:
        if isinstance(one, dict):
            held: object = {name: number(each) for name, each in one.items()}
        elif isinstance(one, (list, tuple)):
            held = [number(each) for each in one]
        else:
            held = one
        key = json.dumps(held)
        if key not in numbers:
            numbers[key] = len(pool)
            pool.append(held)
        return numbers[key]

    # The whole may be the same as a part of it, and must stand last all the same.
    pool.append(pool[number(value)])
    return pool


def unpooled(pool: list[Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value that was pooled."""
    made: list[Any] = []
    for held in pool:
        if isinstance(held, dict):
            made.append({name: made[each] for name, each in held.items()})
        elif isinstance(held, list):
            made.append([made[each] for each in held])
        else:
            made.append(held)
    return made[-1]
