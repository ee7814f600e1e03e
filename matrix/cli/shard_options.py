"""Options of `plan` for many machines; what does the work is imported where it is asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from matrix.cli.common import add_flag, add_path, to_stdout
from matrix.errors import UsageError

_MAX_MINUTES = 60 * 24.0


def add_shard_plan_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for many machines; `plan_shards` reads them."""
    group = parser.add_argument_group(
        "many machines",
        "With --github, --engine selects the machines: auto is one of GitHub's for each target,"
        " docker those of them for Linux, local is this machine.",
    )
    add_flag(
        group,
        "--github",
        "split the plan into shards, write the manifest, and print the job matrix on one line",
    )
    group.add_argument(
        "--shards",
        type=_parse_shards,
        metavar="N",
        help="number of jobs, at most 256 (default: as --minutes says)",
    )
    group.add_argument(
        "--minutes",
        type=_parse_minutes,
        metavar="M",
        help="minutes that a job's cells are expected to take (default: 20)",
    )
    add_path(
        group,
        "--manifest",
        "where to write the manifest (default: manifest.json in the results folder)",
    )
    group.add_argument(
        "--write-durations",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="measure how long cells take, from recorded runs and journals, for --github",
    )


def check_shard_plan_options(args: argparse.Namespace) -> None:
    """Raise UsageError for options that exclude each other."""
    if not args.github:
        for name in ("shards", "minutes", "manifest"):
            if getattr(args, name) is not None:
                raise UsageError(f"--{name} requires --github", "Add --github.")
    if args.shards is not None and args.minutes is not None:
        raise UsageError("--shards and --minutes exclude each other", "Leave one of them out.")
    modes = {"--github": args.github, "--write-durations": args.write_durations}
    modes |= {"--write-smoke": args.write_smoke, "--write-locks": args.write_locks}
    modes |= {"--write-releases": args.write_releases, "--cells": args.cells}
    used = [name for name, value in modes.items() if value]
    # Locks and releases may be refreshed together.
    alone = args.github or args.write_durations or args.write_smoke
    if alone and len(used) > 1:
        raise UsageError(f"{' and '.join(used)} exclude each other", "Leave one of them out.")
    if args.github and to_stdout(args.json):
        raise UsageError(
            "cannot write JSON to standard output: --github prints the job matrix there",
            "Pass a file to --json, or leave --github out.",
        )
    if args.github and args.service:
        raise UsageError(
            "--service names a back end that only this machine can reach",
            "Pass it to `verify --shard` on the machine that can reach it.",
        )


def _parse_shards(text: str) -> int:
    from matrix.distributed.manifest import MAX_SHARDS  # noqa: PLC0415 - start-up time

    count = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0  # noqa: PLR2004
    if not 1 <= count <= MAX_SHARDS:
        raise argparse.ArgumentTypeError(
            f"invalid number of jobs {text!r} (expected 1 to {MAX_SHARDS})"
        )
    return count


def _parse_minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= _MAX_MINUTES:
        raise argparse.ArgumentTypeError(f"invalid number of minutes {text!r} (expected e.g. 20)")
    return minutes
