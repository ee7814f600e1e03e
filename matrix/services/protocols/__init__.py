"""How a server is asked whether it answers, and who it is: a module per protocol, with `ask`.

A port that is open is no answer: some listen before they can serve.
"""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from matrix.services.protocols.line import Line, Login, NoAnswerError

__all__ = ["Line", "Login", "NoAnswerError", "Speaker", "speaker"]


class Speaker(Protocol):
    """A module of this package."""

    def ask(self, line: Line, login: Login) -> str:
        """Return what the server says of itself, once it serves; raise OSError, NoAnswerError."""
        ...


def speaker(name: str) -> Speaker:
    """Return the protocol called `name`; raise ImportError."""
    return cast("Speaker", importlib.import_module(f"{__name__}.{name}"))
