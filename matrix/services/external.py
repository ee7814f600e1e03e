"""Servers that already run: `--service postgres=postgresql://user:password@host:port/database`."""

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
from matrix.services.forwarder import Forwarder, tcp_dial, unix_listener
from matrix.services.recipes import ServiceRecipe, ServiceRecipes, load_recipes

VARIABLE_PREFIX = "COMPAT_MATRIX_SERVICE_"
"""Followed by a service's name in capitals: as `--service`, but not visible in `ps`."""

_DEFAULT_PORTS = {
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
    """The address of a server, and the credentials for it."""

    recipe: ServiceRecipe
    host: str
    port: int
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    database: str = ""

    def __str__(self) -> str:
        """Return the address, without the credentials."""
        return f"{self.host}:{self.port}" + (f"/{self.database}" if self.database else "")


def add_service_option(parser: argparse._ActionsContainer) -> None:
    """Declare `--service`; `external_from_args` reads it."""
    parser.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="use a server that already runs, such as postgres=postgresql://user@host/database"
        f" (or {VARIABLE_PREFIX}POSTGRES=URL in the environment, for a URL with a password)",
    )


def external_from_args(args: argparse.Namespace) -> dict[str, ExternalService]:
    """Return the services that `--service` and the environment name. Raises UsageError."""
    return parse_external_services(args.service, os.environ, load_recipes())


def parse_external_services(
    options: Sequence[str], environ: Mapping[str, str], recipes: ServiceRecipes
) -> dict[str, ExternalService]:
    """Return the services in options `NAME=URL` and variables; options win. Raises UsageError."""
    urls = {
        name.removeprefix(VARIABLE_PREFIX).lower().replace("_", "-"): url
        for name, url in environ.items()
        if name.startswith(VARIABLE_PREFIX) and url
    }
    for option in options:
        name, equals, url = option.partition("=")
        if not equals or not url:
            raise UsageError(
                f"invalid value {option!r} for --service (expected NAME=URL)",
                "For example: postgres=postgresql://user:password@127.0.0.1:5432/shop",
            )
        urls[name] = url
    services = [_parse_url(recipes.get(name), url) for name, url in urls.items()]
    return {service.recipe.name: service for service in services}


def _parse_url(recipe: ServiceRecipe, url: str) -> ExternalService:
    if not recipe.can_be_external:
        raise UsageError(
            f"cannot use an external {recipe.title}: its nodes announce addresses that a cell"
            " cannot reach",
            "Leave it out: one is started.",
        )
    fields = {name: name.upper() for name in ("user", "password", "host", "port", "database")}
    example = f"For example: {recipe.url.format_map(fields)}"
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname, parts.port or _DEFAULT_PORTS[recipe.protocol]
    except ValueError as error:
        raise UsageError(f"invalid URL for {recipe.title}: {error}", example) from None
    if not host:
        raise UsageError(f"invalid URL for {recipe.title}: no host", example)
    return ExternalService(
        recipe=recipe,
        host=host,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.strip("/")),
    )


@contextlib.contextmanager
def connect_external(external: ExternalService) -> Iterator[Service]:
    """Yield the service behind a Unix socket that leads to it in this context. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix="matrix-given-") as folder:
        path = Path(folder) / "socket"
        forwarder = Forwarder(unix_listener(path), tcp_dial(external.host, external.port))
        with contextlib.closing(forwarder):
            yield Service(
                ServiceIdentity(external.recipe.name, ServiceKind.SERVER, "", "given"),
                forwards=(PortForward(str(path)),),
                user=external.user,
                password=external.password,
                database=external.database,
                url=external.recipe.url,
                secret=bool(external.password),
            )
