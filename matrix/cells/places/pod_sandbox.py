"""A sandbox in a pod of Kubernetes, for our recorder, which runs in a container of the same pod.

The pod has two containers of the app, each with our relay as its first process: one in the place,
and one `outside` of it, without the agent's socket or the address of the node.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import time
from pathlib import Path, PurePosixPath
from typing import cast

from matrix.cells.container import SCRATCH, ContainerSandbox, ContainerSlot
from matrix.cells.env_vars import injected_path
from matrix.cells.job import CellJob, Deadline
from matrix.cells.relay import RelayClient
from matrix.cells.relayed_container import RelayedContainer
from matrix.docker.interface import (
    ContainerEngine,
    ContainerError,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    ImageInfo,
)
from matrix.kubernetes.pod_manifest import APP, OUTSIDE
from matrix.model.capture import NETWORK
from matrix.model.environment import Image
from matrix.services.forwarder import Forwarder, tcp_dial, unix_dial, unix_listener

# All containers of a pod start one after the other.
_LISTEN_SECONDS = 60.0
_READ_BYTES = 1 << 16
_POLL_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class PodPaths:
    """Paths in a pod, as the recorder and the app's containers have them.

    `relays` is the folder of the relays' sockets. `agent` is the socket where the tracer finds the
    agent; where that is None, it is at `agent_port` of the node with the address `node`, which
    leads to that port of `pod`. `tracer` is the folder that the tracer is injected from, None where
    it is installed with all else.
    """

    relays: Path
    agent: Path | None = None
    agent_port: int = 0
    node: str = ""
    pod: str = ""
    tracer: PurePosixPath | None = None
    scratch: PurePosixPath = SCRATCH


class PodSandbox(ContainerSandbox):
    """Runs a cell in the two containers of the app; entering it waits for their relays."""

    def __init__(self, job: CellJob, image: Image, paths: PodPaths, deadline: Deadline) -> None:
        super().__init__(job, image, relay_engine(paths, APP), deadline)
        self.paths = paths
        self.apps, self.fixtures, self.scratch = job.apps, job.fixtures, paths.scratch
        self.injects_tracer = paths.tracer is not None
        self.isolated, self.not_isolated = False, (NETWORK,)
        self.isolation = (
            "own pod: the cluster's network, read-only root, no capabilities, an ordinary user,"
            f" at most {job.confinement.memory >> 20} MiB, {job.confinement.cpus:g} CPUs"
        )
        self._outside: RelayedContainer | None = None
        if paths.tracer is not None:
            # For processes without the tracer, too: it is installed, as elsewhere.
            self.environment["PYTHONPATH"] = str(paths.tracer)

    @property
    def outside(self) -> RelayedContainer:
        """The container outside of the place; it exists while the context is open."""
        assert self._outside is not None  # noqa: S101 - the context is open
        return self._outside

    def new_slot(self, name: str, *, outside: bool = False) -> PodSlot:
        """Return a new slot in the place, or outside of it."""
        return PodSlot(self, self.new_folder(name), outside=outside)

    def check(self) -> None:
        """Raise SandboxError if one of the containers was lost, or ran out of memory."""
        super().check()
        self.outside.check()

    def start_containers(self, stack: contextlib.ExitStack) -> RelayedContainer:
        """Connect to both containers, and return that in the place."""
        spec = ContainerSpec(
            *(self.image, "", ()), folder=str(self.scratch), confinement=self._job.confinement
        )
        engine = relay_engine(self.paths, OUTSIDE)
        title = "the app's container outside of the place"
        outside = RelayedContainer(engine, self._image, spec, self._seconds, title)
        self._outside = stack.enter_context(outside)
        return stack.enter_context(self.new_container(spec, "the app's container"))


class PodSlot(ContainerSlot):
    """A folder in one of the app's containers.

    The agent is there for a process outside of the place, too: that it has no way to it is what is
    missing.
    """

    def __init__(self, sandbox: PodSandbox, scratch: PurePosixPath, *, outside: bool) -> None:
        super().__init__(sandbox, scratch)
        self._pod = sandbox
        self._paths = sandbox.paths
        self._is_outside = outside
        self._forwarder: Forwarder | None = None

    @property
    def relay(self) -> RelayClient:
        """The relay that starts the process."""
        return self._pod.outside.relay if self._is_outside else self._pod.relay

    def agent_variables(self, port: int) -> dict[str, str]:
        """Return the variables by which Kubernetes tells a tracer of its agent.

        Outside, the socket is not mounted, or the address of the node not told. They start an
        injected tracer, too.
        https://docs.datadoghq.com/containers/kubernetes/apm/
        """
        paths = self._paths
        if paths.agent is not None:
            listener = unix_listener(paths.agent)
            variables = {"DD_TRACE_AGENT_URL": f"unix://{paths.agent}"}
        else:
            listener = socket.create_server((paths.pod, paths.agent_port))
            variables = {"DD_TRACE_AGENT_PORT": str(paths.agent_port)}
            if not self._is_outside:
                variables["DD_AGENT_HOST"] = paths.node
        self._forwarder = Forwarder(listener, tcp_dial("127.0.0.1", port))
        if paths.tracer is not None:
            variables["PYTHONPATH"] = injected_path(paths.tracer)
        return variables

    def close(self) -> None:
        """Close the forwarded ports, and that of the agent."""
        super().close()
        if self._forwarder is not None:
            self._forwarder.close()
            if self._paths.agent is not None:
                self._paths.agent.unlink(missing_ok=True)


def relay_engine(paths: PodPaths, name: str = APP) -> ContainerEngine:
    """Return the engine of one of the app's containers, for a sandbox, which only starts it."""
    return cast("ContainerEngine", RelayEngine(paths, name))


class RelayEngine:
    """An engine whose only container runs already: the one of the pod with this name."""

    def __init__(self, paths: PodPaths, name: str) -> None:
        self.paths = paths
        self.info = EngineInfo("Kubernetes", "", (), shares_files=True, cpus=1, memory=0)
        self._path = paths.relays / f"{name}.socket"

    def start(self, spec: ContainerSpec) -> PodContainer:  # noqa: ARG002 - it runs already
        """Return the container; raise ContainerError where its relay does not listen in time."""
        until = time.monotonic() + _LISTEN_SECONDS
        dial = unix_dial(str(self._path))
        while True:
            try:
                return PodContainer(SocketPipe(dial()))
            except OSError as error:
                if time.monotonic() > until:
                    raise ContainerError(f"{self._path.name} does not answer: {error}") from error
            time.sleep(_POLL_SECONDS)

    def image(self, reference: str) -> ImageInfo | None:
        """Return the image of the container."""
        return ImageInfo(reference, (), "", {}, 0)

    def close(self) -> None:
        """Do nothing: the pod is not ours to end."""


class PodContainer(contextlib.AbstractContextManager["PodContainer"]):
    """One of the app's containers; it ends with the connection to its relay.

    Its end by the system shows in the status of the pod, which only the cluster's clients see.
    """

    id = address = ""

    def __init__(self, pipe: SocketPipe) -> None:
        self.pipe = pipe

    def state(self) -> ContainerState:
        """Return that it runs, as far as can be known here."""
        return ContainerState(running=True, code=None, oom=False)

    def remove(self) -> None:
        """End the connection."""
        self.pipe.close()

    def __exit__(self, *_: object) -> None:
        self.remove()


class SocketPipe:
    """A `Pipe` to a relay that listened at a Unix socket."""

    errors = ""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.settimeout(None)

    def write(self, data: bytes) -> None:
        """Send all of `data`; raise OSError where the relay has ended."""
        self._sock.sendall(data)

    def read(self) -> bytes:
        """Return the next bytes from the relay, b"" at the end; raise OSError."""
        return self._sock.recv(_READ_BYTES)

    def close(self) -> None:
        """End the relay, and wake the reader."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
