"""What is wrong with a file of the index: named by its source, and never fatal to the others.

How much of a wheel is read at most: wheels are files from outside.
"""

from __future__ import annotations

import dataclasses

__all__ = ["BadArtifactError", "WheelLimits"]


class BadArtifactError(Exception):
    """A file that cannot be had or cannot be trusted; `source` is its name, `why` one clause."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source}: {why}")
        self.source = source
        self.why = why

    def __reduce__(self) -> tuple[type[BadArtifactError], tuple[str, str]]:
        """Return what makes the same error again: it may come from a pool of processes."""
        return BadArtifactError, (self.source, self.why)


_MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class WheelLimits:
    """Bytes, seconds and numbers that no published wheel of a tracer comes near.

    `fetched` is for one wheel, over all its requests. `ratio` is unpacked to packed size, looked at
    from `small` bytes on: deflate itself ends at 1032. `seconds` is for one wheel.
    """

    fetched: int = 96 * _MIB
    entries: int = 20_000
    member: int = 192 * _MIB
    unpacked: int = 1024 * _MIB
    ratio: int = 200
    small: int = _MIB
    source: int = 4 * _MIB
    seconds: float = 120.0
