"""Recorded runs, in files that are named by time: `records/20261120T213245Z-1a2b3c4d.json`."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from pathlib import Path

from matrix.errors import StorageError, UnreadableInputError, did_you_mean
from matrix.runs.record import Record
from matrix.runs.record_reader import read_record
from matrix.system.atomic import write_atomic
from matrix.system.paths import results_dir

_REMEDY = "Make one with: python -m matrix verify"
_KEPT = 50


@dataclasses.dataclass(frozen=True)
class RecordStore:
    """A folder with the newest recorded runs."""

    folder: Path

    @classmethod
    def default(cls) -> RecordStore:
        """Return the store in this project's results."""
        return cls(results_dir() / "records")

    def write(self, text: str, started: str) -> Path:
        """Write the record of a run that started at an ISO time; raise StorageError."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        stamp = (
            dt.datetime.fromisoformat(started)
            .astimezone(dt.timezone.utc)
            .strftime("%Y%m%dT%H%M%SZ")
        )
        path = self.folder / f"{stamp}-{digest}.json"
        try:
            write_atomic(path, text)
            for old in self._paths()[:-_KEPT]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot record the run in {self.folder}: {error.strerror}",
                "Free space, or set COMPAT_MATRIX_RESULTS to another folder.",
            ) from error
        return path

    def names(self) -> list[str]:
        """Return the names of the runs, the oldest first."""
        return [path.stem for path in self._paths()]

    def latest(self) -> Record:
        """Return the newest run; raise `UnreadableInputError` where there is none."""
        return self._read(self._newest())

    def previous(self, record: Record) -> Record | None:
        """Return the newest older run with any of the same claims, None without one."""
        names = self.names()
        older = names[: names.index(record.name)] if record.name in names else []
        for name in reversed(older):
            other = self._read(name)
            if other.claim_by_id.keys() & record.claim_by_id.keys():
                return other
        return None

    def find(self, name: str) -> Record:
        """Return the run that a user named, as `path_of` finds it; raise `UnreadableInputError`."""
        path = self.path_of(name)
        return read_record(path, path.stem if path.parent == self.folder else "")

    def path_of(self, name: str) -> Path:
        """Return the file of a run by its path, its name, the beginning of its name, or `latest`.

        Raises `UnreadableInputError`.
        """
        path = Path(name)
        if _is_file(path):
            return path
        if name == "latest":
            return self.folder / f"{self._newest()}.json"
        names = self.names()
        matching = [known for known in names if known.startswith(name)]
        if len(matching) == 1:
            return self.folder / f"{matching[0]}.json"
        if matching:
            raise UnreadableInputError(
                f"{name!r} is the beginning of the names of {len(matching)} runs",
                f"Name one of them: {', '.join(matching[-5:])}",
            )
        raise UnreadableInputError(
            f"no file {name!r}, and no recorded run of this name{did_you_mean(name, names)}",
            f"The runs: {', '.join(names[-5:]) or 'none'}. {_REMEDY}",
        )

    def _newest(self) -> str:
        names = self.names()
        if not names:
            raise UnreadableInputError(f"no run is recorded in {self.folder}", _REMEDY)
        return names[-1]

    def _read(self, name: str) -> Record:
        return read_record(self.folder / f"{name}.json", name)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*Z-*.json")) if self.folder.is_dir() else []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False  # too long for a name, or in a folder without permission
