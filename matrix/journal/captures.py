"""The raw captures, one compressed JSON file per result, written whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

from matrix.errors import StorageError
from matrix.model.capture import CellCapture
from matrix.replacing import put_in_place

__all__ = ["CaptureStore"]


class CaptureStore:
    """Captures under `<folder>/<cell id>/<key>.json.gz`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, cell: str, key: str) -> Path:
        """Return where the capture of a cell with this result key lies."""
        return self._folder / cell / f"{key}.json.gz"

    def write(self, capture: CellCapture) -> Path:
        """Write a capture, whole or not at all; raise StorageError."""
        text = json.dumps(capture.to_json(), ensure_ascii=False, separators=(",", ":"))
        # No time stamp inside: equal captures are equal files.
        content = gzip.compress(text.encode(), compresslevel=5, mtime=0)
        return self.put(capture.cell, capture.key, content)

    def put(self, cell: str, key: str, content: bytes) -> Path:
        """Write the file of a capture: under another name first, so that no half of it is read."""
        path = self.path(cell, key)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                part.write_bytes(content)
                put_in_place(part, path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot write {path}: {error}",
                "Free space, or move the results with COMPAT_MATRIX_RESULTS.",
            ) from error
        return path

    def read(self, cell: str, key: str) -> CellCapture | None:
        """Return the capture, or None where there is none that can be read."""
        try:
            data = json.loads(gzip.decompress(self.path(cell, key).read_bytes()))
            return CellCapture.from_json(data)
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            return None
