"""Ways from a cell to the services of its run: a port inside, a Unix socket outside.

This process may be in a network namespace of its own, where no port of a service is to be seen; a
Unix socket is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from matrix.cells.job import CellJob
from matrix.cells.sandbox import Sandbox, SandboxError
from matrix.model.reason import Reason
from matrix.model.service import PortForward, Service
from matrix.services.forwarding import Forwarder, tcp_listener, unix_dial

__all__ = ["hidden", "services_inside"]


@contextlib.contextmanager
def services_inside(job: CellJob, place: Sandbox) -> Iterator[dict[str, str]]:
    """Yield the variables that tell an app of the job's services, which are there while this lasts.

    Raises PlaceError where a port is taken, OSError.
    """
    variables: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        if job.services:
            # A room without a process: all processes of the cell share the ways.
            room = stack.enter_context(contextlib.closing(place.room("services")))
            for service in job.services:
                ports = []
                for way in service.ways:
                    forwarder = _forwarder(way, service, inside_is_here=not place.image)
                    stack.callback(forwarder.close)
                    ports.append(room.reach_out(forwarder.port, way.port))
                variables |= service.variables(ports)
        yield variables


def hidden(variables: dict[str, str], services: Sequence[Service]) -> dict[str, str]:
    """Return the variables of a process as they may be kept: without passwords of the user's."""
    secrets = [service.password for service in services if service.secret]
    kept = dict(variables)
    for name, value in kept.items():
        for secret in secrets:
            if name.startswith("BOOKSHOP_") and secret in value:
                kept[name] = value.replace(secret, "...")
    return kept


def _forwarder(way: PortForward, service: Service, *, inside_is_here: bool) -> Forwarder:
    try:
        listener = tcp_listener(way.port if inside_is_here else 0)
    except OSError as error:
        words = f"port {way.port}, by which {service.identity.name} is known, is taken: {error}"
        raise SandboxError(Reason.NO_BACK_END, words) from error
    return Forwarder(listener, unix_dial(way.path))
