"""Debian packages that a build from source takes, as the libraries' modules declare them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["apt_command", "missing_packages"]

STATUS = Path("/var/lib/dpkg/status")
_INSTALLED = re.compile(r"^Package: (\S+)\nStatus: \S+ \S+ installed$", re.MULTILINE)
_LARGEST = 64 * 1024**2  # a status file of a whole desktop has 5 MB


def missing_packages(packages: Iterable[str], status: Path = STATUS) -> tuple[str, ...] | None:
    """Return which of them are not installed on this machine; None where it is no Debian."""
    try:
        with status.open(encoding="utf-8", errors="replace") as stream:
            installed = set(_INSTALLED.findall(stream.read(_LARGEST)))
    except OSError:
        return None
    return tuple(name for name in packages if name not in installed)


def apt_command(packages: Iterable[str]) -> str:
    """Return the command that installs them."""
    return f"apt-get install --no-install-recommends {' '.join(packages)}"
