"""Locks: the exact distributions of an environment, as `name==version --hash=sha256:...` lines.

Also their files, and the comparison of what was installed with a lock and with pins.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.parser import HeaderParser
from pathlib import Path, PurePath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from matrix.environments.errors import BuildError
from matrix.environments.toolbox import Toolbox
from matrix.model.environment import Requirements
from matrix.model.reason import Reason
from matrix.pypi.tags import is_same_version
from matrix.system.files import write_atomic
from matrix.system.stamps import UnstampedError, stamp, unstamp

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


Lock = tuple[LockedFile, ...]
"""The distributions of an environment, by name."""


def parse_line(line: str) -> LockedFile:
    """Parse a lock line; raise ValueError where it is invalid or has no hash."""
    match = _PIN.match(line)
    hashes = tuple(sorted({item["digest"] for item in _HASH.finditer(line)}))
    if match is None or not hashes:
        raise ValueError(f"invalid lock line: {line!r}")
    return LockedFile(str(canonicalize_name(match["name"])), match["version"], hashes)


def parse_lock(text: str) -> Lock:
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


_MAX_CHARACTERS = 1 << 20

Content = dict[str, Any]
"""The JSON object of a lock file; `lock` has the lines of the lock."""


def lock_key(
    form: str, index_url: str, runtime: tuple[str, str, str], requirements: Requirements
) -> str:
    """Return the key of a lock; `runtime` is the CPython's full version, target and C library.

    `form` is the version of the content's meaning: change it to invalidate older files.
    """
    parts = [
        form,
        index_url,
        *runtime,
        requirements.as_of.isoformat(),
        sorted(requirements.pins),
        sorted(requirements.also),
        sorted(requirements.only_binary),
    ]
    if requirements.given:
        parts.append(sorted(file.sha256 for file in requirements.given))
    return hashlib.sha256(json.dumps(parts).encode("utf-8")).hexdigest()[:32]


class LockFiles:
    """The lock files of a store."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._folder = tools.root / "locks"

    def read(self, key: str) -> Content | None:
        """Return the content of a file, None where it is missing or incomplete."""
        path = self._folder / f"{key}.json"
        try:
            content = json.loads(_unstamped(path.read_bytes()))
            content["lock"] = tuple(map(str, content["lock"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._tools.notices.append(f"{path} is damaged, and made again: {error}")
            return None
        return dict(content)

    def discard(self, key: str) -> None:
        """Remove a file, so that its content is made again."""
        (self._folder / f"{key}.json").unlink(missing_ok=True)

    def ensure(
        self,
        key: str,
        requirements: Requirements,
        make: Callable[[], Content],
        *,
        anew: bool = False,
    ) -> Content:
        """Return the content of a file; write what `make` returns where it is missing.

        With `anew` it is written where it is not missing, too.
        """
        with self._tools.guard(f"lock-{key}"):
            existing = None if anew else self.read(key)
            if existing is not None:
                return existing
            content = {
                **make(),
                "pins": requirements.pins,
                "also": requirements.also,
                "as_of": requirements.as_of.isoformat(),
            }
            write_atomic(self._folder / f"{key}.json", stamp(json.dumps(content, indent=1)))
        return {**content, "lock": tuple(content["lock"])}


def _unstamped(content: bytes) -> bytes:
    """Return a lock file without its digest; those of earlier versions have only their hashes."""
    try:
        return unstamp(content)
    except UnstampedError:
        return content


def site_packages(environment: Path) -> Path:
    """Return the site-packages folder of an environment; raise BuildError where it has none."""
    for pattern in ("lib/python*/site-packages", "Lib/site-packages"):
        for folder in sorted(environment.glob(pattern)):
            return folder
    raise BuildError(Reason.BUILD_FAILED, "the environment has no site-packages folder")


def read_installed(folder: Path) -> dict[str, str]:
    """Return the version by canonical name of each distribution in a site-packages folder.

    Raises BuildError for one without a name.
    """
    versions: dict[str, str] = {}
    for pattern, name in (("*.dist-info", "METADATA"), ("*.egg-info", "PKG-INFO")):
        for info in folder.glob(pattern):
            file = info / name if info.is_dir() else info
            headers = HeaderParser().parsestr(_metadata_text(file), headersonly=True)
            if headers["Name"] is None:
                raise BuildError(Reason.WRONG_INSTALL, f"{info.name} names no distribution")
            versions[str(canonicalize_name(headers["Name"]))] = headers["Version"] or ""
    return versions


def _metadata_text(file: Path) -> str:
    """Return the beginning of a metadata file, which has the headers."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(_MAX_CHARACTERS)


def find_damaged(folder: Path, sha256: Callable[[Path], str]) -> dict[str, str]:
    """Return a file by distribution whose content is not that of its `RECORD`.

    Where several distributions have a file it may be that of any. A file elsewhere, as a `RECORD`
    could name any of the machine, is not read. `sha256` returns the digest of a file in base64.
    Raises BuildError for a `RECORD` that is no table. https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    owners: dict[str, str] = {}
    recorded: dict[str, set[str]] = {}
    for record in sorted(folder.glob("*.dist-info/RECORD")):
        name = str(canonicalize_name(record.parent.name.partition("-")[0]))
        with record.open(encoding="utf-8", errors="replace", newline="") as stream:
            try:
                rows = [row for row in csv.reader(stream) if len(row) > 1]
            except csv.Error as error:
                detail = f"{record.parent.name}/RECORD cannot be read: {error}"
                raise BuildError(Reason.WRONG_INSTALL, detail) from error
        for path, digest in ((row[0], row[1]) for row in rows):
            if digest.startswith("sha256=") and _is_below(path):
                owners[path] = name
                recorded.setdefault(path, set()).add(digest.partition("=")[2].rstrip("="))
    return {
        owners[path]: path
        for path, digests in recorded.items()
        if (folder / path).is_file() and sha256(folder / path) not in digests
    }


def _is_below(path: str) -> bool:
    """Return whether a path of a `RECORD` leads to no other folder."""
    pure = PurePath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def check_installed(
    installed: Mapping[str, str], pins: Sequence[str], lock: Sequence[LockedFile]
) -> None:
    """Raise BuildError(WRONG_INSTALL) unless exactly the lock is installed, with all pins."""
    expected = {locked.name: locked.version for locked in lock}
    problems = [
        f"{name} is {installed.get(name, 'missing')}, but the lock has {version}"
        for name, version in expected.items()
        if not is_same_version(installed.get(name), version)
    ]
    problems += [
        f"{name} {installed[name]} is not in the lock"
        for name in sorted(set(installed) - set(expected))
    ]
    for pin in pins:
        name, version = pinned(pin)
        if not is_same_version(installed.get(name), version):
            problems.append(
                f"{name} is {installed.get(name, 'missing')}, but {version} is required"
            )
    if problems:
        raise BuildError(Reason.WRONG_INSTALL, "; ".join(dict.fromkeys(problems)))


_PATCH_MARKERS = ("python_full_version", "implementation_version")


def check_markers(folder: Path, version: str, installed: Mapping[str, str]) -> None:
    """Raise BuildError(WRONG_INSTALL) where a requirement of CPython `version` is not installed.

    Only requirements are read whose markers tell patch releases apart: a lock for another patch
    release may lack those. `folder` is the site-packages folder.
    https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers
    """
    environment = {
        "python_full_version": version,
        "python_version": ".".join(version.split(".")[:2]),
        "implementation_version": version,
        "extra": "",
    }
    for file in sorted(folder.glob("*.dist-info/METADATA")):
        text = _metadata_text(file)
        if not any(marker in text for marker in _PATCH_MARKERS):
            continue
        headers = HeaderParser().parsestr(text, headersonly=True)
        for line in headers.get_all("Requires-Dist", ()):
            requirement = _parse_requirement(line)
            if (
                requirement is not None
                and any(marker in line for marker in _PATCH_MARKERS)
                and requirement.marker is not None
                and requirement.marker.evaluate(environment)
                and canonicalize_name(requirement.name) not in installed
            ):
                raise BuildError(
                    Reason.WRONG_INSTALL,
                    f"{headers['Name']} {headers['Version']} requires {requirement.name} on CPython"
                    f" {version}, and the lock does not have it",
                )


def _parse_requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except InvalidRequirement:
        return None
