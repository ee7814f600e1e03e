"""`verify`: run the cells and say which promises hold."""

from __future__ import annotations

import argparse
import os
import sys

from matrix.commands.answers import (
    add_answer_options,
    answer_console,
    check_answer_options,
    write_answers,
)
from matrix.commands.numbers import cell_count
from matrix.commands.verify_places import check_cluster_options, place_from_args
from matrix.commands.verify_shard import add_shard_options, run_shard_from_args
from matrix.errors import NothingSelectedError, UsageError
from matrix.places import results_dir
from matrix.planning.options import add_plan_options, as_of_words, plan_from_args
from matrix.services.given import add_service_option, given_from_args

__all__ = ["add_parser", "run"]


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
        "--jobs", type=cell_count, metavar="N", help="cells at a time (default: two for each CPU)"
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
    from matrix.audit.index_evidence import static_findings  # noqa: PLC0415
    from matrix.records import RecordShelf  # noqa: PLC0415
    from matrix.reporting.displays import display  # noqa: PLC0415
    from matrix.verify.running import Options, exit_code, verify  # noqa: PLC0415
    from matrix.verify.worlds import cells_at_a_time  # noqa: PLC0415

    console = answer_console(args)
    options = Options(
        fresh=args.fresh,
        rejudge=args.rejudge,
        jobs=args.jobs or cells_at_a_time(),
        keep=args.keep,
        offline=args.offline,
        engine=args.engine,
        given=given_from_args(args),
    )
    with place_from_args(args) as runs:
        for note in runs.notes:
            _note(note)
        plan = plan_from_args(args, _note, runs.where, static_findings)
        if not plan.claims:
            raise NothingSelectedError(
                "there is no claim to verify", "See: python -m matrix claims"
            )
        with display(console, os.environ) as emit:
            result = verify(plan, options, emit, runs.world_on(plan))
    text = write_answers(args, console, result, as_of_words(args.as_of))
    if args.keep:
        print(f"kept: {results_dir() / 'kept'}", file=sys.stderr)
    RecordShelf.here().keep(text, result.started)
    return exit_code(result, strict=args.strict)


def _check(args: argparse.Namespace) -> None:
    if args.manifest is not None:
        raise UsageError("--manifest is for a shard", "Name one of its shards: --shard NAME")
    if args.fresh and args.rejudge:
        raise UsageError("--fresh and --rejudge exclude each other", "Leave one of them out.")
    check_answer_options(args)


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
