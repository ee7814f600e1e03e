"""Where `verify` runs its cells: on this machine, on a cluster, or nowhere (`--rejudge`)."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from matrix.errors import UsageError
from matrix.model.plan import Plan
from matrix.places import results_dir
from matrix.planning.options import where_from_args
from matrix.planning.where import Where

if TYPE_CHECKING:
    from matrix.verify.running import OpenWorld

__all__ = ["Place", "check_cluster_options", "place_from_args"]


@dataclasses.dataclass(frozen=True)
class Place:
    """`where` is what can be planned; `world_on` opens the world for a plan, where one is run.

    `notes` are what the user should know of the choice.
    """

    where: Where
    world_on: Callable[[Plan], OpenWorld]
    notes: tuple[str, ...] = ()


def check_cluster_options(args: argparse.Namespace) -> None:
    """Raise UsageError for options that say nothing of a cluster."""
    for option, said in (
        ("shard", "a shard is run by one machine"),
        ("rejudge", "nothing is run for --rejudge"),
        ("keep", "the folders of cells are on the workers, which do not keep them"),
        ("jobs", "each worker says how many cells it runs at a time: worker --jobs"),
    ):
        if args.cluster and getattr(args, option):
            raise UsageError(
                f"--{option} and --cluster exclude each other: {said}", "Leave one of them out."
            )


@contextlib.contextmanager
def place_from_args(args: argparse.Namespace) -> Iterator[Place]:
    """Yield where the options say that cells run; raise what looking for it raises."""
    from matrix.verify.holding import Held, held  # noqa: PLC0415 - `--help` is quick
    from matrix.verify.rejudging import captured_where  # noqa: PLC0415
    from matrix.verify.running import world_on  # noqa: PLC0415

    if args.rejudge:
        # Nothing is run, so no engine is asked.
        where = (
            captured_where(results_dir(), args.target)
            if args.engine == "auto"
            else where_from_args(args)
        )
        yield Place(where, lambda _plan: world_on(Held(where)))
    elif args.cluster:
        from matrix.cluster.opening import joined  # noqa: PLC0415 - only when asked for

        with joined(args.cluster, args.engine, args.target) as cluster:
            yield Place(cluster.where, cluster.world_on, cluster.notes)
    else:
        with held(args.engine, args.target) as runs:
            yield Place(runs.where, lambda _plan: world_on(runs), runs.notes)
