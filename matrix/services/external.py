"""Servers that run already: `--service postgres=postgresql://user:password@host:port/database`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from matrix.errors import UsageError
from matrix.model.service import PortForward, Service, ServiceIdentity, ServiceKind
from matrix.services.forwarding import Forwarder, tcp_dial, unix_listener
from matrix.services.recipes import ServiceRecipe, ServiceRecipes, load_recipes

__all__ = [
    "VARIABLE",
    "ExternalService",
    "add_service_option",
    "given_from_args",
    "given_services",
    "reached",
]

VARIABLE = "COMPAT_MATRIX_SERVICE_"
"""With a service's name in capitals after it: `--service`, where `ps` does not show it."""

_PORTS = {
    "postgres": 5432,
    "mysql": 3306,
    "redis": 6379,
    "memcached": 11211,
    "amqp": 5672,
    "cassandra": 9042,
    "http": 80,
    "mongodb": 27017,
    "vertica": 5433,
}


@dataclasses.dataclass(frozen=True)
class ExternalService:
    """Where a server runs, and as whom it is used."""

    recipe: ServiceRecipe
    host: str
    port: int
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    database: str = ""

    def __str__(self) -> str:
        """Where it is, without the password."""
        return f"{self.host}:{self.port}" + (f"/{self.database}" if self.database else "")


def add_service_option(parser: argparse._ActionsContainer) -> None:
    """Declare `--service`; `given_from_args` reads it."""
    parser.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="use a server that runs already, such as postgres=postgresql://user@host/database"
        f" (or {VARIABLE}POSTGRES=URL in the environment, for a URL with a password)",
    )


def given_from_args(args: argparse.Namespace) -> dict[str, ExternalService]:
    """Return what `--service` and variables of the environment say. Raises UsageError."""
    return given_services(args.service, os.environ, load_recipes())


def given_services(
    options: Sequence[str], environ: Mapping[str, str], recipes: ServiceRecipes
) -> dict[str, ExternalService]:
    """Return what the options `NAME=URL` say, and variables; options win. Raises UsageError."""
    named = {
        name.removeprefix(VARIABLE).lower().replace("_", "-"): url
        for name, url in environ.items()
        if name.startswith(VARIABLE) and url
    }
    for option in options:
        name, equals, url = option.partition("=")
        if not equals or not url:
            raise UsageError(
                f"--service {option!r} names no server",
                "It is NAME=URL, such as postgres=postgresql://user:password@127.0.0.1:5432/shop",
            )
        named[name] = url
    given = [_given(recipes.get(name), url) for name, url in named.items()]
    return {item.recipe.name: item for item in given}


def _given(recipe: ServiceRecipe, url: str) -> ExternalService:
    if not recipe.can_be_given:
        raise UsageError(
            f"{recipe.title} cannot be one that runs elsewhere",
            "Its nodes tell addresses that a cell cannot reach; leave it out: one is started.",
        )
    words = {name: name.upper() for name in ("user", "password", "host", "port", "database")}
    example = recipe.url.format_map(words)
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname, parts.port or _PORTS[recipe.protocol]
    except ValueError as error:
        raise UsageError(f"not a URL of {recipe.title}: {error}", f"Such as {example}") from None
    if not host:
        raise UsageError(f"the URL for {recipe.title} names no host", f"Such as {example}")
    return ExternalService(
        recipe=recipe,
        host=host,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")),
    )


@contextlib.contextmanager
def reached(given: ExternalService) -> Iterator[Service]:
    """Yield the service, behind a Unix socket that leads to it while this lasts. Raises OSError."""
    folder = Path(tempfile.mkdtemp(prefix="matrix-given-"))
    door = folder / "door"
    try:
        forwarder = Forwarder(unix_listener(door), tcp_dial(given.host, given.port))
        try:
            yield Service(
                ServiceIdentity(given.recipe.name, ServiceKind.SERVER, "", "given"),
                ways=(PortForward(str(door)),),
                user=given.user,
                password=given.password,
                database=given.database,
                url=given.recipe.url,
                secret=bool(given.password),
            )
        finally:
            forwarder.close()
    finally:
        with contextlib.suppress(OSError):
            door.unlink()
        folder.rmdir()
