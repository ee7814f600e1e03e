"""The `collect` command: combine the results of a run's shards, and judge them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from matrix.cli.common import add_path, check_folders, note, to_stdout
from matrix.cli.output import add_answer_options, close_run, write_answers
from matrix.distributed.collect import collect, write_results
from matrix.distributed.gather import JudgeRules
from matrix.distributed.manifest import MANIFEST, read_manifest
from matrix.distributed.shard_run import check_project, shards_folder
from matrix.probes.registry import load_probes
from matrix.reporting.progress import display, run_console
from matrix.runs.journal import lock_results
from matrix.runs.keys import judge_key, judge_sources
from matrix.runs.record_store import RecordStore
from matrix.runs.run import exit_code
from matrix.system.paths import results_dir
from matrix.system.source_files import project_version

DESCRIPTION = "Combine the results of a run's shards, and say whether the claims hold."
EXAMPLES = """\
A folder is that of a shard, or holds such folders, as downloaded artifacts do. Results of another
run, or that differ from their seal, are refused by name; the report is printed all the same.

examples:
  python -m matrix collect
      the shards that ran here, of the manifest in the results folder
  python -m matrix collect --manifest manifest.json downloads --json verdicts.json
      the results of other machines; verdicts as JSON too (schema verdicts/1)

exit codes:
  0 no claim refuted (with --strict: every claim confirmed)   1 at least one claim refuted
  2 wrong usage or unreadable input    4 with --strict: some unverified
  6 disk full or not writable    7 another run is under way
  11 a part of the run is missing or was refused
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="the shards' results (default: where `verify --shard` leaves them on this machine)",
    )
    add_path(
        parser,
        "--manifest",
        "the manifest of the run (default: manifest.json in the results folder)",
    )
    add_answer_options(parser)


def run(args: argparse.Namespace) -> int:
    """Collect, print the report, write the results, and return the exit code."""
    check_folders(args.json, args.picture)
    results = results_dir()
    path = args.manifest or results / MANIFEST
    manifest = read_manifest(path)
    check_project(manifest, project_version(), path)
    probes = load_probes()
    rules = JudgeRules(probes, judge_key(judge_sources(), probes))
    console = run_console(stderr=to_stdout(args.json))
    with lock_results(results):
        default = shards_folder(results, manifest)
        folders = args.folders or ([default] if default.is_dir() else [])
        collected = collect(manifest, folders, rules)
        with display(console, os.environ) as emit:
            record = collected.judge(probes, emit).dated(manifest.as_of)
        text = write_answers(args, console, record)
        count = write_results(collected.merged, results)
        recorded = RecordStore.default().write(text, record.run.started)
    note(f"recorded as {recorded.stem}, with {count} new results")
    close_run(console, record, recorded)
    if error := collected.error():
        raise error
    return exit_code(record, strict=args.strict, accepted=args.accept_place)
