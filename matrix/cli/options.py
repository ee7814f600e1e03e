"""The options that say which plan is meant, for every command that needs one."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from matrix.docker.connect import find_engine
from matrix.docker.interface import EngineInfo
from matrix.docker.labels import RunLabels
from matrix.documents.document import read_documents
from matrix.documents.facts import load_facts
from matrix.model.claim import Claim
from matrix.model.plan import Plan, StaticEvidence
from matrix.planning.locations import ENGINES, Targets, anywhere, by_engine, locally
from matrix.planning.planner import make_plan
from matrix.planning.profiles import profile_names
from matrix.planning.select import Selection, select
from matrix.pypi.client import CachedIndex
from matrix.pypi.index import Index
from matrix.system.paths import cache_dir

__all__ = [
    "DEFAULT_PROFILE",
    "StaticFindings",
    "add_engine_options",
    "add_plan_options",
    "add_selection_options",
    "as_of_date",
    "as_of_words",
    "claims_from_args",
    "plan_from_args",
    "selection_from_args",
    "where_from_args",
]

DEFAULT_PROFILE = "documented"

StaticFindings: TypeAlias = Callable[[Iterable[Claim], Index], Mapping[str, StaticEvidence]]
"""Tells what is known of claims without running anything, by claim id."""


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Declare where cells are to be run; `where_from_args` reads it."""
    group = parser.add_argument_group("where")
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="docker: in containers; local: on this machine; auto: docker where an engine answers"
        " (default)",
    )
    group.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="GLOB",
        help="targets to plan for, such as 'linux_i686' or 'arm64' (default: all that can be run)",
    )


def add_selection_options(parser: argparse.ArgumentParser) -> None:
    """Declare the selectors; `selection_from_args` reads them."""
    group = parser.add_argument_group(
        "selection",
        "Globs (* ? [..] {a,b}), each option any number of times: one glob of each option that is"
        " given must match. What is selected brings the cells that it is compared with.",
    )
    for option, what in (
        ("--cell", "cell ids, such as 'cp39-*-django3.2-*'"),
        ("--claim", "claim ids, such as '*/capability/threat-*'"),
        ("--capability", "capabilities and notes by name, such as 'sca'"),
        ("--framework", "frameworks, such as 'django' or 'flask0.*'"),
        ("--python", "CPythons, such as '3.9' or '3.1?'"),
        ("--ddtrace", "documented minimums, such as '1.9.0' or '2.*'"),
        ("--document", "documents, by name"),
    ):
        group.add_argument(option, action="append", default=[], metavar="GLOB", help=what)


def add_plan_options(
    parser: argparse.ArgumentParser,
    documents: str = "Markdown pages to read (default: the facts that are committed)",
) -> None:
    """Declare documents, profile, date, the index's options, where, and the selectors.

    `documents` is what the help says of them.
    """
    parser.add_argument(
        "documents",
        nargs="*",
        type=Path,
        metavar="DOCUMENT",
        help=documents,
    )
    parser.add_argument(
        "--lenient",
        action="store_true",
        help="go on with what was understood of the documents",
    )
    parser.add_argument(
        "--profile",
        default=DEFAULT_PROFILE,
        metavar="NAME",
        help=f"{', '.join(profile_names())} (default: {DEFAULT_PROFILE})",
    )
    parser.add_argument(
        "--as-of",
        type=as_of_date,
        metavar="DATE",
        help="resolve everything as of a date (2026-01-31, or today), not of each release's own",
    )
    asking = parser.add_mutually_exclusive_group()
    asking.add_argument("--offline", action="store_true", help="use what is known of the index")
    asking.add_argument(
        "--refresh", action="store_true", help="ask the index again, however new the cache is"
    )
    add_engine_options(parser)
    add_selection_options(parser)


def selection_from_args(args: argparse.Namespace) -> Selection:
    """Return what `add_selection_options` parsed."""
    return Selection(
        cells=tuple(args.cell),
        claims=tuple(args.claim),
        capabilities=tuple(args.capability),
        frameworks=tuple(args.framework),
        pythons=tuple(args.python),
        tracers=tuple(args.ddtrace),
        documents=tuple(args.document),
    )


def where_from_args(args: argparse.Namespace) -> Targets:
    """Return where cells would be run, for a command that runs none; `auto` asks for an engine."""
    if args.engine == "docker":
        return anywhere(args.target)
    if args.engine == "auto" and (info := _engine()) is not None:
        return by_engine(info, args.target)
    return locally(args.target)


def _engine() -> EngineInfo | None:
    # Nothing is made there, so nothing has to be told whose it is.
    engine = find_engine(RunLabels("", ""))
    if engine is None:
        return None
    with contextlib.closing(engine):
        return engine.info


def plan_from_args(
    args: argparse.Namespace,
    say: Callable[[str], None],
    where: Targets | None = None,
    static: StaticFindings | None = None,
) -> Plan:
    """Return the plan that the options mean, for `where` (by default this machine).

    `static` tells what is known of claims without running anything; it is asked of those selected.

    `say` gets what the user should know beside it: problems of documents that are read leniently,
    an index that is down. Raises every `UserError` that reading, index and selection raise.
    """
    where = where or locally()
    claims = claims_from_args(args, say)
    index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
    try:
        plan = make_plan(
            claims,
            index,
            profile=args.profile,
            as_of=args.as_of,
            targets=where.targets,
            obstacles=where.obstacles,
            deployments=where.deployments,
        )
        plan = select(plan, selection_from_args(args))
        if static is not None:
            plan = dataclasses.replace(plan, static=tuple(static(plan.claims, index).values()))
    finally:
        for notice in index.notices:
            say(notice)
    return plan


def claims_from_args(args: argparse.Namespace, say: Callable[[str], None]) -> tuple[Claim, ...]:
    """Return the claims of the documents given, or the committed facts."""
    # Imported here: a plan of the committed facts starts without a Markdown parser.
    if not args.documents:
        return tuple(load_facts())

    reading = read_documents(args.documents, lenient=args.lenient)
    for problem in (*reading.problems, *reading.notices):
        say(str(problem))
    return tuple(reading.claims)


def as_of_date(text: str) -> dt.date:
    """Return the date that an option gives; raise ArgumentTypeError."""
    if text == "today":
        return dt.datetime.now(tz=dt.timezone.utc).date()
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-01-31") from None


def as_of_words(date: dt.date | None) -> str:
    """Return what a report says of the date that dependencies were resolved as of."""
    return f"{date:%Y-%m-%d}" if date else "the time of each release"
