"""Where a cell ran, as it was told from inside of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from matrix.model.capture import CellCapture

__all__ = ["UNISOLATED", "Whereabouts"]

# How the words on isolation begin where there is none.
UNISOLATED = "no network isolation"
_TRACER = "ddtrace=="
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclasses.dataclass(frozen=True)
class Whereabouts:
    """`engine` is the container engine's name and `image` the image's digest, "" for this machine.

    `python` is the full version and `build` all of `sys.version`; `bits` is the size of a pointer;
    `isolation` says in a few words what kept the cell from reaching beyond itself. `tracer` are the
    sha256 digests that the tracer's artifact was accepted by, as its lock has them.
    """

    engine: str
    image: str
    os: str
    machine: str
    bits: int
    libc: str
    python: str
    build: str
    isolation: str
    tracer: tuple[str, ...] = ()

    @property
    def isolated(self) -> bool:
        """Return whether the cell was kept from the network."""
        return not self.isolation.startswith(UNISOLATED)

    @classmethod
    def of(cls, capture: CellCapture) -> Whereabouts | None:
        """Return where a cell was, None where it did not come so far as to tell."""
        told = capture.identity
        if told is None:
            return None
        return cls(
            engine=capture.engine,
            image=capture.image,
            os=told.os,
            machine=told.machine,
            bits=told.bits,
            libc=told.libc,
            python=told.python,
            build=told.build,
            isolation=capture.isolation,
            tracer=_tracer(capture.lock),
        )

    def __str__(self) -> str:
        image = f", image {self.image}" if self.image else ""
        build = " ".join(self.build.split())
        return (
            f"{self.engine or 'this machine'}{image}: {self.os} {self.machine}, {self.bits} bits,"
            f" {self.libc}, CPython {self.python} ({build})"
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**dataclasses.asdict(self), "tracer": list(self.tracer)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Whereabouts:
        """Return what `to_json` wrote; raise TypeError for something else."""
        return cls(**{**data, "tracer": tuple(data.get("tracer", ()))})


def _tracer(lock: Iterable[str]) -> tuple[str, ...]:
    line = next((line for line in lock if line.startswith(_TRACER)), "")
    return tuple(_HASH.findall(line))
