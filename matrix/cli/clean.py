"""The command `clean`: remove what the project made in a container engine and on disk.

Files are found by the names in `CACHE` and `RESULTS`, so that other files in their folders stay.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from matrix.cli.common import add_flag
from matrix.docker.connect import connect
from matrix.docker.interface import ContainerError
from matrix.docker.labels import RunLabels, list_living_runs
from matrix.errors import AnotherRunError, EngineUnavailableError, ExitCode, storage_errors
from matrix.runs.journal import lock_results
from matrix.system.paths import cache_dir, results_dir

CACHE = frozenset(
    {
        "environments",
        "images",
        "images.json",
        "images.json.lock",
        "index",
        "interpreters.json",
        "layouts.json",
        "runs",
        "trees",
    }
)
"""The names of the project's files in the cache folder."""

RESULTS = frozenset(
    {
        "by-hand",
        "captures",
        "journal.jsonl",
        "kept",
        "manifest.json",
        "records",
        "run.lock",
        "run.pid",
        "scratch",
        "shards",
    }
)
"""The names of the project's files in the results folder."""

DESCRIPTION = "Remove what this project made in the container engine, and nothing else."
EXAMPLES = """\
examples:
  python -m matrix clean --dry-run
      list what would be removed, with sizes, and remove nothing
  python -m matrix clean
      remove from the container engine all that this project made: containers, volumes, networks
      and images, by their labels, and nothing else
  python -m matrix clean --cache --results
      the same, and the caches (environments, index, parts of images) and all results

What living runs use stays, and what other machines made on the same engine; --force removes both.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_flag(parser, "--cache", f"the caches, too ({cache_dir()})")
    add_flag(parser, "--results", f"results, too ({results_dir()})")
    add_flag(parser, "--force", "what other living runs or other machines made, too")
    add_flag(parser, "--dry-run", "list only, remove nothing")


def run(args: argparse.Namespace) -> int:
    """Remove, and print what was removed and what stays. Raises UserError."""
    with _no_other_run(results_dir(), force=args.force or args.dry_run):
        freed = _clean_engine(force=args.force, dry_run=args.dry_run)
        for leftover in _selected_leftovers(args):
            size = leftover.size()
            _print_removal(str(leftover.path), size, dry_run=args.dry_run)
            freed += size
            if not args.dry_run:
                leftover.remove()
    print(f"{'would free' if args.dry_run else 'freed'} {_format_size(freed)}")
    return ExitCode.OK


@contextlib.contextmanager
def _no_other_run(results: Path, *, force: bool) -> Iterator[None]:
    """Raise AnotherRunError if a run is alive; with `force`, only if it uses these results."""
    with lock_results(results) if results.is_dir() else contextlib.nullcontext():
        for shard in filter(Path.is_dir, results.glob("shards/*/*")):
            with lock_results(shard):
                pass  # Shards run at the same time as others and hold only their own locks.
        living = list_living_runs()
        if living and not force:
            raise AnotherRunError(
                f"another run is under way ({', '.join(living)})",
                "Wait until it ends or stop it (Ctrl-C keeps what is done); --force ignores it.",
            )
        yield


def _clean_engine(*, force: bool, dry_run: bool) -> int:
    """Remove the project's objects from the engine; return their size in bytes."""
    try:
        engine = connect(RunLabels("clean", ""))
    except EngineUnavailableError as error:
        print(f"{error.message}: nothing to remove there", file=sys.stderr)
        return 0
    try:
        with engine:
            cleaned = engine.clean(force=force, dry_run=dry_run)
    except ContainerError as error:
        raise EngineUnavailableError(
            f"the container engine failed: {error}", "Try again when the engine answers."
        ) from error
    for item in cleaned.removed:
        _print_removal(f"{item.kind} {item.name}", item.size, dry_run=dry_run)
    for item, reason in cleaned.remaining:
        print(f"left {item.kind} {item.name}: {reason}")
    return sum(item.size or 0 for item in cleaned.removed)


def _selected_leftovers(args: argparse.Namespace) -> Iterator[Leftover]:
    """Yield the project's files in the selected folders; print the names of other entries."""
    for selected, folder, names in (
        (args.cache, cache_dir(), CACHE),
        (args.results, results_dir(), RESULTS),
    ):
        paths = _entries(folder) if selected else []
        yield from (Leftover(path) for path in paths if path.name in names)
        for path in paths:
            if path.name not in names:
                print(f"left {path}: not made by this project")


@dataclasses.dataclass(frozen=True)
class Leftover:
    """A file or folder of the project in its cache or results."""

    path: Path

    def size(self) -> int:
        """Return its bytes; files with several hard links count once."""
        counted: set[tuple[int, int]] = set()
        total = 0
        for path in _files_below(self.path):
            with contextlib.suppress(OSError):
                status = path.lstat()
                inode = (status.st_dev, status.st_ino)
                if stat.S_ISREG(status.st_mode) and inode not in counted:
                    counted.add(inode)
                    total += status.st_size
        return total

    def remove(self) -> None:
        """Remove it with its content; links are not followed. Raises StorageError."""
        with storage_errors(f"cannot remove {self.path}", "Check who owns it, and try again."):
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path, onerror=_make_writable_and_retry)
            else:
                self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other files are in the folder
                self.path.parent.rmdir()


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _files_below(path: Path) -> Iterator[Path]:
    yield path
    for folder, _, files in () if path.is_symlink() else os.walk(path):
        yield from (Path(folder, name) for name in files)


def _make_writable_and_retry(remove: Callable[[str], object], path: str, _error: object) -> None:
    """Make a path and its folder writable (some are read-only on purpose), and remove it."""
    for read_only in (os.path.dirname(path), path):  # noqa: PTH120
        with contextlib.suppress(OSError):
            if not os.path.islink(read_only):  # noqa: PTH114
                os.chmod(read_only, 0o700)  # noqa: PTH101
    if remove in (os.rmdir, os.unlink):
        remove(path)
    else:
        shutil.rmtree(path)


def _print_removal(name: str, size: int | None, *, dry_run: bool) -> None:
    text = f" ({_format_size(size)})" if size is not None else ""
    print(f"{'would remove' if dry_run else 'removed'} {name}{text}")


def _format_size(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
