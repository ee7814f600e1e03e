"""Folders named by what is in them: made once, beside their place, and put there by a rename."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matrix.environments.failures import BuildError
from matrix.environments.toolbox import Toolbox
from matrix.model.reason import Reason
from matrix.replacing import put_in_place

__all__ = ["Folders", "free_bytes_at", "put"]

_MARK = "matrix-environment.json"
_NEEDED_BYTES = 400 * 1024 * 1024
# Longer than any tool may run: what is older belongs to no one.
_SCRATCH_SECONDS = 24 * 3600

Mark = dict[str, Any]


def free_bytes_at(path: Path) -> int:
    """Return how much of the disk is free."""
    return shutil.disk_usage(path).free


def put(part: Path, folder: Path) -> None:
    """Give a finished folder its name, unless somebody was quicker, whose is as good.

    Raises OSError; what was not wanted any more stays where it was.
    """
    try:
        put_in_place(part, folder)
    except OSError:
        if not folder.is_dir():
            raise


class Folders:
    """`<kind>s/<key>/` are finished ones, and only those; `.part-<key>` is one in the making, or
    was when somebody pulled the plug. Safe among threads and processes.
    """

    def __init__(self, tools: Toolbox, kind: str, free_bytes: Callable[[Path], int]) -> None:
        self._tools = tools
        self._kind = kind
        self._free_bytes = free_bytes
        self._home = tools.root / f"{kind}s"
        self._swept = False

    def path(self, key: str) -> Path:
        """Return where the folder of that key is, or would be."""
        return self._home / key

    def mark(self, key: str) -> Mark | None:
        """Return what was noted when the folder was finished, None where it is not."""
        try:
            mark = json.loads((self.path(key) / _MARK).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return mark if isinstance(mark, dict) else None

    def make(self, key: str, finished: Callable[[], bool], fill: Callable[[Path], Mark]) -> None:
        """Make the folder, unless somebody else did: `fill` fills it and returns its mark."""
        self.sweep()
        folder = self.path(key)
        part = folder.with_name(f".part-{key}")
        with self._tools.guard(f"{self._kind}-{key}"):
            if finished():
                return
            self.need_space()
            part.parent.mkdir(parents=True, exist_ok=True)
            for old in (part, folder):
                if old.exists():
                    shutil.rmtree(old)
            try:
                mark = fill(part)
                (part / _MARK).write_text(json.dumps(mark), "utf-8")
                put_in_place(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def need_space(self) -> None:
        """Raise BuildError(DISK_FULL) where an environment might not fit."""
        root = self._tools.root
        root.mkdir(parents=True, exist_ok=True)
        free = self._free_bytes(root)
        if free < _NEEDED_BYTES:
            raise BuildError(
                Reason.DISK_FULL,
                f"{free // 2**20} MB are free at {root}, "
                f"an environment may need {_NEEDED_BYTES // 2**20} MB",
            )

    def sweep(self) -> None:
        """Once: remove what runs that were killed left behind."""
        if self._swept:
            return
        self._swept = True
        for scratch in (self._tools.root / "scratch").glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - scratch.stat().st_mtime > _SCRATCH_SECONDS:
                    shutil.rmtree(scratch, ignore_errors=True)
        for part in self._home.glob(".part-*"):
            name = f"{self._kind}-{part.name.removeprefix('.part-')}"
            guard = self._tools.guard(name, wait=False)
            with contextlib.suppress(BuildError), guard:
                shutil.rmtree(part, ignore_errors=True)
