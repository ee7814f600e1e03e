"""What was shared out: the whole plan, and which shard runs which of its cells.

Whether a manifest is one: nothing stands twice, nothing is missing, nothing is torn apart.

The manifest as a file: written whole or not at all, read strictly, told by its content.

Its schema is `data/schemas/manifest.schema.json`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from matrix.errors import StorageError, UnreadableInputError
from matrix.model.plan import Plan
from matrix.model.validate import cell_id, digest, seconds, text
from matrix.planning.plan_file import only, plan_from_json, plan_to_json, tuple_of
from matrix.runs.record_reader import FileKind
from matrix.system.atomic import write_atomic

__all__ = [
    "MANIFEST",
    "MAX_SHARDS",
    "SCHEMA",
    "SHARD_ENGINES",
    "Manifest",
    "Shard",
    "check_manifest",
    "manifest_bytes",
    "parse_manifest",
    "read_manifest",
    "shard_plan",
    "write_manifest",
]

MANIFEST = "manifest.json"
"""What the file is called among the results, where nobody names another."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Cells for one machine of `target`, run by `engine` (`docker`, `local`).

    `cells` are the ids of those that run in any case and `reserve` those that may have to (further
    controls), both in the plan's order. Cells that are compared with each other are in one shard,
    so that it can tell by itself which of its reserve are needed. `seconds` is how long `cells` are
    expected to take, one after the other.
    """

    name: str
    target: str
    engine: str
    cells: tuple[str, ...]
    reserve: tuple[str, ...]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The expectation that a collected run is held against: each cell is in exactly one shard.

    `project` is the digest of the project's files that run and judge cells: what another version of
    them made is not part of this run. `as_of` are the words on the date of the dependencies. `id`
    is the sha256 of the file; results name it, and are refused where it is another's.
    """

    plan: Plan
    shards: tuple[Shard, ...]
    project: str
    as_of: str
    id: str = ""

    def shard(self, name: str) -> Shard | None:
        """Return the shard with this name."""
        return next((each for each in self.shards if each.name == name), None)


def shard_plan(plan: Plan, shard: Shard) -> Plan:
    """Return the plan of one shard: its cells, and what of the claims they decide among them.

    Its verdicts mean nothing: a claim may have parts in several shards. Only which further controls
    are run depends on them, and that is decided part by part.
    """
    mine = {*shard.cells, *shard.reserve}
    parts = tuple(part for part in plan.parts if part.minimum in mine)
    claims = {part.claim for part in parts}
    return dataclasses.replace(
        plan,
        claims=tuple(claim for claim in plan.claims if claim.id in claims),
        parts=parts,
        cells=tuple(each for each in plan.cells if each.cell.id in mine),
        fallbacks=tuple(each for each in plan.fallbacks if each.cell.id in mine),
        left_out=(),
        targets=(shard.target,),
        static=(),
    )


SHARD_ENGINES = ("docker", "local")
"""What runs the cells of a shard."""

MAX_SHARDS = 256
"""As many jobs as GitHub makes of one job's matrix.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix
"""

# It is a folder's name, a job's, and an option's value.
_NAME = re.compile(r"[a-z0-9_]{1,64}-[0-9]{1,6}")


def check_manifest(manifest: Manifest) -> None:
    """Raise ValueError that lists what is wrong with a manifest."""
    wrong = [*_with_plan(manifest.plan), *_with_shards(manifest)]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""  # noqa: PLR2004
        raise ValueError(f"{'; '.join(wrong[:3])}{more}")


def _with_plan(plan: Plan) -> Iterator[str]:
    yield from _twice("the claim", (claim.id for claim in plan.claims))
    yield from _twice("the cell", (each.cell.id for each in (*plan.cells, *plan.fallbacks)))
    yield from _twice("the target", plan.targets)
    yield from _twice("static evidence of", (each.claim for each in plan.static))
    claims = {claim.id for claim in plan.claims}
    named = [part.claim for part in plan.parts]
    named += [each.claim for each in plan.left_out] + [each.claim for each in plan.static]
    yield from (f"{each} is no claim of it" for each in dict.fromkeys(named) if each not in claims)
    planned = {each.cell.id for each in (*plan.cells, *plan.fallbacks)}
    needed = dict.fromkeys(cell for part in plan.parts for cell in part.cells)
    yield from (f"a part needs {cell}, which is not in it" for cell in needed.keys() - planned)


def _with_shards(manifest: Manifest) -> Iterator[str]:
    shards, plan = manifest.shards, manifest.plan
    if len(shards) > MAX_SHARDS:
        yield f"it has {len(shards)} shards, and at most {MAX_SHARDS} can be run"
    yield from _twice("the shard", (shard.name for shard in shards))
    for shard in shards:
        yield from _with_shard(shard)
    yield from _shared_out("cell", [each.cell.id for each in plan.cells], [s.cells for s in shards])
    reserve = [each.cell.id for each in plan.fallbacks]
    yield from _shared_out("cell in reserve", reserve, [s.reserve for s in shards])
    home = {cell: s.name for s in shards for cell in (*s.cells, *s.reserve)}
    for part in plan.parts:
        homes = sorted({home[cell] for cell in part.cells if cell in home})
        if len(homes) > 1:
            yield f"what {part.minimum} is compared with is in {' and '.join(homes)}"


def _with_shard(shard: Shard) -> Iterator[str]:
    if not _NAME.fullmatch(shard.name):
        yield f"{shard.name!r} is no name of a shard"
    if shard.engine not in SHARD_ENGINES:
        yield f"{shard.engine!r} of {shard.name} is none of {', '.join(SHARD_ENGINES)}"
    for cell in (*shard.cells, *shard.reserve):
        # An id's second word is its target.
        if cell.split("-", 2)[1] != shard.target:
            yield f"{cell} is not for {shard.target}, as {shard.name} is"


def _shared_out(what: str, planned: list[str], parts: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield what is not in exactly one shard, or in an order that is not the plan's."""
    counts = Counter(cell for part in parts for cell in part)
    for cell in planned:
        if counts[cell] != 1:
            yield f"the {what} {cell} is in {counts[cell] or 'no'} shards"
    rank = {cell: number for number, cell in enumerate(planned)}
    for part in parts:
        if strange := [cell for cell in part if cell not in rank]:
            yield f"{strange[0]} in a shard is no {what} of the plan"
        elif list(part) != sorted(part, key=rank.__getitem__):
            yield f"the order of a shard is not the plan's, from {part[0]} on"


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, many in Counter(names).items():
        if many > 1:
            yield f"{what} {name} stands {many} times"


SCHEMA = "manifest/1"
_REMEDY = "Make it with: python -m matrix plan --github --manifest FILE"
_MANIFESTS = FileKind("a manifest", SCHEMA, 200_000_000, _REMEDY)


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return the content of the file: one way to write it, so that equal manifests are equal."""
    data = {
        "schema": SCHEMA,
        "project": manifest.project,
        "as_of": manifest.as_of,
        "plan": plan_to_json(manifest.plan),
        "shards": [dataclasses.asdict(shard) for shard in manifest.shards],
    }
    return (json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def write_manifest(path: Path, manifest: Manifest) -> Manifest:
    """Write the file, whole or not at all, and return the manifest with its id.

    Raises StorageError.
    """
    content = manifest_bytes(manifest)
    try:
        write_atomic(path, content)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", "Give --manifest another path."
        ) from error
    return dataclasses.replace(manifest, id=hashlib.sha256(content).hexdigest())


def read_manifest(path: Path) -> Manifest:
    """Return what a file holds; raise `UnreadableInputError`, which names the file."""
    return parse_manifest(_MANIFESTS.read(path), str(path))


def parse_manifest(content: bytes, called: str) -> Manifest:
    """Return what the bytes of a file hold; `called` is the file's name for errors.

    Its id is that of the file as the program writes it, however these bytes are indented. Raises
    `UnreadableInputError`.
    """
    data = _MANIFESTS.parse(content, called)
    try:
        manifest = _manifest(data)
        check_manifest(manifest)
        own = hashlib.sha256(manifest_bytes(manifest)).hexdigest()
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnreadableInputError(
            f"{called} is no complete manifest: {type(error).__name__}: {error}", _REMEDY
        ) from error
    return dataclasses.replace(manifest, id=own)


def _manifest(data: Mapping[str, Any]) -> Manifest:
    only(data, "schema", "project", "as_of", "plan", "shards")
    return Manifest(
        plan=plan_from_json(data["plan"]),
        shards=tuple_of(data["shards"], _shard),
        project=digest(data["project"]),
        as_of=text(data["as_of"]),
    )


def _shard(data: Mapping[str, Any]) -> Shard:
    only(data, *(field.name for field in dataclasses.fields(Shard)))
    return Shard(
        name=text(data["name"]),
        target=text(data["target"]),
        engine=text(data["engine"]),
        cells=tuple_of(data["cells"], cell_id),
        reserve=tuple_of(data["reserve"], cell_id),
        seconds=seconds(data["seconds"]),
    )
