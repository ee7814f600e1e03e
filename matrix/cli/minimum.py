"""The command `minimum`: search for the lowest release in which something really works."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Callable, Iterable

from rich.console import Console

from matrix.cli.common import add_flag, add_index_options, add_json_option, note, to_stdout
from matrix.cli.options import add_as_of_option, add_engine_options, add_jobs_option
from matrix.documents.facts import load_facts
from matrix.errors import UsageError
from matrix.features.minimum.conclusion import exit_code_of
from matrix.features.minimum.plan import plan_searches
from matrix.features.minimum.report import minimums_to_json, print_search_result, search_display
from matrix.features.minimum.run import MinimumOptions, SearchResult, search_minimums
from matrix.features.minimum.search_plan import SearchOptions, parse_subject
from matrix.model.claim import Claim
from matrix.planning.coverage import load_coverage
from matrix.pypi.client import CachedIndex
from matrix.reporting.json import write_text_json
from matrix.runs.backend import RunBackend, available_pythons, open_backend
from matrix.runs.setup import default_jobs
from matrix.services.external import add_service_option, external_from_args
from matrix.system.paths import cache_dir
from matrix.system.streams import screen

_PYTHON = re.compile(r"[23]\.\d+")

DESCRIPTION = (
    "Search for the lowest release in which a capability, an integration, a note's"
    " promise, or a framework under a given tracer really works: by halving, then beside the"
    " boundary, then all over, for what works may stop working."
)
EXAMPLES = """\
examples:
  python -m matrix minimum threat-protection --framework flask --python 3.9
      the minimum of ddtrace for each channel of a capability
  python -m matrix minimum sca --framework django==3.2.18 --since 1.0 --until 2.0
      among these releases, on one release of the framework
  python -m matrix minimum iast --framework flask==era --python 3.11
      each release on the newest Flask of its own time
  python -m matrix minimum integration:flask --exhaustive --json flask.json
      every release that traces Flask; as JSON too (schema minimum/1)
  python -m matrix minimum framework:flask --ddtrace 1.20.19
      the minimum of Flask that works with this tracer
  python -m matrix minimum framework:flask --ddtrace 1.20.19 --upper
      and the last Flask that does
  python -m matrix minimum custom-blocked-response --channel redirect
      one channel only

exit codes:
  0 every minimum is the documented one or an earlier one, or no document names one
  1 a documented minimum fails and a later release works
  2 wrong usage    3 no release can be tested    4 no release works, or none can tell
  5 package index unavailable    6 disk full or not writable    7 another run is under way
  8 no container engine    70 internal error
  130 interrupted (the next run goes on from there)
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
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
        help="default: all that documents promise it for, at the release of it with which most"
        " releases of the tracer start; era, or NAME==era: at that of each release's time",
    )
    parser.add_argument(
        "--python", type=_parse_python, metavar="X.Y", help="default: the newest promised"
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
    add_flag(parser, "--upper", "search for the last release that works, too")
    add_flag(parser, "--exhaustive", "test every release, and assume nothing")
    add_as_of_option(parser)
    add_flag(parser, "--fresh", "use no result of an earlier run")
    add_jobs_option(parser)
    add_json_option(parser, "the searches")
    add_index_options(parser)
    add_service_option(parser)
    add_engine_options(parser)


def run(
    args: argparse.Namespace,
    *,
    read_claims: Callable[[], Iterable[Claim]] = load_facts,
    open_index: Callable[..., CachedIndex] = CachedIndex,
    open_backend: Callable[..., contextlib.AbstractContextManager[RunBackend]] = open_backend,
    search: Callable[..., tuple[SearchResult, ...]] = search_minimums,
) -> int:
    """Search, print the results, and return the exit code."""
    if args.json is not None and not args.json.parent.is_dir():
        raise UsageError(f"there is no folder {args.json.parent}", "Make it, or pass another file.")
    coverage, claims = load_coverage(), tuple(read_claims())
    # An unknown subject is an error before an engine is looked for.
    subject = parse_subject(args.subject, claims, coverage)
    options = MinimumOptions(
        exhaustive=args.exhaustive,
        upper=args.upper,
        fresh=args.fresh,
        jobs=args.jobs or default_jobs(),
        offline=args.offline,
        external=external_from_args(args),
    )
    console = Console(
        file=screen(sys.stderr if to_stdout(args.json) else sys.stdout),
        width=None if sys.stdout.isatty() else 160,
    )
    with open_backend(args.engine, args.target) as backend:
        note(*backend.notes)
        # One target is enough for an answer; the first one is not emulated.
        target = backend.where.targets[0]
        index = open_index(cache_dir(), offline=args.offline, refresh=args.refresh)
        try:
            plans = plan_searches(
                subject,
                claims,
                index,
                coverage,
                SearchOptions(
                    target=target,
                    framework=args.framework,
                    python=args.python or "",
                    channels=tuple(args.channel),
                    since=args.since,
                    until=args.until,
                    ddtrace=args.ddtrace,
                    as_of=args.as_of,
                    available=frozenset() if args.python else available_pythons(backend, target),
                ),
            )
        finally:
            note(*index.notices)
        with search_display(console) as emit:
            results = search(plans, options, emit, backend)
    for result in results:
        print_search_result(console, result)
    if args.json is not None:
        write_text_json(args.json, minimums_to_json(results))
    return exit_code_of(results)


def _parse_python(text: str) -> str:
    if not _PYTHON.fullmatch(text):
        raise argparse.ArgumentTypeError(f"invalid CPython {text!r} (expected e.g. 3.9)")
    return text
