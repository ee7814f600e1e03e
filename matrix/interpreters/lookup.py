"""The interpreter for a version, or why there is none here and how to get it."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from packaging.version import Version

from matrix.model.environment import Interpreter
from matrix.model.reason import Reason

__all__ = ["NoInterpreterError", "how_to_get", "interpreter_for"]

# uv fetches ready builds from 3.8 on: https://docs.astral.sh/uv/reference/policies/python/
_UV_OLDEST = Version("3.8")


class NoInterpreterError(LookupError):
    """No CPython of that minor is here; `remedy` says how to get it."""

    reason = Reason.NO_INTERPRETER

    def __init__(self, python: str, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.python = python
        self.detail = detail
        self.remedy = remedy


def interpreter_for(
    python: str, interpreters: Iterable[Interpreter], target: str = ""
) -> Interpreter:
    """Return the interpreter of `major.minor`, for `target` where one is named.

    Raises NoInterpreterError where there is none.
    """
    found = [each for each in interpreters if not target or each.target == target]
    for interpreter in found:
        if interpreter.python == python:
            return interpreter
    have = ", ".join(interpreter.python for interpreter in found) or "none"
    wanted = f"{python} for {target}" if target else python
    raise NoInterpreterError(
        python, f"CPython {wanted} is not on this machine (found: {have})", how_to_get(python)
    )


def how_to_get(python: str, platform: str = sys.platform) -> str:
    """Return how to install CPython `major.minor` on this platform, as one sentence."""
    with_uv = Version(python) >= _UV_OLDEST
    if platform == "win32":
        ways = [f"the installer of https://www.python.org/downloads/ ({python})"]
    else:
        ways = [f"`pyenv install {python}`"]
    if with_uv:
        ways.insert(0, f"`uv python install {python}`")
    return f"Install CPython {python} with {' or '.join(ways)}; it is found by itself then."
