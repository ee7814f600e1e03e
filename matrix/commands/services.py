"""`services`: which back ends there are, and how to get the rest; keep one for work by hand."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.errors import ExitCode, StorageError, UsageError
from matrix.services.given import add_service_option, given_from_args
from matrix.services.recipes import load_recipes

if TYPE_CHECKING:
    from matrix.services.pool import Services

__all__ = ["add_parser", "run"]

EXAMPLES = """\
examples:
  python -m matrix services
      for each back end that experiments need: what would be used, or how to get it
  python -m matrix services --json -
      the same as JSON (schema services/1)
  python -m matrix services --service redis=redis://127.0.0.1:6379
      with a server that runs already
  python -m matrix services start postgres
      start one, say how it is reached, and end it at Ctrl-C
  python -m matrix services refresh
      ask the registry for the digests of images (COMPAT_MATRIX_REGISTRY names another)

A run starts what its cells need by itself, and ends it. `start` ends with exit code 4 where the
service is not to be had, or got lost.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "services",
        help="list back ends and how to get them; keep one for work by hand",
        description="List the back ends that experiments need, and how to get the rest.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="?", choices=["list", "start", "refresh"], default="list", help="what to do"
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one to start")
    add_service_option(parser)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the list as JSON ('-': standard output)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List, or keep one. Raises UserError."""
    from matrix.services.pool import Services  # noqa: PLC0415 - nothing to see of it in --help
    from matrix.verify.installing import install_for_services  # noqa: PLC0415

    recipes = load_recipes()
    if (args.name is None) is (args.what == "start"):
        raise UsageError("`start` takes the name of a service", "See them: nox -s services")
    if args.what == "refresh":
        from matrix.commands.services_refreshing import refresh  # noqa: PLC0415
        from matrix.services.images import images_path  # noqa: PLC0415

        return refresh(recipes.by_name.values(), images_path())
    with Services(given_from_args(args), recipes=recipes, build=install_for_services) as services:
        if args.what == "start":
            return _start(services, recipes.get(args.name).name)
        return _list(services, args.json)


def _list(services: Services, file: Path | None) -> int:
    from matrix.commands.services_listing import as_json, rows_of, table_of  # noqa: PLC0415

    rows = rows_of(services)
    if file is not None:
        text = json.dumps(as_json(rows), indent=2, ensure_ascii=False) + "\n"
        if str(file) == "-":
            sys.stdout.write(text)
            return ExitCode.OK
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            hint = "Give --json another path."
            raise StorageError(f"{file} cannot be written: {error.strerror}", hint) from error
    for line in table_of(rows):
        print(line)
    return ExitCode.OK


def _start(services: Services, name: str) -> int:
    from matrix.services.forwarding import Forwarder, tcp_listener, unix_dial  # noqa: PLC0415
    from matrix.services.pool import NoServiceError  # noqa: PLC0415

    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        service = services.ensure(name)
    except NoServiceError as error:
        print(f"error: {error.detail}\nhint: {error.remedy}", file=sys.stderr)
        return ExitCode.UNVERIFIED
    doors: list[Forwarder] = []
    try:
        for way in service.ways:
            doors.append(Forwarder(tcp_listener(way.port), unix_dial(way.path)))  # noqa: PERF401
        for variable, value in service.variables([d.port for d in doors]).items():
            print(f"{variable}={value}")
        print(f"{service.identity}; Ctrl-C ends it", flush=True)
        while not over.wait(1.0):
            if why := services.lost(service):
                print(f"error: {service.identity.name} was lost: {why}", file=sys.stderr)
                return ExitCode.UNVERIFIED
    finally:
        for door in doors:
            door.close()
    return ExitCode.OK
