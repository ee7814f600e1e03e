"""What a file name says: which release it belongs to, and a wheel's tags.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention
"""

from __future__ import annotations

import functools
import re

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

__all__ = ["runs_on", "split_filename", "wheel_tags"]

_SOURCE = re.compile(r"(?P<stem>.+?)\.(?:tar\.gz|tar\.bz2|tar\.xz|tgz|zip)\Z", re.IGNORECASE)


def wheel_tags(filename: str) -> str:
    """Return `cp39-cp39-manylinux2014_x86_64` of a wheel's name, "" for anything else."""
    if not filename.endswith(".whl"):
        return ""
    return "-".join(filename[:-4].rsplit("-", 3)[1:])


@functools.lru_cache(maxsize=4096)
def runs_on(interpreters: str, abis: str, python: str) -> bool:
    """Return whether a wheel with these tags is for a CPython, whatever the platform.

    `py37` is for all from 3.7 on; what is only for free-threaded builds (`cp313t`) is for others.
    """
    own = f"cp{python.replace('.', '')}"
    major, minor = python.split(".")
    threaded_only = set(abis.split(".")) == {f"{own}t"}
    for tag in interpreters.split("."):
        if tag == own and not threaded_only:
            return True
        if tag.startswith(f"py{major}") and _from(tag) <= int(minor):
            return True
        if "abi3" in abis.split(".") and tag.startswith("cp3") and major == "3":
            return _from(tag) <= int(minor)
    return False


def _from(tag: str) -> float:
    """Return the minor that `py37` begins with, 0 for `py3`; none follows what is no number."""
    minor = tag[3:] or "0"
    return int(minor) if minor.isdecimal() else float("inf")


def split_filename(filename: str, project: str) -> str | None:
    """Return the version as the file name spells it, or None.

    None stands for what is neither a wheel nor a source distribution of `project` (eggs,
    installers, links of a login page), and for versions that are none by PEP 440.
    """
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in (5, 6):
            return None
        name, version = parts[0], parts[1].replace("_", "+", 1)
        if canonicalize_name(name) != project:
            return None
    else:
        match = _SOURCE.match(filename)
        if match is None:
            return None
        found = _source_version(match["stem"], project)
        if found is None:
            return None
        version = found
    try:
        Version(version)
    except InvalidVersion:
        return None
    return version


def _source_version(stem: str, project: str) -> str | None:
    # Names of source distributions may hold dashes themselves: `mysql-connector-python-8.0.1`.
    for match in re.finditer("-", stem):
        if canonicalize_name(stem[: match.start()]) == project:
            return stem[match.end() :]
    return None
