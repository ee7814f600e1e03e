"""Result keys: sha256 over everything that can change what a cell shows, and nothing else."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.probes.integrations import LIBRARIES, module_path
from matrix.probes.places import find_place, place_file
from matrix.probes.shops import SHOP, shop_folder
from matrix.runs.interface import Environments
from matrix.system.paths import fixtures_dir, project_root
from matrix.system.source_files import digest_files, imported_files

# Increased when the meaning of a capture changes: older results are then made again.
CAPTURE_SCHEMA = 1

CELL_MODULES = ("matrix.cells.run", "matrix.docker.engine")
"""Modules that drive a cell: with all that they import, they decide what a capture holds."""
DECODERS = (
    "matrix.agent.answers",
    "matrix.agent.crashes",
    "matrix.agent.observations",
    "matrix.probes.evidence",
)
"""Modules that only read recordings. A cell imports them to decide on another attempt; after a
change in one of them captures are judged again, and not discarded."""
JUDGE_MODULES = ("matrix.judging.cells", *DECODERS[:-1])
"""Modules that turn a capture into findings, with all that they import."""
CELL_FILES = ("apps", "fixtures/cell", "matrix/data/settings.toml")
"""Files that run in a cell or configure it, and are not imported here."""
_IMPORTED = re.compile(rf"^from {LIBRARIES} import (\w+)(?: as \w+)?$", re.MULTILINE)


@functools.cache
def cell_sources() -> str:
    """Return the digest `cell_sources_in` this project, as the files were at the first call."""
    return cell_sources_in(project_root())


def cell_sources_in(root: Path) -> str:
    """Return the digest of what runs in a cell or drives it: after a change cells run again.

    `root` is the project's folder.
    """
    return digest_files([*_cell_files(root), *imported_files(CELL_MODULES, DECODERS, root)])


@functools.cache
def judge_sources() -> str:
    """Return the digest `judge_sources_in` this project, as the files were at the first call."""
    return judge_sources_in(project_root())


def judge_sources_in(root: Path) -> str:
    """Return the digest of what judges captures: after a change captures are judged again."""
    evidence = root / "matrix" / "probes" / "evidence"
    crashes = root / "matrix" / "data" / "crashes.toml"
    places = root / "matrix" / "data" / "places"
    return digest_files([*imported_files(JUDGE_MODULES, root=root), evidence, crashes, places])


def _cell_files(root: Path) -> Iterator[Path]:
    for name in CELL_FILES:
        path = root / name
        # What is of one framework or library counts for its own cells: see `base_key`.
        sources = sorted(path.iterdir()) if path == root / "apps" else [path]
        yield from (source for source in sources if _is_source(source))


def _is_source(path: Path) -> bool:
    if path.name in {LIBRARIES, "__pycache__"} or path.name.endswith(SHOP):
        return False
    return path.is_dir() or path.suffix in {".py", ".toml"}


def environment_text(environment: Environment) -> str:
    """Return the key of the environment, with its image and services, if any.

    The environment variables of the image count, too: an image may be emulated by one engine and
    not by another, and a time limit that an emulated cell exceeded does not apply to the other.
    """
    words = [environment.key]
    if image := environment.image:
        words += [f"in {image.digest}", *(f"{name}={value}" for name, value in image.environment)]
    return " ".join([*words, *(f"with {service}" for service in environment.services)])


def peek_environment(
    environments: Environments, planned: PlannedCell
) -> tuple[Environment | None, str]:
    """Return the cell's environment where it is ready, and the text for it; raise BuildError.

    The text counts for an environment that is missing until its build has succeeded.
    """
    found = environments.peek(planned)
    return (None, f"failed {found}") if isinstance(found, str) else (found, environment_text(found))


def missing_environment_text(reason: Reason) -> str:
    """Return the text for an environment that could not even be requested."""
    return f"none: {reason.value}"


def base_key(planned: PlannedCell, environment: str, sources: str) -> str:
    """Return the common part of the keys of a cell's results, with whatever probes.

    `environment` is the text for the environment, and `sources` the digest `cell_sources`.
    """
    parts = {
        "schema": CAPTURE_SCHEMA,
        "cell": planned.cell.id,
        "as_of": planned.as_of.isoformat(),
        "environment": environment,
        "sources": sources,
    }
    if own := own_files(planned.cell.framework):
        parts["library"] = digest_files(own)
    if planned.cell.place:
        parts["place"] = _place_sources(planned.cell.place)
    return _digest(json.dumps(parts, sort_keys=True))


def own_files(framework: str) -> list[Path]:
    """Return the files in `apps/` that matter for the cells of one framework or library only.

    Those are its app, its row's module, and the modules of rows that these import.
    """
    module = module_path(framework)
    shop = sorted(shop_folder(framework).glob("*.py"))
    rows = [
        module.with_name(f"{name}.py")
        for path in shop
        for name in _IMPORTED.findall(path.read_text(encoding="utf-8"))
    ]
    files = [library_files(row) for row in [module, *rows] if row.is_file()]
    return list(dict.fromkeys([*shop, *(path for group in files for path in group)]))


@functools.cache
def _place_sources(name: str) -> str:
    """Return the digest of a place's file, of its mechanism, and of what that puts into cells."""
    mechanism = find_place(name).mechanism
    sources = imported_files([f"matrix.cells.places.{mechanism}"])
    return digest_files([place_file(name), *sources, fixtures_dir() / "places" / mechanism])


def probe_keys(planned: PlannedCell, probes: Mapping[str, Probe]) -> dict[str, str]:
    """Return the digest of the declaration of each probe of the cell."""
    return {
        name: _digest(repr(probes[name])) if name in probes else "unknown"
        for name in sorted(planned.probes)
    }


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
    if planned.count is not None:
        parts["count"] = planned.count.text
    return _digest(json.dumps(parts, sort_keys=True))


def judge_key(sources: str, probes: Mapping[str, Probe]) -> str:
    """Return the key of the rules of judging: their code (`sources`) and the declared evidence."""
    declared = "".join(_digest(repr(probes[name])) for name in sorted(probes))
    return _digest(f"{sources}{declared}")


def library_files(module: Path) -> list[Path]:
    """Return the files of a library's own cells: its module, and the others that this imports."""
    imported = _IMPORTED.findall(module.read_text(encoding="utf-8"))
    return [module, *(module.with_name(f"{name}.py") for name in imported)]


@functools.cache
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
