"""What is wrong with a file of the index: named by its source, and never fatal to the others."""

from __future__ import annotations

__all__ = ["BadArtifactError"]


class BadArtifactError(Exception):
    """A file that cannot be had or cannot be trusted; `source` is its name, `why` one clause."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source}: {why}")
        self.source = source
        self.why = why

    def __reduce__(self) -> tuple[type[BadArtifactError], tuple[str, str]]:
        """Return what makes the same error again: it may come from a pool of processes."""
        return BadArtifactError, (self.source, self.why)
