"""`suggest`: a diff for each document that says what the evidence refutes, and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.errors import ExitCode, StorageError, UsageError, UserError
from matrix.planning.options import add_plan_options

if TYPE_CHECKING:
    from matrix.suggesting.suggestion import Suggestion
    from matrix.suggesting.summary import Told

__all__ = ["add_parser", "run"]

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
    from matrix.commands.suggest_basis import told_of  # noqa: PLC0415
    from matrix.reading.inputs import document_paths  # noqa: PLC0415
    from matrix.reporting.writing import write_text, write_text_json  # noqa: PLC0415
    from matrix.suggesting.diff import diff_name, diff_root, unified_diff  # noqa: PLC0415
    from matrix.suggesting.papers import read_papers  # noqa: PLC0415
    from matrix.suggesting.summary import as_json, as_markdown  # noqa: PLC0415

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


def _code(told: Told) -> int:
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
