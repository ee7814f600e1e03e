"""Programs of the package index that act as back ends: installed for the CPython that runs us."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path

from matrix.environments import BuildError, EnvironmentStore
from matrix.interpreters import NoInterpreterError, find_interpreters, interpreter_for
from matrix.model.environment import Requirements
from matrix.places import cache_dir

__all__ = ["install_for_services"]


def install_for_services(
    requirements: Sequence[str], as_of: dt.date, *, offline: bool = False
) -> Path:
    """Return the interpreter of an environment of its own that holds `requirements`, exact pins.

    It is made once, as of a date. Raises RuntimeError.
    """
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        interpreter = interpreter_for(python, find_interpreters())
        asked = Requirements(tuple(requirements), (), as_of, only_binary=())
        return EnvironmentStore(cache_dir(), offline=offline).ensure(interpreter, asked).python
    except (BuildError, NoInterpreterError) as error:
        raise RuntimeError(error.detail) from error
