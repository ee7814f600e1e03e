"""`clean`: remove what the project made, from the engine and, where asked, from the disk."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.containers.finding import connect
from matrix.containers.labels import Run, living_runs
from matrix.containers.seam import ContainerError
from matrix.errors import AnotherRunError, EngineUnavailableError, ExitCode
from matrix.journal.lock import one_run
from matrix.places import cache_dir, results_dir

if TYPE_CHECKING:
    from matrix.commands.leavings import Leaving

__all__ = ["add_parser", "run"]

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
        living = living_runs()
        if living and not force:
            raise AnotherRunError(
                f"another run is under way ({', '.join(living)})",
                "Wait until it ends or stop it (Ctrl-C keeps what is done); --force does not mind.",
            )
        yield


def _engine(*, force: bool, dry_run: bool) -> int:
    """Remove what is on the engine; return the bytes."""
    try:
        engine = connect(Run("clean", ""))
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
    for item in cleaned.gone:
        _say("would remove" if dry_run else "removed", f"{item.kind} {item.name}", item.size)
    for item, reason in cleaned.left:
        print(f"left {item.kind} {item.name}: {reason}")
    return sum(item.size or 0 for item in cleaned.gone)


def _leavings(args: argparse.Namespace) -> Iterator[Leaving]:
    from matrix.commands.leavings import CACHE, RESULTS, leavings, strangers  # noqa: PLC0415

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
