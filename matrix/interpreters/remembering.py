"""Answers remembered on disk, by path, mtime and size: asking nine interpreters takes a second."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matrix.interpreters.asking import Answer, Asker, CannotTellError

__all__ = ["Memory"]

_VERSION = 1
# A broken candidate may have been repaired without a change of its file: a library, a busy moment.
_BROKEN_SECONDS = 3600.0


class Memory:
    """Answers by candidate. A file that cannot be read or written costs time, nothing else."""

    def __init__(
        self, file: Path | None, asked_by: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        """`asked_by` is the target of who asks: one file may be two interpreters, see Rosetta."""
        self._file = file
        self._asked_by = asked_by
        self._clock = clock
        self._entries: dict[str, dict[str, Any]] = {}
        self._changed = False
        if file is None:
            return
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            data = json.loads(file.read_text("utf-8"))
            if data["version"] == _VERSION:
                self._entries = dict(data["entries"])

    def ask(self, executable: Path, asker: Asker) -> Answer:
        """Return the answer, from memory where the file is as it was; raise as `asker` does."""
        try:
            status = executable.stat()
        except OSError as error:
            raise CannotTellError(error.strerror or str(error)) from error
        stamp = [status.st_mtime_ns, status.st_size, self._asked_by]
        entry = self._entries.get(str(executable))
        if entry and entry["stamp"] == stamp:
            if "answer" in entry:
                answer: Answer = entry["answer"]
                return answer
            if 0 <= self._clock() - entry["at"] < _BROKEN_SECONDS:
                raise CannotTellError(entry["problem"])
        self._changed = True
        try:
            answer = asker(executable)
        except CannotTellError as error:
            self._entries[str(executable)] = {
                "stamp": stamp,
                "problem": str(error),
                "at": self._clock(),
            }
            raise
        self._entries[str(executable)] = {"stamp": stamp, "answer": answer}
        return answer

    def save(self) -> None:
        """Write what is new, whole or not at all."""
        if self._file is None or not self._changed:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=".interpreters-")
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump({"version": _VERSION, "entries": self._entries}, stream, indent=1)
            os.replace(name, self._file)  # noqa: PTH105 - `name` is a string
