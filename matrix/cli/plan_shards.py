"""`plan` for many machines: `--github` makes shards, `--write-durations` measures cells."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.cli.common import note, project_data
from matrix.cli.options import DEFAULT_PROFILE, describe_as_of, plan_from_args, selection_from_args
from matrix.distributed.durations import (
    fit_durations,
    format_durations,
    load_durations,
    read_cell_durations,
)
from matrix.distributed.github import (
    RunnerLabel,
    job_matrix,
    load_runners,
    local_runner,
    missing_pythons,
    write_step_output,
)
from matrix.distributed.manifest import MANIFEST, Manifest, write_manifest
from matrix.distributed.shards import DEFAULT_MINUTES, imbalance, make_shards
from matrix.errors import UsageError
from matrix.features.audit.index import static_evidence
from matrix.planning.locations import Targets, local_targets, select_targets
from matrix.system.paths import data_dir, results_dir
from matrix.system.source_files import project_version


def plan_shards(args: argparse.Namespace) -> Manifest:
    """Write the manifest, print the job matrix, and return the manifest.

    Everything else goes to standard error.
    """
    where, runners = _select_machines(args)
    plan = plan_from_args(args, where, static_evidence)
    shards = make_shards(
        plan, runners, load_durations(), count=args.shards, minutes=args.minutes or DEFAULT_MINUTES
    )
    path = args.manifest or results_dir() / MANIFEST
    manifest = write_manifest(
        path, Manifest(plan, shards, project_version(), describe_as_of(args.as_of))
    )
    line = job_matrix(plan, shards, runners)
    write_step_output(line)
    print(line)
    for text in _summary(manifest, runners):
        print(text, file=sys.stderr)
    for target, python, count in missing_pythons(plan, shards, runners):
        note(f"{runners[target].label} has no CPython {python} for {target}: {count} cells")
    print(f"manifest        {path} ({manifest.id[:12]})", file=sys.stderr)
    return manifest


def _select_machines(args: argparse.Namespace) -> tuple[Targets, Mapping[str, RunnerLabel]]:
    if args.engine == "local":
        where = local_targets(args.target)
        return where, {target: local_runner(target) for target in where.targets}
    runners = load_runners()
    if args.engine == "docker":
        runners = {name: runner for name, runner in runners.items() if runner.engine == "docker"}
    contained = any(runner.engine == "docker" for runner in runners.values())
    return select_targets(list(runners), args.target, contained=contained), runners


def _summary(manifest: Manifest, runners: Mapping[str, RunnerLabel]) -> Iterator[str]:
    plan, shards = manifest.plan, manifest.shards
    yield f"profile         {plan.profile}"
    yield f"cells           {len(plan.cells)} to run, {len(plan.fallbacks)} more in reserve"
    for target in dict.fromkeys(shard.target for shard in shards):
        of_target = [shard for shard in shards if shard.target == target]
        jobs = runners[target].cells
        minutes = [shard.seconds / 60 / jobs for shard in of_target]
        cells = sum(len(shard.cells) for shard in of_target)
        noun = "shard" if len(of_target) == 1 else "shards"
        yield (
            f"  {target:<14}{cells} cells in {len(of_target)} {noun} on {runners[target].label},"
            f" {math.fsum(minutes) / len(minutes):.1f} minutes each with {jobs} cells at a"
            f" time, the longest {imbalance(minutes):.2f} of that"
        )
    yield f"shards          {len(shards)}"


def write_durations(args: argparse.Namespace) -> Path:
    """Write `durations.toml` from the runs and journals of the options, and return its path."""
    if args.documents or selection_from_args(args) or args.profile != DEFAULT_PROFILE:
        raise UsageError(
            "--write-durations measures recorded cells, and makes no plan",
            "Leave out documents, --profile and selectors.",
        )
    measured = [
        duration for path in args.write_durations for duration in read_cell_durations(path, note)
    ]
    durations, used = fit_durations(measured)
    path = data_dir() / "durations.toml"
    with project_data(path):
        path.write_text(format_durations(durations, used), encoding="utf-8", newline="\n")
    print(f"{len(used)} cells, {len(durations.frameworks)} frameworks and libraries: {path}")
    return path
