"""Options and output of commands that end with verdicts."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from matrix.cli.common import add_flag, add_json_option, add_path
from matrix.cli.options import parse_place
from matrix.reporting.json import json_text, record_to_json, write_text
from matrix.reporting.terminal import print_closing, print_report, render_svg
from matrix.runs.record import Record
from matrix.runs.setup import RunOptions, default_jobs
from matrix.services.external import external_from_args
from matrix.system.timings import REPORT, TIMINGS


def run_options(args: argparse.Namespace) -> RunOptions:
    """Return what `add_run_options` and the options of index and engine parsed."""
    return RunOptions(
        fresh=args.fresh,
        jobs=args.jobs or default_jobs(),
        keep=args.keep,
        offline=args.offline,
        engine=args.engine,
        external=external_from_args(args),
        cluster=getattr(args, "context", ""),
    )


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for files of verdicts and for the exit code."""
    add_flag(parser, "--all", "list every promise that was not asked, with the reasons")
    add_flag(parser, "--strict", "exit with 4 if a claim is unverified")
    parser.add_argument(
        "--accept-place",
        action="append",
        default=[],
        type=parse_place,
        metavar="NAME",
        help="with --strict: a place whose verdicts count, though it stands in for a deployment",
    )
    add_json_option(parser, "the verdicts")
    add_path(
        parser,
        "--picture",
        "write the verdicts with experiments as an SVG picture",
        metavar="FILE.svg",
    )


def write_answers(args: argparse.Namespace, console: Console, record: Record) -> str:
    """Print the report, write the requested files, and return the text of the record."""
    with TIMINGS.phase(REPORT):
        print_report(console, record, every=args.all)
        text = json_text(record_to_json(record))
        if args.json is not None:
            write_text(args.json, text)
        if args.picture is not None:
            write_text(args.picture, render_svg(record))
        return text


def close_run(console: Console, record: Record, path: Path) -> None:
    """Print what was asked and answered, last, with the file of the record."""
    places = {"record": str(path), "page": f"python -m matrix report {path.stem}"}
    print_closing(console, record, places)
