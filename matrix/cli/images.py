"""The command `images`: list, build or pull container images, and refresh their digests."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import fnmatch
import os
import time
from collections.abc import Iterator, Sequence

from matrix.cli.common import add_flag, add_json_option, project_data
from matrix.cli.state_table import add_action, show_rows, state_table
from matrix.docker.connect import connect
from matrix.docker.images.catalog import CatalogEntry, ImageCatalog
from matrix.docker.images.interface import ImageError, ImageOffer, ReportLine
from matrix.docker.images.refresh import default_registry, refresh_digests
from matrix.docker.images.registry import digests_path, read_digests, write_digests
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

_HEADINGS = ("CPython", "target", "state", "source", "image", "MB", "how to get it")
# Other processes and the engine do half of the work; more builds at once would only fill the disk.
_CONCURRENT_BUILDS = 2

DESCRIPTION = "List the container images that cells can run in, and how to get missing ones."
EXAMPLES = """\
examples:
  python -m matrix images
      for each CPython and target: ready, can be made, can be pulled or missing, and how to get it
  python -m matrix images --json -
      the same as JSON (schema images/1)
  python -m matrix images build
      build the images that are not ready yet, from Debian's packages and this machine's
      interpreters (pulled instead where a registry answers and has them)
  python -m matrix images build --python '3.*' --target linux_i686
      build some of them
  python -m matrix images refresh
      read the digests of the official images from the registry (or COMPAT_MATRIX_REGISTRY)

COMPAT_MATRIX_DEBIAN_MIRROR names a mirror of Debian; the default is that of this system's apt.
`build` exits with 4 if an image cannot be built.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_action(parser, "build")
    parser.add_argument("--python", metavar="GLOB", default="*", help="CPythons such as '3.1*'")
    parser.add_argument("--target", metavar="GLOB", default="*", help="such as 'linux_i686'")
    add_flag(parser, "--all", "with build: pull those that only a registry has, too")
    add_json_option(parser, "the list")


def run(args: argparse.Namespace) -> int:
    """List, build or refresh images. Raises UserError."""
    if args.action == "refresh":
        return _refresh()
    try:
        with _catalog() as catalog:
            if args.action == "build":
                return _build(catalog, args)
            rows = _selected_rows(catalog, args)
            show_rows(args.json, "images", [dataclasses.asdict(row) for row in rows], _table(rows))
            return ExitCode.OK
    except ContainerError as error:
        raise EngineUnavailableError(
            f"the container engine failed: {error}", "Try again when the engine answers."
        ) from error


@contextlib.contextmanager
def _catalog() -> Iterator[ImageCatalog]:
    with lock_run() as labels, connect(labels) as engine:
        yield ImageCatalog(engine, cache_dir())


def _build(catalog: ImageCatalog, args: argparse.Namespace) -> int:
    buildable = {(offer.python, offer.target) for offer in catalog.offers() if is_buildable(offer)}
    pairs = [
        (row.python, row.target)
        for row in _selected_rows(catalog, args)
        if row.state in ("can be made", "can be pulled")
    ]
    selected = [pair for pair in pairs if args.all or pair in buildable]
    return build_images(catalog, selected, lambda line: print(line, flush=True))


def _selected_rows(catalog: ImageCatalog, args: argparse.Namespace) -> list[ImageRow]:
    rows = image_rows(catalog.entries(), args.python, args.target)
    if not rows:
        raise NothingSelectedError(
            f"no image matches CPython {args.python!r} and target {args.target!r}",
            "List all images: python -m matrix images",
        )
    return rows


def _refresh() -> int:
    path = digests_path()
    today = dt.datetime.now(dt.timezone.utc).date()
    refreshed = refresh_digests(read_digests(path), os.environ, today, default_registry())
    for line in refreshed.absent:
        print(f"note: {line}")
    if refreshed.answered:
        with project_data(path):
            write_digests(path, refreshed.digests)
        count = len(refreshed.digests.images)
        print(f"{count} digests, {refreshed.new} of them new or changed: {path}")
    if refreshed.failures:
        lines = "\n".join(f"  {failure}" for failure in refreshed.failures)
        raise IndexUnavailableError(
            f"cannot read the digests of {len(refreshed.failures)} of"
            f" {len(refreshed.digests.pattern.pythons)} images; they are unchanged:\n{lines}",
            "Set COMPAT_MATRIX_REGISTRY to a registry or mirror that answers"
            " (such as mirror.example:5000/library), or build images: nox -s images -- build",
        )
    return ExitCode.OK


@dataclasses.dataclass(frozen=True)
class ImageRow:
    """An image of a CPython for a target, in the engine or still to get.

    `state` is one of: ready, can be made, can be pulled, missing. `how` says how to get it.
    `source`, `name` and `id` are those of the existing image, or of the best offer; `size` is in
    bytes.
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


def image_rows(entries: Sequence[CatalogEntry], python: str, target: str) -> list[ImageRow]:
    """Return the rows whose CPython and target match two globs, ascending."""
    groups: dict[tuple[str, str], list[CatalogEntry]] = {}
    for entry in entries:
        groups.setdefault((entry.offer.python, entry.offer.target), []).append(entry)
    keys = sorted(groups, key=lambda key: ([int(part) for part in key[0].split(".")], key[1]))
    return [
        _row(groups[key])
        for key in keys
        if fnmatch.fnmatchcase(key[0], python) and fnmatch.fnmatchcase(key[1], target)
    ]


def is_buildable(offer: ImageOffer) -> bool:
    """Return whether it needs no registry: keys of images to pull are a name with a digest."""
    return not offer.obstacle and "@" not in offer.key


def _row(entries: Sequence[CatalogEntry]) -> ImageRow:
    ready = next((entry for entry in entries if entry.image), None)
    available = next((entry for entry in entries if not entry.offer.obstacle), None)
    best = ready or available or entries[0]
    offer = best.offer
    if ready:
        state, how = "ready", ""
    elif available:
        state = "can be made" if is_buildable(offer) else "can be pulled"
        all_option = "" if any(is_buildable(entry.offer) for entry in entries) else " --all"
        selectors = f" --python {offer.python} --target {offer.target}"
        how = f"nox -s images -- build{all_option}{selectors}"
    else:
        state = "missing"
        remedies = [
            ": ".join(filter(None, (entry.offer.obstacle, entry.offer.remedy))) for entry in entries
        ]
        how = "; or ".join(dict.fromkeys(remedies))
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


def _table(rows: Sequence[ImageRow]) -> list[str]:
    cells = []
    for row in rows:
        source, name = ("", "") if row.state == "missing" else (row.source, row.name)
        size = f"{row.size / 1e6:.0f}" if row.size else ""
        cells.append((row.python, row.target, row.state, source, name, size, row.how))
    return state_table(_HEADINGS, cells, [row.state for row in rows], right="MB")


def build_images(
    catalog: ImageCatalog, pairs: Sequence[tuple[str, str]], report: ReportLine
) -> int:
    """Provide the images of pairs of a CPython and a target, and report a line for each.

    Returns the exit code. Raises UserError.
    """

    def build(pair: tuple[str, str]) -> Image | ImageError:
        started = time.monotonic()
        try:
            image = catalog.ensure(*pair, report)
        except ImageError as error:
            report(f"CPython {pair[0]} for {pair[1]}: FAILED, {error.detail}")
            return error
        seconds = time.monotonic() - started
        report(
            f"CPython {image.python} for {image.target}: ready in {seconds:.1f} s"
            f" ({image.name}, {image.id.removeprefix('sha256:')[:12]})"
        )
        return image

    pool = concurrent.futures.ThreadPoolExecutor(_CONCURRENT_BUILDS)
    try:
        results = list(pool.map(build, pairs))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        CHILDREN.kill_all()
        raise
    pool.shutdown()
    failures = [result for result in results if isinstance(result, ImageError)]
    report(f"{len(results) - len(failures)} images ready, {len(failures)} failed")
    disk_full = next((error for error in failures if error.reason is Reason.DISK_FULL), None)
    if disk_full is not None:
        raise StorageError(disk_full.detail, "Free disk space, or name another folder in TMPDIR.")
    return ExitCode.UNVERIFIED if failures else ExitCode.OK
