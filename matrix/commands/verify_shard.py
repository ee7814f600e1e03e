"""`verify --shard`: one part of a run that was shared out, for `collect` to judge."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.errors import UsageError
from matrix.places import results_dir
from matrix.planning.options import DEFAULT_PROFILE, selection_from_args
from matrix.services.given import given_from_args
from matrix.sharding.manifest import MANIFEST

if TYPE_CHECKING:
    from matrix.sharding.manifest import Manifest, Shard

__all__ = ["add_shard_options", "run_shard_from_args"]


def add_shard_options(parser: argparse.ArgumentParser) -> None:
    """Declare which part of which shared-out run is meant."""
    group = parser.add_argument_group(
        "shards", "What `plan --github` shared out is run part by part, and judged by `collect`."
    )
    group.add_argument("--shard", metavar="NAME", help="run this part of the manifest's plan")
    group.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="the manifest that the shard is of (default: manifest.json among the results)",
    )


def run_shard_from_args(args: argparse.Namespace) -> int:
    """Run a shard, say where its results are, and return its exit code."""
    if wrong := list(_without_meaning(args)):
        raise UsageError(
            f"--shard says what is run, as the manifest has it; beside it is {', '.join(wrong)}",
            "Give that to `plan --github`, or to `collect` what is about the report.",
        )
    from matrix.reporting.displays import console_of_run, display  # noqa: PLC0415
    from matrix.sharding.manifest_json import read_manifest  # noqa: PLC0415
    from matrix.sharding.shard_run import (  # noqa: PLC0415
        check_project,
        run_shard,
        shard_called,
    )
    from matrix.verify.holding import held  # noqa: PLC0415
    from matrix.verify.running import Options, world_on  # noqa: PLC0415
    from matrix.verify.worlds import cells_at_a_time  # noqa: PLC0415
    from matrix.version import project_version  # noqa: PLC0415

    path = args.manifest or results_dir() / MANIFEST
    manifest = read_manifest(path)
    check_project(manifest, project_version(), path)
    shard = shard_called(manifest, args.shard)
    if wrong := list(_contradictions(args, manifest, shard)):
        raise UsageError(
            f"{shard.name} is otherwise in {path}: {'; '.join(wrong)}",
            "Leave these options out: the manifest says it.",
        )
    options = Options(
        fresh=args.fresh,
        jobs=args.jobs or cells_at_a_time(),
        keep=args.keep,
        offline=args.offline,
        engine=shard.engine,
        given=given_from_args(args),
    )
    console = console_of_run()
    with held(shard.engine, [shard.target]) as runs:
        for note in runs.notes:
            print(f"note: {note}", file=sys.stderr)
        with display(console, os.environ) as emit:
            ran = run_shard(manifest, shard, options, emit, world_on(runs))
    for warning in ran.seal.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    console.print(str(ran), markup=False, highlight=False, soft_wrap=True)
    return ran.exit_code


def _without_meaning(args: argparse.Namespace) -> Iterator[str]:
    """Yield the options that say what is planned, and those about verdicts: a shard has none."""
    if args.documents:
        yield "a document"
    if selection_from_args(args):
        yield "a selector"
    for name in ("as_of", "lenient", "refresh", "cluster", "rejudge", "strict", "json", "picture"):
        if getattr(args, name, None):
            yield f"--{name.replace('_', '-')}"


def _contradictions(args: argparse.Namespace, manifest: Manifest, shard: Shard) -> Iterator[str]:
    if args.profile not in (DEFAULT_PROFILE, manifest.plan.profile):
        yield f"--profile {args.profile} is not {manifest.plan.profile}"
    if args.engine not in ("auto", shard.engine):
        yield f"--engine {args.engine} is not {shard.engine}"
    from matrix.planning.where import among  # noqa: PLC0415

    if args.target and among([shard.target], args.target).targets != (shard.target,):
        yield f"--target {' '.join(args.target)} is not {shard.target}"
