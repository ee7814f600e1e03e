"""The committed facts about the index: `plan --write-releases`, `--write-locks` and `--locks`.

A snapshot of the releases that plans read, and the locks of environments for this machine's target.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from matrix.cli.common import note, project_data
from matrix.cli.options import DEFAULT_PROFILE, plan_from_args, selection_from_args
from matrix.documents.facts import load_facts
from matrix.environments.committed_locks import (
    CommittedLock,
    LockId,
    TargetLocks,
    committed_key,
    libc_kind,
    locked_target,
)
from matrix.environments.errors import BuildError
from matrix.environments.store import EnvironmentStore
from matrix.errors import IndexUnavailableError, UsageError
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.inspect import host_target
from matrix.model.environment import Interpreter, Requirements
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.planning.locations import all_engine_targets, local_targets
from matrix.planning.planner import make_plan
from matrix.planning.versions import TRACER
from matrix.probes.registry import load_probes
from matrix.pypi.client import CachedIndex
from matrix.pypi.snapshot import SNAPSHOT, RecordingIndex, dump_snapshot, load_snapshot
from matrix.runs.environments import cell_requirements
from matrix.system.files import write_atomic
from matrix.system.paths import cache_dir

_THREADS = 4


def write_locks(args: argparse.Namespace) -> None:
    """Write the locks of the documented profile's cells on this machine, and print their number.

    Those that are committed stay as they are, but for `--refresh`; those of CPythons that this
    machine lacks stay in any case. What cannot be resolved has no lock. Raises UsageError, and
    what planning raises.
    """
    _check(args, "--write-locks")
    cells = plan_from_args(args, local_targets()).cells
    store = EnvironmentStore(cache_dir(), offline=args.offline, anew=args.refresh)
    notices: list[str] = []
    _, earlier = store.committed.read(host_target(), notices)
    found = _find_locks(cells, store, {} if args.refresh else earlier, earlier)
    note(*notices, *found.failures)
    path = store.committed.path(host_target())
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    with project_data(path):
        locks = TargetLocks(host_target(), found.libc, today, tuple(found.locks.values()))
        written = store.committed.write(locks)
    counts = ", ".join(f"{number} {text}" for text, number in found.counts.items())
    print(f"{len(found.locks)} locks ({counts}): {path}{'' if written else ', unchanged'}")


def lock_lines(cells: Sequence[PlannedCell]) -> Iterator[str]:
    """Yield a line for each cell without a committed lock, with the reason, then their numbers."""
    committed = EnvironmentStore(cache_dir(), offline=True, anew=False).committed
    here = {(item.python, item.target) for item in find_interpreters()}
    probes, notices = load_probes(), list[str]()
    counts: Counter[str] = Counter()
    for planned in cells:
        target = locked_target(planned.cell.target)
        locks, by_key = committed.read(target, notices)
        requirements = cell_requirements(planned, probes)
        if locks is None:
            reason = f"there are no locks for {target}"
        elif requirements.as_of >= locks.snapshot:
            reason = f"the locks are of days before {locks.snapshot}"
        elif committed_key(planned.cell.python, requirements) in by_key:
            continue
        elif (planned.cell.python, target) not in here:
            reason = f"CPython {planned.cell.python} is not on this machine, which resolves"
        else:
            reason = "--write-locks resolves it, or says why it cannot be"
        counts[reason] += 1
        yield f"{planned.cell.id}  {reason}"
    note(*notices)
    yield f"{len(cells) - counts.total()} of {len(cells)} cells have a committed lock"
    yield from (f"{count} have none: {reason}" for reason, count in counts.most_common())


def write_releases(args: argparse.Namespace) -> None:
    """Write the snapshot of the releases that a plan of the committed claims reads, asked anew.

    Raises UsageError, what planning raises, and IndexUnavailableError where the index does not have
    a project that the earlier snapshot has.
    """
    _check(args, "--write-releases")
    cached = CachedIndex(cache_dir(), offline=args.offline, refresh=not args.offline)
    index = RecordingIndex(cached)
    targets = all_engine_targets()
    try:
        make_plan(load_facts(), index, targets=targets.targets, places=targets.places)
    finally:
        note(*cached.notices)
    for name in _earlier_projects() & index.failed.keys():
        raise index.failed[name]
    with project_data(SNAPSHOT):
        write_atomic(SNAPSHOT, dump_snapshot(index.projects.values()))
    print(f"{len(index.projects)} projects: {SNAPSHOT}")


def _earlier_projects() -> set[str]:
    try:
        return set(load_snapshot(SNAPSHOT.read_bytes()).projects)
    except (OSError, ValueError):
        return set()


def _check(args: argparse.Namespace, option: str) -> None:
    if args.documents or args.as_of or args.profile != DEFAULT_PROFILE:
        raise UsageError(
            f"{option} is about the {DEFAULT_PROFILE} profile of the committed facts",
            "Leave out documents, --profile and --as-of.",
        )
    if selection_from_args(args) or args.target:
        raise UsageError(f"{option} takes no selection", "The facts of all cells are written.")


@dataclasses.dataclass
class _FoundLocks:
    libc: str
    locks: dict[LockId, CommittedLock] = dataclasses.field(default_factory=dict)
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    failures: list[str] = dataclasses.field(default_factory=list)


def _find_locks(
    cells: Iterable[PlannedCell],
    store: EnvironmentStore,
    kept: Mapping[LockId, CommittedLock],
    earlier: Mapping[LockId, CommittedLock],
) -> _FoundLocks:
    """Return the locks of cells: those `kept`, those resolved, `earlier` ones without a CPython."""
    target, probes = host_target(), load_probes()
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    interpreters = {item.python: item for item in find_interpreters() if item.target == target}
    found = _FoundLocks(next((libc_kind(item) for item in interpreters.values()), ""))
    missing: dict[LockId, tuple[Interpreter, Requirements]] = {}
    for planned in cells:
        requirements = cell_requirements(planned, probes)
        key = committed_key(planned.cell.python, requirements)
        interpreter = interpreters.get(planned.cell.python)
        if lock := (kept if interpreter else earlier).get(key):
            found.locks[key] = lock
        elif requirements.as_of < today and interpreter:
            missing[key] = (interpreter, requirements)

    found.counts["kept"] = len(found.locks)
    for key, result in _resolve_all(store, missing):
        if isinstance(result, str):
            found.failures.append(result)
        else:
            found.locks[key] = result
    found.counts["resolved"] = len(found.locks) - found.counts["kept"]
    found.counts["that cannot be resolved"] = len(found.failures)
    return found


def _resolve_all(
    store: EnvironmentStore, missing: Mapping[LockId, tuple[Interpreter, Requirements]]
) -> Iterator[tuple[LockId, CommittedLock | str]]:
    """Yield each lock, or why there is none; raise IndexUnavailableError."""
    if not missing:
        return
    if not store.offline:
        # Soon, before each resolver finds out for itself that the index does not answer.
        CachedIndex(cache_dir(), refresh=True).project(TRACER)

    def resolve(
        item: tuple[LockId, tuple[Interpreter, Requirements]],
    ) -> tuple[LockId, CommittedLock | str]:
        key, (interpreter, requirements) = item
        try:
            lines = store.resolve(interpreter, requirements)
        except BuildError as error:
            if error.reason is Reason.INDEX_UNAVAILABLE and not store.offline:
                raise IndexUnavailableError(error.detail) from error
            pins = " and ".join(requirements.pins)
            return key, f"no lock of {pins} on CPython {interpreter.python}: {error.detail}"
        return key, CommittedLock(interpreter.version, requirements, lines)

    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            yield from pool.map(resolve, missing.items())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
