"""The installed distributions of an environment, compared with its lock and its pins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile, pinned
from matrix.model.reason import Reason


def site_packages(environment: Path) -> Path:
    """Return the site-packages folder of an environment; raise BuildError where it has none."""
    for pattern in ("lib/python*/site-packages", "Lib/site-packages"):
        for folder in sorted(environment.glob(pattern)):
            return folder
    raise BuildError(Reason.BUILD_FAILED, "the environment has no site-packages folder")


def read_installed(folder: Path) -> dict[str, str]:
    """Return the version by canonical name of each distribution in a site-packages folder."""
    versions: dict[str, str] = {}
    for pattern, name in (("*.dist-info", "METADATA"), ("*.egg-info", "PKG-INFO")):
        for info in folder.glob(pattern):
            file = info / name if info.is_dir() else info
            with file.open(encoding="utf-8", errors="replace") as stream:
                headers = HeaderParser().parse(stream, headersonly=True)
            versions[str(canonicalize_name(headers["Name"]))] = headers["Version"]
    return versions


def check_installed(
    installed: Mapping[str, str], pins: Sequence[str], lock: Sequence[LockedFile]
) -> None:
    """Raise BuildError(WRONG_INSTALL) unless exactly the lock is installed, with all pins."""
    expected = {locked.name: locked.version for locked in lock}
    problems = [
        f"{name} is {installed.get(name, 'missing')}, but the lock has {version}"
        for name, version in expected.items()
        if not _is_same_version(installed.get(name), version)
    ]
    problems += [
        f"{name} {installed[name]} is not in the lock"
        for name in sorted(set(installed) - set(expected))
    ]
    for pin in pins:
        name, version = pinned(pin)
        if not _is_same_version(installed.get(name), version):
            problems.append(
                f"{name} is {installed.get(name, 'missing')}, but {version} is required"
            )
    if problems:
        raise BuildError(Reason.WRONG_INSTALL, "; ".join(dict.fromkeys(problems)))


def _is_same_version(installed: str | None, expected: str) -> bool:
    if installed is None:
        return False
    try:
        return Version(installed) == Version(expected)
    except InvalidVersion:
        return installed == expected
