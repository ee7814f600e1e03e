"""The environment variables of a cell: an allow-list, so that none of the caller's gets in.

Those of its services tell it ports, which lead to a Unix socket of each: this process may be in a
network namespace of its own, from which no port of a service can be reached.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath

from matrix.cells.interface import Sandbox, SandboxError
from matrix.cells.job import CellJob
from matrix.model.reason import Reason
from matrix.model.service import PortForward, Service
from matrix.services.forwarder import Forwarder, tcp_listener, unix_dial

MARK = "BOOKSHOP_PROCESS"
"""The variable that marks the processes of an app."""

# Windows starts no process and opens no socket without these, and tells its CPU only by them
# (platform.machine() before 3.13); they hold no secrets.
_CPU = ("NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "PROCESSOR_ARCHITEW6432")
_WINDOWS = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "OS", *_CPU)
_HOMES = ("USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP")


def interpreter_environment(scratch: PurePath) -> dict[str, str]:
    """Return the variables that a CPython needs; everything that it writes goes below `scratch`.

    Byte code is cached where the environment is: compiling ddtrace at each start takes seconds.
    """
    # A container always runs Linux, also with an engine of another system.
    in_container = isinstance(scratch, PurePosixPath) and not isinstance(scratch, Path)
    variables = {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if in_container or sys.platform == "linux":
        return variables
    if sys.platform == "win32":
        variables |= dict.fromkeys(_HOMES, str(scratch))
        variables |= {name: os.environ[name] for name in _WINDOWS if name in os.environ}
        root = os.environ.get("SYSTEMROOT", r"C:\Windows")
        variables["PATH"] = rf"{root}\System32;{root}"
    else:
        # Not every macOS has C.UTF-8.
        variables |= {"LANG": "en_US.UTF-8", "LC_ALL": "en_US.UTF-8"}
    return variables


def process_environment(
    scratch: PurePath, *, setting: Mapping[str, str], agent: Mapping[str, str], upstream_port: int
) -> dict[str, str]:
    """Return the variables of an app process under a rendered setting; ports are those inside.

    `agent` are those that tell a tracer how to reach its agent, none without a tracer.
    """
    return {
        **interpreter_environment(scratch),
        "BOOKSHOP_DATABASE": str(scratch / "bookshop.sqlite3"),
        "BOOKSHOP_CATALOGUE_URL": f"http://127.0.0.1:{upstream_port}",
        **agent,
        **setting,
    }


def agent_variables(host: str, port: int) -> dict[str, str]:
    """Return the variables that tell a tracer that its agent is at `host` and `port`.

    Releases before 1.0 need host and port; all that support a URL prefer it.
    """
    return {
        "DD_AGENT_HOST": host,
        "DD_TRACE_AGENT_PORT": str(port),
        "DD_TRACE_AGENT_URL": f"http://{host}:{port}",
    }


def injected_path(folder: PurePath) -> str:
    """Return the PYTHONPATH that starts the tracer which was put into a folder."""
    return f"{folder / 'ddtrace' / 'bootstrap'}:{folder}"


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
