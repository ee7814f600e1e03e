"""Write a report where the user wants it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matrix.errors import StorageError
from matrix.reporting.as_json import result_to_json
from matrix.verify.result import RunResult

__all__ = ["write_json", "write_text", "write_text_json"]


def write_json(path: Path, result: RunResult, as_of: str) -> None:
    """Write the run as JSON to `path`, `-` for standard output; raise StorageError."""
    write_text_json(path, result_to_json(result, as_of))


def write_text_json(path: Path, data: object) -> None:
    """Write plain JSON values likewise."""
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        return
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write the text to `path`; raise StorageError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", "Give another path."
        ) from error
