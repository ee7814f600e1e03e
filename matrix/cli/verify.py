"""`verify`: run the cells, here, on a cluster or as a shard, and say which promises hold."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from matrix.cli.common import add_flag, add_path, check_folders, note, to_stdout
from matrix.cli.options import (
    DEFAULT_PROFILE,
    add_plan_options,
    add_run_options,
    describe_as_of,
    plan_from_args,
    selection_from_args,
    targets_from_args,
)
from matrix.cli.output import add_answer_options, close_run, run_options, write_answers
from matrix.errors import NothingSelectedError, UsageError
from matrix.features.audit.index import static_evidence
from matrix.model.plan import Plan
from matrix.planning.locations import Targets, select_targets
from matrix.reporting.progress import display, run_console
from matrix.reporting.timings import print_timings
from matrix.runs.backend import RunBackend, open_backend
from matrix.runs.record_store import RecordStore
from matrix.runs.run import OpenRunContext, captured_targets, context_on, exit_code, verify
from matrix.system.paths import results_dir
from matrix.system.source_files import project_version
from matrix.system.timings import OTHER, PLAN, TIMINGS

if TYPE_CHECKING:
    from matrix.distributed.manifest import Manifest, Shard

DESCRIPTION = "Run the cells and say, for every promise of the documents, whether it holds."
EXAMPLES = """\
examples:
  python -m matrix verify
      the promises of the committed facts, each at its boundaries
  python -m matrix verify --profile smoke
      a few cells, in under a minute once the caches are warm
  python -m matrix verify page.md --lenient --json verdicts.json
      the promises of another page; verdicts as JSON too (schema verdicts/1)
  python -m matrix verify --capability iast --python '3.*' --fresh
      one capability on some CPythons, without results of earlier runs
  python -m matrix verify --as-of today
      with the dependencies that an installation of the same releases gets today
  python -m matrix verify supported_versions.json --tested
      what the vendor's own tests cover, by the tracer's registry, on the newest 4.x
  python -m matrix verify --resolve
      the same, with locks of environments that are resolved once more
  python -m matrix verify --engine docker --target 386 --target arm64
      in containers, and only promises for these targets
  python -m matrix verify --rejudge --picture answers.svg
      judge the captures of earlier runs by the current rules, and draw the verdicts; run nothing
  python -m matrix verify --shard linux_x86_64-01
      one shard of `plan --github`; `collect` judges all of them
  python -m matrix verify --cluster tcp://192.0.2.1:8786
      on all machines that run `python -m matrix worker tcp://192.0.2.1:8786`

exit codes:
  0 no claim refuted (with --strict: every claim confirmed)   1 at least one claim refuted
  2 wrong usage or unreadable input    3 nothing selected    4 with --strict: some unverified
  5 package index unavailable    6 disk full or not writable    7 another run is under way
  8 no container engine    12 no cluster, or it was lost    70 internal error    130 interrupted
"""


@dataclasses.dataclass(frozen=True)
class VerifySetup:
    """The targets to plan for, and a function that opens the context of a run of a plan.

    `notes` inform the user of the choice of the backend.
    """

    where: Targets
    context_on: Callable[[Plan], OpenRunContext]
    notes: tuple[str, ...] = ()


def check_cluster_options(args: argparse.Namespace) -> None:
    """Raise UsageError for options that a cluster cannot have."""
    for option, reason in (
        ("shard", "a shard runs on one machine"),
        ("rejudge", "--rejudge runs nothing"),
        ("keep", "the workers do not keep the folders of cells"),
        ("jobs", "each worker has its own number of cells at a time: worker --jobs"),
        ("resolve", "the workers make the environments"),
        ("first-answer", "the cluster has all cells from the beginning"),
        ("context", "the workers of a Dask cluster run cells on their own machines"),
    ):
        if args.cluster and getattr(args, option.replace("-", "_")):
            raise UsageError(
                f"--{option} and --cluster exclude each other: {reason}", "Leave one of them out."
            )


@contextlib.contextmanager
def setup_from_args(args: argparse.Namespace) -> Iterator[VerifySetup]:
    """Yield the setup of a run; raise UserError where its backend is not available."""
    if args.rejudge:
        # Nothing is run, so no engine is needed.
        where = (
            captured_targets(results_dir(), args.target)
            if args.engine == "auto"
            else targets_from_args(args)
        )
        yield VerifySetup(where, lambda _plan: context_on(RunBackend(where)))
    elif args.cluster:
        from matrix.distributed.dask.cluster import join_cluster  # noqa: PLC0415 - start-up time

        with join_cluster(args.cluster, args.engine, args.target) as cluster:
            yield VerifySetup(cluster.where, cluster.context_on, cluster.notes)
    else:
        with open_backend(args.engine, args.target) as backend:
            yield VerifySetup(backend.where, lambda _plan: context_on(backend), backend.notes)


def run_shard_from_args(args: argparse.Namespace) -> int:
    """Run a shard, print where its results are, and return its exit code."""
    from matrix.distributed.manifest import MANIFEST, read_manifest  # noqa: PLC0415 - start-up time
    from matrix.distributed.shard_run import check_project, find_shard, run_shard  # noqa: PLC0415 - start-up time

    if unusable := list(_options_of_plans(args)):
        raise UsageError(
            f"--shard cannot be combined with {', '.join(unusable)}: the manifest has the plan",
            "Pass options of plans to `plan --github`, and options of reports to `collect`.",
        )
    path = args.manifest or results_dir() / MANIFEST
    manifest = read_manifest(path)
    check_project(manifest, project_version(), path)
    shard = find_shard(manifest, args.shard)
    if contradictions := list(_contradictions(args, manifest, shard)):
        raise UsageError(
            f"{shard.name} has other options in {path}: {'; '.join(contradictions)}",
            "Leave these options out: the manifest has them.",
        )
    options = dataclasses.replace(run_options(args), engine=shard.engine, anew=args.resolve)
    console = run_console()
    with open_backend(shard.engine, [shard.target]) as backend:
        note(*backend.notes)
        with display(console, os.environ) as emit:
            shard_run = run_shard(manifest, shard, options, emit, context_on(backend))
    for warning in shard_run.seal.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    console.print(str(shard_run), markup=False, highlight=False, soft_wrap=True)
    return shard_run.exit_code


def _options_of_plans(args: argparse.Namespace) -> Iterator[str]:
    """Yield the options that select what is planned or reported, which a shard does not have."""
    if args.documents:
        yield "a document"
    if selection_from_args(args):
        yield "a selector"
    of_plans = ("as_of", "lenient", "tested", "refresh")
    of_reports = ("all", "timings", "first_answer", "strict", "accept_place", "json", "picture")
    for name in (*of_plans, "cluster", "rejudge", *of_reports):
        if getattr(args, name, None):
            yield f"--{name.replace('_', '-')}"


def _contradictions(args: argparse.Namespace, manifest: Manifest, shard: Shard) -> Iterator[str]:
    if args.profile not in (DEFAULT_PROFILE, manifest.plan.profile):
        yield f"--profile {args.profile} is not {manifest.plan.profile}"
    if args.engine not in ("auto", shard.engine):
        yield f"--engine {args.engine} is not {shard.engine}"
    if args.target and select_targets([shard.target], args.target).targets != (shard.target,):
        yield f"--target {' '.join(args.target)} is not {shard.target}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_plan_options(parser)
    group = parser.add_argument_group("run")
    add_run_options(group)
    add_flag(
        group,
        "--first-answer",
        "leave out the cells of claims that others have refuted: fewer cells, the same outcomes",
    )
    add_flag(group, "--timings", "print what each phase of the run took, with its CPU time")
    add_flag(group, "--rejudge", "run nothing: judge the captures of earlier runs again")
    add_flag(
        group,
        "--resolve",
        "use no lock of an environment, ask the index anew and report what differs from those that"
        " are committed",
    )
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="run the cells on the workers of a Dask cluster: its scheduler, as tcp://host:8786",
    )
    shards = parser.add_argument_group(
        "shards", "`plan --github` divides a plan into shards; `collect` judges their results."
    )
    shards.add_argument("--shard", metavar="NAME", help="run this shard of the manifest's plan")
    add_path(
        shards, "--manifest", "the manifest of the shard (default: manifest.json among the results)"
    )
    add_answer_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the plan, print the report, and return the exit code."""
    check_cluster_options(args)
    if args.shard is not None:
        return run_shard_from_args(args)
    _check_options(args)
    console = run_console(stderr=to_stdout(args.json))
    options = dataclasses.replace(
        run_options(args), rejudge=args.rejudge, anew=args.resolve, first_answer=args.first_answer
    )
    with setup_from_args(args) as setup:
        note(*setup.notes)
        with TIMINGS.phase(PLAN):
            plan = plan_from_args(args, setup.where, static_evidence)
        if not plan.claims:
            raise NothingSelectedError("no claim to verify", "See: python -m matrix claims")
        with display(console, os.environ) as emit:
            record = verify(plan, options, emit, setup.context_on(plan))
    record = record.dated(describe_as_of(args.as_of))
    text = write_answers(args, console, record)
    if args.keep:
        print(f"kept: {results_dir() / 'kept'}", file=sys.stderr)
    path = RecordStore.default().write(text, record.run.started)
    if args.timings:
        TIMINGS.add_rest(OTHER)
        print_timings(console, TIMINGS.take(), record.run.seconds)
    close_run(console, record, path)
    return exit_code(record, strict=args.strict, accepted=args.accept_place)


def _check_options(args: argparse.Namespace) -> None:
    if args.manifest is not None:
        raise UsageError("--manifest is for a shard", "Name one of its shards: --shard NAME")
    for one, other in (
        ("fresh", "rejudge"),
        ("first_answer", "rejudge"),
        ("resolve", "rejudge"),
        ("resolve", "offline"),
    ):
        if getattr(args, one) and getattr(args, other):
            option = one.replace("_", "-")
            raise UsageError(
                f"--{option} and --{other} exclude each other", "Leave one of them out."
            )
    check_folders(args.json, args.picture)
