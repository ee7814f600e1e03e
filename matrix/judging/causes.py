"""The causes for which a library cannot be used, from the output of its build or first import.

What is recognized is a fact; a cause is never guessed: where the output names none, there is none.
What is missing on the system is looked up in `data/system_files.toml`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from matrix.environments.errors import find_cause, find_failed_build
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.reason import Reason
from matrix.system.files import read_data

# Output is untrusted: long lines are cut.
_LINE_CHARACTERS = 1000

# The kinds of what is missing are the tables of the data.
_MISSING: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("shared", re.compile(r"(?P<name>[\w+.-]+\.so(\.[\w.]+)?): cannot open shared object file")),
    ("header", re.compile(r"fatal error: '?(?P<name>[\w./+-]+)'?(: No such file| file not found)")),
    ("link", re.compile(r"cannot find -l(?P<name>[\w+.-]+)")),
    (
        "tool",
        re.compile(r"(unable to execute|command) '?(?P<name>[\w+-]+)'?( failed)?: No such file"),
    ),
    ("tool", re.compile(r"No such file or directory: '?(?P<name>[\w+-]+)'?$")),
    ("tool", re.compile(r"\b(?P<name>[\w+-]+)(:| executable|: command)? not found\b")),
    ("pkgconfig", re.compile(r"'pkg-config --exists (?P<name>[\w.+-]+)' returned .* status 1\b")),
)
_SETUP = re.compile(r"^\s*error in \S+ setup command: ")

_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'^ *File "(?P<path>[^"]+)", line \d+')
_IMPORT = re.compile(r"^(import|from) (?P<module>[A-Za-z_]\w*)")
_ERROR = re.compile(r"^(?P<error>[A-Za-z_][\w.]*(Error|Exception|Exit))\b")
# Where the module that lacks something is not the library's own.
_LACKS = re.compile(
    r"No module named '(\w+)|cannot import name \S+ from '(\w+)|module '(\w+)\S*' has no attribute"
)
_INSTALLED = re.compile(r"[/\\]site-packages[/\\]|[/\\]lib[/\\]python[\d.]+[/\\]|\\Lib\\|^<")


@dataclasses.dataclass(frozen=True)
class Cause:
    """The reason for which a library cannot be used, and the facts that tell it."""

    reason: Reason
    facts: tuple[Fact, ...]


def build_cause(log: str) -> Cause | None:
    """Return why a build failed, None where its output does not tell."""
    lines = _lines(log)
    requirement, line = find_failed_build(lines), find_cause(lines) or _setup_error(lines)
    if not requirement or not line:
        return None
    missing = _missing_fact([line, *lines])
    cause = missing or fact(FactKind.TEXT, text=line)
    built = fact(FactKind.NOT_BUILT, requirement=requirement, facts=[cause])
    return Cause(Reason.SYSTEM_LIBRARY if missing else Reason.BUILD_FAILED, (built,))


def import_cause(log: str) -> Cause | None:
    """Return why an app failed at the import of a library, None where it failed otherwise."""
    for lines in reversed(_tracebacks(log)):
        if (module := _imported_module(lines)) is None:
            continue
        error = next((line for line in reversed(lines) if _ERROR.match(line)), "")
        if missing := _missing_fact([error]):
            return Cause(
                Reason.SYSTEM_LIBRARY,
                (fact(FactKind.NOT_IMPORTED, module=module, facts=[missing]),),
            )
        companion = _companion(module, error)
        failed = fact(FactKind.NOT_IMPORTED, module=module, error=error, companion=companion)
        return Cause(Reason.DOES_NOT_IMPORT, (failed,))
    return None


def _setup_error(lines: Sequence[str]) -> str:
    """Return what setuptools refuses in the requirement's own setup script, or ""."""
    return next((line.strip() for line in lines if _SETUP.match(line)), "")


def _missing_fact(lines: Sequence[str]) -> Fact | None:
    """Return the first thing that the system lacks."""
    for line in lines:
        for kind, name in _missing_names(line):
            packages = tuple(_packages()[kind].get(name, ()))
            if packages or kind in {"shared", "header"}:
                return fact(FactKind.SYSTEM_FILE_MISSING, name=name, of=kind, packages=packages)
    return None


def _missing_names(line: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in _MISSING:
        if match := pattern.search(line):
            yield kind, match["name"]


@functools.cache
def _packages() -> Mapping[str, Mapping[str, Sequence[str]]]:
    return read_data("system_files")


def _tracebacks(log: str) -> list[list[str]]:
    found: list[list[str]] = []
    for line in _lines(log):
        if line.strip() == _TRACEBACK:
            found.append([])
        elif found:
            found[-1].append(line)
    return found


def _imported_module(lines: Sequence[str]) -> str | None:
    """Return what the last frame of the app imports, None where that is no import statement.

    A frame of the app is one of neither an installed package nor of CPython itself.
    """
    own = ""
    for line, following in itertools.pairwise(lines):
        frame = _FRAME.match(line)
        if frame and not _INSTALLED.search(frame["path"]):
            own = following.strip()
    match = _IMPORT.match(own)
    return match["module"] if match else None


def _companion(module: str, error: str) -> str:
    """Return the other package that lacks what is imported, "" where that is none."""
    match = _LACKS.search(error)
    name = next(filter(None, match.groups()), "") if match else ""
    own = {module, *read_data("stdlib")["two"], *read_data("stdlib")["three"]}
    return "" if name in own else name


def _lines(log: str) -> list[str]:
    return [line[:_LINE_CHARACTERS].rstrip() for line in log.splitlines()]
