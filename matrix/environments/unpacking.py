"""Wheels put into an environment by hand: unpacked once, hard-linked from then on.

Takes 0.1 s where the pip of CPython 2.7 takes ten. uv, which does the same for newer CPythons,
does not know the tag `py2`. The format:
https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from matrix.environments.failures import BuildError
from matrix.environments.folders import put
from matrix.model.reason import Reason

__all__ = ["Unpacked", "link_into", "unpack"]

_LIBRARIES = {"purelib", "platlib"}
_MOST_BYTES = 2 * 1024**3


@dataclasses.dataclass(frozen=True)
class Unpacked:
    """A wheel's folder, and its sha256, which names the content."""

    folder: Path
    key: str


def unpack(wheel: Path, folder: Path, sha256: str | None = None) -> Path:
    """Return `folder` with what the wheel puts into site-packages; do nothing where it is there.

    `sha256` is checked where given. Scripts, headers and data files are left out.
    """
    if folder.exists():
        return folder
    if sha256 is not None and hashlib.sha256(wheel.read_bytes()).hexdigest() != sha256:
        raise BuildError(Reason.WRONG_INSTALL, f"{wheel.name} is not the file that was locked")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".part-"))
    try:
        with zipfile.ZipFile(wheel) as archive:
            # No more than the archive says is read of any member.
            size = sum(item.file_size for item in archive.infolist())
            if size > _MOST_BYTES:
                said = f"{wheel.name} would unpack to {size >> 20} MB"
                raise BuildError(Reason.BUILD_FAILED, said)
            for name in archive.namelist():
                target = _target(name)
                if target is not None and not name.endswith("/"):
                    _write(archive, name, part / target, part)
        put(part, folder)
    except (zipfile.BadZipFile, EOFError) as error:
        raise BuildError(Reason.BUILD_FAILED, f"{wheel.name} is damaged: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def link_into(source: Path, target: Path) -> None:
    """Hard-link all files of `source` into `target`; copy where links are not to be had."""
    for folder, _, files in os.walk(source):
        there = target / Path(folder).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in files:
            _link(Path(folder) / name, there / name)


def _target(name: str) -> str | None:
    """Return where a wheel's file goes within site-packages, None where it goes elsewhere."""
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return name
    scheme, _, rest = rest.partition("/")
    return rest if scheme in _LIBRARIES and rest else None


def _write(archive: zipfile.ZipFile, name: str, target: Path, root: Path) -> None:
    if not target.resolve().is_relative_to(root.resolve()):
        raise BuildError(Reason.BUILD_FAILED, f"a wheel wants to write outside itself: {name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("wb") as stream:
        shutil.copyfileobj(source, stream)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # two distributions may bring one file: the later wins
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
