"""`reproduce`: print (or run) the commands that repeat one cell by hand."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Mapping

from matrix.cli.common import add_flag, add_json_option, add_path, note, to_stdout
from matrix.cli.options import add_plan_options, plan_from_args
from matrix.docker.connect import find_engine
from matrix.docker.labels import lock_run
from matrix.environments.errors import BuildError
from matrix.errors import (
    ExitCode,
    IndexUnavailableError,
    NothingSelectedError,
    UsageError,
    did_you_mean,
)
from matrix.features.reproduce.dockerfile import DockerfileOptions, write_context
from matrix.features.reproduce.earlier import earlier_cell
from matrix.features.reproduce.run import describe_back_ends, manual_commands, run_alone
from matrix.model.capture import BARE
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.planning.locations import Targets, all_targets
from matrix.probes.places import find_place
from matrix.pypi.client import CachedIndex
from matrix.reporting.json import write_text_json
from matrix.runs.backend import open_backend
from matrix.runs.journal import Journal
from matrix.runs.services import run_services
from matrix.runs.setup import RunOptions
from matrix.services.external import ExternalService, add_service_option, external_from_args
from matrix.system.paths import cache_dir, results_dir

DESCRIPTION = "Print (or run) the commands that repeat one cell by hand."
EXAMPLES = """\
examples:
  python -m matrix reproduce cp39-linux_x86_64-django3.2-ddtrace1.9.0
      print the commands: environment, agent, app, requests, and what to look for
  python -m matrix reproduce cp39-linux_x86_64-django3.2-ddtrace1.9.0 --run
      run that cell alone, without results of earlier runs, and say what it showed
  python -m matrix reproduce cp39-linux_x86_64-django3.2-ddtrace1.9.0 --run --keep --json -
      keep its folders and logs, and write what it showed as JSON (schema reproduce/1)
  python -m matrix reproduce cp39-linux_x86_64-django3.2-ddtrace1.9.0 --bare --run
      run the app without the tracer, and print its answers beside those under it
  python -m matrix reproduce cp311-linux_aarch64-flask2.2.3-ddtrace1.9.0 --run --engine docker
      run a cell of another CPU, in a container
  python -m matrix reproduce cp311-linux_i686-flask2.2.3-ddtrace1.9.0 --dockerfile cell
      write a folder from which Docker builds that cell anywhere, without this project

What the cell talks to is started for --run, and ended with it, but for what --service names.
The ids of the cells: python -m matrix plan --cells
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("cell_id", metavar="CELL", help="the id of a cell")
    add_plan_options(parser)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--run", dest="run_it", action="store_true", help="run the cell")
    add_flag(parser, "--keep", "with --run: keep the cell's folders and logs")
    add_flag(parser, "--bare", "repeat its bare control: the app without the tracer")
    add_json_option(parser, "it")
    add_path(
        mode,
        "--dockerfile",
        "write a folder with a Dockerfile, all that it needs, and how to use it",
        metavar="DIR",
    )
    parser.add_argument(
        "--setting",
        default="appsec",
        help="with --dockerfile: the setting to show first (default: appsec)",
    )
    parser.add_argument(
        "--vendor",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="with --dockerfile: put the wheels into the folder, so that its build asks no index"
        " (default: where they have less than 100 MB)",
    )
    add_service_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print the commands, or run the cell."""
    external = external_from_args(args)
    if args.run_it:
        return _run(args, external)
    planned = _find(args, all_targets(args.target))
    if place := planned.cell.place:
        note(f"these run the app outside of the place {place}; in it: --run --engine docker")
    if args.dockerfile is not None:
        return _write_dockerfile(args, planned)
    with run_services(external, offline=args.offline) as services:
        back_ends = describe_back_ends(planned, services)
    lines = list(
        manual_commands(planned, back_ends, offline=args.offline, bare=args.bare, report=note)
    )
    content: dict[str, object] = {"commands": lines, "back_ends": list(back_ends.values())}
    return _output(args, planned, lines, content)


def _write_dockerfile(args: argparse.Namespace, planned: PlannedCell) -> int:
    setting = BARE if args.bare else args.setting
    options = DockerfileOptions(setting, args.vendor, args.offline)
    with contextlib.ExitStack() as stack:
        # Optional: it tells which image the cell runs in on this machine.
        engine = None if args.engine == "local" else find_engine(stack.enter_context(lock_run()))
        if engine is not None:
            stack.callback(engine.close)
        try:
            written = write_context(planned, args.dockerfile, options, engine, note)
        except BuildError as error:
            if error.reason is Reason.INDEX_UNAVAILABLE:
                hint = "Check the network, and run the same command without --offline."
                raise IndexUnavailableError(error.detail, hint) from error
            raise UsageError(
                f"cannot build {planned.cell}: {error.reason.value}: {error.detail}",
                "See why: the same command with --run.",
            ) from error
    vendored = f", {written.size / 2**20:.0f} MB of them in the folder" if written.size else ""
    line = f"{written.folder}: {written.files} distributions{vendored}; see its README.md"
    return _output(args, planned, [line], {"kept": str(written.folder)})


def _run(args: argparse.Namespace, external: Mapping[str, ExternalService]) -> int:
    with open_backend(args.engine, args.target) as backend:
        note(*backend.notes)
        planned = _find(args, backend.where)
        options = RunOptions(jobs=1, keep=args.keep, offline=args.offline, external=external)
        single_run = run_alone(planned, backend, options, note, bare=args.bare)
    return _output(args, planned, single_run.lines(), single_run.to_json())


def _find(args: argparse.Namespace, where: Targets) -> PlannedCell:
    """Return the planned cell, or one that a run of other documents has a result of.

    Raises NothingSelectedError with the nearest id.
    """
    try:
        cell = Cell.parse(args.cell_id)
    except ValueError:
        cell = None
    if cell is not None and cell.as_of is not None:
        args.as_of = cell.as_of
    if cell is not None and cell.place and cell.place not in where.places:
        raise UsageError(f"there is no place {cell.place} here", find_place(cell.place).remedy)
    if cell is not None and cell.target not in where.targets:
        raise NothingSelectedError(
            f"{cell.target} cannot run here (these can: {', '.join(where.targets)})",
            "--engine docker runs the CPUs that the engine's host has or emulates.",
        )
    by_id: dict[str, PlannedCell] = {}
    # The plan of the options, then the largest plan.
    for profile in dict.fromkeys((args.profile, "exhaustive")):
        args.profile = profile
        plan = plan_from_args(args, where)
        by_id = {item.cell.id: item for item in (*plan.fallbacks, *plan.cells)}
        if args.cell_id in by_id:
            return by_id[args.cell_id]
    if cell is not None and (earlier := _find_earlier(args, cell)) is not None:
        return earlier
    raise NothingSelectedError(
        f"no cell {args.cell_id!r} in the plan{did_you_mean(args.cell_id, by_id)}",
        "The ids: python -m matrix plan --cells (add the documents and --profile you verified).",
    )


def _find_earlier(args: argparse.Namespace, cell: Cell) -> PlannedCell | None:
    with contextlib.closing(Journal(results_dir() / "journal.jsonl")) as journal:
        entries = journal.read().entries.values()
    index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
    return earlier_cell(cell, entries, index)


def _output(
    args: argparse.Namespace, planned: PlannedCell, lines: Iterable[str], content: dict[str, object]
) -> int:
    """Print the lines unless JSON goes to standard output; write the JSON document."""
    if not to_stdout(args.json):
        for line in lines:
            print(line)
    if args.json is not None:
        document = {
            "schema": "reproduce/1",
            "cell": planned.cell.id,
            "as_of": planned.as_of.isoformat(),
            "probes": list(planned.probes),
            "commands": None,
            "findings": None,
            "answers": None,
            "reason": None,
            "detail": "",
            "seconds": None,
            "kept": None,
            "where": None,
            "back_ends": [],
            **content,
        }
        write_text_json(args.json, document)
    return ExitCode.OK
