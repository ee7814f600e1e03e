"""What lies in the folders of shards, from wherever they came; what cannot be trusted is refused.

A folder is refused as a whole where it is another run's, or where its journal is not the one that
was sealed; a single result where its capture is not what the journal says. All of it is told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from matrix.errors import nearest
from matrix.journal import Entry
from matrix.model.plan import PlannedCell
from matrix.sharding.manifest import Manifest
from matrix.sharding.merging import Piece
from matrix.sharding.pieces import Rules, capture_path, entry_of, piece_of
from matrix.sharding.seals import JOURNAL, SHARD, Ended, Seal, ShardFile, sha256
from matrix.sharding.untrusted import (
    RefusedError,
    folders_in,
    is_folder,
    is_there,
    one_line,
    read_file,
    shown,
)

__all__ = ["Gathered", "gather", "shard_folders"]

# `download/<artifact>/<manifest>/<shard>`: so deep can a shard's folder be in one that is given.
_DEEP = 3
_MOST_FOLDERS = 10_000
_LARGEST_JOURNAL = 500_000_000


@dataclasses.dataclass(frozen=True)
class Gathered:
    """What one folder holds for this run.

    `shard` is "" where it is none of this run's, and `refused` where nothing of it is taken in.
    `ended` is None where it has no seal. `files` says where the captures are, by their sha256.
    `problems` are what was refused, and why, in sentences.
    """

    folder: Path
    shard: str = ""
    refused: bool = False
    ended: Ended | None = None
    pieces: tuple[Piece, ...] = ()
    files: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def shard_folders(given: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Return the folders of shards in those given, each once, and what is wrong with the others."""
    found: dict[Path, Path] = {}
    wrong = []
    for folder in given:
        if not is_folder(folder, linked=True):
            wrong.append(f"there is no folder {shown(folder)}")
            continue
        inside = list(_inside(folder, _DEEP))
        if not inside:
            wrong.append(f"{shown(folder)} holds no shard: there is no {SHARD} in it")
        for each in inside:
            found.setdefault(each.resolve(), each)
    if len(found) > _MOST_FOLDERS:
        wrong.append(f"there are more than {_MOST_FOLDERS} folders: the rest is not looked at")
    return list(found.values())[:_MOST_FOLDERS], wrong


def gather(folder: Path, manifest: Manifest, rules: Rules) -> Gathered:
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
    return Gathered(
        folder,
        shard.name,
        ended=told.seal.ended if told.seal else None,
        pieces=tuple(found.pieces),
        files=found.files,
        problems=tuple(found.problems),
        warnings=tuple(map(one_line, told.seal.warnings)) if told.seal else (),
    )


class _Results:
    """Takes in the results of one folder, one by one."""

    def __init__(self, folder: Path, planned: Mapping[str, PlannedCell], rules: Rules) -> None:
        self.pieces: list[Piece] = []
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

    def take_sealed(self, entries: Mapping[str, Entry], seal: Seal) -> None:
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
            piece = piece_of(path, entry, self._planned[entry.cell], self._rules)
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
    if is_there(folder / SHARD) or is_there(folder / JOURNAL):
        yield folder
    elif deep:
        for each in folders_in(folder):
            yield from _inside(each, deep - 1)


def _entries(folder: Path, seal: Seal | None) -> dict[str, Entry]:
    """Return the entries of a journal, the last of equal keys; raise `RefusedError`."""
    content = b""
    if is_there(folder / JOURNAL) or (seal is not None and seal.size):
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
            entry = entry_of(line)
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
    near = nearest(told.shard, [each.name for each in manifest.shards])
    like = f"; the nearest is {near}" if near else ""
    return f"the run has no shard {told.shard[:80]!r}{like}"


def _refused(folder: Path, why: str, shard: str = "") -> Gathered:
    return Gathered(folder, shard, refused=True, problems=(_problem(folder, why),))


def _problem(folder: Path, why: str) -> str:
    # Why something is no JSON of ours is said in words of what was read.
    return f"refused {shown(folder)}: {one_line(why)}"
