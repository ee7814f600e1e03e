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
from matrix.system.paths import project_root
from matrix.system.source_files import digest_files, imported_files

# Increased when the meaning of a capture changes: older results are then made again.
CAPTURE_SCHEMA = 1

CELL_MODULES = ("matrix.cells.run", "matrix.docker.engine")
"""Modules that drive a cell: with all that they import, they decide what a capture holds."""
DECODERS = ("matrix.agent.observations", "matrix.probes.evidence")
"""Modules that only read recordings. A cell imports them to decide on another attempt; after a
change in one of them captures are judged again, and not discarded."""
JUDGE_MODULES = ("matrix.judging.cells", *DECODERS[:-1])
"""Modules that turn a capture into findings, with all that they import."""
CELL_FILES = ("apps", "fixtures/cell", "matrix/data/settings.toml")
"""Files that run in a cell or configure it, and are not imported here."""


@dataclasses.dataclass(frozen=True)
class SourceDigest:
    """The digest over names and contents of files of this project that results depend on."""

    digest: str

    @classmethod
    def of(cls, paths: Iterable[Path]) -> SourceDigest:
        """Return the digest over the names and contents of all files below `paths`."""
        return cls(digest_files(paths))


@functools.cache
def cell_sources() -> SourceDigest:
    """Return `cell_sources_in` this project, as the files were at the first call."""
    return cell_sources_in(project_root())


def cell_sources_in(root: Path) -> SourceDigest:
    """Return the sources that run in a cell or drive it: after a change cells run again.

    `root` is the project's folder.
    """
    return SourceDigest.of([*_cell_files(root), *imported_files(CELL_MODULES, DECODERS, root)])


@functools.cache
def judge_sources() -> SourceDigest:
    """Return `judge_sources_in` this project, as the files were at the first call."""
    return judge_sources_in(project_root())


def judge_sources_in(root: Path) -> SourceDigest:
    """Return the sources that judge captures: after a change captures are judged again."""
    evidence = root / "matrix" / "probes" / "evidence"
    return SourceDigest.of([*imported_files(JUDGE_MODULES, root=root), evidence])


def _cell_files(root: Path) -> Iterator[Path]:
    for name in CELL_FILES:
        path = root / name
        # A library's module counts for the library's own cells: see `base_key`.
        sources = sorted(path.iterdir()) if path == root / "apps" else [path]
        yield from (source for source in sources if _is_source(source))


def _is_source(path: Path) -> bool:
    if path.name in {LIBRARIES, "__pycache__"}:
        return False
    return path.is_dir() or path.suffix in {".py", ".toml"}


def base_key(planned: PlannedCell, environment: str, sources: SourceDigest) -> str:
    """Return the common part of the keys of a cell's results, with whatever probes.

    `environment` is the environment's key (hashes of the artifacts, the interpreter's build), or
    the text for one that could not be made.
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
        # Each library has a module of its own; the modules of others do not matter.
        parts["library"] = SourceDigest.of([module]).digest
    return _digest_of_text(json.dumps(parts, sort_keys=True))


def probe_keys(planned: PlannedCell, probes: Mapping[str, Probe]) -> dict[str, str]:
    """Return the digest of the declaration of each probe of the cell."""
    return {name: _declared(probes, name) for name in sorted(planned.probes)}


def result_key(base: str, planned: PlannedCell, probes: Mapping[str, Probe]) -> str:
    """Return the key of a result, of its base, its probes and the number of repeats."""
    parts = {
        "base": base,
        "probes": probe_keys(planned, probes),
        "decisive": sorted(planned.decisive),
        "soak": planned.soak,
    }
    if planned.repeats > 1:
        parts["repeats"] = planned.repeats
    return _digest_of_text(json.dumps(parts, sort_keys=True))


def judge_key(sources: SourceDigest, probes: Mapping[str, Probe]) -> str:
    """Return the key of the rules of judging: their code (`sources`) and the declared evidence."""
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
