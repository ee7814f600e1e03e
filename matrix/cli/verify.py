"""`verify`: run the cells and say which promises hold.

Where `verify` runs its cells: on this machine, on a cluster, or nowhere (`--rejudge`).

`verify --shard`: one part of a run that was shared out, for `collect` to judge.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from matrix.cli.options import (
    DEFAULT_PROFILE,
    add_plan_options,
    describe_as_of,
    parse_jobs,
    plan_from_args,
    selection_from_args,
    targets_from_args,
)
from matrix.cli.output import (
    add_answer_options,
    answer_console,
    check_answer_options,
    write_answers,
)
from matrix.distributed.dask.cluster import join_cluster
from matrix.distributed.manifest import MANIFEST, Manifest, Shard, read_manifest
from matrix.distributed.shard_run import check_project, find_shard, run_shard
from matrix.errors import NothingSelectedError, UsageError
from matrix.features.audit.index_evidence import static_evidence
from matrix.model.plan import Plan
from matrix.planning.locations import Targets, select_targets
from matrix.reporting.progress import display, run_console
from matrix.runs.backend import RunBackend, open_backend
from matrix.runs.record_store import RecordStore
from matrix.runs.rejudge import captured_targets
from matrix.runs.run import OpenRunContext, context_on, exit_code, verify
from matrix.runs.setup import RunOptions, default_jobs
from matrix.services.external import add_service_option, external_from_args
from matrix.system.paths import results_dir
from matrix.system.source_files import project_version



@dataclasses.dataclass(frozen=True)
class VerifySetup:
    """`where` is what can be planned; `context_on` opens the world for a plan, where one is run.

    `notes` are what the user should know of the choice.
    """

    where: Targets
    context_on: Callable[[Plan], OpenRunContext]
    notes: tuple[str, ...] = ()


def check_cluster_options(args: argparse.Namespace) -> None:
    """Raise UsageError for options that say nothing of a cluster."""
    for option, said in (
        ("shard", "a shard is run by one machine"),
        ("rejudge", "nothing is run for --rejudge"),
        ("keep", "the folders of cells are on the workers, which do not keep them"),
        ("jobs", "each worker says how many cells it runs at a time: worker --jobs"),
    ):
        if args.cluster and getattr(args, option):
            raise UsageError(
                f"--{option} and --cluster exclude each other: {said}", "Leave one of them out."
            )


@contextlib.contextmanager
def place_from_args(args: argparse.Namespace) -> Iterator[VerifySetup]:
    """Yield where the options say that cells run; raise what looking for it raises."""
    if args.rejudge:
        # Nothing is run, so no engine is asked.
        where = (
            captured_targets(results_dir(), args.target)
            if args.engine == "auto"
            else targets_from_args(args)
        )
        yield VerifySetup(where, lambda _plan: context_on(RunBackend(where)))
    elif args.cluster:
        with join_cluster(args.cluster, args.engine, args.target) as cluster:
            yield VerifySetup(cluster.where, cluster.context_on, cluster.notes)
    else:
        with open_backend(args.engine, args.target) as runs:
            yield VerifySetup(runs.where, lambda _plan: context_on(runs), runs.notes)


def add_shard_options(parser: argparse.ArgumentParser) -> None:
    """Declare which part of which shared-out run is meant."""
    group = parser.add_argument_group(
        "shards", "What `plan --github` shared out is run part by part, and judged by `collect`."
    )
    group.add_argument("--shard", metavar="NAME", help="run this part of the manifest's plan")
    group.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="the manifest that the shard is of (default: manifest.json among the results)",
    )


def run_shard_from_args(args: argparse.Namespace) -> int:
    """Run a shard, say where its results are, and return its exit code."""
    if wrong := list(_without_meaning(args)):
        raise UsageError(
            f"--shard says what is run, as the manifest has it; beside it is {', '.join(wrong)}",
            "Give that to `plan --github`, or to `collect` what is about the report.",
        )

    path = args.manifest or results_dir() / MANIFEST
    manifest = read_manifest(path)
    check_project(manifest, project_version(), path)
    shard = find_shard(manifest, args.shard)
    if wrong := list(_contradictions(args, manifest, shard)):
        raise UsageError(
            f"{shard.name} is otherwise in {path}: {'; '.join(wrong)}",
            "Leave these options out: the manifest says it.",
        )
    options = RunOptions(
        fresh=args.fresh,
        jobs=args.jobs or default_jobs(),
        keep=args.keep,
        offline=args.offline,
        engine=shard.engine,
        external=external_from_args(args),
    )
    console = run_console()
    with open_backend(shard.engine, [shard.target]) as runs:
        for note in runs.notes:
            print(f"note: {note}", file=sys.stderr)
        with display(console, os.environ) as emit:
            ran = run_shard(manifest, shard, options, emit, context_on(runs))
    for warning in ran.seal.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    console.print(str(ran), markup=False, highlight=False, soft_wrap=True)
    return ran.exit_code


def _without_meaning(args: argparse.Namespace) -> Iterator[str]:
    """Yield the options that say what is planned, and those about verdicts: a shard has none."""
    if args.documents:
        yield "a document"
    if selection_from_args(args):
        yield "a selector"
    for name in ("as_of", "lenient", "refresh", "cluster", "rejudge", "strict", "json", "picture"):
        if getattr(args, name, None):
            yield f"--{name.replace('_', '-')}"


def _contradictions(args: argparse.Namespace, manifest: Manifest, shard: Shard) -> Iterator[str]:
    if args.profile not in (DEFAULT_PROFILE, manifest.plan.profile):
        yield f"--profile {args.profile} is not {manifest.plan.profile}"
    if args.engine not in ("auto", shard.engine):
        yield f"--engine {args.engine} is not {shard.engine}"

    if args.target and select_targets([shard.target], args.target).targets != (shard.target,):
        yield f"--target {' '.join(args.target)} is not {shard.target}"


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
      what a user gets who installs the same releases now
  python -m matrix verify --engine docker --target 386 --target arm64
      in containers, and only what is promised for these
  python -m matrix verify --rejudge --picture answers.svg
      judge what earlier runs captured by today's rules, and draw the answers; runs nothing
  python -m matrix verify --shard linux_x86_64-01
      one part of what `plan --github` shared out; `collect` judges all of them
  python -m matrix verify --cluster tcp://192.0.2.1:8786
      on all machines where `python -m matrix worker tcp://192.0.2.1:8786` runs

exit codes:
  0 no claim refuted (with --strict: every claim confirmed)   1 at least one claim refuted
  2 wrong usage or unreadable input    3 nothing selected    4 with --strict: some unverified
  5 package index unavailable    6 disk full or not writable    7 another run is under way
  8 no container engine    12 no cluster, or it was lost    130 interrupted
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "verify",
        help="run the cells and say which promises hold",
        description="Run the cells and say, for every promise of the documents, whether it holds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_plan_options(parser)
    group = parser.add_argument_group("run")
    group.add_argument("--fresh", action="store_true", help="use no result of an earlier run")
    group.add_argument(
        "--rejudge", action="store_true", help="run nothing: judge again what was captured"
    )
    group.add_argument(
        "--jobs", type=parse_jobs, metavar="N", help="cells at a time (default: two for each CPU)"
    )
    group.add_argument(
        "--keep", action="store_true", help="keep the folders and logs of the cells that run"
    )
    add_service_option(group)
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="run the cells on the workers of a Dask cluster: its scheduler, as tcp://host:8786",
    )
    add_shard_options(parser)
    add_answer_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the plan, print the report, and return the exit code."""
    check_cluster_options(args)
    if args.shard is not None:
        return run_shard_from_args(args)
    _check(args)
    # The rest is imported when the options are known to be right: `--help` is quick.

    console = answer_console(args)
    options = RunOptions(
        fresh=args.fresh,
        rejudge=args.rejudge,
        jobs=args.jobs or default_jobs(),
        keep=args.keep,
        offline=args.offline,
        engine=args.engine,
        external=external_from_args(args),
    )
    with place_from_args(args) as runs:
        for note in runs.notes:
            _note(note)
        plan = plan_from_args(args, _note, runs.where, static_evidence)
        if not plan.claims:
            raise NothingSelectedError(
                "there is no claim to verify", "See: python -m matrix claims"
            )
        with display(console, os.environ) as emit:
            record = verify(plan, options, emit, runs.context_on(plan))
    record = record.dated(describe_as_of(args.as_of))
    text = write_answers(args, console, record)
    if args.keep:
        print(f"kept: {results_dir() / 'kept'}", file=sys.stderr)
    RecordStore.default().write(text, record.run.started)
    return exit_code(record, strict=args.strict)


def _check(args: argparse.Namespace) -> None:
    if args.manifest is not None:
        raise UsageError("--manifest is for a shard", "Name one of its shards: --shard NAME")
    if args.fresh and args.rejudge:
        raise UsageError("--fresh and --rejudge exclude each other", "Leave one of them out.")
    check_answer_options(args)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
