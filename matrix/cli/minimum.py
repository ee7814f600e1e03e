"""`minimum`: search for the least release in which something really works.

Numbers that options give.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from matrix.cli.options import add_engine_options, as_of_date
from matrix.documents.facts import load_facts
from matrix.errors import UsageError
from matrix.features.minimum.conclusion import exit_code_of
from matrix.features.minimum.plan import plan_searches
from matrix.features.minimum.report import minimums_to_json, print_search_result, search_display
from matrix.features.minimum.run import MinimumOptions, search_minimums
from matrix.features.minimum.search_plan import SearchOptions
from matrix.features.minimum.subject import parse_subject
from matrix.planning.coverage import load_coverage
from matrix.pypi.client import CachedIndex
from matrix.reporting.json import write_text_json
from matrix.runs.backend import available_pythons, open_backend
from matrix.runs.setup import default_jobs
from matrix.services.external import add_service_option, external_from_args
from matrix.system.paths import cache_dir

__all__ = ["add_parser", "cell_count", "run"]


def cell_count(text: str) -> int:
    """Return how many cells run at a time; raise ArgumentTypeError for less than one."""
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of cells such as 2")
    return count


_PYTHON = re.compile(r"[23]\.\d+")

EXAMPLES = """\
examples:
  python -m matrix minimum threat-protection --framework flask --python 3.9
      the least release of ddtrace with each channel of a capability
  python -m matrix minimum sca --framework django==3.2.18 --since 1.0 --until 2.0
      among these releases, on this release of the framework
  python -m matrix minimum integration:flask --exhaustive --json flask.json
      every release that traces Flask; as JSON too (schema minimum/1)
  python -m matrix minimum framework:flask --ddtrace 1.20.19
      the least release of Flask that works with this tracer
  python -m matrix minimum custom-blocked-response --channel redirect
      one channel only

exit codes:
  0 every least release is the documented one or an earlier one, or no document names one
  1 a documented minimum fails and a later release works
  2 wrong usage    3 no release can be asked    4 no release works, or it cannot be told
  5 package index unavailable    6 disk full or not writable    7 another run is under way
  8 no container engine    130 interrupted (the next run goes on from there)
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "minimum",
        help="search for the least release in which something really works",
        description="Search for the least release in which a capability, an integration, a note's"
        " promise, or a framework under a given tracer really works: by halving, then beside the"
        " boundary, then all over, for what works may stop working.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "subject",
        metavar="SUBJECT",
        help="a capability, an integration, a note (KIND:NAME where that is not clear), or"
        " framework:NAME",
    )
    parser.add_argument(
        "--framework",
        default="",
        metavar="NAME[==VERSION]",
        help="default: all that documents promise it for, at the newest of the minimum's time",
    )
    parser.add_argument(
        "--python", type=_python, metavar="X.Y", help="default: the newest promised"
    )
    parser.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="NAME",
        help="only this channel of the probe (default: all that the promise is about)",
    )
    parser.add_argument(
        "--ddtrace", default="", metavar="V", help="for framework:NAME, under this tracer"
    )
    parser.add_argument("--since", default="", metavar="V", help="search from this release on")
    parser.add_argument("--until", default="", metavar="V", help="search up to this release")
    parser.add_argument(
        "--exhaustive", action="store_true", help="try every release, and assume nothing"
    )
    parser.add_argument(
        "--as-of",
        type=as_of_date,
        metavar="DATE",
        help="resolve everything as of a date (2026-01-31, or today), not of each release's own",
    )
    parser.add_argument("--fresh", action="store_true", help="use no result of an earlier run")
    parser.add_argument(
        "--jobs", type=cell_count, metavar="N", help="cells at a time (default: two for each CPU)"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the searches as JSON ('-': standard output)",
    )
    asking = parser.add_mutually_exclusive_group()
    asking.add_argument("--offline", action="store_true", help="use what is known of the index")
    asking.add_argument(
        "--refresh", action="store_true", help="ask the index again, however new the cache is"
    )
    add_service_option(parser)
    add_engine_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Search, print the answers, and return the exit code."""
    if args.json is not None and not args.json.parent.is_dir():
        raise UsageError(f"there is no folder {args.json.parent}", "Make it, or name another file.")
    # The rest is imported when the options are known to be right: `--help` is quick.
    from rich.console import Console  # noqa: PLC0415

    coverage, claims = load_coverage(), tuple(load_facts())
    # A word that means nothing is told before an engine is asked.
    subject = parse_subject(args.subject, claims, coverage)
    options = MinimumOptions(
        exhaustive=args.exhaustive,
        fresh=args.fresh,
        jobs=args.jobs or default_jobs(),
        offline=args.offline,
        external=external_from_args(args),
    )
    console = Console(stderr=str(args.json) == "-", width=None if sys.stdout.isatty() else 160)
    with open_backend(args.engine, args.target) as runs:
        for note in runs.notes:
            print(f"note: {note}", file=sys.stderr)
        # One is enough for an answer; the first is the one that is not emulated.
        target = runs.where.targets[0]
        wanted = SearchOptions(
            target=target,
            framework=args.framework,
            python=args.python or "",
            channels=tuple(args.channel),
            since=args.since,
            until=args.until,
            ddtrace=args.ddtrace,
            as_of=args.as_of,
            at_hand=frozenset() if args.python else available_pythons(runs, target),
        )
        index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
        try:
            quests = plan_searches(subject, claims, index, coverage, wanted)
        finally:
            for notice in index.notices:
                print(f"note: {notice}", file=sys.stderr)
        with search_display(console) as emit:
            found = search_minimums(quests, options, emit, runs)
    for sought in found:
        print_search_result(console, sought)
    if args.json is not None:
        write_text_json(args.json, minimums_to_json(found))
    return exit_code_of(found)


def _python(text: str) -> str:
    if not _PYTHON.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no CPython such as 3.9")
    return text
