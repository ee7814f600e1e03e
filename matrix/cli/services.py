"""`services`: which back ends there are, and how to get the rest; keep one for work by hand.

One row for each back end: what would be used, or why there is none and how to get it.

`services refresh`: ask the registry for the digests of the images of back ends.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.docker.images.refresh import default_registry
from matrix.docker.images.registry import RegistryError, fetch_digests, parse_image_name
from matrix.docker.platforms import registry_reference
from matrix.errors import ExitCode, IndexUnavailableError, StorageError, UsageError
from matrix.probes.registry import load_probes
from matrix.reporting.services import users_of
from matrix.runs.environments import install_for_services
from matrix.services.external import add_service_option, external_from_args
from matrix.services.forwarder import Forwarder, tcp_listener, unix_dial
from matrix.services.pool import NoServiceError, Services
from matrix.services.recipes import (
    ServiceRecipe,
    images_path,
    load_recipes,
    read_images,
    write_images,
)

__all__ = ["ServiceRow", "add_parser", "as_json", "refresh", "rows_of", "run", "table_of"]

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
    recipes = load_recipes()
    if (args.name is None) is (args.what == "start"):
        raise UsageError("`start` takes the name of a service", "See them: nox -s services")
    if args.what == "refresh":
        return refresh(recipes.by_name.values(), images_path())
    with Services(
        external_from_args(args), recipes=recipes, build=install_for_services
    ) as services:
        if args.what == "start":
            return _start(services, recipes.get(args.name).name)
        return _list(services, args.json)


def _list(services: Services, file: Path | None) -> int:

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
        for forward in service.forwards:
            doors.append(Forwarder(tcp_listener(forward.port), unix_dial(forward.path)))  # noqa: PERF401
        for variable, value in service.variables([d.port for d in doors]).items():
            print(f"{variable}={value}")
        print(f"{service.identity}; Ctrl-C ends it", flush=True)
        while not over.wait(1.0):
            if why := services.loss_reason(service):
                print(f"error: {service.identity.name} was lost: {why}", file=sys.stderr)
                return ExitCode.UNVERIFIED
    finally:
        for door in doors:
            door.close()
    return ExitCode.OK


_WIDTH = 160


@dataclasses.dataclass(frozen=True)
class ServiceRow:
    """`state` is one of: available, missing. `how` says how to get what is missing.

    `kind`, `source` and `version` are of what would be used, empty where there is nothing. `users`
    are the libraries that are tried against it.
    """

    name: str
    title: str
    state: str
    kind: str
    source: str
    version: str
    how: str
    users: tuple[str, ...] = ()


def rows_of(services: Services) -> list[ServiceRow]:
    """Return a row for each service that is known; nothing is started."""
    rows = []
    users = users_of(load_probes().values())
    for name in services.recipes.by_name:
        state = services.state(name)
        identity = state.identity
        rows.append(
            ServiceRow(
                name=name,
                title=state.recipe.title,
                state="available" if identity else "missing",
                kind=identity.kind.value if identity else "",
                source=identity.source if identity else "",
                version=identity.version if identity else "",
                how="" if identity else f"{state.reason}: {state.remedy}",
                users=users.get(name, ()),
            )
        )
    return rows


def as_json(rows: Sequence[ServiceRow]) -> dict[str, Any]:
    """Return the document of the schema services/1."""
    return {"schema": "services/1", "services": [dataclasses.asdict(row) for row in rows]}


def table_of(rows: Sequence[ServiceRow]) -> list[str]:
    """Return the lines of a table, and how many there are of each state."""
    import rich.box  # noqa: PLC0415 - slow to import
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("service", "state", "kind", "source", "version", "for", "how to get it"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row.name, row.state, row.kind, row.source, row.version, ", ".join(row.users), row.how
        )
    sink = io.StringIO()
    Console(file=sink, width=_WIDTH, color_system=None).print(table)
    counts = {row.state: 0 for row in rows}
    for row in rows:
        counts[row.state] += 1
    total = ", ".join(f"{count} {state}" for state, count in counts.items())
    return [*(line.rstrip() for line in sink.getvalue().splitlines()), total]


Asker = Callable[[str, str, str], Mapping[str, str]]


def refresh(recipes: Iterable[ServiceRecipe], path: Path, asker: Asker = fetch_digests) -> ExitCode:
    """Ask, and rewrite the file; what cannot be had stays as it was. Raises UserError."""
    names = sorted({way.image for recipe in recipes for way in recipe.sources if way.image})
    digests = read_images(path)
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    failures = []
    for name in names:
        try:
            answer = asker(
                *parse_image_name(registry_reference(name, os.environ), default_registry())
            )
        except RegistryError as error:
            failures.append(f"  {name}: {error}")
            continue
        digests |= {(name, platform): (digest, today) for platform, digest in answer.items()}
    if len(failures) < len(names):
        try:
            write_images(path, digests)
        except OSError as error:
            hint = "It stands in the project's own folder."
            raise StorageError(f"{path} cannot be written: {error.strerror}", hint) from error
        print(f"{len(digests)} digests: {path}")
    if failures:
        said = f"{len(failures)} of {len(names)} images could not be asked for:\n"
        raise IndexUnavailableError(
            said + "\n".join(failures),
            "Name a registry or mirror that answers in COMPAT_MATRIX_REGISTRY"
            " (such as mirror.example:5000/library).",
        )
    return ExitCode.OK
