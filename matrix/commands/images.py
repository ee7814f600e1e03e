"""`images`: which container images there are, which can be had and how; make them, refresh them."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matrix.containers.seam import ContainerError
from matrix.errors import (
    EngineUnavailableError,
    ExitCode,
    IndexUnavailableError,
    NothingSelectedError,
    StorageError,
)
from matrix.places import cache_dir

if TYPE_CHECKING:
    from matrix.commands.images_listing import Row
    from matrix.images.catalog import ImageCatalog

__all__ = ["add_parser", "run"]

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
        "what", nargs="?", choices=["list", "build", "refresh"], default="list", help="what to do"
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
    from matrix.containers.finding import connect  # noqa: PLC0415 - nothing to see of it in --help
    from matrix.containers.labels import hold_run  # noqa: PLC0415
    from matrix.images.catalog import ImageCatalog  # noqa: PLC0415

    with hold_run() as held, connect(held) as engine:
        yield ImageCatalog(engine, cache_dir())


def _rows(catalog: ImageCatalog, args: argparse.Namespace) -> list[Row]:
    from matrix.commands.images_listing import rows_of  # noqa: PLC0415

    rows = rows_of(catalog.listed(), args.python, args.target)
    if not rows:
        raise NothingSelectedError(
            f"no image is of CPython {args.python!r} for the target {args.target!r}",
            "See all: python -m matrix images",
        )
    return rows


def _list(catalog: ImageCatalog, args: argparse.Namespace) -> int:
    from matrix.commands.images_listing import as_json, table_of  # noqa: PLC0415

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
    from matrix.commands.images_building import build  # noqa: PLC0415
    from matrix.commands.images_listing import can_be_made  # noqa: PLC0415

    made = {(offer.python, offer.target) for offer in catalog.offers() if can_be_made(offer)}
    pairs = [
        (row.python, row.target)
        for row in _rows(catalog, args)
        if row.state in ("can be made", "can be pulled")
    ]
    wanted = [pair for pair in pairs if args.all or pair in made]
    return build(catalog, wanted, lambda line: print(line, flush=True))


def _refresh() -> int:
    from matrix.images.digests import digests_path, read_digests, write_digests  # noqa: PLC0415
    from matrix.images.refreshing import default_registry, refresh  # noqa: PLC0415

    path = digests_path()
    today = dt.datetime.now(dt.timezone.utc).date()
    done = refresh(read_digests(path), os.environ, today, default_registry())
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
            f"{len(done.failures)} of {len(done.digests.wanted.pythons)} images could not be asked"
            f" for, and stay as they were:\n{lines}",
            "Name a registry or mirror that answers in COMPAT_MATRIX_REGISTRY"
            " (such as mirror.example:5000/library), or make images: nox -s images -- build",
        )
    return ExitCode.OK
