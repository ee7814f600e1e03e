"""The journal file: one JSON line per cell, appended, flushed and synced as the cell ends.

A line is complete only with its newline. A run that is killed leaves at most one incomplete last
line: it is dropped when the journal is read and cut off before the next line is appended.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from io import FileIO
from pathlib import Path

from matrix.errors import StorageError
from matrix.journal.entries import Entry

__all__ = ["Journal", "Reading"]

_HINT = "Free space, or move the results with COMPAT_MATRIX_RESULTS; finished cells are kept."


@dataclasses.dataclass(frozen=True)
class Reading:
    """The entries by key (the last of equal keys counts), and what could not be read."""

    entries: dict[str, Entry]
    remarks: tuple[str, ...] = ()


class Journal:
    """Appends entries to a file; close it when done (`contextlib.closing`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO | None = None

    def read(self) -> Reading:
        """Return all that can be read; a file that is not there is an empty journal."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return Reading({})
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {error}", _HINT) from error
        lines = data.split(b"\n")
        tail = lines.pop()
        entries: dict[str, Entry] = {}
        remarks = []
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                entry = Entry.from_json(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                remarks.append(f"{self.path}:{number}: skipped a line that is no entry ({error})")
                continue
            # The newest entry moves to the end: the order is that of the file.
            entries.pop(entry.key, None)
            entries[entry.key] = entry
        if tail:
            remarks.append(
                f"{self.path}:{len(lines) + 1}: dropped an incomplete last line"
                " (the run before was killed while it wrote)"
            )
        return Reading(entries, tuple(remarks))

    def append(self, entry: Entry) -> None:
        """Write one entry so that it survives the end of this process and of the machine."""
        line = json.dumps(entry.to_json(), ensure_ascii=False, separators=(",", ":")) + "\n"
        data = line.encode()
        try:
            file = self._file or self._open()
            _write(file, data)
        except OSError as error:
            # What was written of the line is cut off when the file is opened again.
            self.close()
            raise StorageError(f"cannot write {self.path}: {error}", _HINT) from error

    def close(self) -> None:
        """Close the file; appending opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> FileIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer: nothing is left to be written, or to fail, when the file is closed.
        self._file = file = self.path.open("ab", buffering=0)
        _cut_incomplete_line(self.path)
        return file


def _cut_incomplete_line(path: Path) -> None:
    with path.open("r+b") as file:
        if not file.seek(0, os.SEEK_END):
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)


def _write(file: FileIO, data: bytes) -> None:
    if file.write(data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())
