"""Locks: the exact distributions of an environment, as `name==version --hash=sha256:...` lines."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from packaging.utils import canonicalize_name

_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)"
)
_HASH = re.compile(r"--hash=sha256:(?P<digest>[0-9a-f]{64})(?=\s|\Z)")


@dataclasses.dataclass(frozen=True)
class LockedFile:
    """A locked distribution: canonical name, version as the index spells it, accepted hashes."""

    name: str
    version: str
    hashes: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(
            [f"{self.name}=={self.version}", *(f"--hash=sha256:{item}" for item in self.hashes)]
        )


def parse_line(line: str) -> LockedFile:
    """Parse a lock line; raise ValueError where it is invalid or has no hash."""
    match = _PIN.match(line)
    hashes = tuple(sorted({item["digest"] for item in _HASH.finditer(line)}))
    if match is None or not hashes:
        raise ValueError(f"invalid lock line: {line!r}")
    return LockedFile(str(canonicalize_name(match["name"])), match["version"], hashes)


def parse_lock(text: str) -> tuple[LockedFile, ...]:
    """Parse a requirements file with hashes; return its distributions by name.

    It may have continuation lines and comments, as pip and uv write them.
    """
    joined = re.sub(r"\\\n", " ", text)
    lines = (line.strip() for line in joined.splitlines())
    return tuple(
        sorted(
            (parse_line(line) for line in lines if line and not line.startswith("#")),
            key=lambda locked: locked.name,
        )
    )


def dump_lock(lock: Iterable[LockedFile]) -> tuple[str, ...]:
    """Return the lines of a lock, sorted by name."""
    return tuple(str(locked) for locked in sorted(lock, key=lambda locked: locked.name))


def pinned(pin: str) -> tuple[str, str]:
    """Return canonical name and version of a pin such as `Flask[async]==2.2.3`."""
    name, _, version = pin.partition("==")
    return str(canonicalize_name(name.partition("[")[0])), version
