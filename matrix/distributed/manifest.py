"""The manifest of a run in shards: the whole plan, and which shard runs which of its cells.

It is written atomically, read strictly, and identified by its content. Its schema is
`data/schemas/manifest.schema.json`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from matrix.distributed.untrusted import sha256
from matrix.errors import UnreadableInputError, storage_errors
from matrix.model.plan import Plan
from matrix.model.validate import cell_id, digest, seconds, text
from matrix.planning.plan_file import check_fields, plan_from_json, plan_to_json, read_tuple
from matrix.runs.record_store import FileKind
from matrix.system.files import write_atomic

MANIFEST = "manifest.json"
"""The default name of the file in the results folder."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Cells for one machine of `target`, run by `engine` (`docker`, `local`).

    `cells` are the ids of those that always run and `reserve` of those that may have to (further
    controls), both in the plan's order. Cells that are compared with each other are in one shard,
    which can therefore decide by itself which of its reserve it needs. `seconds` is how long
    `cells` are expected to take, one after the other.
    """

    name: str
    target: str
    engine: str
    cells: tuple[str, ...]
    reserve: tuple[str, ...]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The expectation that a collected run is compared with: each cell is in exactly one shard.

    `project` is the digest of the project's files that run and judge cells: results of another
    version are not part of this run. `as_of` describes the date of the dependencies. `id` is the
    sha256 of the file; results name it, and are refused where it is another one.
    """

    plan: Plan
    shards: tuple[Shard, ...]
    project: str
    as_of: str
    id: str = ""

    def shard(self, name: str) -> Shard | None:
        """Return the shard with this name."""
        return next((shard for shard in self.shards if shard.name == name), None)


def shard_plan(plan: Plan, shard: Shard) -> Plan:
    """Return the plan of one shard: its cells, and the parts of claims that they decide.

    Its verdicts mean nothing, as a claim may have parts in several shards. They only decide which
    further controls are run, and that is decided part by part.
    """
    ids = {*shard.cells, *shard.reserve}
    parts = tuple(part for part in plan.parts if part.minimum.id in ids)
    claims = {part.claim for part in parts}
    return dataclasses.replace(
        plan,
        claims=tuple(claim for claim in plan.claims if claim.id in claims),
        parts=parts,
        cells=tuple(planned for planned in plan.cells if planned.cell.id in ids),
        fallbacks=tuple(planned for planned in plan.fallbacks if planned.cell.id in ids),
        omissions=(),
        targets=(shard.target,),
        static=(),
    )


SHARD_ENGINES = ("docker", "local")
"""The engines that can run the cells of a shard."""

MAX_SHARDS = 256
"""The most jobs that GitHub makes of one job's matrix.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix
"""

# It is the name of a folder and of a job, and the value of an option.
_MAX_PROBLEMS = 3
_NAME = re.compile(r"[a-z0-9_]{1,64}-[0-9]{1,6}")


def check_manifest(manifest: Manifest) -> None:
    """Raise ValueError with the first problems of a manifest that is not consistent."""
    problems = [*_plan_problems(manifest.plan), *_shards_problems(manifest)]
    if problems:
        more = len(problems) - _MAX_PROBLEMS
        tail = f", and {more} more" if more > 0 else ""
        raise ValueError(f"{'; '.join(problems[:_MAX_PROBLEMS])}{tail}")


def _plan_problems(plan: Plan) -> Iterator[str]:
    planned = (*plan.cells, *plan.fallbacks)
    yield from _duplicates("claim", (claim.id for claim in plan.claims))
    yield from _duplicates("cell", (item.cell.id for item in planned))
    yield from _duplicates("target", plan.targets)
    yield from _duplicates("static evidence of", (evidence.claim for evidence in plan.static))
    claims = {claim.id for claim in plan.claims}
    used = dict.fromkeys(
        [part.claim for part in plan.parts]
        + [omission.claim for omission in plan.omissions]
        + [evidence.claim for evidence in plan.static]
    )
    yield from (f"unknown claim {claim}" for claim in used if claim not in claims)
    cells = {item.cell.id for item in planned}
    needed = dict.fromkeys(cell.id for part in plan.parts for cell in part.cells)
    yield from (f"a part needs {cell}, which is not planned" for cell in needed.keys() - cells)


def _shards_problems(manifest: Manifest) -> Iterator[str]:
    shards, plan = manifest.shards, manifest.plan
    if len(shards) > MAX_SHARDS:
        yield f"it has {len(shards)} shards (at most {MAX_SHARDS} can be run)"
    yield from _duplicates("shard", (shard.name for shard in shards))
    for shard in shards:
        yield from _shard_problems(shard)
    for kind, cells, by_shard in (
        ("cell", plan.cells, [shard.cells for shard in shards]),
        ("reserve cell", plan.fallbacks, [shard.reserve for shard in shards]),
    ):
        yield from _distribution_problems(kind, [item.cell.id for item in cells], by_shard)
    shard_of = {cell: shard.name for shard in shards for cell in (*shard.cells, *shard.reserve)}
    for part in plan.parts:
        names = sorted({shard_of[cell.id] for cell in part.compared if cell.id in shard_of})
        if len(names) > 1:
            yield f"the cells that {part.minimum.id} is compared with are in {' and '.join(names)}"


def _shard_problems(shard: Shard) -> Iterator[str]:
    if not _NAME.fullmatch(shard.name):
        yield f"invalid shard name {shard.name!r}"
    if shard.engine not in SHARD_ENGINES:
        choices = ", ".join(SHARD_ENGINES)
        yield f"unknown engine {shard.engine!r} of {shard.name} (expected one of {choices})"
    for cell in (*shard.cells, *shard.reserve):
        # An id's second word is its target.
        if cell.split("-", 2)[1] != shard.target:
            yield f"{cell} is not for {shard.target}, as {shard.name} is"


def _distribution_problems(
    kind: str, planned: list[str], by_shard: list[tuple[str, ...]]
) -> Iterator[str]:
    """Yield cells that are not in exactly one shard, and orders that are not the plan's."""
    counts = Counter(cell for cells in by_shard for cell in cells)
    for cell in planned:
        if counts[cell] != 1:
            yield f"{kind} {cell} is in {counts[cell] or 'no'} shards"
    rank = {cell: number for number, cell in enumerate(planned)}
    for cells in by_shard:
        if unknown := [cell for cell in cells if cell not in rank]:
            yield f"{unknown[0]} in a shard is not a {kind} of the plan"
        elif list(cells) != sorted(cells, key=rank.__getitem__):
            yield f"the order of a shard is not the plan's, from {cells[0]} on"


def _duplicates(kind: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{kind} {name} occurs {count} times"


SCHEMA = "manifest/1"
_REMEDY = "Make it with: python -m matrix plan --github --manifest FILE"
_MANIFESTS = FileKind("a manifest", SCHEMA, 200_000_000, _REMEDY)


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the content of the file; equal manifests have equal content."""
    data = {
        "schema": SCHEMA,
        "project": manifest.project,
        "as_of": manifest.as_of,
        "plan": plan_to_json(manifest.plan),
        "shards": [dataclasses.asdict(shard) for shard in manifest.shards],
    }
    return (json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def write_manifest(path: Path, manifest: Manifest) -> Manifest:
    """Write the file atomically, and return the manifest with its id; raise StorageError."""
    content = manifest_bytes(manifest)
    with storage_errors(f"cannot write {path}", "Pass another path with --manifest.", brief=True):
        write_atomic(path, content)
    return dataclasses.replace(manifest, id=sha256(content))


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a file; raise `UnreadableInputError`, which names the file."""
    return parse_manifest(_MANIFESTS.read(path), str(path))


def parse_manifest(content: bytes, name: str) -> Manifest:
    """Return the manifest in a file's content; `name` is the file's, for errors.

    Its id is that of the file as the program writes it, whatever the indentation of `content`.
    Raises `UnreadableInputError`.
    """
    data = _MANIFESTS.parse(content, name)
    try:
        check_fields(data, "schema", "project", "as_of", "plan", "shards")
        manifest = Manifest(
            plan=plan_from_json(data["plan"]),
            shards=read_tuple(data["shards"], _parse_shard),
            project=digest(data["project"]),
            as_of=text(data["as_of"]),
        )
        check_manifest(manifest)
        manifest_id = sha256(manifest_bytes(manifest))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnreadableInputError(
            f"{name} is not a valid manifest: {type(error).__name__}: {error}", _REMEDY
        ) from error
    return dataclasses.replace(manifest, id=manifest_id)


def _parse_shard(data: Mapping[str, Any]) -> Shard:
    check_fields(data, *(field.name for field in dataclasses.fields(Shard)))
    return Shard(
        name=text(data["name"]),
        target=text(data["target"]),
        engine=text(data["engine"]),
        cells=read_tuple(data["cells"], cell_id),
        reserve=read_tuple(data["reserve"], cell_id),
        seconds=seconds(data["seconds"]),
    )
