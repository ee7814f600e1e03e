"""The committed locks: what environments as of past dates come to, in `matrix/facts/locks/`.

Such a lock does not change, so that a run takes it from there and resolves nothing. There is one
file for each target, made by `python -m matrix plan --write-locks`: each release with its hashes
once, and each lock as the names of its releases. A release that has other hashes in another lock
(pip of CPython 2.7 locks the one file it chose, uv all of a release) has a number behind its name.

A lock is found by requirements, CPython minor and target. Requirements whose markers tell patch
releases of CPython apart are rare (of 18 environments resolved for both 3.11.2 and 3.11.7 one
differed, by redis), and `check_markers` finds them in what was installed. A lock with the full
version would serve machines with that patch release only.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matrix.environments.lock import Lock, parse_line
from matrix.model.environment import Interpreter, Requirements
from matrix.system.files import write_atomic
from matrix.system.paths import facts_dir
from matrix.system.stamps import stamp, unstamp

LOCKS = facts_dir() / "locks"
_FORMAT = "locks/1"
_HASH = " --hash=sha256:"


LockId = tuple[object, ...]
"""What a lock is found by: CPython minor, date, pins, further requirements, only binary ones."""


@dataclasses.dataclass(frozen=True)
class CommittedLock:
    """The lock of requirements: its lines, and the full version of the CPython it was made for."""

    python: str
    requirements: Requirements
    lines: tuple[str, ...]

    @property
    def key(self) -> LockId:
        """Return what the lock is found by."""
        return committed_key(self.python, self.requirements)


@dataclasses.dataclass(frozen=True)
class TargetLocks:
    """The locks of a target, of CPythons with a C library of one kind (`glibc`).

    `snapshot` is the day when the newest was resolved: all of them are as of earlier days.
    """

    target: str
    libc: str
    snapshot: dt.date
    locks: tuple[CommittedLock, ...]


class CommittedLocks:
    """The committed locks in a folder, each file of which is read once."""

    def __init__(self, folder: Path = LOCKS) -> None:
        self._folder = folder
        self._read: dict[str, _Loaded] = {}

    def path(self, target: str) -> Path:
        """Return the file of a target."""
        return self._folder / f"{target}.json"

    def find(
        self, runtime: Interpreter, requirements: Requirements, notices: list[str]
    ) -> CommittedLock | None:
        """Return the lock of requirements without local wheels as of a past day, if there is one.

        None where the file is missing or damaged, which is added to `notices`.
        """
        if requirements.given:
            return None
        locks, by_key = self.read(runtime.target, notices)
        if locks is None or locks.libc != libc_kind(runtime):
            return None
        if requirements.as_of >= locks.snapshot:
            return None
        return by_key.get(committed_key(runtime.version, requirements))

    def read(self, target: str, notices: list[str]) -> _Loaded:
        """Return the locks of a target, and each by its key; None where they cannot be read."""
        if target not in self._read:
            path = self.path(target)
            locks = None
            try:
                locks = load_locks(path.read_bytes())
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as error:
                notices.append(f"{path} is damaged, and its locks are resolved again: {error}")
            by_key = {lock.key: lock for lock in locks.locks} if locks else {}
            self._read[target] = (locks, by_key)
        return self._read[target]

    def write(self, locks: TargetLocks) -> bool:
        """Write the file of a target, unless it has these locks; return whether it was written.

        Raises OSError.
        """
        path = self.path(locks.target)
        text = dump_locks(locks)
        try:
            earlier = load_locks(path.read_bytes())
        except (OSError, ValueError):
            earlier = None
        if earlier and text == dump_locks(dataclasses.replace(earlier, snapshot=locks.snapshot)):
            return False
        write_atomic(path, text)
        return True


_Loaded = tuple[TargetLocks | None, Mapping[LockId, CommittedLock]]


# The markers of both differ in the machine's name only, and locks have the hashes of all files.
_LOCKED_AS = {"linux_i686": "linux_x86_64"}


def locked_target(target: str) -> str:
    """Return the target whose locks cells in images of a target have."""
    return _LOCKED_AS.get(target, target)


def libc_kind(runtime: Interpreter) -> str:
    """Return the name of the C library without its version."""
    return runtime.libc.partition(" ")[0]


def dump_locks(locks: TargetLocks) -> str:
    """Return the text of a file: one release or lock a line, both sorted, with its digest."""
    hashes: dict[str, set[str]] = {}
    for line in {line for lock in locks.locks for line in lock.lines}:
        release, _, rest = line.partition(_HASH)
        hashes.setdefault(release, set()).add(rest.replace(_HASH, " "))
    names: dict[str, str] = {}
    releases: dict[str, str] = {}
    for release in sorted(hashes):
        for number, text in enumerate(sorted(hashes[release]), 1):
            name = f"{release}#{number}" if number > 1 else release
            releases[name] = text
            names[release + _HASH + text.replace(" ", _HASH)] = name
    rows = [_row(lock, names) for lock in sorted(locks.locks, key=_order)]
    head = {
        "format": _FORMAT,
        "target": locks.target,
        "libc": locks.libc,
        "snapshot": locks.snapshot.isoformat(),
    }
    lines = [f"{json.dumps(key)}:{json.dumps(value)}," for key, value in head.items()]
    body = ",\n".join(f"{json.dumps(name)}:{json.dumps(text)}" for name, text in releases.items())
    return stamp(
        "\n".join(
            ["{", *lines, '"releases":{', body, "},", '"locks":[', ",\n".join(rows), "]}", ""]
        )
    )


def load_locks(content: bytes) -> TargetLocks:
    """Return the locks of a file; raise ValueError where it is damaged or of another format."""
    try:
        data: dict[str, Any] = json.loads(unstamp(content))
        if data["format"] != _FORMAT:
            raise ValueError(f"not {_FORMAT}")
        lines = {
            name: name.partition("#")[0] + _HASH + text.replace(" ", _HASH)
            for name, text in data["releases"].items()
        }
        return TargetLocks(
            target=data["target"],
            libc=data["libc"],
            snapshot=dt.date.fromisoformat(data["snapshot"]),
            locks=tuple(_lock(row, lines) for row in data["locks"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not {_FORMAT}: {error}") from error


def _row(lock: CommittedLock, names: Mapping[str, str]) -> str:
    requirements = lock.requirements
    return json.dumps(
        [
            lock.python,
            requirements.as_of.isoformat(),
            sorted(requirements.pins),
            sorted(requirements.also),
            sorted(requirements.only_binary),
            " ".join(names[line] for line in lock.lines),
        ],
        separators=(",", ":"),
    )


def _lock(row: list[Any], lines: Mapping[str, str]) -> CommittedLock:
    python, as_of, pins, also, only_binary, names = row
    requirements = Requirements(
        tuple(pins), tuple(also), dt.date.fromisoformat(as_of), tuple(only_binary)
    )
    return CommittedLock(python, requirements, tuple(lines[name] for name in names.split()))


def committed_key(python: str, requirements: Requirements) -> LockId:
    """Return what the lock of requirements is found by; `python` is full or a minor."""
    return (
        ".".join(python.split(".")[:2]),
        requirements.as_of,
        *(
            tuple(sorted(texts))
            for texts in (requirements.pins, requirements.also, requirements.only_binary)
        ),
    )


def _order(lock: CommittedLock) -> tuple[object, ...]:
    requirements = lock.requirements
    version = tuple(int(part) if part.isdecimal() else 0 for part in lock.python.split("."))
    return (sorted(requirements.pins), version, *lock.key)


def describe_difference(committed: Iterable[str], anew: Iterable[str]) -> str:
    """Return what differs between the lines of two locks, "" where nothing does."""
    old, new = _by_name(committed), _by_name(anew)
    parts = [f"{name} {old[name].version} is gone" for name in sorted(old.keys() - new.keys())]
    parts += [f"{name} {new[name].version} is new" for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        if old[name].version != new[name].version:
            parts.append(f"{name} {new[name].version} instead of {old[name].version}")
        elif old[name].hashes != new[name].hashes:
            parts.append(f"{name} {new[name].version} has other files")
    return ", ".join(parts)


def _by_name(lines: Iterable[str]) -> dict[str, Any]:
    lock: Lock = tuple(map(parse_line, lines))
    return {locked.name: locked for locked in lock}
