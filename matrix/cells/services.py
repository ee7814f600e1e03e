"""Ports of a cell that lead to the services of its run, by a Unix socket of each.

This process may be in a network namespace of its own, from which no port of a service can be
reached; a Unix socket can.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from matrix.cells.interface import Sandbox, SandboxError
from matrix.cells.job import CellJob
from matrix.model.reason import Reason
from matrix.model.service import PortForward, Service
from matrix.services.forwarder import Forwarder, tcp_listener, unix_dial


@contextlib.contextmanager
def forward_services(job: CellJob, sandbox: Sandbox) -> Iterator[dict[str, str]]:
    """Yield the variables that tell an app how to reach the job's services; forward their ports.

    Raises SandboxError if a port is taken, OSError.
    """
    variables: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        if job.services:
            # A slot without a process: all processes of the cell share the ports.
            slot = stack.enter_context(contextlib.closing(sandbox.new_slot("services")))
            for service in job.services:
                ports = []
                for forward in service.forwards:
                    forwarder = _start_forwarder(forward, service, local=not sandbox.image)
                    stack.callback(forwarder.close)
                    ports.append(slot.forward_port(forwarder.port, forward.port))
                variables |= service.variables(ports)
        yield variables


def redact_passwords(variables: dict[str, str], services: Sequence[Service]) -> dict[str, str]:
    """Return the variables of a process without passwords of the user, as they may be stored."""
    secrets = [service.password for service in services if service.secret]
    redacted = dict(variables)
    for name, value in redacted.items():
        for secret in secrets:
            if name.startswith("BOOKSHOP_") and secret in value:
                redacted[name] = value.replace(secret, "...")
    return redacted


def _start_forwarder(forward: PortForward, service: Service, *, local: bool) -> Forwarder:
    try:
        listener = tcp_listener(forward.port if local else 0)
    except OSError as error:
        detail = f"port {forward.port}, which {service.identity.name} needs, is taken: {error}"
        raise SandboxError(Reason.NO_BACK_END, detail) from error
    return Forwarder(listener, unix_dial(forward.path))
