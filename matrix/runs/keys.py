"""Result keys: sha256 over everything that can change what a cell shows, and nothing else."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.probes.integrations import LIBRARIES, module_path
from matrix.system.paths import apps_dir, project_root
from matrix.system.source_files import digest_files, imported_files

__all__ = [
    "CELL_FILES",
    "CELL_MODULES",
    "DECODERS",
    "JUDGE_MODULES",
    "Sources",
    "base_key",
    "cell_sources",
    "judge_key",
    "judge_sources",
    "probe_keys",
    "result_key",
]

# Grows when the meaning of a capture changes; older results are then made again.
CAPTURE_SCHEMA = 1

CELL_MODULES = ("matrix.cells.run", "matrix.docker.engine")
"""Modules that drive a cell: with all that they import, they decide what a capture holds."""
DECODERS = ("matrix.agent.observations", "matrix.agent.traces", "matrix.probes.evidence")
"""Modules that only read what was recorded. A cell imports them to see whether another attempt is
due; a change in one judges the captures again and does not discard them."""
JUDGE_MODULES = ("matrix.judging.cells", *DECODERS[:-1])
"""Modules that make a finding of a capture, with all that they import."""
CELL_FILES = ("apps", "fixtures/cell", "matrix/data/settings.toml")
"""What runs in a cell or configures it, and is not imported here."""


@dataclasses.dataclass(frozen=True)
class Sources:
    """The digest over names and contents of those of the project's own files that decide."""

    digest: str

    @classmethod
    def of(cls, paths: Iterable[Path]) -> Sources:
        """Return the digest over the names and contents of all files below `paths`."""
        return cls(digest_files(paths))


def cell_sources() -> Sources:
    """Return the sources that run in a cell or drive it: a change in them makes new results."""
    return Sources.of([*_cell_files(), *imported_files(CELL_MODULES, DECODERS)])


def judge_sources() -> Sources:
    """Return the sources that judge a capture: a change in them judges it again."""
    return Sources.of([*imported_files(JUDGE_MODULES), project_root() / "matrix/probes/evidence"])


def _cell_files() -> Iterator[Path]:
    for name in CELL_FILES:
        path = project_root() / name
        # A library's module counts for the library's own cells: see `base_key`.
        inner = sorted(path.iterdir()) if path == apps_dir() else [path]
        yield from (each for each in inner if _is_source(each))


def _is_source(path: Path) -> bool:
    if path.name in {LIBRARIES, "__pycache__"}:
        return False
    return path.is_dir() or path.suffix in {".py", ".toml"}


def base_key(planned: PlannedCell, environment: str, sources: Sources) -> str:
    """Return the key of all that a cell's results have in common, whatever was probed.

    `environment` is the environment's key (hashes of the artifacts, the interpreter's build), or a
    text that stands for one that could not be made.
    """
    parts = {
        "schema": CAPTURE_SCHEMA,
        "cell": planned.cell.id,
        "as_of": planned.as_of.isoformat(),
        "environment": environment,
        "sources": sources.digest,
    }
    module = module_path(planned.cell.framework)
    if module.is_file():
        # Where each library has a module of its own, that of another changes nothing here.
        parts["library"] = Sources.of([module]).digest
    return _digest_of_text(json.dumps(parts, sort_keys=True))


def probe_keys(planned: PlannedCell, probes: Mapping[str, Probe]) -> dict[str, str]:
    """Return the digest of each probe of the cell, as it is declared: what it sends and expects."""
    return {name: _declared(probes, name) for name in sorted(planned.probes)}


def result_key(base: str, planned: PlannedCell, probes: Mapping[str, Probe]) -> str:
    """Return the key of one result: its base, and what was probed and how often."""
    parts = {
        "base": base,
        "probes": probe_keys(planned, probes),
        "decisive": sorted(planned.decisive),
        "soak": planned.soak,
    }
    if planned.repeats > 1:
        parts["repeats"] = planned.repeats
    return _digest_of_text(json.dumps(parts, sort_keys=True))


def judge_key(sources: Sources, probes: Mapping[str, Probe]) -> str:
    """Return the key of the judging: its own code (`sources`) and what counts as evidence."""
    declared = "".join(_digest(probes[name]) for name in sorted(probes))
    return hashlib.sha256(f"{sources.digest}{declared}".encode()).hexdigest()


def _declared(probes: Mapping[str, Probe], name: str) -> str:
    probe = probes.get(name)
    return "unknown" if probe is None else _digest(probe)


@functools.cache
def _digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(probe: Probe) -> str:
    return _digest_of_text(repr(probe))
