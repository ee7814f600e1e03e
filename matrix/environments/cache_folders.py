"""Folders of the store: finished environments by key, downloaded files and built wheels by hash.

A folder is made beside its final path and renamed when it is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from packaging.utils import parse_wheel_filename

from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile
from matrix.environments.toolbox import Toolbox
from matrix.model.reason import Reason
from matrix.system.files import put_in_place
from matrix.system.stamps import sha256_of

_METADATA = "matrix-environment.json"
_REQUIRED_BYTES = 400 * 1024 * 1024
# Longer than any tool may run.
_SCRATCH_SECONDS = 24 * 3600

Metadata = dict[str, Any]


def free_bytes_at(path: Path) -> int:
    """Return the free bytes of the disk."""
    return shutil.disk_usage(path).free


def content_key(*lines: str) -> str:
    """Return the key of a folder whose content these lines determine."""
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()[:32]


def put_folder(part: Path, folder: Path) -> None:
    """Rename a finished folder to `folder`, unless another run did so first.

    Raises OSError; `part` then stays, as it does where another run was first.
    """
    try:
        put_in_place(part, folder)
    except OSError:
        if not folder.is_dir():
            raise


@contextlib.contextmanager
def scratch_beside(folder: Path) -> Iterator[Path]:
    """Yield a new folder beside `folder` to be renamed to it, or else removed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=".part-", ignore_cleanup_errors=True
    ) as part:
        yield Path(part)


class CacheFolders:
    """Finished folders at `<kind>s/<key>/`; `.part-<key>` is incomplete, in use or left over.

    Safe for threads and processes.
    """

    def __init__(self, tools: Toolbox, kind: str, free_bytes: Callable[[Path], int]) -> None:
        self._tools = tools
        self._kind = kind
        self._free_bytes = free_bytes
        self._parent = tools.root / f"{kind}s"
        self._swept = False

    def path(self, key: str) -> Path:
        """Return the path of a folder, which may not exist."""
        return self._parent / key

    def metadata(self, key: str) -> Metadata | None:
        """Return the metadata of a finished folder, None where it is not finished."""
        try:
            metadata = json.loads((self.path(key) / _METADATA).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return metadata if isinstance(metadata, dict) else None

    def discard_changed(self, key: str, *, content: bool) -> bool:
        """Remove a folder that is not what was built, with a notice; return whether it is gone."""
        with self._tools.guard(f"{self._kind}-{key}"):
            return self._tools.discard_changed(self.path(key), content=content)

    def ensure(
        self, key: str, is_finished: Callable[[], bool], fill: Callable[[Path], Metadata]
    ) -> None:
        """Make the folder unless it is finished; `fill` writes it and returns its metadata."""
        self._sweep()
        folder = self.path(key)
        part = folder.with_name(f".part-{key}")
        with self._tools.guard(f"{self._kind}-{key}"):
            if is_finished():
                return
            self.check_space()
            part.parent.mkdir(parents=True, exist_ok=True)
            for old in (part, folder):
                if old.exists():
                    shutil.rmtree(old)
            try:
                metadata = fill(part)
                (part / _METADATA).write_text(json.dumps(metadata), "utf-8")
                self._tools.manifests.write(folder, part)
                put_in_place(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def check_space(self) -> None:
        """Raise BuildError(DISK_FULL) where an environment might not fit."""
        root = self._tools.root
        root.mkdir(parents=True, exist_ok=True)
        free = self._free_bytes(root)
        if free < _REQUIRED_BYTES:
            raise BuildError(
                Reason.DISK_FULL,
                f"only {free // 2**20} MB are free at {root}, "
                f"an environment may need {_REQUIRED_BYTES // 2**20} MB",
            )

    def _sweep(self) -> None:
        """Remove leftovers of killed runs, once."""
        if self._swept:
            return
        self._swept = True
        for scratch in (self._tools.root / "scratch").glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - scratch.stat().st_mtime > _SCRATCH_SECONDS:
                    shutil.rmtree(scratch, ignore_errors=True)
        for part in self._parent.glob(".part-*"):
            name = f"{self._kind}-{part.name.removeprefix('.part-')}"
            guard = self._tools.guard(name, wait=False)
            with contextlib.suppress(BuildError), guard:
                shutil.rmtree(part, ignore_errors=True)


class Artifacts:
    """Published files at `files/<sha256>/<name>`, built wheels at `wheels/<builder>/<sha256>/`.

    One that is damaged is removed with a notice: a published file by the hash in its path, a built
    wheel by its manifest.
    """

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._files = tools.root / "files"
        self._wheels = tools.root / "wheels"

    def find(self, sha256: str) -> Path | None:
        """Return the published file of that hash, None where it is not here."""
        return _only_file(self._files / sha256) if sha256 else None

    def find_whole(self, sha256: str) -> Path | None:
        """Return the published file of that hash once it was read, None where it is not here."""
        path = self.find(sha256)
        if path is None or sha256_of(path) == sha256:
            return path
        self._tools.notices.append(f"{path} does not have its hash, and is fetched again")
        shutil.rmtree(path.parent)
        return None

    def add(self, path: Path) -> str:
        """Move a downloaded file in; return its sha256."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        _move(path, self._files / digest)
        return digest

    def find_wheel(self, builder: str, sha256: str) -> Path | None:
        """Return the wheel that `builder` built from the source of that hash, None without one."""
        folder = self._wheels / builder / sha256
        if self._tools.discard_changed(folder, content=True):
            return None
        return _only_file(folder)

    def add_wheel(self, builder: str, sha256: str, wheel: Path) -> Path:
        """Move a built wheel in; return its new path."""
        folder = self._wheels / builder / sha256
        moved = _move(wheel, folder)
        self._tools.manifests.write(folder)
        return moved


def read_filename(filename: str, sha256: str) -> LockedFile:
    """Return name and version from a wheel's file name, with the published file's hash.

    The name of a source distribution is ambiguous: `functools32-3.2.3-2.zip`.
    """
    name, version = parse_wheel_filename(filename)[:2]
    return LockedFile(str(name), str(version), (sha256,))


def _only_file(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("*"))), None) if folder.is_dir() else None


def _move(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    # A move may copy; the rename ensures that the final name is never an incomplete file.
    part = folder.with_name(f".{folder.name}-{path.name}-{hash(str(path)):x}")
    shutil.move(path, part)
    put_in_place(part, target)
    return target
