"""`collect`: put together what the shards of a run found, and judge it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from matrix.cli.output import (
    add_answer_options,
    answer_console,
    check_answer_options,
    write_answers,
)
from matrix.distributed.collect import collect, deposit
from matrix.distributed.gather import JudgeRules
from matrix.distributed.manifest import MANIFEST, read_manifest
from matrix.distributed.shard_run import check_project, shards_folder
from matrix.probes.registry import load_probes
from matrix.reporting.progress import display
from matrix.runs.journal import one_run
from matrix.runs.keys import judge_key, judge_sources
from matrix.runs.record_store import RecordShelf
from matrix.runs.run import exit_code
from matrix.system.paths import results_dir
from matrix.system.version import project_version

__all__ = ["add_parser", "run"]

EXAMPLES = """\
A folder is that of a shard, or holds such folders, as downloaded artifacts do. What is not of this
run, or not as it was sealed, is refused by name; the report is printed all the same.

examples:
  python -m matrix collect
      what the shards of the manifest among the results found here
  python -m matrix collect --manifest manifest.json downloads --json verdicts.json
      what other machines found; verdicts as JSON too (schema verdicts/1)

exit codes:
  0 no claim refuted (with --strict: every claim confirmed)   1 at least one claim refuted
  2 wrong usage or unreadable input    4 with --strict: some unverified
  6 disk full or not writable    7 another run is under way
  11 a part of the run is missing, or was refused
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "collect",
        help="put together what the shards of a run found, and judge it",
        description="Put together what the shards of a run found, and say whether promises hold.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="where the shards' results are (default: where `verify --shard` leaves them here)",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="what was shared out (default: manifest.json among the results)",
    )
    add_answer_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Collect, print the report, keep the results, and return the exit code."""
    check_answer_options(args)

    results = results_dir()
    path = args.manifest or results / MANIFEST
    manifest = read_manifest(path)
    check_project(manifest, project_version(), path)
    probes = load_probes()
    rules = JudgeRules(probes, judge_key(judge_sources(), probes))
    console = answer_console(args)
    with one_run(results):
        here = shards_folder(results, manifest)
        folders = args.folders or [folder for folder in (here,) if folder.is_dir()]
        found = collect(manifest, folders, rules)
        with display(console, os.environ) as emit:
            result = found.judged(probes, emit)
        text = write_answers(args, console, result, manifest.as_of)
        count = deposit(found.merged, found.files, results)
        name = RecordShelf.here().keep(text, result.started).stem
    print(f"note: recorded as {name}, with {count} new results", file=sys.stderr)
    if error := found.error():
        raise error
    return exit_code(result, strict=args.strict)
