"""What images told of themselves, kept on disk by the engine's id: asking takes a second each."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import filelock

from matrix.model.image import Image

__all__ = ["Memory"]

_SCHEMA = "image-facts/1"


class Memory:
    """Facts by image id and interpreter. A file that cannot be read or written costs time only."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "images.json"
        self._lock = folder / "images.json.lock"
        self._read_at: tuple[int, int] | None = None
        self._entries: dict[str, dict[str, Any]] = {}

    def recall(self, image: str, executable: str) -> Image | None:
        """Return what was told of an image, None where it was never asked."""
        self._refresh()
        entry = self._entries.get(f"{image} {executable}")
        if entry is None:
            return None
        try:
            pairs = tuple((name, value) for name, value in entry["environment"])
            found = Image(**{**entry, "launch": tuple(entry["launch"]), "environment": pairs})
        except (KeyError, TypeError, ValueError):
            return None
        return found if found.id == image and found.executable == executable else None

    def keep(self, image: Image) -> None:
        """Write down what an image told, whole or not at all."""
        with contextlib.suppress(OSError, filelock.Timeout):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self._lock, timeout=10):
                self._refresh()
                entry = dataclasses.asdict(image)
                self._entries[f"{image.id} {image.executable}"] = entry
                handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=".images-")
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    json.dump({"schema": _SCHEMA, "images": self._entries}, stream, indent=1)
                os.replace(name, self._file)  # noqa: PTH105 - `name` is a string

    def _refresh(self) -> None:
        """Read the file again where another process has written it."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._read_at:
                return
            data = json.loads(self._file.read_text("utf-8"))
            if data["schema"] == _SCHEMA:
                self._entries = dict(data["images"])
                self._read_at = stamp
