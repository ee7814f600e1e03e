"""What was found, kept by the wheel's hash: a wheel never changes, so neither does the answer."""

from __future__ import annotations

import dataclasses
import gzip
import json
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.artifacts.contents import (
    Contents,
    from_json,
    modules_from_json,
    modules_to_json,
    to_json,
)
from matrix.artifacts.sources import Module

__all__ = ["Kept"]

_DAMAGED = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError)


class Kept:
    """`artifacts/wheels/<sha256>` and `artifacts/sources/<digest>` under the cache folder.

    What cannot be read is as good as not there, and what cannot be written is found again.
    """

    def __init__(self, cache_dir: Path) -> None:
        self._root = cache_dir / "artifacts"
        # Wheels of a release share theirs, and to decode them takes longer than all else.
        self._modules: dict[str, tuple[Module, ...]] = {}

    def find(self, sha256: str) -> Contents | None:
        """Return what is known of the wheel of that hash, with its modules."""
        try:
            contents = from_json(self._read("wheels", sha256))
        except _DAMAGED:
            return None
        modules = self.find_modules(contents.sources)
        return None if modules is None else dataclasses.replace(contents, modules=modules)

    def find_modules(self, sources: str) -> tuple[Module, ...] | None:
        """Return what is known of a set of Python files."""
        if sources not in self._modules:
            try:
                self._modules[sources] = modules_from_json(self._read("sources", sources))
            except _DAMAGED:
                return None
        return self._modules[sources]

    def keep_modules(self, sources: str, modules: tuple[Module, ...]) -> None:
        """Keep what a set of Python files imports."""
        self._write("sources", sources, modules_to_json(modules))

    def keep(self, contents: Contents) -> None:
        """Keep what is in a wheel; its modules are kept by `keep_modules`."""
        self._write("wheels", contents.sha256, to_json(contents))

    def _path(self, kind: str, key: str) -> Path:
        if not key.isalnum():
            raise ValueError(f"not a digest: {key!r}")
        return self._root / kind / key[:2] / f"{key}.json.gz"

    def _read(self, kind: str, key: str) -> Any:  # noqa: ANN401 - JSON from the disk
        return json.loads(gzip.decompress(self._path(kind, key).read_bytes()))

    def _write(self, kind: str, key: str, data: Mapping[str, Any]) -> None:
        temporary = None
        try:
            path = self._path(kind, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                dir=path.parent, prefix=f".{key}.", delete=False
            ) as file:
                temporary = Path(file.name)
                text = json.dumps(data, separators=(",", ":"))
                file.write(gzip.compress(text.encode(), 6, mtime=0))
            temporary.replace(path)
        except (OSError, ValueError):
            if temporary is not None:
                temporary.unlink(missing_ok=True)
