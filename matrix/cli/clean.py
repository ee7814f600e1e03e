"""`clean`: remove what the project made, from the engine and, where asked, from the disk.

What the project leaves on the disk: by name, so that nothing else in the folder is touched.
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

from matrix.docker.connect import connect
from matrix.docker.interface import ContainerError
from matrix.docker.labels import RunLabels, list_living_runs
from matrix.errors import AnotherRunError, EngineUnavailableError, ExitCode, StorageError
from matrix.runs.journal import one_run
from matrix.system.paths import cache_dir, results_dir

__all__ = ["CACHE", "RESULTS", "Leftover", "add_parser", "leavings", "run", "strangers"]

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
"""What lies in the cache's folder."""

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
"""What lies in the results' folder."""


@dataclasses.dataclass(frozen=True)
class Leftover:
    """One file or folder of ours."""

    path: Path

    @property
    def name(self) -> str:
        """Where it is."""
        return str(self.path)

    def size(self) -> int:
        """Return its bytes on the disk's account: what is linked twice counts once."""
        seen: set[tuple[int, int]] = set()
        total = 0
        for path in _below(self.path):
            with contextlib.suppress(OSError):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) not in seen:
                    seen.add((found.st_dev, found.st_ino))
                    total += found.st_size
        return total

    def remove(self) -> None:
        """Remove it and all below; links are not followed. Raises StorageError."""
        try:
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path, onerror=_writable_first)
            else:
                self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others have things there
                self.path.parent.rmdir()
        except OSError as error:
            raise StorageError(
                f"cannot remove {self.path}: {error}", "Look at who owns it, and call again."
            ) from error


def leavings(folder: Path, names: frozenset[str]) -> tuple[Leftover, ...]:
    """Return what is there of these names."""
    return tuple(Leftover(path) for path in _entries(folder) if path.name in names)


def strangers(folder: Path, names: frozenset[str]) -> tuple[str, ...]:
    """Return what else is there."""
    return tuple(path.name for path in _entries(folder) if path.name not in names)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _below(path: Path) -> Iterator[Path]:
    yield path
    if path.is_symlink() or not path.is_dir():
        return
    for folder, _, files in os.walk(path):
        for name in files:
            yield Path(folder, name)


def _writable_first(remove: Callable[[str], object], path: str, _error: object) -> None:
    """Try again what was made read-only on purpose, with its folder writable."""
    for each in (os.path.dirname(path), path):  # noqa: PTH120
        with contextlib.suppress(OSError):
            if not os.path.islink(each):  # noqa: PTH114
                os.chmod(each, 0o700)  # noqa: PTH101
    if remove in (os.rmdir, os.unlink):
        remove(path)
    else:
        shutil.rmtree(path)


EXAMPLES = """\
examples:
  python -m matrix clean --dry-run
      list what would go, and its size, and remove nothing
  python -m matrix clean
      remove from the container engine all that this project made there: containers, volumes,
      networks and images, by their labels, and nothing else
  python -m matrix clean --cache --results
      the same, and the caches (environments, index, images' parts) and all results so far

What runs under way hold stays, and what other machines made on the same engine; --force takes both.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "clean",
        help="remove what this project made: on the engine, in the cache, of results",
        description="Remove what this project made on the container engine, and nothing else.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cache", action="store_true", help=f"the caches, too ({cache_dir()})")
    parser.add_argument("--results", action="store_true", help=f"results, too ({results_dir()})")
    parser.add_argument(
        "--force", action="store_true", help="what other runs under way or other machines made, too"
    )
    parser.add_argument("--dry-run", action="store_true", help="list only, remove nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Remove, and say what went and what stayed. Raises UserError."""
    with _alone(results_dir(), force=args.force or args.dry_run):
        size = _engine(force=args.force, dry_run=args.dry_run)
        for leaving in _leavings(args):
            _say("would remove" if args.dry_run else "removed", leaving.name, leaving.size())
            size += leaving.size()
            if not args.dry_run:
                leaving.remove()
    print(f"{'would free' if args.dry_run else 'freed'} {_human(size)}")
    return ExitCode.OK


@contextlib.contextmanager
def _alone(results: Path, *, force: bool) -> Iterator[None]:
    """Raise AnotherRunError while a run is under way; `force` minds only one of these results."""
    with one_run(results) if results.is_dir() else contextlib.nullcontext():
        for shard in filter(Path.is_dir, results.glob("shards/*/*")):
            with one_run(shard):
                pass  # Shards run beside each other and beside this, each with a lock of its own.
        living = list_living_runs()
        if living and not force:
            raise AnotherRunError(
                f"another run is under way ({', '.join(living)})",
                "Wait until it ends or stop it (Ctrl-C keeps what is done); --force does not mind.",
            )
        yield


def _engine(*, force: bool, dry_run: bool) -> int:
    """Remove what is on the engine; return the bytes."""
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
            f"the engine failed: {error}", "Call it again when the engine answers."
        ) from error
    for item in cleaned.removed:
        _say("would remove" if dry_run else "removed", f"{item.kind} {item.name}", item.size)
    for item, reason in cleaned.remaining:
        print(f"left {item.kind} {item.name}: {reason}")
    return sum(item.size or 0 for item in cleaned.removed)


def _leavings(args: argparse.Namespace) -> Iterator[Leftover]:

    for wanted, folder, names in (
        (args.cache, cache_dir(), CACHE),
        (args.results, results_dir(), RESULTS),
    ):
        if not wanted:
            continue
        yield from leavings(folder, names)
        for name in strangers(folder, names):
            print(f"left {folder / name}: not made by this project")


def _say(what: str, name: str, size: int | None) -> None:
    print(f"{what} {name}" + (f" ({_human(size)})" if size is not None else ""))


def _human(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
