"""`claims`: read documents and list what they promise."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matrix.documents.claim_table import show_claims
from matrix.documents.document import ReadDocument
from matrix.documents.facts import FACTS, read_inputs, write_facts
from matrix.errors import DocumentProblems, ExitCode, StorageError, UsageError

__all__ = ["SCHEMA", "add_parser", "as_json", "run"]

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001


SCHEMA = "claims/1"

_EPILOG = """\
examples:
  python -m matrix claims                          the committed facts
  python -m matrix claims page.ja.md pages/        every promise of these documents
  python -m matrix claims --lenient --json - x.md  what is understood, as JSON
  python -m matrix claims --write-facts pages/     make matrix/facts/claims.toml again

Exit codes: 0 all understood, 2 something in the documents is not understood (without --lenient),
or a document cannot be read.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "claims",
        help="read documents and list what they promise",
        description="Read compatibility documents (Markdown) and list every promise in them, with "
        "document and line. Without documents: the committed facts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "documents", nargs="*", metavar="DOCUMENT", help="a file, a folder or a quoted glob"
    )
    parser.add_argument(
        "--language", metavar="CODE", help="the documents' language; else it is found out"
    )
    parser.add_argument(
        "--lenient", action="store_true", help="keep what is understood and list the rest"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="also write the claims as JSON; - is standard output"
    )
    parser.add_argument(
        "--write-facts",
        action="store_true",
        help="make the committed facts again from the documents",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the claims; raise `DocumentProblems` after the JSON is written, unless lenient."""
    if args.write_facts and not args.documents:
        raise UsageError("--write-facts needs documents", "Name the pages to make the facts from.")
    reading = read_inputs(args.documents, language=args.language, lenient=True)
    if args.json:
        _write_json(reading, args.json)
    for notice in reading.notices:
        print(f"note: {notice}", file=sys.stderr)
    if reading.problems and not args.lenient:
        raise DocumentProblems(reading.problems)
    for problem in reading.problems:
        print(f"problem: {problem}", file=sys.stderr)
    if args.write_facts:
        write_facts(reading.claims)
        print(f"{len(reading.claims)} claims written to {FACTS.name}", file=sys.stderr)
    if args.json != "-":
        show_claims(reading.claims, sys.stdout)
    return ExitCode.OK


def as_json(reading: ReadDocument) -> dict[str, Any]:
    """Return a reading as plain JSON values: `matrix/data/schemas/claims.schema.json`."""
    return {
        "schema": SCHEMA,
        "claims": [claim.to_json() for claim in reading.claims],
        "problems": [vars(problem) for problem in reading.problems],
        "notices": [vars(notice) for notice in reading.notices],
    }


def _write_json(reading: ReadDocument, target: str) -> None:
    text = json.dumps(as_json(reading), ensure_ascii=False, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error}", "Check the folder and its permissions."
        ) from error
