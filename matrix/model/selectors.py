"""Globs with braces: `cp3{9,10}-*-django*`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

_BRACES = re.compile(r"\{([^{}]*)\}")


def expand(pattern: str) -> tuple[str, ...]:
    """Return the patterns that a pattern with braces stands for; braces may be nested."""
    match = _BRACES.search(pattern)
    if match is None:
        return (pattern,)
    head, tail = pattern[: match.start()], pattern[match.end() :]
    choices = match[1].split(",")
    patterns = (text for choice in choices for text in expand(f"{head}{choice}{tail}"))
    return tuple(dict.fromkeys(patterns))


def matches(pattern: str, words: Iterable[str]) -> bool:
    """Return whether any of `words` matches the pattern, which may have braces."""
    patterns = expand(pattern)
    return any(fnmatch.fnmatchcase(word, item) for word in words for item in patterns)
