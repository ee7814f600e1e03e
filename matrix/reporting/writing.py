"""Write a report where the user wants it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matrix.errors import StorageError
from matrix.reporting.as_json import result_to_json
from matrix.verify.result import RunResult

__all__ = ["write_json"]


def write_json(path: Path, result: RunResult, as_of: str) -> None:
    """Write the run as JSON to `path`, `-` for standard output; raise StorageError."""
    text = json.dumps(result_to_json(result, as_of), indent=2, ensure_ascii=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", "Give --json another path."
        ) from error
