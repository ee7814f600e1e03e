"""Interpreters: which CPythons this machine has, asked by running them, remembered on disk."""

from matrix.interpreters.finding import Found, find_interpreters, search
from matrix.interpreters.lookup import NoInterpreterError, how_to_get, interpreter_for

__all__ = [
    "Found",
    "NoInterpreterError",
    "find_interpreters",
    "how_to_get",
    "interpreter_for",
    "search",
]
