"""The command `services`: list back ends, start one for work by hand, and refresh digests."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from matrix.cli.common import add_json_option, project_data
from matrix.cli.state_table import add_action, show_rows, state_table
from matrix.docker.images.refresh import (
    FetchDigests,
    RegistryError,
    default_registry,
    fetch_digests,
    parse_image_name,
)
from matrix.docker.platforms import registry_reference
from matrix.errors import ExitCode, IndexUnavailableError, UsageError
from matrix.probes.registry import load_probes
from matrix.reporting.back_ends import service_users
from matrix.runs.environments import service_interpreter
from matrix.services.external import add_service_option, external_from_args
from matrix.services.forwarder import Forwarder, tcp_listener, unix_dial
from matrix.services.pool import Services
from matrix.services.recipes import (
    NoServiceError,
    ServiceRecipe,
    images_path,
    load_recipes,
    read_images,
    write_images,
)
from matrix.system.processes import ending_signals

_HEADINGS = ("service", "state", "kind", "source", "version", "for", "how to get it")

DESCRIPTION = "List the back ends that experiments need, and how to get missing ones."
EXAMPLES = """\
examples:
  python -m matrix services
      for each back end that experiments need: the one that a run would use, or how to get it
  python -m matrix services --json -
      the same as JSON (schema services/1)
  python -m matrix services --service redis=redis://127.0.0.1:6379
      with a server that already runs
  python -m matrix services start postgres
      start one, print how to reach it, and stop it at Ctrl-C
  python -m matrix services refresh
      read the digests of images from the registry (or COMPAT_MATRIX_REGISTRY)

A run starts and stops the back ends of its cells by itself. `start` exits with 4 if the service is
not available, or is lost.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_action(parser, "start")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the service to start")
    add_service_option(parser)
    add_json_option(parser, "the list")


def run(args: argparse.Namespace) -> int:
    """List the services, start one, or refresh digests. Raises UserError."""
    recipes = load_recipes()
    if (args.name is None) is (args.action == "start"):
        raise UsageError(
            "only `start` takes the name of a service, and needs it", "List them: nox -s services"
        )
    if args.action == "refresh":
        return refresh(recipes.by_name.values(), images_path())
    with Services(external_from_args(args), recipes=recipes, build=service_interpreter) as services:
        if args.action == "start":
            return _start(services, recipes.get(args.name).name)
        rows = service_rows(services)
        show_rows(args.json, "services", [dataclasses.asdict(row) for row in rows], _table(rows))
        return ExitCode.OK


def _start(services: Services, name: str) -> int:
    """Start a service, and keep it until a signal arrives or it is lost."""
    interrupted = threading.Event()
    for number in ending_signals():
        signal.signal(number, lambda *_: interrupted.set())
    try:
        service = services.ensure(name)
    except NoServiceError as error:
        print(f"error: {error.detail}\nhint: {error.remedy}", file=sys.stderr)
        return ExitCode.UNVERIFIED
    with contextlib.ExitStack() as stack:
        ports = []
        for forward in service.forwards:
            forwarder = Forwarder(tcp_listener(forward.port), unix_dial(forward.path))
            stack.callback(forwarder.close)
            ports.append(forwarder.port)
        for variable, value in service.variables(ports).items():
            print(f"{variable}={value}")
        print(f"{service.identity}; Ctrl-C stops it", flush=True)
        while not interrupted.wait(1.0):
            if loss := services.loss_reason(service):
                print(f"error: {service.identity.name} was lost: {loss}", file=sys.stderr)
                return ExitCode.UNVERIFIED
    return ExitCode.OK


@dataclasses.dataclass(frozen=True)
class ServiceRow:
    """A service, and the back end that a run would use for it.

    `state` is one of: available, missing. `how` says how to get a missing one. `kind`, `source` and
    `version` describe the back end, and are empty where it is missing. `users` are the libraries
    that are tested against it.
    """

    name: str
    title: str
    state: str
    kind: str
    source: str
    version: str
    how: str
    users: tuple[str, ...] = ()


def service_rows(services: Services) -> list[ServiceRow]:
    """Return a row for each service with a recipe; nothing is started."""
    users = service_users(load_probes().values())
    return [
        ServiceRow(
            name=state.recipe.name,
            title=state.recipe.title,
            state="available" if (identity := state.identity) else "missing",
            kind=identity.kind.value if identity else "",
            source=identity.source if identity else "",
            version=identity.version if identity else "",
            how="" if identity else f"{state.reason}: {state.remedy}",
            users=users.get(state.recipe.name, ()),
        )
        for state in map(services.state, services.recipes.by_name)
    ]


def _table(rows: Sequence[ServiceRow]) -> list[str]:
    cells = (
        (row.name, row.state, row.kind, row.source, row.version, ", ".join(row.users), row.how)
        for row in rows
    )
    return state_table(_HEADINGS, cells, (row.state for row in rows))


def refresh(
    recipes: Iterable[ServiceRecipe], path: Path, fetch: FetchDigests = fetch_digests
) -> ExitCode:
    """Fetch the digests of all images and rewrite the file; those that fail stay unchanged.

    Raises UserError.
    """
    names = sorted(
        {source.image for recipe in recipes for source in recipe.sources if source.image}
    )
    digests = read_images(path)
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    failures = []
    for name in names:
        try:
            by_platform = fetch(
                *parse_image_name(registry_reference(name, os.environ), default_registry())
            )
        except RegistryError as error:
            failures.append(f"  {name}: {error}")
            continue
        digests |= {(name, platform): (digest, today) for platform, digest in by_platform.items()}
    if len(failures) < len(names):
        with project_data(path):
            write_images(path, digests)
        print(f"{len(digests)} digests: {path}")
    if failures:
        lines = "\n".join(failures)
        raise IndexUnavailableError(
            f"cannot read the digests of {len(failures)} of {len(names)} images:\n{lines}",
            "Set COMPAT_MATRIX_REGISTRY to a registry or mirror that answers"
            " (such as mirror.example:5000/library).",
        )
    return ExitCode.OK
