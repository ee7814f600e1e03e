"""Raw captures, one compressed JSON file per result."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from matrix.errors import StorageError
from matrix.model.capture import CellCapture
from matrix.system.atomic import write_atomic

_SUFFIX = ".json.gz"


class CaptureStore:
    """Captures under `<folder>/<cell id>/<key>.json.gz`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, cell: str, key: str) -> Path:
        """Return the path of the capture of a cell with this result key."""
        return self._folder / cell / f"{key}{_SUFFIX}"

    def write(self, capture: CellCapture) -> Path:
        """Write a capture atomically; raise StorageError."""
        text = json.dumps(capture.to_json(), ensure_ascii=False, separators=(",", ":"))
        # Without a time stamp equal captures are equal files.
        content = gzip.compress(text.encode(), compresslevel=5, mtime=0)
        return self.put(capture.cell, capture.key, content)

    def put(self, cell: str, key: str, content: bytes) -> Path:
        """Write the file of a capture atomically; raise StorageError."""
        path = self.path(cell, key)
        try:
            write_atomic(path, content)
        except OSError as error:
            raise StorageError(
                f"cannot write {path}: {error}",
                "Free space, or move the results with COMPAT_MATRIX_RESULTS.",
            ) from error
        return path

    def read(self, cell: str, key: str) -> CellCapture | None:
        """Return the capture, None where there is no readable one."""
        try:
            data = json.loads(gzip.decompress(self.path(cell, key).read_bytes()))
            return CellCapture.from_json(data)
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            return None

    def newest(self, cell: str) -> CellCapture | None:
        """Return the capture of a cell that was started last, None where there is none."""
        files = sorted((self._folder / cell).glob(f"*{_SUFFIX}"))
        captures = (self.read(cell, file.name.removesuffix(_SUFFIX)) for file in files)
        return max(filter(None, captures), key=lambda each: each.started, default=None)
