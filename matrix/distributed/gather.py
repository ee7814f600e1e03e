"""Gather the results of shards from their folders, which may come from any machine.

A folder is refused as a whole where it belongs to another run, or where its journal is not the one
that was sealed. A single result is refused where its capture does not match its journal entry. All
refusals are reported. Findings are judged from the captures: of a journal entry only counts what
the capture does not hold.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os.path import lexists
from pathlib import Path
from typing import Any

from matrix.distributed.manifest import Manifest, shard_plan
from matrix.distributed.shard_run import CAPTURES, JOURNAL, SHARD, ShardFile, ShardSeal, ShardStatus
from matrix.distributed.untrusted import (
    RefusedError,
    decompress,
    is_folder,
    parse_json,
    printable_line,
    printable_path,
    read_file,
    sha256,
    subfolders,
)
from matrix.errors import did_you_mean
from matrix.model.capture import CellCapture
from matrix.model.plan import CrashSubject, PlannedCell
from matrix.model.probe import Probe
from matrix.model.validate import cell_id, count, digest, seconds, text, time
from matrix.runs.journal import Entry, is_transient
from matrix.runs.keys import result_key
from matrix.runs.result_store import CaptureStore, judged_entry, unstamped_capture
from matrix.system.stamps import unstamp

# `download/<artifact>/<manifest>/<shard>`: the depth of a shard's folder below one that is passed.
_MAX_DEPTH = 3
_INVALID = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


@dataclasses.dataclass(frozen=True)
class GatherLimits:
    """Limits on untrusted folders, in bytes and folders.

    Real captures have at most 0.3 MB, and 2 MB decompressed. Empty lists take 25 times the memory
    of the JSON that they are read from.
    """

    capture: int = 20_000_000
    decompressed: int = 60_000_000
    journal: int = 500_000_000
    folders: int = 10_000


DEFAULT_LIMITS = GatherLimits()


@dataclasses.dataclass(frozen=True)
class JudgeRules:
    """The probes and the key of today's judging."""

    probes: Mapping[str, Probe]
    key: str


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """A cell that ended: its journal entry, and the sha256 and the path of its capture's file."""

    entry: Entry
    capture: str
    path: Path = dataclasses.field(compare=False)


@dataclasses.dataclass(frozen=True)
class GatheredFolder:
    """The results of one folder for this run.

    `shard` is "" where the folder is not one of this run, and `refused` where nothing of it is
    accepted. `ended` is None without a seal. `problems` are the refusals, as messages.
    """

    folder: Path
    shard: str = ""
    refused: bool = False
    ended: ShardStatus | None = None
    results: tuple[ShardResult, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def shard_folders(
    paths: Iterable[Path], limits: GatherLimits = DEFAULT_LIMITS
) -> tuple[list[Path], list[str]]:
    """Return the shards' folders below the paths, each once, and the problems of the others."""
    folders: dict[Path, Path] = {}
    problems = []
    for path in paths:
        if not is_folder(path, follow_link=True):
            problems.append(f"there is no folder {printable_path(path)}")
            continue
        below = list(_find_shard_folders(path, _MAX_DEPTH))
        if not below:
            problems.append(f"{printable_path(path)} holds no shard (no {SHARD} in it)")
        for folder in below:
            folders.setdefault(folder.resolve(), folder)
    if len(folders) > limits.folders:
        problems.append(f"more than {limits.folders} folders: the rest is ignored")
    return list(folders.values())[: limits.folders], problems


def gather(
    folder: Path, manifest: Manifest, rules: JudgeRules, limits: GatherLimits = DEFAULT_LIMITS
) -> GatheredFolder:
    """Return the results for a run from a shard's folder."""
    try:
        shard_file = ShardFile.read(folder)
    except RefusedError as error:
        return _refuse(folder, f"corrupt: {SHARD} {error}")
    shard = manifest.shard(shard_file.shard)
    if (
        shard is None
        or shard_file.manifest != manifest.id
        or shard_file.project != manifest.project
    ):
        return _refuse(folder, f"foreign: {_describe_foreign(shard_file, manifest)}")
    plan = shard_plan(manifest.plan, shard)
    planned_cells = {planned.cell.id: planned for planned in (*plan.cells, *plan.fallbacks)}
    seal = shard_file.seal
    try:
        entries = _read_entries(folder, seal, limits.journal)
    except RefusedError as error:
        return _refuse(folder, str(error), shard.name)
    foreign = next((e.cell for e in entries.values() if e.cell not in planned_cells), None)
    if foreign is not None:
        detail = f"foreign: {JOURNAL} has {foreign}, which is not a cell of {shard.name}"
        return _refuse(folder, detail, shard.name)
    read = functools.partial(_read_result, folder, planned_cells, rules, limits)
    results, problems = _read_results(entries, seal, read)
    return GatheredFolder(
        folder,
        shard.name,
        ended=seal.ended if seal else None,
        results=tuple(results),
        problems=tuple(_format_problem(folder, f"corrupt: {problem}") for problem in problems),
        warnings=tuple(map(printable_line, seal.warnings)) if seal else (),
    )


def _read_results(
    entries: Mapping[str, Entry], seal: ShardSeal | None, read: Callable[[Entry], ShardResult]
) -> tuple[list[ShardResult], list[str]]:
    """Return the results of the entries, and the problems; with a seal only those that it names."""
    named = seal.kept if seal else ()
    results = []
    problems = [
        f"{JOURNAL} has no entry for {sealed.cell}, which was sealed"
        for sealed in named
        if sealed.key not in entries or entries[sealed.key].cell != sealed.cell
    ]
    digests = {sealed.key: sealed.sha256 for sealed in named}
    for key, entry in entries.items():
        if seal and key not in digests:
            continue  # of an earlier run
        try:
            result = read(entry)
        except RefusedError as error:
            problems.append(f"the capture of {entry.cell} {error}")
            continue
        if result.capture == digests.get(key, result.capture):
            results.append(result)
        else:
            problems.append(f"the capture of {entry.cell} is not the one that was sealed")
    return results, problems


def _find_shard_folders(folder: Path, depth: int) -> Iterator[Path]:
    if lexists(folder / SHARD) or lexists(folder / JOURNAL):
        yield folder
    elif depth:
        for subfolder in subfolders(folder):
            yield from _find_shard_folders(subfolder, depth - 1)


def _read_entries(folder: Path, seal: ShardSeal | None, max_bytes: int) -> dict[str, Entry]:
    """Return the entries of a journal, the last of equal keys; raise `RefusedError`."""
    content = b""
    if lexists(folder / JOURNAL) or (seal is not None and seal.size):
        try:
            content = read_file(folder / JOURNAL, max_bytes)
        except RefusedError as error:
            raise RefusedError(f"corrupt: {JOURNAL} {error}") from error
    if seal is not None and (len(content), sha256(content)) != (seal.size, seal.journal):
        raise RefusedError(f"corrupt: {JOURNAL} is not the one that was sealed")
    # What follows the last newline was being written when the run was killed.
    lines = content.split(b"\n")[:-1]
    entries: dict[str, Entry] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            entry = _parse_entry(line)
        except RefusedError as error:
            if seal is not None:
                continue  # the shard's run skipped that line, too, and sealed what counts
            raise RefusedError(f"corrupt: line {number} of {JOURNAL} {error}") from error
        entries[entry.key] = entry
    return entries


def _parse_entry(line: bytes) -> Entry:
    """Return the entry of a journal's line; raise `RefusedError`."""
    try:
        entry = Entry.from_json(parse_json(unstamp(line)))
        cell_id(entry.cell)
        digest(entry.key)
        digest(entry.base)
        if type(entry.transient) is not bool:
            raise TypeError("`transient` is not a boolean")
    except _INVALID as error:
        raise RefusedError(f"is not an entry ({type(error).__name__}: {error})") from error
    return entry


def _read_result(
    folder: Path,
    planned_cells: Mapping[str, PlannedCell],
    rules: JudgeRules,
    limits: GatherLimits,
    entry: Entry,
) -> ShardResult:
    """Return the result of a checked entry and its capture; raise `RefusedError`."""
    planned = planned_cells[entry.cell]
    if entry.count:
        try:
            planned = planned.counting(CrashSubject.parse(entry.count))
        except _INVALID as error:
            raise RefusedError(f"counts no crashes that are known ({error})") from error
    path = CaptureStore(folder / CAPTURES).path(entry.cell, entry.key)
    if not is_folder(path.parent.parent) or not is_folder(path.parent):
        raise RefusedError("is missing")
    if entry.key != result_key(entry.base, planned, rules.probes):
        raise RefusedError("was made with other probes than its key says")
    content = read_file(path, limits.capture)
    try:
        data = parse_json(unstamped_capture(decompress(content, limits.decompressed)))
        capture = CellCapture.from_json(data)
        _check_capture(capture, entry)
        # The capture does not hold whether the cell timed out in an earlier run.
        transient = is_transient(capture, timed_out_before=True) or (
            entry.transient and is_transient(capture)
        )
        entry = judged_entry(
            capture, entry.base, planned, rules.probes, rules.key, transient=transient
        )
        _check_json(entry)
    except _INVALID as error:
        raise RefusedError(f"is not a capture ({type(error).__name__}: {error})") from error
    return ShardResult(entry, sha256(content), path)


def _check_capture(capture: CellCapture, entry: Entry) -> None:
    """Raise TypeError, ValueError or `RefusedError` for a value that reports cannot show."""
    texts: list[object] = [capture.detail, capture.isolation, capture.image, capture.engine]
    texts += [*map(str, capture.services), *capture.lock]
    if identity := capture.identity:
        count(identity.bits)
        texts += [identity.python, identity.build, identity.machine, identity.os, identity.libc]
    for value in texts:
        text(value)
    if (capture.cell, capture.key) != (entry.cell, entry.key):
        raise RefusedError(f"belongs to another result ({str(capture.cell)[:80]})")
    duration = dt.timedelta(seconds=seconds(capture.seconds))
    if capture.started:
        if not time(capture.started).endswith("+00:00"):
            raise ValueError(f"{capture.started[:40]!r} is not a time in UTC")
        _ = dt.datetime.fromisoformat(capture.started) + duration  # raises beyond the year 9999


def _check_json(entry: Entry) -> None:
    """Raise where a text cannot be encoded, or a value has no type of JSON."""
    values: list[Any] = [entry.to_json()]
    while values:
        value = values.pop()
        if isinstance(value, Mapping):
            values += [*value.keys(), *value.values()]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            values += value
        elif isinstance(value, str):
            text(value)
        elif value is not None and not isinstance(value, (bool, int, float)):
            raise TypeError(f"invalid value of type {type(value).__name__}")


def _describe_foreign(shard_file: ShardFile, manifest: Manifest) -> str:
    if shard_file.manifest != manifest.id:
        return f"it belongs to another run ({shard_file.manifest[:12]})"
    if shard_file.project != manifest.project:
        return "another version of this project made it"
    suggestion = did_you_mean(shard_file.shard, [shard.name for shard in manifest.shards])
    return f"the run has no shard {shard_file.shard[:80]!r}{suggestion}"


def _refuse(folder: Path, detail: str, shard: str = "") -> GatheredFolder:
    return GatheredFolder(folder, shard, refused=True, problems=(_format_problem(folder, detail),))


def _format_problem(folder: Path, detail: str) -> str:
    return f"refused {printable_path(folder)}: {printable_line(detail)}"
