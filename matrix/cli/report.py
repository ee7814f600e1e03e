"""`report`: write a recorded run as an HTML page, and as files for other programs."""

from __future__ import annotations

import argparse
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from matrix.cli.common import add_path, check_folders, note
from matrix.errors import ExitCode, UsageError, storage_errors
from matrix.reporting.diff import RunDiff, compare_records
from matrix.reporting.html import render_page
from matrix.reporting.html_audit import read_audit
from matrix.reporting.html_charts import read_searches
from matrix.reporting.html_evidence import digest_capture
from matrix.reporting.json import write_text, write_text_json
from matrix.reporting.junit import junit_xml
from matrix.reporting.markdown import COMMENT_BYTES, SUMMARY_BYTES, badge_to_json, render_markdown
from matrix.runs.record import CellRecord, Record
from matrix.runs.record_store import RecordStore
from matrix.runs.result_store import CaptureStore
from matrix.system.paths import results_dir

DESCRIPTION = "Make a recorded run into a page, and into files for other programs."
EXAMPLES = """\
RUN is a file of `verify --json`, the name of a recorded run or its beginning, or `latest`. Nothing
is run: the captures of the cells are read where there are any.

examples:
  python -m matrix report
      the newest run as a page, which opens from a file and needs no network
  python -m matrix report 20261120 --since before.json --html page.html
      an earlier run, with what changed since a kept one
  python -m matrix report --minimum django.json
      with the releases that `minimum --json` has tried
  python -m matrix report --audit audit.json
      with the findings of `audit --json`: which promised ranges the vendor tests, and where
  python -m matrix report --junit results.xml --json verdicts.json --badge badge.json
      for a CI server, for programs, for shields.io
  python -m matrix report --markdown comment.md --summary "$GITHUB_STEP_SUMMARY"
      for a pull request and for the summary of a step

Without any of these options a step of GitHub Actions also gets its summary.

exit codes:
  0 written   2 wrong usage or unreadable input   6 disk full or not writable
"""
_FILES = ("html", "junit", "json", "markdown", "summary", "badge")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("of", metavar="RUN", nargs="?", default="latest", help="default: latest")
    for name, content in (
        ("html", "one page with the evidence (default: report.html among the results)"),
        ("junit", "JUnit XML: a claim is a test case, and unverified is skipped"),
        ("json", "the verdicts as they were recorded (schema verdicts/1)"),
        ("markdown", "Markdown, short enough for a comment on GitHub"),
        ("badge", "an endpoint file for shields.io"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write {content}")
    add_path(parser, "--summary", "append Markdown for the summary of a step")
    parser.add_argument(
        "--since", metavar="RUN", help="show changes since this run (default: the previous run)"
    )
    parser.add_argument(
        "--minimum",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="show the searches of these files on the page",
    )
    add_path(parser, "--audit", "show the findings of this file of `audit --json` on the page")


def run(args: argparse.Namespace) -> int:
    """Write the requested files, print their paths, and return the exit code."""
    check_folders(*(getattr(args, name) for name in _FILES))
    store = RecordStore.default()
    record = store.latest() if args.of == "latest" else store.find(args.of)
    before = store.find(args.since) if args.since else store.previous(record)
    note(*store.notices)
    changed = compare_records(before, record) if before else None
    if all(getattr(args, name) is None for name in _FILES):
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        args.html = results_dir() / "report.html"
        args.summary = Path(summary) if summary else None
    if args.minimum and args.html is None:
        raise UsageError("--minimum is for the page", "Name the page too: --html FILE")
    if args.audit is not None and args.html is None:
        raise UsageError("--audit is for the page", "Name the page too: --html FILE")
    path = Path(args.of)
    _write(args, record, changed, path if path.is_file() else store.folder / f"{record.name}.json")
    return ExitCode.OK


def _write(
    args: argparse.Namespace, record: Record, changed: RunDiff | None, record_path: Path
) -> None:
    if args.html is not None:
        searches = [strip for path in args.minimum for strip in read_searches(path)]
        audit = read_audit(args.audit) if args.audit is not None else ()
        captures = CaptureStore(results_dir() / "captures")
        page = render_page(record, _digests(captures), changed, searches, audit=audit)
        write_text(args.html, page)
        note(*captures.notices)
    if args.junit is not None:
        write_text(args.junit, junit_xml(record))
    if args.json is not None:
        write_text(args.json, record_path.read_text(encoding="utf-8"))
    if args.markdown is not None:
        write_text(args.markdown, render_markdown(record, changed, most=COMMENT_BYTES))
    if args.summary is not None:
        _append(args.summary, render_markdown(record, changed, most=SUMMARY_BYTES))
    if args.badge is not None:
        write_text_json(args.badge, badge_to_json(record))
    if "-" not in {str(getattr(args, name)) for name in _FILES}:
        for name in _FILES:
            if (path := getattr(args, name)) is not None:
                print(path)


def _digests(captures: CaptureStore) -> Callable[[CellRecord], Mapping[str, Any] | None]:
    """Return a function that reads the captures of cells, where there are any."""

    @functools.cache
    def read(cell: str, key: str) -> Mapping[str, Any] | None:
        capture = captures.read(cell, key) if key else None
        return digest_capture(capture) if capture else None

    return lambda cell: read(cell.id, cell.key)


def _append(path: Path, text: str) -> None:
    """Append to a file of several steps; raise StorageError."""
    errors = storage_errors(f"cannot write {path}", "Give another path.", brief=True)
    with errors, path.open("a", encoding="utf-8") as file:
        file.write(text)
