"""The command `plan`: show the cells that test each claim, and what is left out and why."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.cli.common import add_flag, add_json_option, project_data, to_stdout
from matrix.cli.options import (
    DEFAULT_PROFILE,
    add_plan_options,
    plan_from_args,
    selection_from_args,
    targets_from_args,
)
from matrix.cli.shard_options import add_shard_plan_options, check_shard_plan_options
from matrix.errors import ExitCode, UsageError
from matrix.interpreters.discovery import find_interpreters
from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.planning.locations import local_targets, short_target
from matrix.planning.missing_experiments import missing_experiments
from matrix.planning.plan_file import cells_by_claim, describe_plan, omissions_by_claim
from matrix.planning.profiles import SMOKE, format_smoke_list, smoke_path
from matrix.probes.registry import load_probes
from matrix.pypi.releases import python_key
from matrix.services.external import ExternalService, add_service_option, external_from_args

DESCRIPTION = "Show which cells answer which claims, and what is left out and why."
EXAMPLES = """\
examples:
  python -m matrix plan
      the cells of the documented profile, for the committed facts
  python -m matrix plan --profile exhaustive --python 3.9 --framework 'django*'
      the cells on CPython 3.9 with Django
  python -m matrix plan --capability threat-detection --cells
      the ids of the cells that test one capability
  python -m matrix plan page.md --lenient --json plan.json
      the plan for another page, as JSON (schema plan/1)
  python -m matrix plan --engine docker --target '386'
      the cells that a container engine would run for 32-bit Linux; needs no engine
  python -m matrix plan --framework redis --service redis=redis://127.0.0.1:6379
      the cells of a library's row, and the back end that it would use
  python -m matrix plan --as-of today
      the same releases with the dependencies that an install today gets
  python -m matrix plan supported_versions.json --tested --ddtrace 4.16.0
      the releases that the vendor's own tests cover, with this tracer
  python -m matrix plan --locks
      the cells that must be resolved before they run, as no lock of theirs is committed
  python -m matrix plan --github --profile exhaustive
      shares the plan out to GitHub's machines: their jobs, and a manifest for `verify --shard`
  python -m matrix plan --github --engine local --shards 3 --manifest shared.json
      three parts for this machine, each a process of its own: verify --shard linux_x86_64-01
  python -m matrix plan --write-durations .matrix/journal.jsonl
      measures again how long cells take, which is what shards are balanced by
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_plan_options(parser)
    add_flag(parser, "--cells", "print the ids of the cells only")
    add_json_option(parser, "the plan")
    add_flag(
        parser,
        "--write-smoke",
        "write the list that the nox sessions of the smoke cells are made from",
    )
    add_flag(
        parser,
        "--write-releases",
        "read the index and write the snapshot of releases that the committed facts are planned by",
    )
    add_flag(
        parser,
        "--write-locks",
        "write the locks of the environments that the documented profile has on this machine;"
        " with --refresh also those that are committed are resolved again",
    )
    add_flag(
        parser, "--locks", "print the cells whose environments have no committed lock, and why"
    )
    add_shard_plan_options(parser)
    add_service_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print or write the plan, or split it into shards."""
    check_shard_plan_options(args)
    if args.write_smoke:
        _write_smoke_list(args)
    elif args.write_locks or args.write_releases:
        from matrix.cli.plan_facts import write_locks, write_releases  # noqa: PLC0415 - slow

        if args.write_releases:
            write_releases(args)
        if args.write_locks:
            write_locks(args)
    elif args.write_durations:
        from matrix.cli.plan_shards import write_durations  # noqa: PLC0415 - slow

        write_durations(args)
    elif args.github:
        from matrix.cli.plan_shards import plan_shards  # noqa: PLC0415 - slow

        manifest = plan_shards(args)
        if args.json is not None:
            _write_plan(args.json, manifest.plan)
    else:
        _show(args)
    return ExitCode.OK


def _show(args: argparse.Namespace) -> None:
    external = external_from_args(args)
    targets = targets_from_args(args)
    plan = plan_from_args(args, targets)
    if args.json is not None:
        _write_plan(args.json, plan)
        if to_stdout(args.json):
            return
    if args.cells or args.locks:
        for line in _cell_lines(plan, locks=args.locks):
            print(line)
        return
    for line in _lines(plan):
        print(line)
    if not targets.engine:
        for line in _missing_interpreters(plan):
            print(line)
    for line in _back_ends(plan, external):
        print(line)


def _cell_lines(plan: Plan, *, locks: bool) -> Iterator[str]:
    """Yield the ids of the cells, or with `locks` those without a committed lock."""
    if not locks:
        yield from (planned.cell.id for planned in plan.cells)
        return
    from matrix.cli.plan_facts import lock_lines  # noqa: PLC0415 - slow

    yield from lock_lines(plan.cells)


def _write_plan(path: Path, plan: Plan) -> None:
    from matrix.reporting.json import write_text_json  # noqa: PLC0415 - start-up time

    write_text_json(path, describe_plan(plan))


def _write_smoke_list(args: argparse.Namespace) -> None:
    if args.documents or args.as_of or args.profile not in (DEFAULT_PROFILE, SMOKE):
        raise UsageError(
            "--write-smoke is about the smoke profile of the committed facts",
            "Leave out documents, --profile and --as-of.",
        )
    if selection_from_args(args) or args.target:
        raise UsageError("--write-smoke takes no selection", "The sessions select: nox -t smoke.")
    args.profile = SMOKE
    # The sessions are for everybody, also without an engine.
    plan = plan_from_args(args, local_targets())
    path = smoke_path()
    with project_data(path):
        path.write_text(format_smoke_list(plan), encoding="utf-8", newline="\n")
    print(f"{len(plan.cells)} cells: {path}")


def _lines(plan: Plan) -> Iterator[str]:
    cells, omissions = cells_by_claim(plan), omissions_by_claim(plan)
    width = max((len(claim.id) for claim in plan.claims), default=0)
    yield f"{'claim':<{width}}  cells  left out"
    for claim in sorted(plan.claims, key=lambda claim: (not cells[claim.id], claim.id)):
        reasons = _format_counts(omissions[claim.id])
        yield f"{claim.id:<{width}}  {len(cells[claim.id]):>5}  {reasons}".rstrip()
    yield ""
    yield f"cells to run, in this order: {len(plan.cells)}"
    yield from (f"  {planned.cell.id}  {' '.join(planned.probes)}" for planned in plan.cells)
    yield ""
    total = Counter(omission.reason.value for omission in plan.omissions)
    yield f"profile         {plan.profile}"
    yield f"index read      {plan.snapshot:%Y-%m-%d %H:%M} UTC"
    yield f"claims          {len(plan.claims)}, {sum(map(bool, cells.values()))} with cells"
    yield f"parts           {len(plan.parts)}"
    yield f"cells           {len(plan.cells)} to run, {len(plan.fallbacks)} more in reserve"
    yield f"by target       {_cells_by_target(plan) or 'none'}"
    yield f"by CPython      {_cells_by_python(plan) or 'none'}"
    yield f"left out        {_format_counts(total) or 'nothing'}"
    without = {item.claim for item in plan.omissions if item.reason is Reason.NO_PROBE}
    yield from missing_experiments(claim for claim in plan.claims if claim.id in without)


def _format_counts(counts: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))


def _cells_by_python(plan: Plan) -> str:
    counts = Counter(planned.cell.python for planned in plan.cells)
    return ", ".join(f"{python}: {counts[python]}" for python in sorted(counts, key=python_key))


def _cells_by_target(plan: Plan) -> str:
    counts = Counter(planned.cell.target for planned in plan.cells)
    return ", ".join(
        f"{target} ({short_target(target)}): {counts[target]}" for target in plan.targets
    )


def _missing_interpreters(plan: Plan) -> Iterator[str]:
    """Yield a line for each CPython that this machine lacks; no part of the plan, but useful."""
    available = {item.python for item in find_interpreters() if item.target in plan.targets}
    counts = Counter(planned.cell.python for planned in plan.cells)
    for python in sorted(counts.keys() - available, key=python_key):
        yield f"missing here    CPython {python}, for {counts[python]} cells"


def _back_ends(plan: Plan, external: Mapping[str, ExternalService]) -> Iterator[str]:
    from matrix.reporting.back_ends import count_needed_services, service_state_lines  # noqa: PLC0415 - start-up time

    if needed := count_needed_services(plan.cells, load_probes()):
        from matrix.runs.services import run_services  # noqa: PLC0415 - start-up time

        with run_services(external, offline=True) as services:
            yield from service_state_lines(services, needed)
