"""`claims`: read documents and list their claims."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from matrix.cli.common import add_document_options, add_flag, add_index_options, note
from matrix.documents.document import ReadDocument
from matrix.documents.facts import FACTS, read_inputs, write_facts
from matrix.errors import DocumentProblems, ExitCode, UsageError
from matrix.model.claim import Claim
from matrix.reporting.json import write_text_json
from matrix.reporting.text import count_text
from matrix.system.paths import cache_dir
from matrix.system.streams import screen
from matrix.system.visible import visible

SCHEMA = "claims/1"

DESCRIPTION = (
    "Read compatibility documents (Markdown) and list every claim in them, with "
    "document and line. Without documents: the committed facts."
)
EXAMPLES = """\
examples:
  python -m matrix claims                          the committed facts
  python -m matrix claims page.ja.md pages/        every claim of these documents
  python -m matrix claims --lenient --json - x.md  what is understood, as JSON
  python -m matrix claims page.md --partials DIR   with the tables that it includes
  python -m matrix claims --from ddtrace==4.16.0   what a release says of itself
  python -m matrix claims --write-facts pages/     rewrite matrix/facts/claims.toml

Exit codes: 0 all understood, 2 something in the documents is not understood (without --lenient),
or a document cannot be read.
"""
_HEADERS = ("line", "subject", "versions", "as written", "status", "scope")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_document_options(parser, "list what is understood, and the problems")
    parser.add_argument(
        "--json", metavar="FILE", help="also write the claims as JSON; - is standard output"
    )
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        default=[],
        metavar="RELEASE",
        help="also the metadata and the registry of a release (ddtrace==4.16.0), or of a folder"
        " with a checkout or an installed ddtrace",
    )
    add_index_options(parser)
    add_flag(parser, "--write-facts", "rewrite the committed facts from the documents")


def run(args: argparse.Namespace, *, facts: Path = FACTS) -> int:
    """List the claims; raise `DocumentProblems` after writing the JSON, unless lenient."""
    if args.write_facts and not args.documents:
        raise UsageError("--write-facts needs documents", "Name the pages to read the facts from.")
    documents: list[Path | str] = list(args.documents)
    if args.sources:
        # Slow to import, and rarely needed.
        from matrix.pypi.client import CachedIndex  # noqa: PLC0415
        from matrix.pypi.release_documents import documents_from  # noqa: PLC0415

        index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
        documents += documents_from(index, args.sources, cache_dir(), offline=args.offline)
        note(*index.notices)
    reading = read_inputs(documents, language=args.language, lenient=True, partials=args.partials)
    if args.json:
        write_text_json(Path(args.json), as_json(reading))
    note(*map(str, reading.notices))
    if reading.problems and not args.lenient:
        raise DocumentProblems(reading.problems)
    for problem in reading.problems:
        print(f"problem: {problem}", file=sys.stderr)
    if args.write_facts:
        write_facts(reading.claims, facts)
        print(f"{len(reading.claims)} claims written to {facts.name}", file=sys.stderr)
    if args.json != "-":
        show_claims(reading.claims, sys.stdout)
    return ExitCode.OK


def as_json(reading: ReadDocument) -> dict[str, Any]:
    """Return claims and problems as JSON values, see `matrix/data/schemas/claims.schema.json`."""
    return {
        "schema": SCHEMA,
        "claims": [claim.to_json() for claim in reading.claims],
        "problems": [vars(problem) for problem in reading.problems],
        "notices": [vars(notice) for notice in reading.notices],
    }


def show_claims(claims: Iterable[Claim], out: TextIO) -> None:
    """Write the claims by document and kind, as tables on a terminal, else as lines."""
    runs = itertools.groupby(
        sorted(claims, key=lambda claim: (claim.document, claim.kind.value)),
        key=lambda claim: (claim.document, claim.language, claim.kind.value),
    )
    groups = [(f"{name} ({language}): {kind}", list(run)) for (name, language, kind), run in runs]
    console = Console(file=screen(out)) if out.isatty() else None
    for title, group in groups:
        if console:
            console.print(_table(f"{title}, {len(group)}", group))
        else:
            out.write(f"{title}, {len(group)}\n")
            out.writelines(f"  {_line(claim)}\n" for claim in group)
    documents = {claim.document for _, group in groups for claim in group}
    count = sum(len(group) for _, group in groups)
    out.write(f"{count_text(count, 'claim')} in {count_text(len(documents), 'document')}\n")


def _table(title: str, group: list[Claim]) -> Table:
    table = Table(title=Text(visible(title)), title_justify="left")
    for header in _HEADERS:
        table.add_column(header, justify="right" if header == "line" else "left")
    for claim in group:
        table.add_row(*(Text(visible(cell)) for cell in _cells(claim)))
    return table


def _line(claim: Claim) -> str:
    line, subject, versions, _, status, scope = _cells(claim)
    return "  ".join(part for part in (f"{line:>4}", subject, versions, status, scope) if part)


def _cells(claim: Claim) -> tuple[str, str, str, str, str, str]:
    scope = " ".join(f"{key}={value}" for key, value in claim.scope)
    return (
        str(claim.line),
        claim.subject,
        claim.specifier,
        claim.as_written,
        claim.status.value,
        scope,
    )
