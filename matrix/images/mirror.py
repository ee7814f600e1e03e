"""Where Debian's packages come from: as configured, or from where this system's own come."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["VARIABLE", "mirror_for"]

VARIABLE = "COMPAT_MATRIX_DEBIAN_MIRROR"

_NAMES = ("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid")
_BRANCHES = ("oldoldstable", "oldstable", "stable", "testing", "unstable")
_SUITES = frozenset(_NAMES + _BRANCHES)


def mirror_for(suite: str, environ: Mapping[str, str], sources: Path = Path("/etc/apt")) -> str:
    """Return the address of a mirror of Debian, "" where none is known.

    `$COMPAT_MATRIX_DEBIAN_MIRROR_<SUITE>` is for one suite (an old one lies in an archive of its
    own), `$COMPAT_MATRIX_DEBIAN_MIRROR` for all. Where there is neither, `sources` are read: the
    system's own configuration of apt, if it is one of Debian.
    """
    for name in (f"{VARIABLE}_{suite.upper()}", VARIABLE):
        if environ.get(name):
            return environ[name]
    for address, suites, components in _entries(sources):
        if suites & _SUITES and "main" in components and address.startswith(("http", "file:")):
            return address
    return ""


def _entries(folder: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    """Yield address, suites and components of every source of packages."""
    lists = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    for path in lists:
        for line in _lines(path):
            if line.startswith("deb "):
                words = _without_options(line).split()
                if len(words) > 2:  # noqa: PLR2004 - address, suite, components
                    yield words[0], {words[1]}, set(words[2:])
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        for filled, lines in itertools.groupby(_lines(path), key=bool):
            fields = _fields(lines) if filled else {}
            if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
                for address in fields.get("uris", []):
                    yield address, set(fields.get("suites", [])), set(fields.get("components", []))


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return []
    return [line.rstrip() for line in text.splitlines() if not line.lstrip().startswith("#")]


def _without_options(line: str) -> str:
    rest = line.removeprefix("deb").strip()
    return rest.partition("]")[2] if rest.startswith("[") else rest


def _fields(lines: Iterator[str]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if not line.startswith((" ", "\t")):
            name, _, line = line.partition(":")  # noqa: PLW2901
            name = name.lower()
        fields.setdefault(name, []).extend(line.split())
    return fields
