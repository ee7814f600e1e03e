"""What a guardian is told: one server, how it is started and ended, and who runs it."""

from __future__ import annotations

import dataclasses

__all__ = ["MARK", "Order"]

MARK = "COMPAT_MATRIX_SERVICE"
"""The variable that a server and all that it starts have; its value is the server's folder."""


@dataclasses.dataclass(frozen=True)
class Order:
    """What to keep. `prepare` and `ready` are pairs of a command and its input, run to their ends;
    `ready` when something listens on all `ports`, to which `doors` (Unix sockets) then lead.

    `user` is who runs all that, None for ourselves. `stop` is a signal's number.
    """

    folder: str
    environment: dict[str, str]
    commands: list[list[str]]
    prepare: list[tuple[list[str], str]]
    ready: list[tuple[list[str], str]]
    ports: list[int]
    doors: list[str]
    user: tuple[int, int] | None
    stop: int
    seconds: float
