"""Lock files: `locks/<key>.json`, each with the lock of requirements as of their date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from matrix.environments.toolbox import Toolbox
from matrix.model.environment import Requirements
from matrix.system.atomic import write_atomic

Content = dict[str, Any]
"""The JSON object of a lock file; `lock` has the lines of the lock."""


def lock_key(
    form: str, index_url: str, runtime: tuple[str, str, str], requirements: Requirements
) -> str:
    """Return the key of a lock; `runtime` is the CPython's full version, target and C library.

    `form` is the version of the content's meaning: change it to invalidate older files.
    """
    parts = [
        form,
        index_url,
        *runtime,
        requirements.as_of.isoformat(),
        sorted(requirements.pins),
        sorted(requirements.also),
        sorted(requirements.only_binary),
    ]
    if requirements.given:
        parts.append(sorted(file.sha256 for file in requirements.given))
    return hashlib.sha256(json.dumps(parts).encode("utf-8")).hexdigest()[:32]


class LockFiles:
    """The lock files of a store."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._folder = tools.root / "locks"

    def read(self, key: str) -> Content | None:
        """Return the content of a file, None where it is missing or incomplete."""
        try:
            content = json.loads((self._folder / f"{key}.json").read_text("utf-8"))
            content["lock"] = tuple(map(str, content["lock"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return dict(content)

    def ensure(self, key: str, requirements: Requirements, make: Callable[[], Content]) -> Content:
        """Return the content of a file; write what `make` returns where it is missing."""
        with self._tools.guard(f"lock-{key}"):
            existing = self.read(key)
            if existing is not None:
                return existing
            content = {
                **make(),
                "pins": requirements.pins,
                "also": requirements.also,
                "as_of": requirements.as_of.isoformat(),
            }
            write_atomic(self._folder / f"{key}.json", json.dumps(content, indent=1))
        return {**content, "lock": tuple(content["lock"])}
