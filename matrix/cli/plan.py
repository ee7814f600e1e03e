"""`plan`: which cells answer which claims, and what is left out and why."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.cli.options import (
    DEFAULT_PROFILE,
    add_plan_options,
    plan_from_args,
    selection_from_args,
    where_from_args,
)
from matrix.cli.plan_shards import (
    add_shard_plan_options,
    check_shard_plan_options,
    plan_shards,
    write_durations,
)
from matrix.errors import ExitCode, StorageError, UsageError
from matrix.interpreters.discovery import find_interpreters
from matrix.model.plan import Plan
from matrix.planning import smoke
from matrix.planning.locations import locally, short
from matrix.planning.plan_json import cells_of_claims, left_out_of_claims, plan_to_json
from matrix.probes.registry import load_probes
from matrix.pypi.releases import python_key
from matrix.reporting.services import needed_by, state_lines
from matrix.runs.setup import services_of
from matrix.services.external import ExternalService, add_service_option, external_from_args

__all__ = ["add_parser", "run"]

EXAMPLES = """\
examples:
  python -m matrix plan
      what the documented profile runs, for the committed facts
  python -m matrix plan --profile exhaustive --python 3.9 --framework 'django*'
      what there is on CPython 3.9 with Django, on every runtime
  python -m matrix plan --capability threat-detection --cells
      the ids of the cells that answer for one capability
  python -m matrix plan page.md --lenient --json plan.json
      the plan for another page, as JSON (schema plan/1)
  python -m matrix plan --engine docker --target '386'
      what a container engine would run for Linux on 32 bits, whether there is one or not
  python -m matrix plan --framework redis --service redis=redis://127.0.0.1:6379
      what a library's row runs, and which back end it would talk to
  python -m matrix plan --as-of today
      the same releases with the dependencies that an install today gets
  python -m matrix plan --github --profile exhaustive
      shares the plan out to GitHub's machines: their jobs, and a manifest for `verify --shard`
  python -m matrix plan --github --engine local --shards 3 --manifest shared.json
      three parts for this machine, each a process of its own: verify --shard linux_x86_64-01
  python -m matrix plan --write-durations .matrix/journal.jsonl
      measures again how long cells take, which is what shards are balanced by
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "plan",
        help="show which cells answer which claims, and what is left out and why",
        description="Show which cells answer which claims, and what is left out and why.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_plan_options(parser)
    parser.add_argument("--cells", action="store_true", help="print the ids of the cells only")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the plan as JSON ('-': standard output)"
    )
    parser.add_argument(
        "--write-smoke",
        action="store_true",
        help="write the list that the nox sessions of the smoke cells are made from",
    )
    add_shard_plan_options(parser)
    add_service_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print or write the plan, or share it out."""
    check_shard_plan_options(args)
    if args.write_smoke:
        _write_smoke(args)
    elif args.write_durations:
        write_durations(args, _note)
    elif args.github:
        _write_json(args, plan_shards(args, _note).plan)
    else:
        _show(args)
    return ExitCode.OK


def _show(args: argparse.Namespace) -> None:
    given = external_from_args(args)
    where = where_from_args(args)
    plan = plan_from_args(args, _note, where)
    if _write_json(args, plan):
        return
    if args.cells:
        for planned in plan.cells:
            print(planned.cell.id)
        return
    for line in _lines(plan):
        print(line)
    if not where.engine:
        for line in _missing(plan):
            print(line)
    for line in _back_ends(plan, given):
        print(line)


def _write_json(args: argparse.Namespace, plan: Plan) -> bool:
    """Write the plan where it is wanted; return whether that was standard output."""
    if args.json is None:
        return False
    text = json.dumps(plan_to_json(plan), indent=2, ensure_ascii=False) + "\n"
    if str(args.json) == "-":
        sys.stdout.write(text)
        return True
    _write(args.json, text, "Give --json another path.")
    return False


def _write_smoke(args: argparse.Namespace) -> None:
    if args.documents or args.as_of or args.profile not in (DEFAULT_PROFILE, smoke.PROFILE):
        raise UsageError(
            "--write-smoke is about the smoke profile of the committed facts",
            "Leave out documents, --profile and --as-of.",
        )
    if selection_from_args(args) or args.target:
        raise UsageError("--write-smoke takes no selection", "The sessions select: nox -t smoke.")
    args.profile = smoke.PROFILE
    # A session for each cell is for everybody, also for who has no engine.
    plan = plan_from_args(args, _note, locally())
    path = smoke.smoke_path()
    _write(path, smoke.smoke_list(plan), "It stands in the project's own folder.")
    print(f"{len(plan.cells)} cells: {path}")


def _write(path: Path, text: str, hint: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}", hint) from error


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _lines(plan: Plan) -> Iterator[str]:
    cells, left_out = cells_of_claims(plan), left_out_of_claims(plan)
    width = max((len(claim.id) for claim in plan.claims), default=0)
    yield f"{'claim':<{width}}  cells  left out"
    for claim in sorted(plan.claims, key=lambda claim: (not cells[claim.id], claim.id)):
        reasons = _counted(left_out[claim.id])
        yield f"{claim.id:<{width}}  {len(cells[claim.id]):>5}  {reasons}".rstrip()
    yield ""
    yield f"cells to run, in this order: {len(plan.cells)}"
    yield from (f"  {planned.cell.id}  {' '.join(planned.probes)}" for planned in plan.cells)
    yield ""
    total = Counter(item.reason.value for item in plan.omissions)
    yield f"profile         {plan.profile}"
    yield f"index read      {plan.snapshot:%Y-%m-%d %H:%M} UTC"
    yield f"claims          {len(plan.claims)}, {sum(map(bool, cells.values()))} with cells"
    yield f"parts           {len(plan.parts)}"
    yield f"cells           {len(plan.cells)} to run, {len(plan.fallbacks)} more in reserve"
    yield f"by target       {_by_target(plan) or 'none'}"
    yield f"by CPython      {_by_python(plan) or 'none'}"
    yield f"left out        {_counted(total) or 'nothing'}"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))


def _by_python(plan: Plan) -> str:
    counts = Counter(planned.cell.python for planned in plan.cells)
    return ", ".join(f"{each}: {counts[each]}" for each in sorted(counts, key=python_key))


def _by_target(plan: Plan) -> str:
    counts = Counter(planned.cell.target for planned in plan.cells)
    return ", ".join(f"{each} ({short(each)}): {counts[each]}" for each in plan.targets)


def _missing(plan: Plan) -> Iterator[str]:
    # Which interpreters are here is no part of the plan, but it is what one asks next.

    here = {each.python for each in find_interpreters() if each.target in plan.targets}
    counts = Counter(planned.cell.python for planned in plan.cells)
    missing = sorted(counts.keys() - here, key=python_key)
    for python in missing:
        yield f"missing here    CPython {python}, for {counts[python]} cells"


def _back_ends(plan: Plan, given: Mapping[str, ExternalService]) -> Iterator[str]:

    if needed := needed_by(plan.cells, load_probes()):
        with services_of(given, offline=True) as services:
            yield from state_lines(services, needed)
