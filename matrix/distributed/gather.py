"""What lies in the folders of shards, from wherever they came; what cannot be trusted is refused.

A folder is refused as a whole where it is another run's, or where its journal is not the one that
was sealed; a single result where its capture is not what the journal says. All of it is told.

A line of a shard's journal and its capture: what of them is believed, and what is worked out.

What a cell showed is judged from its capture; of the line only counts what the capture cannot say.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.distributed.manifest import Manifest
from matrix.distributed.merge import ShardResult
from matrix.distributed.shard_file import (
    CAPTURES,
    JOURNAL,
    SHARD,
    ShardFile,
    ShardSeal,
    ShardStatus,
    sha256,
)
from matrix.distributed.untrusted import (
    RefusedError,
    decompress,
    exists,
    is_folder,
    parse_json,
    printable_line,
    printable_path,
    read_file,
    subfolders,
)
from matrix.errors import did_you_mean
from matrix.model.capture import CellCapture
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.validate import cell_id, count, digest, seconds, text, time
from matrix.runs.captures import CaptureStore
from matrix.runs.journal import Entry, is_transient
from matrix.runs.keys import result_key
from matrix.runs.result_store import judged

__all__ = [
    "MAX_CAPTURE_BYTES",
    "GatheredFolder",
    "JudgeRules",
    "capture_path",
    "gather",
    "parse_entry",
    "read_result",
    "shard_folders",
]

# Those of real cells have at most 0.3 MB, and 2 MB unpacked. Empty lists take 25 times the room of
# what JSON they are read from.
MAX_CAPTURE_BYTES = 20_000_000
_MAX_UNPACKED_BYTES = 60_000_000
_WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


@dataclasses.dataclass(frozen=True)
class JudgeRules:
    """How captures are judged today; `key` is that of the judging."""

    probes: Mapping[str, Probe]
    key: str


def parse_entry(line: bytes) -> Entry:
    """Return the entry that a line of a journal is; raise `RefusedError`."""
    try:
        entry = Entry.from_json(parse_json(line))
        cell_id(entry.cell)
        digest(entry.key)
        digest(entry.base)
        if type(entry.transient) is not bool:
            raise TypeError("whether it is to be tried again is not said")
    except RefusedError:
        raise
    except _WRONG as error:
        raise RefusedError(f"is no entry ({type(error).__name__}: {error})") from error
    return entry


def capture_path(folder: Path, entry: Entry) -> Path:
    """Return where the capture of an entry that was checked lies; raise `RefusedError`."""
    path = CaptureStore(folder / CAPTURES).path(entry.cell, entry.key)
    if not is_folder(path.parent.parent) or not is_folder(path.parent):
        raise RefusedError("is missing")
    return path


def read_result(path: Path, entry: Entry, planned: PlannedCell, rules: JudgeRules) -> ShardResult:
    """Return the piece that an entry for a planned cell and its capture in `path` make.

    Raises `RefusedError`.
    """
    if entry.key != result_key(entry.base, planned, rules.probes):
        raise RefusedError("was made from other probes than its key says")
    content = read_file(path, MAX_CAPTURE_BYTES)
    try:
        data = parse_json(decompress(content, _MAX_UNPACKED_BYTES))
        capture = CellCapture.from_json(data)
        _check(capture, entry)
        made = _judged(capture, entry, planned, rules)
        _writable(made)
    except _WRONG as error:
        raise RefusedError(f"is no capture ({type(error).__name__}: {error})") from error
    return ShardResult(made, sha256(content))


def _check(capture: CellCapture, entry: Entry) -> None:
    _check_texts(capture)
    if (capture.cell, capture.key) != (entry.cell, entry.key):
        raise RefusedError(f"is that of another result ({str(capture.cell)[:80]})")
    took = dt.timedelta(seconds=seconds(capture.seconds))
    if capture.started:
        if not time(capture.started).endswith("+00:00"):
            raise ValueError(f"{capture.started[:40]!r} is no time in UTC")
        _ = dt.datetime.fromisoformat(capture.started) + took  # raises beyond the last of years


def _check_texts(capture: CellCapture) -> None:
    """Raise TypeError where what is told as it stands is told in no words."""
    told: list[object] = [capture.detail, capture.isolation, capture.image, capture.engine]
    told += [*capture.services, *capture.lock]
    if where := capture.identity:
        count(where.bits)
        told += [where.python, where.build, where.machine, where.os, where.libc]
    for value in told:
        text(value)


def _judged(capture: CellCapture, entry: Entry, planned: PlannedCell, rules: JudgeRules) -> Entry:
    # Whether it timed out before is all that the capture does not know.
    transient = is_transient(capture, timed_out_before=True) or (
        entry.transient and is_transient(capture)
    )
    return judged(capture, entry.base, planned, rules.probes, rules.key, transient=transient)


def _writable(entry: Entry) -> None:
    """Raise where a text of it is none that a file can hold, or a value is none of JSON's."""
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
            raise TypeError(f"{type(value).__name__} in place of a value")


# `download/<artifact>/<manifest>/<shard>`: so deep can a shard's folder be in one that is given.
_DEEP = 3
_MAX_FOLDERS = 10_000
_LARGEST_JOURNAL = 500_000_000


@dataclasses.dataclass(frozen=True)
class GatheredFolder:
    """What one folder holds for this run.

    `shard` is "" where it is none of this run's, and `refused` where nothing of it is taken in.
    `ended` is None where it has no seal. `files` says where the captures are, by their sha256.
    `problems` are what was refused, and why, in sentences.
    """

    folder: Path
    shard: str = ""
    refused: bool = False
    ended: ShardStatus | None = None
    pieces: tuple[ShardResult, ...] = ()
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def shard_folders(given: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Return the folders of shards in those given, each once, and what is wrong with the others."""
    found: dict[Path, Path] = {}
    wrong = []
    for folder in given:
        if not is_folder(folder, linked=True):
            wrong.append(f"there is no folder {printable_path(folder)}")
            continue
        inside = list(_inside(folder, _DEEP))
        if not inside:
            wrong.append(f"{printable_path(folder)} holds no shard: there is no {SHARD} in it")
        for each in inside:
            found.setdefault(each.resolve(), each)
    if len(found) > _MAX_FOLDERS:
        wrong.append(f"there are more than {_MAX_FOLDERS} folders: the rest is not looked at")
    return list(found.values())[:_MAX_FOLDERS], wrong


def gather(folder: Path, manifest: Manifest, rules: JudgeRules) -> GatheredFolder:
    """Return what a shard's folder holds for a run."""
    try:
        told = ShardFile.read(folder)
    except RefusedError as error:
        return _refused(folder, f"corrupt: {SHARD} {error}")
    shard = manifest.shard(told.shard)
    if shard is None or told.manifest != manifest.id or told.project != manifest.project:
        return _refused(folder, f"foreign: {_foreign(told, manifest)}")
    mine = {*shard.cells, *shard.reserve}
    planned = {
        each.cell.id: each
        for each in (*manifest.plan.cells, *manifest.plan.fallbacks)
        if each.cell.id in mine
    }
    try:
        entries = _entries(folder, told.seal)
    except RefusedError as error:
        return _refused(folder, str(error), shard.name)
    strange = next((each.cell for each in entries.values() if each.cell not in planned), None)
    if strange is not None:
        why = f"foreign: {JOURNAL} tells of {strange}, no cell of {shard.name}"
        return _refused(folder, why, shard.name)
    found = _Results(folder, planned, rules)
    if told.seal is None:
        found.take(entries.values())
    else:
        found.take_sealed(entries, told.seal)
    return GatheredFolder(
        folder,
        shard.name,
        ended=told.seal.ended if told.seal else None,
        pieces=tuple(found.pieces),
        files=found.files,
        problems=tuple(found.problems),
        warnings=tuple(map(printable_line, told.seal.warnings)) if told.seal else (),
    )


class _Results:
    """Takes in the results of one folder, one by one."""

    def __init__(self, folder: Path, planned: Mapping[str, PlannedCell], rules: JudgeRules) -> None:
        self.pieces: list[ShardResult] = []
        self.files: dict[str, Path] = {}
        self.problems: list[str] = []
        self._folder = folder
        self._planned = planned
        self._rules = rules

    def take(self, entries: Iterable[Entry], sealed: Mapping[str, str] | None = None) -> None:
        """Take in the entries whose captures are theirs, and as `sealed` by their sha256."""
        for entry in entries:
            problem = self._take(entry, sealed)
            if problem:
                self._refuse(f"the capture of {entry.cell} {problem}")

    def take_sealed(self, entries: Mapping[str, Entry], seal: ShardSeal) -> None:
        """Take in those that the seal names: what is older does not count."""
        for kept in seal.kept:
            if kept.key not in entries or entries[kept.key].cell != kept.cell:
                self._refuse(f"{JOURNAL} has no line for {kept.cell}, which was sealed")
        sealed = {kept.key: kept.sha256 for kept in seal.kept}
        self.take((each for key, each in entries.items() if key in sealed), sealed)

    def _take(self, entry: Entry, sealed: Mapping[str, str] | None) -> str:
        """Take in one; return why not, "" where it is."""
        try:
            path = capture_path(self._folder, entry)
            piece = read_result(path, entry, self._planned[entry.cell], self._rules)
        except RefusedError as error:
            return str(error)
        if sealed is not None and piece.capture != sealed[entry.key]:
            return "is not the one that was sealed"
        self.pieces.append(piece)
        self.files[piece.capture] = path
        return ""

    def _refuse(self, why: str) -> None:
        self.problems.append(_problem(self._folder, f"corrupt: {why}"))


def _inside(folder: Path, deep: int) -> Iterator[Path]:
    if exists(folder / SHARD) or exists(folder / JOURNAL):
        yield folder
    elif deep:
        for each in subfolders(folder):
            yield from _inside(each, deep - 1)


def _entries(folder: Path, seal: ShardSeal | None) -> dict[str, Entry]:
    """Return the entries of a journal, the last of equal keys; raise `RefusedError`."""
    content = b""
    if exists(folder / JOURNAL) or (seal is not None and seal.size):
        try:
            content = read_file(folder / JOURNAL, _LARGEST_JOURNAL)
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
            entry = parse_entry(line)
        except RefusedError as error:
            if seal is not None:
                continue  # whoever sealed it passed over that line, and named what counts
            raise RefusedError(f"corrupt: line {number} of {JOURNAL} {error}") from error
        entries[entry.key] = entry
    return entries


def _foreign(told: ShardFile, manifest: Manifest) -> str:
    if told.manifest != manifest.id:
        return f"it is of another run ({told.manifest[:12]})"
    if told.project != manifest.project:
        return "another version of this project made it"
    hint = did_you_mean(told.shard, [shard.name for shard in manifest.shards])
    return f"the run has no shard {told.shard[:80]!r}{hint}"


def _refused(folder: Path, why: str, shard: str = "") -> GatheredFolder:
    return GatheredFolder(folder, shard, refused=True, problems=(_problem(folder, why),))


def _problem(folder: Path, why: str) -> str:
    # Why something is no JSON of ours is said in words of what was read.
    return f"refused {printable_path(folder)}: {printable_line(why)}"
