"""What a source distribution is built with: tools of the CPython's time, and what it asks for."""

from __future__ import annotations

import datetime as dt
import functools
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from matrix.environments.failures import BuildError
from matrix.model.environment import Requirements
from matrix.model.reason import Reason
from matrix.places import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["build_requires", "tools_for"]

_MOST_BYTES = 1024 * 1024
# Of the whole archive, as stored: what is looked for stands near the root.
_MOST_MEMBERS = 100_000


def tools_for(minor: str, uploaded: str, asked: Sequence[str]) -> Requirements:
    """Return what the build environment holds: wheels only, as nothing could build it before.

    `asked` is what the source distribution asks for, `uploaded` its day (`2019-04-01`, or "").
    """
    known = _known().get(minor)
    if known is None:
        said = f"there are no build tools for CPython {minor} in data/build_tools.toml"
        raise BuildError(Reason.BUILD_FAILED, said)
    since: dt.date = known["since"]
    day = max(since, dt.date.fromisoformat(uploaded)) if uploaded else since
    wishes = {str(canonicalize_name(wish.name)): wish for wish in map(Requirement, asked)}
    tools = [Requirement(tool) for tool in known["requires"]]
    kept = [tool for tool in tools if _goes_with(tool, wishes.get(canonicalize_name(tool.name)))]
    # One line for each: the old resolver of pip refuses a second requirement of the same name.
    for tool in kept:
        wishes.pop(str(canonicalize_name(tool.name)), None)
    return Requirements(
        pins=tuple(sorted(str(tool) for tool in kept if tool.specifier)),
        also=tuple(sorted(map(str, (*wishes.values(), *(t for t in kept if not t.specifier))))),
        as_of=day,
        only_binary=(":all:",),
    )


def build_requires(source: Path) -> tuple[str, ...]:
    """Return `build-system.requires` of a source distribution's pyproject.toml, () without one."""
    try:
        text = _pyproject(source)
        table: dict[str, Any] = tomllib.loads(text) if text else {}
        asked = table.get("build-system", {}).get("requires", [])
        return tuple(sorted({str(Requirement(item)) for item in asked}))
    except (
        *(OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, UnicodeDecodeError),
        *(tomllib.TOMLDecodeError, InvalidRequirement, TypeError, AttributeError),
    ) as error:
        said = f"{source.name} is damaged: {error}"
        raise BuildError(Reason.BUILD_FAILED, said) from error


def _goes_with(tool: Requirement, wish: Requirement | None) -> bool:
    """Return whether a tool may stand for what is asked for: its pin may not suit."""
    if wish is None:
        return True
    if not tool.specifier:
        return not wish.specifier
    version = next(iter(tool.specifier)).version
    return wish.specifier.contains(version, prereleases=True)


@functools.lru_cache(maxsize=1)
def _known() -> dict[str, dict[str, Any]]:
    with (data_dir() / "build_tools.toml").open("rb") as stream:
        known: dict[str, dict[str, Any]] = tomllib.load(stream)["python"]
        return known


def _pyproject(source: Path) -> str:
    if source.suffix == ".zip":
        with zipfile.ZipFile(source) as archive:
            for item in archive.infolist():
                if _is_it(item.filename):
                    with archive.open(item) as stream:
                        return stream.read(_MOST_BYTES).decode("utf-8")
        return ""
    with tarfile.open(source) as archive:
        for number, member in enumerate(archive):
            if number > _MOST_MEMBERS:
                break
            if member.isfile() and not member.issparse() and _is_it(member.name):
                opened = archive.extractfile(member)
                return opened.read(_MOST_BYTES).decode("utf-8") if opened else ""
    return ""


def _is_it(name: str) -> bool:
    parts = [part for part in name.split("/") if part != "."]
    return len(parts) == 2 and parts[1] == "pyproject.toml"  # noqa: PLR2004 - folder and file
