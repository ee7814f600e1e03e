"""What requirements came to as of their date, kept in files by what was asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from matrix.environments.toolbox import Toolbox
from matrix.model.environment import Requirements
from matrix.system.atomic import write_atomic

__all__ = ["Content", "LockFiles", "lock_key"]

Content = dict[str, Any]


def lock_key(
    form: str, index_url: str, where: tuple[str, str, str], requirements: Requirements
) -> str:
    """Return the name of an answer: `where` is the CPython's full version, target and C library.

    `form` stands for the meaning of the answer: change it when answers of before must not be used.
    """
    told = [
        form,
        index_url,
        *where,
        requirements.as_of.isoformat(),
        sorted(requirements.pins),
        sorted(requirements.also),
        sorted(requirements.only_binary),
    ]
    if requirements.given:
        told.append(sorted(file.sha256 for file in requirements.given))
    return hashlib.sha256(json.dumps(told).encode("utf-8")).hexdigest()[:32]


class LockFiles:
    """`locks/<key>.json`, each with the lines of the lock as `lock`, and what else is told."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def known(self, key: str) -> Content | None:
        """Return what the file says, None where there is none, or a torn one."""
        try:
            content = json.loads((self._tools.root / "locks" / f"{key}.json").read_text("utf-8"))
            content["lock"] = tuple(map(str, content["lock"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return dict(content)

    def find(self, key: str, requirements: Requirements, make: Callable[[], Content]) -> Content:
        """Return what the file says; without one, write what `make` returns."""
        with self._tools.guard(f"lock-{key}"):
            known = self.known(key)
            if known is not None:
                return known
            told = {
                **make(),
                "pins": requirements.pins,
                "also": requirements.also,
                "as_of": requirements.as_of.isoformat(),
            }
            file = self._tools.root / "locks" / f"{key}.json"
            write_atomic(file, json.dumps(told, indent=1))
        return {**told, "lock": tuple(told["lock"])}
