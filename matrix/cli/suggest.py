"""`suggest`: print a diff for each document with refuted claims, and the evidence.

Corrections are made from a file of verdicts or from recorded results, and checked afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from matrix.cli.common import add_flag, add_path, note, to_stdout
from matrix.cli.options import add_plan_options, plan_from_args, targets_from_args
from matrix.documents.document import ReadDocument
from matrix.documents.facts import document_paths
from matrix.errors import ExitCode, IndexUnavailableError, UsageError, UserError, storage_errors
from matrix.features.audit.index import static_evidence
from matrix.features.audit.vendor_tests import compare_with_tests
from matrix.features.corrections.basis import (
    CorrectionBasis,
    ObservedFindings,
    contained_findings,
    read_verdicts,
    recorded_findings,
    still_refuted,
)
from matrix.features.corrections.change import ClaimCase
from matrix.features.corrections.edit import diff_name, diff_root, unified_diff
from matrix.features.corrections.page import PageText, read_pages
from matrix.features.corrections.suggest import Suggestion, changed_claims, suggest, suggest_tested
from matrix.features.corrections.summary import SuggestionSummary, as_json, as_markdown
from matrix.judging.sentences import evidence_text
from matrix.planning.versions import TRACER
from matrix.probes.integrations import load_integrations
from matrix.probes.registry import load_probes
from matrix.pypi.client import CachedIndex
from matrix.pypi.releases import Releases
from matrix.reporting.json import write_text, write_text_json
from matrix.reporting.text import count_text
from matrix.runs.backend import RunBackend
from matrix.runs.journal import Journal
from matrix.runs.result_store import CaptureStore
from matrix.runs.run import CAPTURE_FILTERS, captured_targets, context_on, verify
from matrix.runs.setup import RunOptions
from matrix.system.paths import cache_dir, results_dir
from matrix.system.streams import write_exactly

DESCRIPTION = (
    "Print a unified diff for each document with refuted claims: minimums are"
    " corrected, missing rows added, support cells reversed; nothing else in a file is changed."
    " Nothing is run."
)
EXAMPLES = """\
examples:
  python -m matrix suggest pages/*.md
      diffs from the results recorded so far, judged as by `verify --rejudge`; runs nothing
  python -m matrix suggest pages/*.md | patch -p0
      the same, applied (with git: git apply -p0)
  python -m matrix suggest page.md --verdicts verdicts.json --summary why.md
      from the verdicts of `verify --json`; with a summary for a pull request's description
  python -m matrix suggest pages/*.md --out corrected
      also write the corrected files to a separate folder
  python -m matrix suggest pages/*.md --earlier
      also lower minimums that are higher than necessary
  python -m matrix suggest page.md supported_versions.json --to tested
      promise only what the vendor's own tests cover, as the tracer's registry says

exit codes:
  0 the changed documents, judged again, have no refuted claim   1 some claim stays refuted
  2 wrong usage, unreadable input, or a change with unintended effects
  3 nothing selected    5 package index unavailable    6 disk full or not writable
  7 another run is under way    130 interrupted
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_plan_options(parser, "Markdown pages to correct")
    group = parser.add_argument_group("suggestions")
    add_path(
        group,
        "--verdicts",
        "use the verdicts of `verify --json` (default: judge the recorded results)",
    )
    add_flag(
        group, "--earlier", "also lower minimums where an earlier release was observed to work"
    )
    group.add_argument(
        "--to",
        choices=("evidence", "tested"),
        default="evidence",
        help="what promises are corrected to: what our cells have shown, or what the vendor's own"
        " tests cover, by the registry among the documents (default: evidence)",
    )
    add_path(group, "--out", "write the corrected files there", metavar="DIR")
    add_path(
        group,
        "--json",
        "write the changes, their evidence and the diffs as JSON ('-': to standard output,"
        " instead of the diffs)",
    )
    add_path(group, "--summary", "write a summary with the evidence as Markdown")


def run(args: argparse.Namespace) -> int:
    """Print the diffs, write the requested files, and return the exit code."""
    _check(args)
    args.documents = document_paths(args.documents)
    if args.out is not None:
        _check_folder(args.out, args.documents)
    reading, pages = read_pages(args.documents, lenient=args.lenient, partials=args.partials)
    note(*map(str, (*reading.problems, *reading.notices)))
    summary = _tested_summary(reading, pages) if args.to == "tested" else _summary(args, pages)
    cwd = Path.cwd()
    root = diff_root([page.path for page in pages.values()], cwd)
    diffs = {
        suggestion.page.name: unified_diff(
            suggestion.page.file.data(), suggestion.data, diff_name(suggestion.page.path, root, cwd)
        )
        for suggestion in summary.suggestions
    }
    if not to_stdout(args.json):
        _print(diffs.values())
    if root != cwd and any(diffs.values()):
        note(f"the diffs are relative to {root}: patch -p0 -d {root}")
    if args.out is not None:
        _write_files(args.out, summary.suggestions)
    if args.summary is not None:
        write_text(args.summary, as_markdown(summary))
    if args.json is not None:
        write_text_json(args.json, as_json(summary, diffs))
    return _report(summary)


def _check(args: argparse.Namespace) -> None:
    """Raise `UsageError` for options that are wrong before anything is read."""
    if not args.documents:
        raise UsageError(
            "suggest needs documents to diff",
            "Name the Markdown pages: python -m matrix suggest page.md",
        )
    if args.to == "tested" and (args.verdicts is not None or args.earlier):
        raise UsageError(
            "--to tested reads no verdicts", "Leave out --verdicts and --earlier, or --to tested."
        )
    for path in (args.json, args.summary):
        if path is not None and not path.parent.is_dir():
            raise UsageError(
                f"there is no folder {path.parent}", "Create it, or name another file."
            )


def _check_folder(folder: Path, documents: Iterable[Path]) -> None:
    """Raise `UsageError` for a folder in which a corrected file would replace a document."""
    resolved = folder.resolve()
    same = [
        path for path in documents if resolved in (path.parent.resolve(), path.resolve().parent)
    ]
    if same:
        raise UsageError(
            f"--out {folder} would replace {', '.join(map(str, same))}",
            "Name a separate folder; to change files in place, pipe the diffs to: patch -p0",
        )


def _print(diffs: Iterable[bytes]) -> None:
    """Write bytes: a diff has the documents' own encodings and line ends. A terminal gets text."""
    for diff in diffs:
        if sys.stdout.isatty():
            print(diff.decode("utf-8", "replace"), end="")
        else:
            write_exactly(diff)


def _write_files(folder: Path, suggestions: Iterable[Suggestion]) -> None:
    """Write the corrected files under their names; documents of the same name by document name."""
    names = [suggestion.page.path.name for suggestion in suggestions]
    with storage_errors(f"cannot write to {folder}", "Name another folder with --out.", brief=True):
        folder.mkdir(parents=True, exist_ok=True)
        for suggestion in suggestions:
            page = suggestion.page
            name = page.path.name
            if names.count(name) > 1:
                name = f"{page.name}{page.path.suffix}"
            (folder / name).write_bytes(suggestion.data)


def _report(summary: SuggestionSummary) -> int:
    """Print the result as notes, and return the exit code; raise `UserError` for own bugs."""
    for claim in summary.manual:
        note(f"edit by hand: {claim.document}:{claim.line}: {claim.title}: {claim.reason}")
    refuted = summary.still_refuted or ()
    for verdict in refuted:
        note(f"still refuted: {verdict.claim}: {evidence_text(verdict.facts)}")
    if summary.still_refuted is None:
        note(f"the changed documents were not judged again: {summary.unchecked}")
    note(f"{count_text(len(summary.changes), 'change')}, from {summary.source}")
    errors = [
        f"{suggestion.page.path}: {suggestion.error}"
        for suggestion in summary.suggestions
        if suggestion.error
    ]
    if errors:
        raise UserError(
            f"no diff, because the changes would have other effects: {'; '.join(errors)}",
            "This is a bug of this project, not of the document; the notes above are still valid.",
        )
    return ExitCode.REFUTED if summary.manual or refuted else ExitCode.OK


def _summary(args: argparse.Namespace, pages: Mapping[str, PageText]) -> SuggestionSummary:
    """Return the suggestions for the documents, and the verdicts on the changed ones."""
    if args.verdicts is None:
        basis = _recorded_basis(args)
    else:
        basis = read_verdicts(args.verdicts, pages.values())
        note(*(f"{args.verdicts} has no claims of {name}" for name in basis.missing))
    if not basis.findings:
        note(f"no cell has any findings in {basis.source}")
    index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
    unavailable = ""
    releases: list[str] = []
    try:
        releases = [release.text for release in Releases(index.project(TRACER)).all]
    except IndexUnavailableError as error:
        unavailable = error.message
    case = ClaimCase(pages, basis.verdicts, ObservedFindings(basis.findings, releases))
    suggestions = suggest(case, earlier=args.earlier)
    refuted = None
    if not unavailable:
        try:
            claims = changed_claims(suggestions)
            refuted = still_refuted(claims, index, basis, as_of=args.as_of, static=static_evidence)
        except IndexUnavailableError as error:
            unavailable = error.message
    return SuggestionSummary(suggestions, basis.source, refuted, unavailable)


def _tested_summary(reading: ReadDocument, pages: Mapping[str, PageText]) -> SuggestionSummary:
    """Return the suggestions by the registry among the documents; nothing is judged."""
    if not reading.tested:
        raise UsageError(
            "--to tested needs the tracer's registry, and none is among the documents",
            "Name it beside the pages: suggest page.md supported_versions.json --to tested",
        )
    registries = {item.document for item in reading.tested}
    report = compare_with_tests(reading.claims, reading.tested, load_integrations())
    suggestions = suggest_tested(
        {name: page for name, page in pages.items() if name not in registries}, report.rows
    )
    source = f"the vendor's tests in {', '.join(sorted(registries))}"
    return SuggestionSummary(suggestions, source, None, "--to tested asks for no evidence of ours")


def _recorded_basis(args: argparse.Namespace) -> CorrectionBasis:
    """Judge the captures as `verify --rejudge` does."""
    # Nothing is run, so with `auto` no engine is needed: the captures have the targets.
    where = (
        captured_targets(results_dir(), args.target)
        if args.engine == "auto"
        else targets_from_args(args)
    )
    plan = plan_from_args(args, where, static_evidence)
    options = RunOptions(rejudge=True, offline=args.offline, engine=args.engine)
    record = verify(plan, options, lambda _event: None, context_on(RunBackend(where)))
    note(*record.run.warnings)
    folder = results_dir()
    captures = CaptureStore(folder / "captures")
    with contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        findings = recorded_findings(journal, captures, load_probes(), CAPTURE_FILTERS[args.engine])
    note(*(item for item in captures.notices if item not in record.run.warnings))
    return CorrectionBasis(
        record.verdict_by_claim,
        findings,
        "recorded results",
        args.profile,
        where.targets,
        where.obstacles,
        contained_findings(record),
    )
