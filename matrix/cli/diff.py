"""`diff`: print what changed from one recorded run to another."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from matrix.cli.common import add_json_option, to_stdout
from matrix.errors import ExitCode, UnreadableInputError, did_you_mean
from matrix.reporting.diff import compare_records, diff_to_json, is_worse, print_changes
from matrix.reporting.json import write_text_json
from matrix.runs.record import Record
from matrix.runs.record_store import RecordStore
from matrix.system.streams import screen

DESCRIPTION = "Print the promises with another answer than before, the worst first."
EXAMPLES = """\
A run is a file of `verify --json`, the name of a recorded run or its beginning, or `latest`. With
`#DOCUMENT` after it (or the beginning of its name), only that document is compared.

examples:
  python -m matrix diff before.json latest
      what changed from a kept run to the newest one
  python -m matrix diff latest#english latest#japanese
      where two documents of one run have different answers to the same promise
  python -m matrix diff 2.21.11.json 2.21.12.json --json -
      two releases of the tracer, as JSON (schema diff/1)

exit codes:
  0 nothing is worse   1 something is: refuted now, or confirmed before and unverified now
  2 wrong usage or unreadable input
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("before", metavar="A", help="the earlier run")
    parser.add_argument("after", metavar="B", nargs="?", default="latest", help="the later run")
    add_json_option(parser, "it")


def run(args: argparse.Namespace) -> int:
    """Print the changes and return the exit code."""
    store = RecordStore.default()
    before, after = _find(store, args.before), _find(store, args.after)
    diff = compare_records(before, after)
    print_changes(Console(file=screen(sys.stderr if to_stdout(args.json) else sys.stdout)), diff)
    if args.json is not None:
        write_text_json(args.json, diff_to_json(diff, before, after))
    return ExitCode.REFUTED if is_worse(diff) else ExitCode.OK


def _find(store: RecordStore, text: str) -> Record:
    name, _, document = text.partition("#")
    record = store.find(name)
    if not document:
        return record
    documents = sorted({claim.document for claim in record.claims})
    matching = [known for known in documents if known == document] or [
        known for known in documents if known.startswith(document)
    ]
    if len(matching) != 1:
        hint = "" if matching else did_you_mean(document, documents)
        raise UnreadableInputError(
            f"{name} has {len(matching) or 'no'} documents named {document!r}{hint}",
            f"It has: {', '.join(documents)}",
        )
    return record.only(matching[0])
