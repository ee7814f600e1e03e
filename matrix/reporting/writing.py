"""Write a report where the user wants it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matrix.errors import StorageError

__all__ = ["json_text", "write_text", "write_text_json"]


def json_text(data: object) -> str:
    """Return plain JSON values as the text of a file."""
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    # What a release said may hold half a character, which no file can.
    return text.encode("utf-8", "replace").decode("utf-8")


def write_text_json(path: Path, data: object) -> None:
    """Write plain JSON values to `path`, `-` for standard output; raise StorageError."""
    write_text(path, json_text(data))


def write_text(path: Path, text: str) -> None:
    """Write the text likewise."""
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", "Give another path."
        ) from error
