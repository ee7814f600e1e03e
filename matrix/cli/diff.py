"""`diff`: what changed from one recorded run to another."""

from __future__ import annotations

import argparse
from pathlib import Path

from matrix.errors import ExitCode, UnreadableInputError, did_you_mean
from matrix.reporting.diff import compare_records, diff_to_json, is_worse, print_changes
from matrix.reporting.json import write_text_json
from matrix.runs.record import Record
from matrix.runs.record_store import RecordStore


EXAMPLES = """\
A run is a file that `verify --json` wrote, the name of a recorded run or its beginning, or
`latest`. With `#DOCUMENT` behind it (or the beginning of a name), it is that document only.

examples:
  python -m matrix diff before.json latest
      what changed from a kept run to the newest one
  python -m matrix diff latest#english latest#japanese
      where two documents of one run have other answers to the same promise
  python -m matrix diff 2.21.11.json 2.21.12.json --json -
      two releases of the tracer, as JSON (schema diff/1)

exit codes:
  0 nothing is worse   1 something is: refuted now, or confirmed before and open now
  2 wrong usage or unreadable input
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "diff",
        help="say what changed between two recorded runs",
        description="Say which promises have another answer than they had, the worst first.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", metavar="A", help="the earlier run")
    parser.add_argument("after", metavar="B", nargs="?", default="latest", help="the later run")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write it as JSON ('-': standard output)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the changes and return the exit code."""
    from rich.console import Console  # noqa: PLC0415

    store = RecordStore.default()
    before, after = _run(store, args.before), _run(store, args.after)
    found = compare_records(before, after)
    to_stdout = args.json is not None and str(args.json) == "-"
    print_changes(Console(stderr=to_stdout), found)
    if args.json is not None:
        write_text_json(args.json, diff_to_json(found, before, after))
    return ExitCode.REFUTED if is_worse(found) else ExitCode.OK


def _run(store: RecordStore, word: str) -> Record:
    named, _, document = word.partition("#")
    record = store.find(named)
    if not document:
        return record
    there = sorted({claim.document for claim in record.claims})
    fitting = [name for name in there if name == document] or [
        name for name in there if name.startswith(document)
    ]
    if len(fitting) != 1:
        hint = "" if fitting else did_you_mean(document, there)
        raise UnreadableInputError(
            f"{named} has {len(fitting) or 'no'} documents of the name {document!r}{hint}",
            f"It has: {', '.join(there)}",
        )
    return record.only(fitting[0])
