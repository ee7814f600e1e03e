"""Options that define a plan, for every command that needs one."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from matrix.cli.common import add_flag, add_index_options, add_partials_option, note
from matrix.cli.kept_plans import KeptPlans, PlanOptions, plan_by_snapshot
from matrix.docker.interface import EngineInfo
from matrix.documents.facts import load_facts
from matrix.errors import UsageError
from matrix.interpreters.discovery import find_interpreters
from matrix.model.claim import Claim
from matrix.model.plan import Plan, StaticEvidence
from matrix.planning.locations import (
    ENGINES,
    Targets,
    all_engine_targets,
    engine_targets,
    local_targets,
    place_names,
)
from matrix.planning.planner import make_plan
from matrix.planning.profiles import profile_names
from matrix.planning.select import Selection, select
from matrix.planning.tested_versions import DEFAULT_TRACER, vendor_claims, vendor_tracer
from matrix.planning.versions import TRACER
from matrix.probes.places import Need, find_place, load_places
from matrix.pypi.client import CachedIndex, Index
from matrix.pypi.releases import Releases, end_of_day
from matrix.services.external import add_service_option
from matrix.system.paths import cache_dir

if TYPE_CHECKING:
    from matrix.documents.document import ReadDocument

DEFAULT_PROFILE = "documented"

StaticFindings: TypeAlias = Callable[[Iterable[Claim], Index], Mapping[str, StaticEvidence]]
"""Finds static evidence on claims, by claim id, without running anything."""


def add_engine_options(parser: argparse.ArgumentParser, default: str = ENGINES[0]) -> None:
    """Declare the options that say where cells run; `targets_from_args` reads them."""
    group = parser.add_argument_group("where")
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default=default,
        help="docker: in containers; local: on this machine; auto: docker where an engine answers"
        f" (default: {default})",
    )
    group.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="GLOB",
        help="targets to plan for, such as 'linux_i686' or 'arm64' (default: all that can be run)",
    )


def add_place_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say which places stand for the deployment types of claims."""
    group = parser.add_argument_group("deployment types")
    group.add_argument(
        "--place",
        action="append",
        default=[],
        type=parse_place,
        metavar="NAME",
        help=f"where claims about deployments are tested: {', '.join(load_places())} (default: the"
        " first for each deployment that can be used here, see the command `places`)",
    )
    add_context_option(group)


def add_context_option(parser: argparse._ActionsContainer) -> None:
    """Declare the context that names a Kubernetes cluster."""
    parser.add_argument(
        "--context", default="", metavar="NAME", help="the kubeconfig's context for kubernetes"
    )


def parse_place(text: str) -> str:
    """Return the name of a place; raise UsageError for another text."""
    return find_place(text).name


def add_as_of_option(parser: argparse.ArgumentParser) -> None:
    """Declare the date by which releases are chosen."""
    parser.add_argument(
        "--as-of",
        type=parse_as_of,
        metavar="DATE",
        help="resolve everything as of a date (2026-01-31, or today), not of each release's own",
    )


def add_plan_options(
    parser: argparse.ArgumentParser,
    documents: str = "Markdown pages to read (default: the facts that are committed)",
) -> None:
    """Declare documents, profile, date, index options, engine options and selectors.

    `documents` is the help text of the documents.
    """
    parser.add_argument("documents", nargs="*", type=Path, metavar="DOCUMENT", help=documents)
    add_flag(parser, "--lenient", "go on with what was understood of the documents")
    add_flag(
        parser,
        "--tested",
        "of the tracer's registry: the releases that the vendor's own tests cover, each a claim,"
        f" with the newest tracer that matches --ddtrace (default: {DEFAULT_TRACER!r})",
    )
    add_flag(
        parser,
        "--pre",
        "a pre-release of the tracer counts as its newest release where none is newer",
    )
    add_partials_option(parser)
    parser.add_argument(
        "--profile",
        default=DEFAULT_PROFILE,
        metavar="NAME",
        help=f"{', '.join(profile_names())} (default: {DEFAULT_PROFILE})",
    )
    add_as_of_option(parser)
    add_index_options(parser)
    add_engine_options(parser)
    add_place_options(parser)
    group = parser.add_argument_group(
        "selection",
        "Globs (* ? [..] {a,b}), each option any number of times: one glob of each option that is"
        " given must match. What is selected brings the cells that it is compared with.",
    )
    for option, help_text in (
        ("--cell", "cell ids, such as 'cp39-*-django3.2-*'"),
        ("--claim", "claim ids, such as '*/capability/threat-*'"),
        ("--capability", "capabilities and notes by name, such as 'sca'"),
        ("--framework", "frameworks, such as 'django' or 'flask0.*'"),
        ("--python", "CPythons, such as '3.9' or '3.1?'"),
        ("--ddtrace", "documented minimums, such as '1.9.0' or '2.*'"),
        ("--document", "documents, by name"),
    ):
        group.add_argument(option, action="append", default=[], metavar="GLOB", help=help_text)


def add_jobs_option(parser: argparse._ActionsContainer) -> None:
    """Declare the number of cells at a time; None is the default number of this machine."""
    parser.add_argument(
        "--jobs", type=parse_jobs, metavar="N", help="cells at a time (default: two for each CPU)"
    )


def add_run_options(parser: argparse._ActionsContainer) -> None:
    """Declare how cells are run, and the services that they use."""
    add_flag(parser, "--fresh", "reuse no result of an earlier run")
    add_jobs_option(parser)
    add_flag(parser, "--keep", "keep the folders and logs of the cells that run")
    add_service_option(parser)


def selection_from_args(args: argparse.Namespace) -> Selection:
    """Return the selectors that `add_plan_options` parsed."""
    return Selection(
        cells=tuple(args.cell),
        claims=tuple(args.claim),
        capabilities=tuple(args.capability),
        frameworks=tuple(args.framework),
        pythons=tuple(args.python),
        tracers=tuple(args.ddtrace),
        documents=tuple(args.document),
    )


def targets_from_args(args: argparse.Namespace) -> Targets:
    """Return the targets to plan for, for a command that runs no cell.

    With `--engine auto` a container engine is looked for.
    """
    if args.engine == "docker":
        return all_engine_targets(args.target)
    if args.engine == "auto" and (info := find_engine_info()) is not None:
        return engine_targets(info, args.target)
    return local_targets(args.target)


def find_engine_info() -> EngineInfo | None:
    """Return what is known of the container engine, None where none answers."""
    from matrix.docker.connect import find_engine  # noqa: PLC0415 - start-up time
    from matrix.docker.labels import RunLabels  # noqa: PLC0415 - start-up time

    # No container is made, so the labels that say whose it is stay empty.
    engine = find_engine(RunLabels("", ""))
    if engine is None:
        return None
    with contextlib.closing(engine):
        return engine.info


def plan_from_args(
    args: argparse.Namespace, targets: Targets, static: StaticFindings | None = None
) -> Plan:
    """Return the plan that the options define, for `targets`.

    `static` finds static evidence on the selected claims. Notes tell the user of problems of
    documents that are read leniently, and of an index that is down. Raises every `UserError` that
    reading, index and selection raise.
    """
    index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
    try:
        plan = select(_whole_plan(args, targets, static, index), _selection_of_plan(args))
        if static is not None:
            # A plan alone starts without what reads wheels.
            from matrix.features.audit import side_controls  # noqa: PLC0415 - slow to import

            selected = {claim.id for claim in plan.claims}
            evidence = tuple(item for item in plan.static if item.claim in selected)
            plan = dataclasses.replace(plan, static=evidence)
            inspect = side_controls.inspect_with(cache_dir(), offline=args.offline)
            plan = side_controls.with_side_controls(plan, index, inspect)
    finally:
        note(*index.notices)
    return plan


def _selection_of_plan(args: argparse.Namespace) -> Selection:
    """Return what is selected of a whole plan: with --tested, --ddtrace has chosen the tracer."""
    selection = selection_from_args(args)
    return dataclasses.replace(selection, tracers=()) if args.tested else selection


def _whole_plan(
    args: argparse.Namespace, targets: Targets, static: StaticFindings | None, index: Index
) -> Plan:
    """Return the plan before anything is selected, with static evidence on all of its claims."""
    options = PlanOptions(
        profile=args.profile,
        as_of=args.as_of,
        targets=targets.targets,
        obstacles=targets.obstacles,
        places=_places_from_args(args, targets),
        static=static is not None,
    )

    def make(index: Index) -> Plan:
        claims = _tested_from_args(args, targets) if args.tested else claims_from_args(args)
        candidate = ""
        if args.tested:
            tracer = Releases(index.project(TRACER), end_of_day(args.as_of), pre=args.pre)
            candidate = vendor_tracer(tracer, args.ddtrace).text
        plan = make_plan(
            claims,
            index,
            candidate=candidate,
            profile=options.profile,
            as_of=options.as_of,
            targets=options.targets,
            obstacles=options.obstacles,
            places=options.places,
            pre=args.pre,
        )
        evidence = static(plan.claims, index) if static is not None else {}
        return dataclasses.replace(plan, static=tuple(evidence.values()))

    if args.documents or args.tested or args.refresh or args.pre:
        return make(index)
    return plan_by_snapshot(options, index, make, KeptPlans(cache_dir())) or make(index)


def _places_from_args(args: argparse.Namespace, targets: Targets) -> tuple[str, ...]:
    """Return the places to plan for: those that are named, else the first for each deployment."""
    clusters = place_names(engine=False, cluster=bool(args.context))
    available = (*targets.places, *clusters)
    for name in args.place:
        if find_place(name).needs is Need.CLUSTER and not args.context:
            raise UsageError(f"--place {name} needs a cluster", find_place(name).remedy)
    if args.place:
        return tuple(name for name in available if name in args.place)
    first: dict[str, str] = {}
    for name, place in load_places().items():
        if name in available:
            first.setdefault(place.deployment, name)
    return tuple(first.values())


def claims_from_args(args: argparse.Namespace) -> tuple[Claim, ...]:
    """Return the claims of the documents, or the committed facts without documents."""
    return _read_from_args(args).claims if args.documents else tuple(load_facts())


def _tested_from_args(args: argparse.Namespace, targets: Targets) -> tuple[Claim, ...]:
    """Return the tested releases of the documents as claims.

    On this machine, on the CPythons that it has. Raises UsageError for a document without any.
    """
    hint = (
        "Pass the tracer's own registry alone, such as supported_versions.json; pages are verified"
        " without --tested."
    )
    if not args.documents:
        raise UsageError("--tested needs a document that names tested releases", hint)
    read = _read_from_args(args)
    documents = {claim.document for claim in read.claims}
    if without := documents - {item.document for item in read.tested if item.versions}:
        names = " and ".join(sorted(without))
        raise UsageError(f"no tested releases in {names}, which --tested asks for", hint)
    pythons = {item.python for item in find_interpreters() if item.target in targets.targets}
    return vendor_claims(read.claims, read.tested, None if targets.engine else pythons)


def _read_from_args(args: argparse.Namespace) -> ReadDocument:
    from matrix.documents.document import read_documents  # noqa: PLC0415 - start-up time

    result = read_documents(args.documents, lenient=args.lenient, partials=args.partials)
    note(*map(str, (*result.problems, *result.notices)))
    return result


def parse_as_of(text: str) -> dt.date:
    """Return the date that an option's text means; raise ArgumentTypeError."""
    if text == "today":
        return dt.datetime.now(tz=dt.timezone.utc).date()
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"invalid date {text!r} (expected e.g. 2026-01-31, or today)"
        ) from None


def parse_jobs(text: str) -> int:
    """Return how many cells run at a time; raise ArgumentTypeError for less than one."""
    try:
        jobs = int(text)
    except ValueError:
        jobs = 0
    if jobs < 1:
        raise argparse.ArgumentTypeError(f"invalid number of cells {text!r} (expected e.g. 2)")
    return jobs


def describe_as_of(date: dt.date | None) -> str:
    """Return the date that dependencies were resolved as of, in words for a report."""
    return f"{date:%Y-%m-%d}" if date else "the time of each release"
