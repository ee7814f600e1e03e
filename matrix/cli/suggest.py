"""`suggest`: a diff for each document that says what the evidence refutes, and why.

What suggestions are made from: a file of verdicts, or what was recorded; and the check after.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from matrix.cli.options import add_plan_options, plan_from_args, where_from_args
from matrix.documents.facts import document_paths
from matrix.errors import ExitCode, IndexUnavailableError, StorageError, UsageError, UserError
from matrix.features.audit.index_evidence import static_findings
from matrix.features.corrections.edit import diff_name, diff_root, unified_diff
from matrix.features.corrections.observed import ObservedFindings, recorded_findings
from matrix.features.corrections.page import ClaimCase, PageText, read_papers
from matrix.features.corrections.suggest import Suggestion, suggest
from matrix.features.corrections.summary import SuggestionSummary, as_json, as_markdown
from matrix.features.corrections.verdicts_file import read_verdicts
from matrix.features.corrections.verify import changed_claims, judge_again
from matrix.model.capture import CellCapture
from matrix.model.verdict import Finding, Verdict
from matrix.planning.existence import Unsatisfiable
from matrix.planning.locations import Targets
from matrix.planning.versions import TRACER
from matrix.probes.registry import load_probes
from matrix.pypi.client import CachedIndex
from matrix.pypi.index import Index
from matrix.pypi.releases import Releases
from matrix.reporting.json import write_text, write_text_json
from matrix.runs.backend import RunBackend
from matrix.runs.captures import CaptureStore
from matrix.runs.journal import Journal
from matrix.runs.rejudge import captured_where
from matrix.runs.run import RunOptions, verify, world_on
from matrix.system.paths import cache_dir, results_dir

__all__ = ["CorrectionBasis", "add_parser", "run", "told_of"]

EXAMPLES = """\
examples:
  python -m matrix suggest pages/*.md
      diffs from what was recorded so far (as `verify --rejudge` judges it); runs nothing
  python -m matrix suggest pages/*.md | patch -p0
      the same, applied; git takes them with: git apply -p0
  python -m matrix suggest page.md --verdicts verdicts.json --summary why.md
      from the verdicts that `verify --json` wrote; why, for a pull request's description
  python -m matrix suggest pages/*.md --out corrected
      the corrected files too, in a folder of their own
  python -m matrix suggest pages/*.md --earlier
      also lower minimums that are higher than they need to be

exit codes:
  0 judged again, the changed documents have no refuted claim   1 some claim stays refuted
  2 wrong usage, unreadable input, or a change that would say something else
  3 nothing selected    5 package index unavailable    6 disk full or not writable
  7 another run is under way    130 interrupted
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "suggest",
        help="print diffs that correct documents, with the evidence",
        description="Print a unified diff for each document that says what the evidence refutes:"
        " minimums are corrected, missing rows added, cells of support turned around; nothing else"
        " in a file is changed. Nothing is run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_plan_options(parser, "Markdown pages to correct")
    group = parser.add_argument_group("suggestions")
    group.add_argument(
        "--verdicts",
        type=Path,
        metavar="FILE",
        help="take the verdicts of `verify --json` (default: judge what was recorded)",
    )
    group.add_argument(
        "--earlier",
        action="store_true",
        help="also lower minimums where an earlier release was seen to work",
    )
    group.add_argument("--out", type=Path, metavar="DIR", help="write the corrected files there")
    group.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the changes, their evidence and the diffs as JSON ('-': standard output, where"
        " no other diff is printed then)",
    )
    group.add_argument(
        "--summary", type=Path, metavar="FILE", help="write why, with the evidence, as Markdown"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the diffs, write what is asked for, and return the exit code."""
    _check(args)
    # The rest is imported when the options are known to be right: `--help` is quick.

    args.documents = document_paths(args.documents)
    if args.out is not None:
        _check_folder(args.out, args.documents)
    reading, papers = read_papers(args.documents, lenient=args.lenient)
    for problem in (*reading.problems, *reading.notices):
        _note(str(problem))
    told = told_of(args, papers, _note)
    here = Path.cwd()
    root = diff_root([paper.path for paper in papers.values()], here)
    diffs = {}
    for one in told.suggestions:
        name = diff_name(one.paper.path, root, here)
        diffs[one.paper.name] = unified_diff(one.paper.sheet.data(), one.data, name)
    if str(args.json) != "-":
        _print(diffs.values())
    if root != here and any(diffs.values()):
        _note(f"the diffs are of files in {root}: patch -p0 -d {root}")
    if args.out is not None:
        _write_files(args.out, told.suggestions)
    if args.summary is not None:
        write_text(args.summary, as_markdown(told))
    if args.json is not None:
        write_text_json(args.json, as_json(told, diffs))
    return _code(told)


def _check(args: argparse.Namespace) -> None:
    """Raise `UsageError` for what can be known before anything is read."""
    if not args.documents:
        raise UsageError(
            "suggest needs documents: a diff is of a file",
            "Name the Markdown pages: python -m matrix suggest page.md",
        )
    for path in (args.json, args.summary):
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent}", "Make it, or name another file.")


def _check_folder(folder: Path, documents: Iterable[Path]) -> None:
    """Raise `UsageError` for a folder in which a corrected file would replace a document."""
    where = folder.resolve()
    same = [path for path in documents if where in (path.parent.resolve(), path.resolve().parent)]
    if same:
        raise UsageError(
            f"--out {folder} would replace {', '.join(map(str, same))}",
            "Give a folder of their own; in place they are changed by: patch -p0.",
        )


def _print(diffs: Iterable[bytes]) -> None:
    """Write bytes: a diff has the documents' own encodings and line ends."""
    sys.stdout.flush()
    for diff in diffs:
        sys.stdout.buffer.write(diff)
    sys.stdout.buffer.flush()


def _write_files(folder: Path, suggestions: Iterable[Suggestion]) -> None:
    """Write the corrected files, under the names that they have (behind folders if need be)."""
    names = [one.paper.path.name for one in suggestions]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in suggestions:
            name = one.paper.path.name
            if names.count(name) > 1:
                name = f"{one.paper.name}{one.paper.path.suffix}"
            (folder / name).write_bytes(one.data)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror}", "Give another folder."
        ) from error


def _code(told: SuggestionSummary) -> int:
    """Say what came of it, and return the exit code; raise `UserError` for a fault of ours."""
    for left in told.by_hand:
        _note(f"by hand: {left.document}:{left.line}: {left.says}: {left.why}")
    still = told.still or ()
    for verdict in still:
        _note(f"still refuted: {verdict.claim}: {verdict.evidence}")
    if told.still is None:
        _note(f"the changed documents were not judged again: {told.unchecked}")
    count = len(told.changes)
    _note(f"{count} change{'s' if count != 1 else ''}, from {told.source}")
    wrong = [one for one in told.suggestions if one.trouble]
    if wrong:
        said = "; ".join(f"{one.paper.path}: {one.trouble}" for one in wrong)
        raise UserError(
            f"no diff, for its changes would say other things than they should: {said}",
            "This is a fault of this project and not of the document; the rest is as told above.",
        )
    return ExitCode.REFUTED if told.by_hand or still else ExitCode.OK


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


_COUNTS: Mapping[str, Callable[[CellCapture], bool]] = {
    "auto": lambda _capture: True,
    "docker": lambda capture: bool(capture.engine),
    "local": lambda capture: not capture.engine,
}


@dataclasses.dataclass(frozen=True)
class CorrectionBasis:
    """The answers, everything that was seen, and how to plan once more. `source` is for reports.

    `contained` are the findings that promises about containers are judged by.
    """

    verdicts: Mapping[str, Verdict]
    findings: tuple[Finding, ...]
    source: str
    profile: str
    targets: tuple[str, ...]
    obstacles: Mapping[str, Unsatisfiable] = dataclasses.field(default_factory=dict)
    contained: tuple[Finding, ...] = ()


def told_of(
    args: argparse.Namespace, papers: Mapping[str, PageText], say: Callable[[str], None]
) -> SuggestionSummary:
    """Return the suggestions for the documents, and what is found of the changed ones."""
    if args.verdicts is not None:
        basis = _from_file(args, papers.values(), say)
    else:
        basis = _from_recorded(args, say)
    if not basis.findings:
        say(f"nothing was seen of any cell, by {basis.source}")
    index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
    unavailable = ""
    releases: list[str] = []
    try:
        releases = [title.text for title in Releases(index.project(TRACER)).titles]
    except IndexUnavailableError as error:
        unavailable = error.message
    case = ClaimCase(papers, basis.verdicts, ObservedFindings(basis.findings, releases))
    suggestions = suggest(case, earlier=args.earlier)
    still = None
    if not unavailable:
        try:
            still = _again(args, basis, index, SuggestionSummary(suggestions, basis.source, None))
        except IndexUnavailableError as error:
            unavailable = error.message
    return SuggestionSummary(suggestions, basis.source, still, unavailable)


def _again(
    args: argparse.Namespace, basis: CorrectionBasis, index: Index, told: SuggestionSummary
) -> tuple[Verdict, ...]:
    return judge_again(
        changed_claims(told.suggestions),
        index,
        basis.findings,
        profile=basis.profile,
        as_of=args.as_of,
        targets=basis.targets,
        obstacles=basis.obstacles,
        static=static_findings,
        contained=basis.contained,
    )


def _from_file(
    args: argparse.Namespace, papers: Iterable[PageText], say: Callable[[str], None]
) -> CorrectionBasis:
    told = read_verdicts(args.verdicts, papers)
    for name in told.silent:
        say(f"{args.verdicts} says nothing of {name}")
    return CorrectionBasis(
        told.verdicts,
        told.findings,
        args.verdicts.name,
        told.profile,
        told.targets,
        contained=told.contained,
    )


def _from_recorded(args: argparse.Namespace, say: Callable[[str], None]) -> CorrectionBasis:
    """Judge what was captured, as `verify --rejudge` does."""
    where = _where(args)
    plan = plan_from_args(args, say, where, static_findings)
    options = RunOptions(rejudge=True, offline=args.offline, engine=args.engine)
    result = verify(plan, options, lambda _event: None, world_on(RunBackend(where)))
    for warning in result.warnings:
        say(warning)
    folder = results_dir()
    with contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        findings = recorded_findings(
            journal, CaptureStore(folder / "captures"), load_probes(), _COUNTS[args.engine]
        )
    return CorrectionBasis(
        {verdict.claim: verdict for verdict in result.verdicts},
        findings,
        "recorded results",
        args.profile,
        where.targets,
        where.obstacles,
        tuple(found for cell in result.cells if cell.contained for found in cell.findings),
    )


def _where(args: argparse.Namespace) -> Targets:
    """Return what was captured of: nothing is run, so no engine is asked."""
    if args.engine == "auto":
        return captured_where(results_dir(), args.target)
    return where_from_args(args)
