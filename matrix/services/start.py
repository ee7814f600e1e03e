"""Start one server in a folder of its own, and wait until it answers."""

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
from matrix.services.container import ContainedServer
from matrix.services.forwarding import tcp_listener, unix_dial
from matrix.services.protocol import Login, NoAnswerError, ServerConnection, speaker
from matrix.services.recipes import UNKEPT, AvailableService, ServiceRecipe, SetupStep
from matrix.services.server import Server, ServerSpec

__all__ = ["RunningServer", "ServiceFailedError", "ask", "start"]

TRIES = 3
# Below the range that systems take for outgoing connections, ip_local_port_range of ip(7).
_PORTS = range(20_000, 30_000)
_POLL_SECONDS = 0.02
_ASK_SECONDS = 5.0
_TELL_SECONDS = 0.5
_GRACE_SECONDS = 5.0
# Of the 108 bytes of a Unix socket's path, unix(7), some are for its name.
_FOLDER_PATH = 80


class ServiceFailedError(Exception):
    """It did not start, or is not any more; the message has its one relevant line."""


@dataclasses.dataclass(frozen=True)
class RunningServer:
    """A server that answered. `seconds` is what its start took."""

    service: Service
    recipe: ServiceRecipe
    guarded: Server
    seconds: float

    def lost(self) -> str:
        """Return why it cannot be used any more, "" while it answers."""
        if self.guarded.failed is not None:
            return self.guarded.failed
        try:
            ask(self.recipe, self.service)
        except (OSError, NoAnswerError) as error:
            # Its connections end a moment before its guardian can tell how it ended.
            return self.guarded.wait_failed(_TELL_SECONDS) or f"it does not answer: {error}"
        return ""


def start(
    recipe: ServiceRecipe,
    found: AvailableService,
    below: Path | None = None,
    draw: Callable[[int], list[int]] | None = None,
    note: Callable[[Server], None] = lambda _: None,
) -> RunningServer:
    """Start the server; another time with other ports where it did not come up with these.

    Its folder is made in `below`; `note` is told of each guardian while it waits. Raises
    ServiceFailedError, OSError, and RuntimeError where what it is made of cannot be installed.
    """
    tries = TRIES if found.way.ports and found.inside is None else 1
    python = {"python": str(found.build())} if found.build else {}
    found = dataclasses.replace(found, words={**found.words, **python})
    while True:
        tries -= 1
        try:
            return _start(recipe, found, below, (draw or _draw)(_count(found)), note)
        except ServiceFailedError:
            if not tries:
                raise


def ask(recipe: ServiceRecipe, service: Service, seconds: float = _ASK_SECONDS) -> str:
    """Return what the service says of itself; raise OSError, NoAnswerError."""
    login = Login(service.user, service.password, service.database)
    said = ""
    for way in service.ways:
        with ServerConnection(unix_dial(way.path), seconds) as line:
            said = speaker(recipe.protocol).ask(line, login)
    return said


def _start(
    recipe: ServiceRecipe,
    found: AvailableService,
    below: Path | None,
    ports: list[int],
    note: Callable[[Server], None],
) -> RunningServer:
    if sys.platform == "win32":
        raise ServiceFailedError(UNKEPT)
    # Not everywhere:
    from matrix.services.supervised import SupervisedServer, new_folder, server_user  # noqa: PLC0415

    began = time.monotonic()
    way = found.way
    # A Python that is root's own may be where nobody else gets at it.
    user = server_user() if way.source == "program" else None
    with new_folder(user, below) as (folder, lock):
        try:
            order = _order(found, folder, ports, user)
            guarded: Server
            if found.inside is None:
                guarded = SupervisedServer(order, lock)
            else:
                guarded = ContainedServer(found.inside, order.commands[0], folder, lock)
        except ContainerError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise ServiceFailedError(str(error)) from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    note(guarded)
    told = ports if way.same_ports else [0] * len(ports)
    try:
        service = Service(
            ServiceIdentity(recipe.name, way.kind, "", way.source),
            ways=(
                *(PortForward(_filled(path, {"folder": str(folder)})) for path in way.sockets),
                *(PortForward(door, port) for door, port in zip(order.doors, told, strict=False)),
            ),
            user=recipe.user,
            password=recipe.password,
            database=recipe.database,
            url=recipe.url,
        )
        said = _answering(recipe, service, guarded, way.seconds + began - time.monotonic())
    except BaseException:
        guarded.close()
        raise
    # A simulator answers in the name of the web server that it is made with.
    version = way.requirements[0] if way.requirements else said
    identity = dataclasses.replace(service.identity, version=version)
    service = dataclasses.replace(service, identity=identity)
    return RunningServer(service, recipe, guarded, time.monotonic() - began)


def _order(
    found: AvailableService, folder: Path, ports: list[int], user: tuple[int, int] | None
) -> ServerSpec:
    way = found.way
    words = {**found.words, "folder": str(folder)}
    words |= {f"port{number}": str(port) for number, port in enumerate(ports)}
    for name, content in way.files.items():
        (folder / name).write_text(_filled(content, words), encoding="utf-8")
    doors = [str(folder / f"door{number}") for number in range(way.ports)]
    if len(os.fsencode(folder)) > _FOLDER_PATH:
        raise ServiceFailedError(f"{folder} is too long for a Unix socket: set TMPDIR")
    return ServerSpec(
        folder=str(folder),
        environment=_environment(folder, way.environment, words),
        commands=[_all_filled(command, words) for command in way.commands],
        prepare=_steps(way.prepare, words),
        ready=_steps(way.ready, words),
        ports=ports[: way.ports],
        doors=doors,
        user=user,
        stop=int(way.stop),
        seconds=way.seconds,
    )


def _answering(recipe: ServiceRecipe, service: Service, guarded: Server, seconds: float) -> str:
    """Wait until the service answers on all ways; return what it says of itself."""
    until = time.monotonic() + seconds
    # Its guardian has a limit itself, and words for what came of it.
    if not guarded.wait_started(seconds + _GRACE_SECONDS):
        raise ServiceFailedError(guarded.failed or f"not started within {seconds:g} s")
    why: Exception | None = None
    while time.monotonic() < until:
        if guarded.failed is not None:
            raise ServiceFailedError(guarded.failed)
        try:
            return ask(recipe, service, max(until - time.monotonic(), _POLL_SECONDS))
        except (OSError, NoAnswerError) as error:
            why = error
        time.sleep(_POLL_SECONDS)
    raise ServiceFailedError(guarded.failed or f"no answer within {seconds:g} s: {why}")


def _count(found: AvailableService) -> int:
    return found.way.ports + found.way.more_ports


def _draw(count: int) -> list[int]:
    """Return ports that nothing listens on here, should the server have no network of its own."""
    ports: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(ports) == count:
            break
        with contextlib.suppress(OSError), contextlib.closing(tcp_listener(port)):
            ports.append(port)
    return ports


def _environment(folder: Path, more: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    return {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        **{name: _filled(value, words) for name, value in more.items()},
    }


def _steps(steps: tuple[SetupStep, ...], words: Mapping[str, str]) -> list[tuple[list[str], str]]:
    return [(_all_filled(step.run, words), step.given) for step in steps]


def _all_filled(command: tuple[str, ...], words: Mapping[str, str]) -> list[str]:
    return [_filled(part, words) for part in command]


def _filled(template: str, words: Mapping[str, str]) -> str:
    for name, word in words.items():
        template = template.replace(f"{{{name}}}", word)
    return template
