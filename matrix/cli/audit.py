"""`audit`: what the documents get wrong, without running anything."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matrix.documents.document import ReadDocument
from matrix.documents.facts import read_inputs
from matrix.errors import ExitCode, StorageError, UsageError, UserError, did_you_mean
from matrix.features.audit.findings import explained
from matrix.features.audit.sections import (
    SECTIONS,
    AuditInput,
    Section,
    sections_of,
    show_section,
    show_summary,
)
from matrix.features.audit.wheel_scope import Scope
from matrix.pypi.client import CachedIndex
from matrix.system.paths import cache_dir

__all__ = ["SCHEMA", "add_parser", "run"]

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001


SCHEMA = "audit/1"

_EPILOG = """\
examples:
  python -m matrix audit                          the committed facts
  python -m matrix audit pages/                   these documents, with each other and the index
  python -m matrix audit --part documents a.md b.md
                                                  only what the documents say of each other
  python -m matrix audit --part artifacts --every pages/
                                                  look into every wheel there is
  python -m matrix audit --offline --json -       as JSON, from what is known of the index

Exit codes: 0 nothing contradicts a promise, 1 something does, 2 a document is not understood
(without --lenient) or cannot be read, or wrong usage, 5 the package index does not answer,
6 disk full or not writable.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "audit",
        help="say what the documents get wrong, without running anything",
        description="Compare the documents with each other, with the package index and with what is"
        " inside its wheels, and say"
        " what does not fit, where, and which side is likely out of date. Nothing is installed"
        " or run. Without documents: the committed facts.",
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
        "--lenient", action="store_true", help="go on with what was understood of the documents"
    )
    parser.add_argument(
        "--part",
        metavar="NAMES",
        default=",".join(SECTIONS),
        help=f"what to compare, of {', '.join(SECTIONS)} (default: all)",
    )
    parser.add_argument(
        "--every",
        action="store_true",
        help="look into all wheels of all releases; else into those at the documents' boundaries,"
        " for the oldest and the newest CPython of each platform",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="also write the findings as JSON; - is standard output"
    )
    asking = parser.add_mutually_exclusive_group()
    asking.add_argument("--offline", action="store_true", help="use what is known of the index")
    asking.add_argument(
        "--refresh", action="store_true", help="ask the index again, however new the cache is"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tell the findings part by part; what is known when a part fails is told before it fails."""
    names = _parts(args.part)
    if args.json and not Path(args.json).parent.is_dir():
        raise UsageError(
            f"there is no folder {Path(args.json).parent}", "Make it, or name another file."
        )
    reading = read_inputs(args.documents, language=args.language, lenient=args.lenient)
    for problem in (*reading.problems, *reading.notices):
        print(f"note: {problem}", file=sys.stderr)
    index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
    scope = Scope(cache_dir(), every=args.every, offline=args.offline, tell=_progress())
    subject = AuditInput(reading.claims, index, _unread(reading), scope)
    done: list[Section] = []
    failed: UserError | None = None
    try:
        for section in sections_of(subject, names):
            done.append(section)
            if args.json != "-":
                show_section(section, sys.stdout)
    except UserError as error:
        failed = error
    for notice in index.notices:
        print(f"note: {notice}", file=sys.stderr)
    if args.json:
        _write(_as_json(reading, done, failed, index.notices), args.json)
    if failed is not None:
        raise failed
    if args.json != "-":
        show_summary(done, sys.stdout)
    against = any(finding.contradicts for section in done for finding in section.findings)
    return ExitCode.REFUTED if against else ExitCode.OK


def _progress() -> Callable[[int, int], None]:
    """Return what tells on a terminal how many wheels are done."""
    if not sys.stderr.isatty():
        return lambda _done, _all: None

    def tell(done: int, every: int) -> None:
        # Whoever is told nothing for minutes ends it.
        end = "\n" if done == every else ""
        print(f"\r{done} of up to {every} wheels looked into", end=end, file=sys.stderr)

    return tell


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in SECTIONS:
            raise UsageError(
                f"unknown part {name!r}{did_you_mean(name, SECTIONS)}",
                f"Parts: {', '.join(SECTIONS)}, several with commas.",
            )
    if not names:
        raise UsageError("--part names nothing", f"Parts: {', '.join(SECTIONS)}.")
    return names


def _unread(reading: ReadDocument) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for problem in (*reading.problems, *reading.notices):
        found.setdefault(problem.document, []).append(problem.line)
    return found


def _as_json(
    reading: ReadDocument, done: Sequence[Section], failed: UserError | None, notices: Sequence[str]
) -> dict[str, Any]:
    """Return the audit as plain JSON values: `matrix/data/schemas/audit.schema.json`."""
    words = explained()
    return {
        "schema": SCHEMA,
        "claims": len(reading.claims),
        "problems": [vars(problem) for problem in (*reading.problems, *reading.notices)],
        "notices": list(notices),
        "failed": failed.message if failed else None,
        "parts": {
            section.name: {
                "findings": [
                    {"title": words[one.kind].title, **one.to_json()} for one in section.findings
                ],
                "remarks": list(section.remarks),
                **section.data,
            }
            for section in done
        },
    }


def _write(data: dict[str, Any], target: str) -> None:
    text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror}", "Check the folder and its permissions."
        ) from error
