"""`suggest`: print a diff for each document with refuted claims, and the evidence.

Corrections are made from a file of verdicts or from recorded results, and checked afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from matrix.cli.options import add_plan_options, plan_from_args, targets_from_args
from matrix.documents.facts import document_paths
from matrix.errors import ExitCode, IndexUnavailableError, StorageError, UsageError, UserError
from matrix.features.audit.index_evidence import static_evidence
from matrix.features.corrections.edit import diff_name, diff_root, unified_diff
from matrix.features.corrections.observed import ObservedFindings, recorded_findings
from matrix.features.corrections.page import ClaimCase, PageText, read_pages
from matrix.features.corrections.suggest import Suggestion, suggest
from matrix.features.corrections.summary import SuggestionSummary, as_json, as_markdown
from matrix.features.corrections.verdicts_file import read_verdicts
from matrix.features.corrections.verify import changed_claims, still_refuted
from matrix.judging.sentences import evidence_text
from matrix.model.capture import CellCapture
from matrix.model.verdict import Finding, Verdict
from matrix.planning.existence import Unsatisfiable
from matrix.planning.versions import TRACER
from matrix.probes.registry import load_probes
from matrix.pypi.client import CachedIndex
from matrix.pypi.releases import Releases
from matrix.reporting.json import write_text, write_text_json
from matrix.runs.backend import RunBackend
from matrix.runs.journal import Journal
from matrix.runs.result_store import CaptureStore
from matrix.runs.run import captured_targets, context_on, verify
from matrix.runs.setup import RunOptions
from matrix.system.paths import cache_dir, results_dir

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

exit codes:
  0 the changed documents, judged again, have no refuted claim   1 some claim stays refuted
  2 wrong usage, unreadable input, or a change with unintended effects
  3 nothing selected    5 package index unavailable    6 disk full or not writable
  7 another run is under way    130 interrupted
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "suggest",
        description="Print a unified diff for each document with refuted claims: minimums are"
        " corrected, missing rows added, support cells reversed; nothing else in a file is changed."
        " Nothing is run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_plan_options(parser, "Markdown pages to correct")
    group = parser.add_argument_group("suggestions")
    group.add_argument(
        "--verdicts",
        type=Path,
        metavar="FILE",
        help="use the verdicts of `verify --json` (default: judge the recorded results)",
    )
    group.add_argument(
        "--earlier",
        action="store_true",
        help="also lower minimums where an earlier release was observed to work",
    )
    group.add_argument("--out", type=Path, metavar="DIR", help="write the corrected files there")
    group.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the changes, their evidence and the diffs as JSON ('-': to standard output,"
        " instead of the diffs)",
    )
    group.add_argument(
        "--summary", type=Path, metavar="FILE", help="write a summary with the evidence as Markdown"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the diffs, write the requested files, and return the exit code."""
    _check(args)
    args.documents = document_paths(args.documents)
    if args.out is not None:
        _check_folder(args.out, args.documents)
    reading, pages = read_pages(args.documents, lenient=args.lenient)
    for problem in (*reading.problems, *reading.notices):
        _note(str(problem))
    summary = _summary(args, pages)
    cwd = Path.cwd()
    root = diff_root([page.path for page in pages.values()], cwd)
    diffs = {
        suggestion.page.name: unified_diff(
            suggestion.page.file.data(), suggestion.data, diff_name(suggestion.page.path, root, cwd)
        )
        for suggestion in summary.suggestions
    }
    if str(args.json) != "-":
        _print(diffs.values())
    if root != cwd and any(diffs.values()):
        _note(f"the diffs are relative to {root}: patch -p0 -d {root}")
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
    """Write bytes: a diff has the documents' own encodings and line ends."""
    sys.stdout.flush()
    for diff in diffs:
        sys.stdout.buffer.write(diff)
    sys.stdout.buffer.flush()


def _write_files(folder: Path, suggestions: Iterable[Suggestion]) -> None:
    """Write the corrected files under their names; documents of the same name by document name."""
    names = [suggestion.page.path.name for suggestion in suggestions]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suggestion in suggestions:
            page = suggestion.page
            name = page.path.name
            if names.count(name) > 1:
                name = f"{page.name}{page.path.suffix}"
            (folder / name).write_bytes(suggestion.data)
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror}", "Name another folder with --out."
        ) from error


def _report(summary: SuggestionSummary) -> int:
    """Print the result as notes, and return the exit code; raise `UserError` for own bugs."""
    for claim in summary.manual:
        _note(f"edit by hand: {claim.document}:{claim.line}: {claim.title}: {claim.reason}")
    refuted = summary.still_refuted or ()
    for verdict in refuted:
        _note(f"still refuted: {verdict.claim}: {evidence_text(verdict.facts)}")
    if summary.still_refuted is None:
        _note(f"the changed documents were not judged again: {summary.unchecked}")
    count = len(summary.changes)
    _note(f"{count} change{'s' if count != 1 else ''}, from {summary.source}")
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


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


_ACCEPTS: Mapping[str, Callable[[CellCapture], bool]] = {
    "auto": lambda _capture: True,
    "docker": lambda capture: bool(capture.engine),
    "local": lambda capture: not capture.engine,
}
"""The captures that count, by --engine."""


@dataclasses.dataclass(frozen=True)
class CorrectionBasis:
    """The verdicts and findings that corrections rest on, and the inputs of another plan.

    `source` names it in reports. `contained` are the findings that claims about containers are
    judged by.
    """

    verdicts: Mapping[str, Verdict]
    findings: tuple[Finding, ...]
    source: str
    profile: str
    targets: tuple[str, ...]
    obstacles: Mapping[str, Unsatisfiable] = dataclasses.field(default_factory=dict)
    contained: tuple[Finding, ...] = ()


def _summary(args: argparse.Namespace, pages: Mapping[str, PageText]) -> SuggestionSummary:
    """Return the suggestions for the documents, and the verdicts on the changed ones."""
    basis = _recorded_basis(args) if args.verdicts is None else _file_basis(args, pages.values())
    if not basis.findings:
        _note(f"no cell has any findings in {basis.source}")
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
            refuted = still_refuted(
                changed_claims(suggestions),
                index,
                basis.findings,
                profile=basis.profile,
                as_of=args.as_of,
                targets=basis.targets,
                obstacles=basis.obstacles,
                static=static_evidence,
                contained=basis.contained,
            )
        except IndexUnavailableError as error:
            unavailable = error.message
    return SuggestionSummary(suggestions, basis.source, refuted, unavailable)


def _file_basis(args: argparse.Namespace, pages: Iterable[PageText]) -> CorrectionBasis:
    file = read_verdicts(args.verdicts, pages)
    for name in file.missing:
        _note(f"{args.verdicts} has no claims of {name}")
    return CorrectionBasis(
        file.verdicts,
        file.findings,
        args.verdicts.name,
        file.profile,
        file.targets,
        contained=file.contained,
    )


def _recorded_basis(args: argparse.Namespace) -> CorrectionBasis:
    """Judge the captures as `verify --rejudge` does."""
    # Nothing is run, so with `auto` no engine is needed: the captures have the targets.
    where = (
        captured_targets(results_dir(), args.target)
        if args.engine == "auto"
        else targets_from_args(args)
    )
    plan = plan_from_args(args, _note, where, static_evidence)
    options = RunOptions(rejudge=True, offline=args.offline, engine=args.engine)
    record = verify(plan, options, lambda _event: None, context_on(RunBackend(where)))
    for warning in record.run.warnings:
        _note(warning)
    folder = results_dir()
    with contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        findings = recorded_findings(
            journal, CaptureStore(folder / "captures"), load_probes(), _ACCEPTS[args.engine]
        )
    return CorrectionBasis(
        {verdict.claim: verdict for verdict in record.verdicts},
        findings,
        "recorded results",
        args.profile,
        where.targets,
        where.obstacles,
        tuple(finding for cell in record.cells if cell.contained for finding in cell.findings),
    )
