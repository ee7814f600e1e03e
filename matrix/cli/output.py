"""Options and output of commands that end with verdicts."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from matrix.errors import UsageError
from matrix.reporting.json import json_text, record_to_json, write_text
from matrix.reporting.progress import run_console
from matrix.reporting.terminal import print_report, write_picture
from matrix.runs.record import Record


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for files of verdicts and for the exit code."""
    parser.add_argument(
        "--strict", action="store_true", help="exit with 4 if a claim is unverified"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the verdicts as JSON ('-': standard output)",
    )
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE.svg",
        help="write the verdicts with experiments as an SVG picture",
    )


def check_answer_options(args: argparse.Namespace) -> None:
    """Raise UsageError for a file in a missing folder: before the run, which may take an hour."""
    for path in (args.json, args.picture):
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent}", "Make it, or name another file.")


def answer_console(args: argparse.Namespace) -> Console:
    """Return the console for progress and report, which is not where JSON goes."""
    return run_console(stderr=args.json is not None and str(args.json) == "-")


def write_answers(args: argparse.Namespace, console: Console, record: Record) -> str:
    """Print the report, write the requested files, and return the text of the record."""
    print_report(console, record)
    text = json_text(record_to_json(record))
    if args.json is not None:
        write_text(args.json, text)
    if args.picture is not None:
        write_picture(args.picture, record)
    return text
