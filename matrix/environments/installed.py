"""What a finished environment holds, read from disk, and whether it is what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.parser import HeaderParser
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile, pinned
from matrix.model.reason import Reason

__all__ = ["check_installed", "installed", "site_packages"]


def site_packages(environment: Path) -> Path:
    """Return the folder that distributions go to; raise BuildError where there is none."""
    for pattern in ("lib/python*/site-packages", "Lib/site-packages"):
        for folder in sorted(environment.glob(pattern)):
            return folder
    raise BuildError(Reason.BUILD_FAILED, "the environment has no site-packages folder")


def installed(folder: Path) -> dict[str, str]:
    """Return version by canonical name of every distribution in a site-packages folder."""
    found: dict[str, str] = {}
    for pattern, name in (("*.dist-info", "METADATA"), ("*.egg-info", "PKG-INFO")):
        for info in folder.glob(pattern):
            file = info / name if info.is_dir() else info
            with file.open(encoding="utf-8", errors="replace") as stream:
                headers = HeaderParser().parse(stream, headersonly=True)
            found[str(canonicalize_name(headers["Name"]))] = headers["Version"]
    return found


def check_installed(
    found: Mapping[str, str], pins: Sequence[str], lock: Sequence[LockedFile]
) -> None:
    """Raise BuildError(WRONG_INSTALL) unless exactly the lock is installed, and so are the pins."""
    wanted = {locked.name: locked.version for locked in lock}
    wrong = [
        f"{name} is {_said(found, name)} where the lock has {version}"
        for name, version in wanted.items()
        if not _same(found.get(name), version)
    ]
    wrong += [
        f"{name} {found[name]} is not in the lock" for name in sorted(set(found) - set(wanted))
    ]
    for pin in pins:
        name, version = pinned(pin)
        if not _same(found.get(name), version):
            wrong.append(f"{name} is {_said(found, name)} where {version} was asked for")
    if wrong:
        raise BuildError(Reason.WRONG_INSTALL, "; ".join(dict.fromkeys(wrong)))


def _said(found: Mapping[str, str], name: str) -> str:
    return found.get(name, "missing")


def _same(one: str | None, other: str) -> bool:
    if one is None:
        return False
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
