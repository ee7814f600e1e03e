"""Start of one server in a folder of its own, until it answers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from matrix.docker.interface import ContainerError
from matrix.model.service import PortForward, Service, ServiceIdentity
from matrix.services.container import ContainerServer
from matrix.services.forwarder import tcp_listener, unix_dial
from matrix.services.protocol import Login, NoAnswerError, ServerConnection, load_protocol
from matrix.services.recipes import POSIX_ONLY, AvailableService, ServiceRecipe
from matrix.services.server import Server, ServerSpec

_ATTEMPTS = 3
# Below the range that systems take for outgoing connections, ip_local_port_range of ip(7).
_PORTS = range(20_000, 30_000)
_POLL_SECONDS = 0.02
_GRACE_SECONDS = 5.0
# A Unix socket's path has at most 108 bytes, unix(7), including its name.
_MAX_FOLDER_BYTES = 80


class ServiceFailedError(Exception):
    """A server did not start, or has ended; the message has the relevant line of its log."""


@dataclasses.dataclass(frozen=True)
class RunningServer:
    """A service, and its server, which answered."""

    service: Service
    server: Server


def start(
    recipe: ServiceRecipe,
    available: AvailableService,
    below: Path | None = None,
    pick_ports: Callable[[int], list[int]] | None = None,
    on_start: Callable[[Server], None] = lambda _: None,
) -> RunningServer:
    """Start the server; try again with other ports where it does not come up with these.

    Its folder is created in `below`; `on_start` receives each server before it answers. Raises
    ServiceFailedError, OSError, and RuntimeError where its packages cannot be installed.
    """
    pick_ports = pick_ports or _free_ports
    source = available.source
    attempts = _ATTEMPTS if source.ports and available.image is None else 1
    if available.build:
        placeholders = {**available.placeholders, "python": str(available.build())}
        available = dataclasses.replace(available, placeholders=placeholders)
    while True:
        attempts -= 1
        ports = pick_ports(source.ports + source.more_ports)
        try:
            return _start(recipe, available, below, ports, on_start)
        except ServiceFailedError:
            if not attempts:
                raise


def identify(recipe: ServiceRecipe, service: Service, seconds: float) -> str:
    """Return product and version of the service, once all nodes answer.

    Raises OSError, NoAnswerError.
    """
    login = Login(service.user, service.password, service.database)
    version = ""
    for forward in service.forwards:
        with ServerConnection(unix_dial(forward.path), seconds) as connection:
            version = load_protocol(recipe.protocol).identify(connection, login)
    return version


def _start(
    recipe: ServiceRecipe,
    available: AvailableService,
    below: Path | None,
    ports: list[int],
    on_start: Callable[[Server], None],
) -> RunningServer:
    if sys.platform == "win32":
        raise ServiceFailedError(POSIX_ONLY)
    from matrix.services.supervised import SupervisedServer, new_folder, server_user  # noqa: PLC0415 - POSIX only

    began = time.monotonic()
    source = available.source
    # Another user may have no access to an interpreter of root's own.
    user = server_user() if source.source == "program" else None
    with new_folder(user, below) as (folder, lock):
        try:
            spec = _build_spec(available, folder, ports, user)
            server: Server
            if available.image is None:
                server = SupervisedServer(spec, lock)
            else:
                server = ContainerServer(available.image, spec.commands[0], folder, lock)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, ContainerError):
                raise ServiceFailedError(str(error)) from error
            raise
    on_start(server)
    fixed_ports = ports if source.same_ports else [0] * len(ports)
    try:
        paths = [_substitute(path, {"folder": str(folder)}) for path in source.sockets]
        service = Service(
            ServiceIdentity(recipe.name, source.kind, "", source.source),
            forwards=(*map(PortForward, paths), *map(PortForward, spec.sockets, fixed_ports)),
            user=recipe.user,
            password=recipe.password,
            database=recipe.database,
            url=recipe.url,
        )
        seconds = source.seconds + began - time.monotonic()
        answer = _wait_until_answering(recipe, service, server, seconds)
    except BaseException:
        server.close()
        raise
    # A simulator reports the name of the web server that it is built on.
    version = source.requirements[0] if source.requirements else answer
    identity = dataclasses.replace(service.identity, version=version)
    service = dataclasses.replace(service, identity=identity)
    return RunningServer(service, server)


def _build_spec(
    available: AvailableService, folder: Path, ports: list[int], user: tuple[int, int] | None
) -> ServerSpec:
    source = available.source
    values = {**available.placeholders, "folder": str(folder)}
    values |= {f"port{number}": str(port) for number, port in enumerate(ports)}
    for name, content in source.files.items():
        (folder / name).write_text(_substitute(content, values), encoding="utf-8")
    if len(os.fsencode(folder)) > _MAX_FOLDER_BYTES:
        raise ServiceFailedError(f"{folder} is too long for a Unix socket: set TMPDIR")

    def fill(command: tuple[str, ...]) -> list[str]:
        return [_substitute(argument, values) for argument in command]

    return ServerSpec(
        folder=str(folder),
        environment={
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            **{name: _substitute(value, values) for name, value in source.environment.items()},
        },
        commands=[fill(command) for command in source.commands],
        prepare=[(fill(step.command), step.stdin) for step in source.prepare],
        ready=[(fill(step.command), step.stdin) for step in source.ready],
        ports=ports[: source.ports],
        sockets=[str(folder / f"socket{number}") for number in range(source.ports)],
        user=user,
        stop=int(source.stop),
        seconds=source.seconds,
    )


def _wait_until_answering(
    recipe: ServiceRecipe, service: Service, server: Server, seconds: float
) -> str:
    """Wait until all nodes of the service answer; return product and version."""
    deadline = time.monotonic() + seconds
    # The supervisor has the same limit, and a more precise reason.
    if not server.wait_started(seconds + _GRACE_SECONDS):
        raise ServiceFailedError(server.failure or f"not started within {seconds:g} s")
    last_error: Exception | None = None
    while time.monotonic() < deadline:
        if server.failure is not None:
            raise ServiceFailedError(server.failure)
        try:
            return identify(recipe, service, max(deadline - time.monotonic(), _POLL_SECONDS))
        except (OSError, NoAnswerError) as error:
            last_error = error
        time.sleep(_POLL_SECONDS)
    raise ServiceFailedError(server.failure or f"no answer within {seconds:g} s: {last_error}")


def _free_ports(count: int) -> list[int]:
    """Return ports that are free here, in case the server has no network of its own."""
    ports: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(ports) == count:
            break
        with contextlib.suppress(OSError), contextlib.closing(tcp_listener(port)):
            ports.append(port)
    return ports


def _substitute(template: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template
