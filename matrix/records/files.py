"""JSON files that anybody may have written, each of a kind: read with bounds, or refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from matrix.errors import UnreadableInputError

__all__ = ["FileKind"]


@dataclasses.dataclass(frozen=True)
class FileKind:
    """What people call such a file (`a file of verdicts`), its schema, the most bytes it may have,
    and how one gets another.
    """

    called: str
    schema: str
    largest: int
    remedy: str

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file; raise `UnreadableInputError`, which names it."""
        try:
            with path.open("rb") as file:
                content = file.read(self.largest + 1)
        except FileNotFoundError:
            raise UnreadableInputError(f"there is no file {path}", self.remedy) from None
        except OSError as error:
            raise UnreadableInputError(f"{path} cannot be read: {error}", self.remedy) from error
        if len(content) > self.largest:
            raise UnreadableInputError(f"{path} is too large for {self.called}", self.remedy)
        return content

    def parse(self, content: bytes, name: str) -> dict[str, Any]:
        """Return the object that the bytes are; raise `UnreadableInputError` naming the file."""
        try:
            data = json.loads(content)
        except (ValueError, RecursionError) as error:
            said = f"{name} cannot be read as JSON: {error}"
            raise UnreadableInputError(said, self.remedy) from error
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != self.schema:
            raise UnreadableInputError(
                f"{name} is not {self.called}: its schema is {schema!r}, not {self.schema!r}",
                self.remedy,
            )
        found: dict[str, Any] = data
        return found
