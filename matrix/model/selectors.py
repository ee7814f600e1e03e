"""Globs with braces: `cp3{9,10}-*-django*`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

_BRACES = re.compile(r"\{([^{}]*)\}")


def expand(pattern: str) -> tuple[str, ...]:
    """Return the patterns that one with braces stands for; braces may be nested."""
    match = _BRACES.search(pattern)
    if match is None:
        return (pattern,)
    head, tail = pattern[: match.start()], pattern[match.end() :]
    found = (each for choice in match[1].split(",") for each in expand(f"{head}{choice}{tail}"))
    return tuple(dict.fromkeys(found))


def matches(pattern: str, words: Iterable[str]) -> bool:
    """Return whether any of `words` matches the pattern, braces and all."""
    patterns = expand(pattern)
    return any(fnmatch.fnmatchcase(word, each) for word in words for each in patterns)
