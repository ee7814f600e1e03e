"""Plans of the committed claims, kept in the cache: equal files and options make equal plans.

Planning takes most of the time of a run with nothing to do. The key of a plan is made of all files
that decide it (found by imports, as in `matrix.runs.keys`; data, facts, declarations of libraries),
of the options, and of the Python that plans. A plan that another index than the committed snapshot
had a part in is not kept.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import packaging

from matrix.cli.common import note
from matrix.interpreters.inspect import host_target
from matrix.model.plan import Plan
from matrix.planning.existence import Unsatisfiable
from matrix.planning.plan_file import plan_from_json, plan_to_json
from matrix.pypi.client import Index
from matrix.pypi.snapshot import SNAPSHOT, RecordingIndex, Snapshot, SnapshotIndex, load_snapshot
from matrix.system.files import write_atomic
from matrix.system.paths import project_root
from matrix.system.source_files import digest_files, imported_files
from matrix.system.stamps import stamp, unstamp

MODULES = (
    "matrix.planning.planner",
    "matrix.planning.plan_file",
    "matrix.documents.facts",
    "matrix.features.audit.index",
    "matrix.pypi.snapshot",
)
"""Modules that make a plan: with all that they import, they decide what it is."""
FILES = ("matrix/data", "matrix/facts/claims.toml", "apps")
"""Files that they read, beside the snapshot."""
_MOST = 12


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """The options of a plan of the committed claims: all that it depends on beside files.

    `static` is whether it has static evidence; the others are arguments of `make_plan`.
    """

    profile: str
    as_of: dt.date | None
    targets: tuple[str, ...]
    obstacles: Mapping[str, Unsatisfiable]
    places: tuple[str, ...]
    static: bool

    def key(self, sources: str, snapshot: bytes) -> str:
        """Return the key of the plan that a snapshot and files with the digest `sources` make."""
        python = f"{sys.version} packaging {packaging.__version__} {host_target()}"
        releases = hashlib.sha256(snapshot).hexdigest()
        return hashlib.sha256(f"{sources} {releases} {python} {self!r}".encode()).hexdigest()[:32]


@functools.cache
def plan_sources() -> str:
    """Return the digest `plan_sources_in` this project, as the files were at the first call."""
    return plan_sources_in(project_root())


def plan_sources_in(root: Path) -> str:
    """Return the digest of the files that decide a plan, below the project's folder."""
    return digest_files([*imported_files(MODULES, root=root), *(root / name for name in FILES)])


@dataclasses.dataclass(frozen=True)
class KeptPlans:
    """Plans by key in the cache folder; a note tells the user of one that is damaged."""

    cache_dir: Path

    def read(self, key: str) -> Plan | None:
        """Return the plan, None where there is no whole one."""
        path = self._path(key)
        try:
            return plan_from_json(json.loads(unstamp(path.read_bytes())))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            note(f"{path} is damaged, and planned again: {error}")
            return None

    def write(self, key: str, plan: Plan) -> None:
        """Keep a plan, and of all plans only the newest."""
        text = json.dumps(plan_to_json(plan), ensure_ascii=False, separators=(",", ":"))
        try:
            write_atomic(self._path(key), stamp(text))
            plans = self._path(key).parent.glob("*.json")
            for old in sorted(plans, key=lambda path: path.stat().st_mtime)[:-_MOST]:
                old.unlink(missing_ok=True)
        except OSError as error:
            note(f"cannot keep the plan: {error}")

    def _path(self, key: str) -> Path:
        return self.cache_dir / "plans" / f"{key}.json"


def plan_by_snapshot(
    options: PlanOptions, index: Index, make: Callable[[Index], Plan], kept: KeptPlans
) -> Plan | None:
    """Return the plan by the committed snapshot, as it was kept, or as `make` plans with an index.

    `index` has the projects that the snapshot lacks. None where there is no whole snapshot that
    covers the options' day. A note has the date of the snapshot.
    """
    try:
        content = SNAPSHOT.read_bytes()
    except FileNotFoundError:
        return None
    key = options.key(plan_sources(), content)
    plan = kept.read(key)
    if plan is None:
        snapshot = _load(content, options.as_of)
        if snapshot is None:
            return None
        others = RecordingIndex(index)
        plan = make(SnapshotIndex(snapshot, others))
        if not (others.projects or others.failed):
            kept.write(key, plan)
    note(
        f"releases as the index had them on {plan.snapshot:%Y-%m-%d %H:%M} UTC, by the committed"
        " snapshot; --refresh reads the index"
    )
    return plan


def _load(content: bytes, as_of: dt.date | None) -> Snapshot | None:
    try:
        snapshot = load_snapshot(content)
    except ValueError as error:
        note(f"{SNAPSHOT} is damaged, and the index is read instead: {error}")
        return None
    return None if as_of is not None and as_of >= snapshot.fetched.date() else snapshot
