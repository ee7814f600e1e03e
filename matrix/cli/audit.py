"""`audit`: find contradictions in the documents without running anything."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matrix.cli.common import add_document_options, add_flag, add_index_options, note
from matrix.documents.document import ReadDocument
from matrix.documents.facts import read_inputs
from matrix.errors import ExitCode, UsageError, UserError, did_you_mean
from matrix.features.audit.findings import finding_texts
from matrix.features.audit.sections import (
    SECTIONS,
    AuditInput,
    Section,
    audit_sections,
    show_section,
    show_summary,
)
from matrix.features.audit.wheel_platforms import InspectionScope
from matrix.pypi.client import CachedIndex
from matrix.reporting.json import write_text_json
from matrix.system.paths import cache_dir
from matrix.system.streams import screen

SCHEMA = "audit/1"

DESCRIPTION = (
    "Compare the documents with each other, with the package index and with the"
    " contents of its wheels, and report contradictions and omissions with their lines and what"
    " is likely out of date. Nothing is installed or run. Without documents: the committed"
    " facts."
)
EXAMPLES = """\
examples:
  python -m matrix audit                          the committed facts
  python -m matrix audit pages/                   these documents, with each other and the index
  python -m matrix audit --part documents a.md b.md
                                                  only compare the documents with each other
  python -m matrix audit --part tested page.md supported_versions.json
                                                  what the vendor's own tests cover of it
  python -m matrix audit --part artifacts --every pages/
                                                  inspect all wheels
  python -m matrix audit --offline --json -       as JSON, with the cached index

Exit codes: 0 no finding contradicts a claim, 1 some do, 2 a document is not understood (without
--lenient) or cannot be read, or wrong usage, 5 the package index does not answer, 6 disk full or
not writable.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_document_options(parser, "audit what is understood, and list the problems")
    parser.add_argument(
        "--part",
        metavar="NAMES",
        default=",".join(SECTIONS),
        help=f"comma-separated parts, of {', '.join(SECTIONS)} (default: all)",
    )
    add_flag(
        parser,
        "--every",
        "inspect all wheels of all releases (default: those at the documents' boundaries,"
        " for the oldest and the newest CPython of each platform)",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="also write the findings as JSON; - is standard output"
    )
    add_index_options(parser)


def run(args: argparse.Namespace, *, open_index: Callable[..., CachedIndex] = CachedIndex) -> int:
    """Print the findings part by part; if a part fails, finish the output before raising."""
    names = _parts(args.part)
    if args.json and not Path(args.json).parent.is_dir():
        raise UsageError(
            f"folder not found: {Path(args.json).parent}", "Create it, or name another file."
        )
    reading = read_inputs(
        args.documents, language=args.language, lenient=args.lenient, partials=args.partials
    )
    note(*map(str, (*reading.problems, *reading.notices)))
    index = open_index(cache_dir(), offline=args.offline, refresh=args.refresh)
    scope = InspectionScope(cache_dir(), every=args.every, offline=args.offline, report=_progress())
    subject = AuditInput(
        reading.claims, index, _unread_lines(reading), scope, tested=reading.tested
    )
    sections: list[Section] = []
    failure: UserError | KeyboardInterrupt | None = None
    try:
        for section in audit_sections(subject, names):
            sections.append(section)
            if args.json != "-":
                show_section(section, sys.stdout)
                sys.stdout.flush()
    except (UserError, KeyboardInterrupt) as error:
        # What there is of a run that is stopped is kept, too.
        failure = error
    note(*index.notices)
    if args.json:
        write_text_json(Path(args.json), _as_json(reading, sections, failure, index.notices))
    if failure is not None:
        raise failure
    if args.json != "-":
        show_summary(sections, sys.stdout)
    contradicted = any(finding.contradicts for section in sections for finding in section.findings)
    return ExitCode.REFUTED if contradicted else ExitCode.OK


def _progress() -> Callable[[int, int], None]:
    """Return a function that shows the number of inspected wheels.

    On a terminal each one, elsewhere some ten lines in all.
    """
    on_terminal = sys.stderr.isatty()
    line = screen(sys.stderr)

    def show(done: int, total: int) -> None:
        if not on_terminal:
            if done % max(1, total // 10) == 0:
                note(f"{done} of up to {total} wheels inspected")
            return
        end = "\n" if done == total else ""
        line.write(f"\r{done} of up to {total} wheels inspected{end}")
        line.flush()

    return show


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in SECTIONS:
            raise UsageError(
                f"unknown part {name!r}{did_you_mean(name, SECTIONS)}",
                f"Parts: {', '.join(SECTIONS)} (comma-separated).",
            )
    if not names:
        raise UsageError("--part is empty", f"Parts: {', '.join(SECTIONS)}.")
    return names


def _unread_lines(reading: ReadDocument) -> dict[str, list[int]]:
    lines: dict[str, list[int]] = {}
    for problem in (*reading.problems, *reading.notices):
        lines.setdefault(problem.document, []).append(problem.line)
    return lines


def _as_json(
    reading: ReadDocument,
    sections: Sequence[Section],
    failure: UserError | KeyboardInterrupt | None,
    notices: Sequence[str],
) -> dict[str, Any]:
    """Return the audit as JSON values, see `matrix/data/schemas/audit.schema.json`."""
    texts = finding_texts()
    stopped = "stopped" if failure else None
    return {
        "schema": SCHEMA,
        "claims": len(reading.claims),
        "problems": [vars(problem) for problem in (*reading.problems, *reading.notices)],
        "notices": list(notices),
        "failed": failure.message if isinstance(failure, UserError) else stopped,
        "parts": {
            section.name: {
                "findings": [
                    {"title": texts[finding.kind].title, **finding.to_json()}
                    for finding in section.findings
                ],
                "remarks": list(section.remarks),
                **section.data,
            }
            for section in sections
        },
    }
