"""`images`: which container images there are, which can be had and how; make them, refresh them.

One row for each CPython and target: is there an image, from where, and how to get it.

Make images, two at a time, with a line for each that is done.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import fnmatch
import io
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matrix.docker.connect import connect
from matrix.docker.images.catalog import CatalogEntry, ImageCatalog
from matrix.docker.images.digests import digests_path, read_digests, write_digests
from matrix.docker.images.interface import ImageError, ImageOffer, ReportLine
from matrix.docker.images.refresh import default_registry, refresh_digests
from matrix.docker.interface import ContainerError
from matrix.docker.labels import lock_run
from matrix.errors import (
    EngineUnavailableError,
    ExitCode,
    IndexUnavailableError,
    NothingSelectedError,
    StorageError,
)
from matrix.model.environment import Image
from matrix.model.reason import Reason
from matrix.system.paths import cache_dir
from matrix.system.processes import CHILDREN

__all__ = [
    "ImageRow",
    "add_parser",
    "as_json",
    "build",
    "can_be_made",
    "rows_of",
    "run",
    "table_of",
]

_WIDTH = 160


@dataclasses.dataclass(frozen=True)
class ImageRow:
    """`state` is one of: ready, can be made, can be pulled, missing. `how` says how to get it.

    `source`, `name` and `id` are of the image that there is, or would be; `size` is in bytes.
    """

    python: str
    target: str
    platform: str
    state: str
    source: str
    name: str
    id: str
    size: int
    how: str


def rows_of(listed: Sequence[CatalogEntry], python: str, target: str) -> list[ImageRow]:
    """Return the rows whose CPython and target match two globs, ascending."""
    groups: dict[tuple[str, str], list[CatalogEntry]] = {}
    for each in listed:
        groups.setdefault((each.offer.python, each.offer.target), []).append(each)
    keys = sorted(groups, key=lambda key: ([int(part) for part in key[0].split(".")], key[1]))
    return [
        _row(groups[key])
        for key in keys
        if fnmatch.fnmatchcase(key[0], python) and fnmatch.fnmatchcase(key[1], target)
    ]


def can_be_made(offer: ImageOffer) -> bool:
    """Whether it needs no registry: the key of what is pulled is a name with a digest."""
    return not offer.obstacle and "@" not in offer.key


def _row(group: Sequence[CatalogEntry]) -> ImageRow:
    ready = next((each for each in group if each.image), None)
    possible = next((each for each in group if not each.offer.obstacle), None)
    best = ready or possible or group[0]
    offer = best.offer
    if ready:
        state, how = "ready", ""
    elif possible:
        state = "can be made" if can_be_made(offer) else "can be pulled"
        every = "" if any(can_be_made(each.offer) for each in group) else " --all"
        only = f" --python {offer.python} --target {offer.target}"
        how = f"nox -s images -- build{every}{only}"
    else:
        state = "missing"
        ways = [": ".join(filter(None, (it.offer.obstacle, it.offer.remedy))) for it in group]
        how = "; or ".join(dict.fromkeys(ways))
    return ImageRow(
        python=offer.python,
        target=offer.target,
        platform=offer.platform,
        state=state,
        source=offer.source,
        name=offer.name,
        id=best.image.id if best.image else "",
        size=best.image.size if best.image else 0,
        how=how,
    )


def as_json(rows: Sequence[ImageRow]) -> dict[str, Any]:
    """Return the document of the schema images/1."""
    return {"schema": "images/1", "images": [dataclasses.asdict(row) for row in rows]}


def table_of(rows: Sequence[ImageRow]) -> list[str]:
    """Return the lines of a table, and how many there are of each state."""
    import rich.box  # noqa: PLC0415 - slow to import
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("CPython", "target", "state", "source", "image", "MB", "how to get it"):
        table.add_column(heading, justify="right" if heading == "MB" else "left", overflow="fold")
    for row in rows:
        size = f"{row.size / 1e6:.0f}" if row.size else ""
        source = "" if row.state == "missing" else row.source
        name = "" if row.state == "missing" else row.name
        table.add_row(row.python, row.target, row.state, source, name, size, row.how)
    sink = io.StringIO()
    Console(file=sink, width=_WIDTH, color_system=None).print(table)
    counts = {row.state: 0 for row in rows}
    for row in rows:
        counts[row.state] += 1
    total = ", ".join(f"{count} {state}" for state, count in counts.items())
    return [*(line.rstrip() for line in sink.getvalue().splitlines()), total]


EXAMPLES = """\
examples:
  python -m matrix images
      for each CPython and target: ready, can be made, can be pulled or missing, and how to get it
  python -m matrix images --json -
      the same as JSON (schema images/1)
  python -m matrix images build
      make, of Debian's packages and of this machine's interpreters, what is not ready yet
      (where a registry answers and has it, it is pulled instead)
  python -m matrix images build --python '3.*' --target linux_i686
      make some of them
  python -m matrix images refresh
      ask the registry for the digests of the official images (COMPAT_MATRIX_REGISTRY names another)

COMPAT_MATRIX_DEBIAN_MIRROR names a mirror of Debian; by default it is the one of this system's apt.
`build` ends with exit code 4 where an image could not be made.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "images",
        help="list container images and how to get them; make or refresh them",
        description="List the container images that cells can run in, and how to get the rest.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=["list", "build", "refresh"],
        default="list",
        help="what to do",
    )
    parser.add_argument("--python", metavar="GLOB", default="*", help="CPythons such as '3.1*'")
    parser.add_argument("--target", metavar="GLOB", default="*", help="such as 'linux_i686'")
    parser.add_argument(
        "--all", action="store_true", help="get those that only a registry has, too"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the list as JSON ('-': standard output)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List, make or refresh. Raises UserError."""
    if args.what == "refresh":
        return _refresh()
    try:
        with _catalog() as catalog:
            if args.what == "build":
                return _build(catalog, args)
            return _list(catalog, args)
    except ContainerError as error:
        raise EngineUnavailableError(
            f"the engine failed: {error}", "Call it again when the engine answers."
        ) from error


@contextlib.contextmanager
def _catalog() -> Iterator[ImageCatalog]:

    with lock_run() as held, connect(held) as engine:
        yield ImageCatalog(engine, cache_dir())


def _rows(catalog: ImageCatalog, args: argparse.Namespace) -> list[ImageRow]:

    rows = rows_of(catalog.entries(), args.python, args.target)
    if not rows:
        raise NothingSelectedError(
            f"no image is of CPython {args.python!r} for the target {args.target!r}",
            "See all: python -m matrix images",
        )
    return rows


def _list(catalog: ImageCatalog, args: argparse.Namespace) -> int:

    rows = _rows(catalog, args)
    if args.json is not None:
        _write(args.json, as_json(rows))
        if str(args.json) == "-":
            return ExitCode.OK
    for line in table_of(rows):
        print(line)
    return ExitCode.OK


def _write(path: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = "Give --json another path."
        raise StorageError(f"{path} cannot be written: {error.strerror}", hint) from error


def _build(catalog: ImageCatalog, args: argparse.Namespace) -> int:

    made = {(offer.python, offer.target) for offer in catalog.offers() if can_be_made(offer)}
    pairs = [
        (row.python, row.target)
        for row in _rows(catalog, args)
        if row.state in ("can be made", "can be pulled")
    ]
    wanted = [pair for pair in pairs if args.all or pair in made]
    return build(catalog, wanted, lambda line: print(line, flush=True))


def _refresh() -> int:

    path = digests_path()
    today = dt.datetime.now(dt.timezone.utc).date()
    done = refresh_digests(read_digests(path), os.environ, today, default_registry())
    for line in done.absent:
        print(f"note: {line}")
    if done.answered:
        try:
            write_digests(path, done.digests)
        except OSError as error:
            hint = "It stands in the project's own folder."
            raise StorageError(f"{path} cannot be written: {error.strerror}", hint) from error
        count = len(done.digests.images)
        print(f"{count} digests, {done.new} of them new or changed: {path}")
    if done.failures:
        lines = "\n".join(f"  {failure}" for failure in done.failures)
        raise IndexUnavailableError(
            f"{len(done.failures)} of {len(done.digests.pattern.pythons)} images could not be asked"
            f" for, and stay as they were:\n{lines}",
            "Name a registry or mirror that answers in COMPAT_MATRIX_REGISTRY"
            " (such as mirror.example:5000/library), or make images: nox -s images -- build",
        )
    return ExitCode.OK


# The half of the work is another process's, and the engine's; more at once only fills the disk.
_AT_ONCE = 2


def build(catalog: ImageCatalog, wanted: Sequence[tuple[str, str]], tell: ReportLine) -> int:
    """Make the images of these CPythons and targets; return the exit code. Raises UserError."""

    def one(pair: tuple[str, str]) -> Image | ImageError:
        started = time.monotonic()
        try:
            image = catalog.ensure(*pair, tell)
        except ImageError as error:
            tell(f"CPython {pair[0]} for {pair[1]}: FAILED, {error.detail}")
            return error
        seconds = time.monotonic() - started
        tell(
            f"CPython {image.python} for {image.target}: ready in {seconds:.1f} s"
            f" ({image.name}, {image.id.removeprefix('sha256:')[:12]})"
        )
        return image

    pool = concurrent.futures.ThreadPoolExecutor(_AT_ONCE)
    try:
        results = list(pool.map(one, wanted))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        CHILDREN.kill_all()
        raise
    pool.shutdown()
    failed = [result for result in results if isinstance(result, ImageError)]
    tell(f"{len(results) - len(failed)} images ready, {len(failed)} failed")
    full = next((error for error in failed if error.reason is Reason.DISK_FULL), None)
    if full is not None:
        raise StorageError(full.detail, "Make room, or name another folder in TMPDIR.")
    return ExitCode.UNVERIFIED if failed else ExitCode.OK
