"""`plan --github` shares a plan out to machines, by what `plan --write-durations` measured."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from matrix.cli.options import DEFAULT_PROFILE, as_of_words, plan_from_args, selection_from_args
from matrix.distributed.durations import cells_that_ran, durations_toml, fitted, load_durations
from matrix.distributed.github import (
    RunnerLabel,
    here,
    job_matrix,
    load_runners,
    tell_github,
    without_python,
)
from matrix.distributed.manifest import MANIFEST, MOST_SHARDS, Manifest, write_manifest
from matrix.distributed.shards import MINUTES, imbalance, shards_of
from matrix.errors import StorageError, UsageError
from matrix.features.audit.index_evidence import static_findings
from matrix.planning.locations import Targets, among, locally
from matrix.system.paths import data_dir, results_dir
from matrix.system.version import project_version

__all__ = ["add_sharing_options", "check_sharing", "share_out", "write_durations"]

_MOST_MINUTES = 60 * 24.0


def add_sharing_options(parser: argparse.ArgumentParser) -> None:
    """Declare how the plan is shared out; `share_out` reads it."""
    group = parser.add_argument_group(
        "many machines",
        "With --github, --engine says on which: auto is one of GitHub's for each target, docker"
        " those of them for Linux, local is this machine.",
    )
    group.add_argument(
        "--github",
        action="store_true",
        help="share the plan out, write the manifest, and print the job matrix, in one line",
    )
    group.add_argument(
        "--shards",
        type=_shards,
        metavar="N",
        help="so many jobs, at most 256 (default: as --minutes says)",
    )
    group.add_argument(
        "--minutes",
        type=_minutes,
        metavar="M",
        help="how long a job's cells are expected to take (default: 20)",
    )
    group.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="where the manifest goes (default: manifest.json among the results)",
    )
    group.add_argument(
        "--write-durations",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="write how long cells take, from recorded runs and journals, for --github",
    )


def check_sharing(args: argparse.Namespace) -> None:
    """Raise UsageError for options that do not go together."""
    if not args.github:
        for name in ("shards", "minutes", "manifest"):
            if getattr(args, name) is not None:
                raise UsageError(
                    f"--{name} is about a plan that is shared out", "Give --github with it."
                )
    if args.shards is not None and args.minutes is not None:
        raise UsageError("--shards and --minutes exclude each other", "Leave one of them out.")
    ways = {"--github": args.github, "--write-durations": args.write_durations}
    ways |= {"--write-smoke": args.write_smoke, "--cells": args.cells}
    given = [name for name, value in ways.items() if value]
    if (args.github or args.write_durations) and len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other", "Leave one of them out.")
    if args.github and args.json is not None and str(args.json) == "-":
        raise UsageError(
            "standard output is for the job matrix", "Give --json a file, or leave --github out."
        )
    if args.github and args.service:
        raise UsageError(
            "--service names a back end that only this machine can reach",
            "Give it to `verify --shard`, where it is.",
        )


def share_out(args: argparse.Namespace, say: Callable[[str], None]) -> Manifest:
    """Write the manifest, print the job matrix, and return the manifest.

    All else that is told goes to standard error.
    """
    where, runners = _machines(args)
    plan = plan_from_args(args, say, where, static_findings)
    shards = shards_of(
        plan, runners, load_durations(), count=args.shards, minutes=args.minutes or MINUTES
    )
    path = args.manifest or results_dir() / MANIFEST
    manifest = write_manifest(
        path, Manifest(plan, shards, project_version(), as_of_words(args.as_of))
    )
    line = job_matrix(plan, shards, runners)
    tell_github(line)
    print(line)
    for told in _summary(manifest, runners):
        print(told, file=sys.stderr)
    for target, python, count in without_python(plan, shards, runners):
        say(f"{runners[target].label} has no CPython {python} for {target}: {count} cells")
    print(f"manifest        {path} ({manifest.id[:12]})", file=sys.stderr)
    return manifest


def _machines(args: argparse.Namespace) -> tuple[Targets, Mapping[str, RunnerLabel]]:

    if args.engine == "local":
        where = locally(args.target)
        return where, {each: here(each) for each in where.targets}
    runners = load_runners()
    if args.engine == "docker":
        runners = {name: each for name, each in runners.items() if each.engine == "docker"}
    contained = any(each.engine == "docker" for each in runners.values())
    return among(list(runners), args.target, contained=contained), runners


def _summary(manifest: Manifest, runners: Mapping[str, RunnerLabel]) -> Iterator[str]:

    plan, shards = manifest.plan, manifest.shards
    yield f"profile         {plan.profile}"
    yield f"cells           {len(plan.cells)} to run, {len(plan.fallbacks)} more in reserve"
    for target in dict.fromkeys(shard.target for shard in shards):
        of_target = [shard for shard in shards if shard.target == target]
        at_a_time = runners[target].cells
        minutes = [shard.seconds / 60 / at_a_time for shard in of_target]
        cells = sum(len(shard.cells) for shard in of_target)
        many = "shard" if len(of_target) == 1 else "shards"
        yield (
            f"  {target:<14}{cells} cells in {len(of_target)} {many} on {runners[target].label},"
            f" {math.fsum(minutes) / len(minutes):.1f} minutes each with {at_a_time} cells at a"
            f" time, the longest {imbalance(minutes):.2f} of that"
        )
    yield f"shards          {len(shards)}"


def write_durations(args: argparse.Namespace, say: Callable[[str], None]) -> Path:
    """Write the file of durations from the runs and journals given, and return its path."""
    if args.documents or selection_from_args(args) or args.profile != DEFAULT_PROFILE:
        raise UsageError(
            "--write-durations is about what ran, and not about a plan",
            "Leave out documents, --profile and selectors.",
        )
    ran = [each for path in args.write_durations for each in cells_that_ran(path, say)]
    durations, used = fitted(ran)
    path = data_dir() / "durations.toml"
    try:
        path.write_text(durations_toml(durations, used), encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", "It stands in the project's own folder."
        ) from error
    print(f"{len(used)} cells, {len(durations.frameworks)} frameworks and libraries: {path}")
    return path


def _shards(text: str) -> int:

    count = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0  # noqa: PLR2004
    if not 1 <= count <= MOST_SHARDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of jobs from 1 to {MOST_SHARDS}")
    return count


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= _MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes such as 20")
    return minutes
