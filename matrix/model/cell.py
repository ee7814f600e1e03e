"""A cell: one environment and the releases that run in it; and globs of ids.

Globs may have braces: `cp3{9,10}-*-django*`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import fnmatch
import functools
import re
from collections.abc import Iterable

from packaging.version import Version

_ID = re.compile(
    r"cp(?P<major>[23])(?P<minor>\d+)"
    r"-(?P<target>win32|[a-z0-9]+_[a-z0-9_]+)"
    r"-(?P<framework>[a-z][a-z0-9_]*?[a-z_]|[a-z])(?P<equals>=?)(?P<framework_version>\d[^-=]*)"
    r"-ddtrace(?P<ddtrace>\d[^-=]*)"
    r"(?:-asof(?P<as_of>\d{8}))?"
    r"(?:-in-(?P<place>[a-z]+(?:-[a-z]+)*))?"
)
_ID_DIGIT_NAME = re.compile(
    _ID.pattern.replace(r"[a-z][a-z0-9_]*?[a-z_]|[a-z]", r"[a-z][a-z0-9_]*").replace("=?", "=")
)


_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclasses.dataclass(frozen=True)
class Cell:
    """A CPython, an OS and CPU, a framework or library, a ddtrace, a dependency date, and a place.

    Versions are the index's spelling. `python` is `major.minor`. `target` is `<os>_<cpu>` in wheel
    tag words (`linux_x86_64`, `win32`). `as_of` is None for the era of the ddtrace release, else
    the date as of which the dependencies are resolved. `place` names a deployment type, or what
    stands in for one, that the app must run in (`data/places/`), "" for none: this machine, or a
    container of its own.

    The id sorts with its text only within one CPython; `sort_key` sorts as versions do. A name
    with a digit is set off with `=`: `cp39-linux_x86_64-jinja2=2.7-ddtrace1.9.0`.
    """

    python: str
    target: str
    framework: str
    framework_version: str
    ddtrace: str
    as_of: dt.date | None = None
    place: str = ""

    @functools.cached_property
    def id(self) -> str:
        """Return the stable, unique id, which globs can match and `parse` reads."""
        name, equals = _framework_in_id(self.framework)
        as_of = f"-asof{self.as_of:%Y%m%d}" if self.as_of else ""
        place = f"-in-{self.place}" if self.place else ""
        return (
            f"cp{self.python.replace('.', '')}-{self.target}"
            f"-{name}{equals}{self.framework_version}-ddtrace{self.ddtrace}{as_of}{place}"
        )

    def __hash__(self) -> int:
        # A plan looks cells up hundreds of thousands of times, and a text keeps its hash.
        return hash(self.id)

    def __str__(self) -> str:
        return self.id

    @property
    def sort_key(self) -> tuple[object, ...]:
        """Return a key that orders cells by version, not by text."""
        return (
            tuple(int(part) for part in self.python.split(".")),
            self.target,
            self.framework,
            Version(self.framework_version),
            Version(self.ddtrace),
            self.as_of or dt.date.min,
            self.place,
        )

    def is_earlier(self, other: Cell) -> bool:
        """Return whether its release of the tracer is earlier than that of another cell."""
        return Version(self.ddtrace) < Version(other.ddtrace)

    @classmethod
    def parse(cls, text: str) -> Cell:
        """Return the cell with the id `text`; raise ValueError for anything else."""
        match = _ID_DIGIT_NAME.fullmatch(text) or _ID.fullmatch(text)
        if match is None:
            raise ValueError(f"not a cell id: {text!r}")
        as_of = match["as_of"]
        return cls(
            python=f"{match['major']}.{match['minor']}",
            target=match["target"],
            framework=match["framework"].replace("_", "-"),
            framework_version=match["framework_version"],
            ddtrace=match["ddtrace"],
            as_of=dt.datetime.strptime(as_of, "%Y%m%d").date() if as_of else None,  # noqa: DTZ007
            place=match["place"] or "",
        )


@functools.lru_cache(maxsize=1024)
def _framework_in_id(framework: str) -> tuple[str, str]:
    """Return a framework's name as ids have it, and what sets a name with a digit off."""
    name = framework.replace("-", "_")
    return name, "=" if re.search(r"\d", name) else ""


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
