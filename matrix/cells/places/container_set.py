"""A sandbox that is a set of containers, as a task of Amazon ECS or a pod of Kubernetes is one.

Which containers those are, stands in `container_set_specs`. All of them have our relay as their
first process, and end with this one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import json
import secrets
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from matrix.cells.container import ContainerSandbox, ContainerSlot, container_spec
from matrix.cells.env_vars import MARK, agent_variables, injected_path
from matrix.cells.interface import SandboxError
from matrix.cells.job import CellJob, Deadline
from matrix.cells.log import BoundedLog
from matrix.cells.places.container_set_specs import (
    PLACE_FILES,
    SOCKETS,
    SOCKETS_BYTES,
    TRACER,
    TRACER_BYTES,
    AgentWay,
    SetSpecs,
    group_id,
    options_of,
)
from matrix.cells.relay import RelayClient
from matrix.cells.relayed_container import RelayedContainer, start_error
from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.model.environment import Image
from matrix.model.reason import Reason
from matrix.probes.places import find_place

AGENT_PORT = 8126
"""The agent's port for the first process of a cell; those of others follow.

Each process has a recording agent of its own, and an agent has one port, so that only one process
could have the usual port at a time. The same goes for the path of the agent's socket.
https://docs.datadoghq.com/agent/configuration/network/#open-ports
"""

METADATA_PORT = 80


def new_sandbox(
    job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline
) -> SetSandbox:
    """Return the sandbox of a cell, not yet entered."""
    return SetSandbox(job, image, engine, deadline)


class SetSandbox(ContainerSandbox):
    """Runs a cell in a set of containers; entering it raises SandboxError if one does not start."""

    def __init__(
        self, job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline
    ) -> None:
        """Use `engine`, and close it at the end."""
        super().__init__(job, image, engine, deadline)
        place = find_place(job.planned.cell.place)
        self.options = options_of(place)
        self.injects_tracer = self.options.injection
        group = group_id(place)
        self._specs = SetSpecs(
            self.options,
            image,
            container_spec(job, image),
            group,
            cgroup_parent=self.options.cgroup_parent.format(group=group, uid=uuid.UUID(group)),
        )
        self.isolation = self._specs.isolation("not started")
        self._agent: RelayedContainer | None = None
        self._pause: RelayedContainer | None = None
        self._outside: RelayedContainer | None = None
        self._outside_lock = threading.Lock()
        self._outside_error: SandboxError | None = None
        self._agent_host = "127.0.0.1"
        self._numbers = itertools.count()

    def new_slot(self, name: str, *, outside: bool = False) -> SetSlot:
        """Return a new slot, in the container without a way to the agent if it is `outside`."""
        return SetSlot(self, self.new_folder(name), outside=outside)

    def check(self) -> None:
        """Raise SandboxError if a container was lost, could not be started, or ran out of memory.

        An app in one that outlives the others would be observed to send nothing.
        """
        if self._outside_error is not None:
            raise self._outside_error
        super().check()
        for container in (self._agent, self._pause, self._outside):
            if container is not None:
                container.check()

    def start_containers(self, stack: contextlib.ExitStack) -> RelayedContainer:
        """Start the containers of the set, and return the app's; `stack` ends all of them."""
        self._make_shared(stack)
        pause = self._pause = self._start_pause(stack)
        owner = pause.container.id
        agent = self.new_container(self._specs.agent(owner), "the agent's container")
        app = self.new_container(self._specs.inside(owner), "the app's container")
        with ThreadPoolExecutor(1) as pool:
            start = pool.submit(agent.__enter__)
            try:
                self._copy_tracer()
                stack.enter_context(app)
            finally:
                if start.exception() is None:
                    stack.push(agent)
        start.result()
        self._agent = agent
        self._container = app
        if self.options.agent is AgentWay.BRIDGE:
            self._agent_host = self._agent_address(agent)
        self.environment |= self._specs.variables(app.container.id)
        if self.options.metadata:
            self._serve_metadata(pause.relay, self._specs.metadata(app.container.id))
        self.isolation = self._specs.isolation(self._read_cgroup(app.container.id))
        return app

    def start_outside(self) -> RelayedContainer:
        """Return the container outside of the place; the first call starts it.

        Raises SandboxError, as `check` does then.
        """
        with self._outside_lock:
            if self._outside_error is not None:
                raise self._outside_error
            if self._outside is None:
                assert self._pause is not None  # noqa: S101 - the context is open
                spec = self._specs.outside(self._pause.container.id)
                container = self.new_container(spec, "the app's container outside of the place")
                try:
                    self._outside = self._stack.enter_context(container)
                except SandboxError as error:
                    self._outside_error = error
                    raise
            return self._outside

    def open_agent(self, port: int) -> tuple[RelayClient, int, dict[str, str]]:
        """Make the recording agent at `port` of this process reachable as an agent is in the place.

        Returns the relay and the channel that lead there, and the variables that tell a tracer so.
        Raises OSError.
        """
        assert self._agent is not None  # noqa: S101 - the context is open
        relay = self._agent.relay
        if self.options.agent is AgentWay.SOCKET:
            number = next(self._numbers)
            path = str(SOCKETS / f"apm{f'-{number}' if number else ''}.socket")
            channel, _ = relay.forward_port(port, address=path)
            return relay, channel, {"DD_TRACE_AGENT_URL": f"unix://{path}"}
        forwarded = None
        while forwarded is None:
            forwarded = self._forward(port, AGENT_PORT + next(self._numbers))
        channel, inside = forwarded
        return relay, channel, agent_variables(self._agent_host, inside)

    def _forward(self, port: int, requested: int) -> tuple[int, int] | None:
        """Return channel and port inside, None where the requested port is taken."""
        assert self._agent is not None  # noqa: S101 - the context is open
        try:
            return self._agent.relay.forward_port(port, requested, self._agent_host)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return None
            raise

    def _make_shared(self, stack: contextlib.ExitStack) -> None:
        """Make what containers share beside the network of one of them."""
        try:
            if self.options.agent is AgentWay.BRIDGE:
                bridge = stack.enter_context(self._engine.bridge())
                self._specs = dataclasses.replace(self._specs, bridge=bridge)
            if self.options.agent is AgentWay.SOCKET:
                sockets = stack.enter_context(self._engine.volume(SOCKETS_BYTES))
                self._specs = dataclasses.replace(self._specs, sockets=sockets)
            if self.options.injection:
                tracer = stack.enter_context(self._engine.volume(TRACER_BYTES))
                self._specs = dataclasses.replace(self._specs, tracer=tracer)
        except ContainerError as error:
            raise start_error(self._engine, self._image, error) from error

    def _copy_tracer(self) -> None:
        """Run the container that copies the tracer, where the place injects it."""
        if not self.options.injection:
            return
        try:
            result = self._engine.run(self._specs.init(), self._seconds())
        except ContainerError as error:
            raise start_error(self._engine, self._image, error) from error
        if result.timed_out:
            raise SandboxError(Reason.TIMED_OUT, "the tracer was not copied in time")
        if result.code != 0:
            lines = result.err.decode(errors="replace").strip().splitlines()
            raise SandboxError(
                Reason.INTERNAL_ERROR, f"cannot copy the tracer: {' '.join(lines[-1:])}"
            )

    def _start_pause(self, stack: contextlib.ExitStack) -> RelayedContainer:
        """Start the first container, without a control group of the set where that is refused.

        Engines that leave control groups to systemd refuse it: they take the names of slices only.
        https://docs.docker.com/reference/cli/dockerd/#options-for-the-runtime
        """
        title = "the container that owns the network"
        try:
            return stack.enter_context(self.new_container(self._specs.pause(), title))
        except SandboxError as error:
            if error.reason is not Reason.INTERNAL_ERROR or not self._specs.cgroup_parent:
                raise
        self._specs = dataclasses.replace(self._specs, cgroup_parent="")
        return stack.enter_context(self.new_container(self._specs.pause(), title))

    def _agent_address(self, agent: RelayedContainer) -> str:
        try:
            return agent.container.address
        except ContainerError as error:
            raise start_error(self._engine, self._image, error) from error

    def _serve_metadata(self, relay: RelayClient, documents: Mapping[str, object]) -> None:
        """Start the metadata endpoint of the task; raise SandboxError where it does not start."""
        log = BoundedLog()
        program = (str(self.python), "-S", "-E", "-s", "-B", str(PLACE_FILES / "task_metadata.py"))
        arguments = (self.options.metadata, str(METADATA_PORT), json.dumps(documents))
        try:
            relay.start([*program, *arguments], {MARK: secrets.token_hex(16)}, folder="/", log=log)
        except OSError as error:
            log.append(f"{error}\n".encode())
            log.append(b"")
        if log.wait_line("task metadata at ", self._seconds()) is None:
            detail = " ".join(log.text.strip().splitlines()[-1:])
            raise SandboxError(
                Reason.INTERNAL_ERROR, f"the task's metadata endpoint does not start: {detail}"
            )

    def _read_cgroup(self, container: str) -> str:
        """Return the control group that the app sees itself in, "" if that is unknown."""
        code = "import sys; sys.stdout.write(open('/proc/self/cgroup').read())"
        try:
            output = self.run(["-S", "-E", "-c", code], self._seconds())
        except OSError:
            return ""
        paths = dict.fromkeys(line.split(":", 2)[-1] for line in output.out.split())
        return " ".join(paths).replace(container, "<container>")


class SetSlot(ContainerSlot):
    """A folder in the app's container, or in the one outside, and what leads out of the set."""

    def __init__(self, sandbox: SetSandbox, scratch: PurePosixPath, *, outside: bool) -> None:
        super().__init__(sandbox, scratch)
        self._set = sandbox
        self._is_outside = outside
        self._agents: list[tuple[RelayClient, int]] = []

    @property
    def relay(self) -> RelayClient:
        """The relay that starts the process."""
        return self._set.start_outside().relay if self._is_outside else self._set.relay

    def agent_variables(self, port: int) -> dict[str, str]:
        """Return the variables that tell a tracer how to reach the agent at `port`.

        They start an injected tracer, too.
        """
        relay, channel, variables = self._set.open_agent(port)
        self._agents.append((relay, channel))
        if self._set.injects_tracer:
            variables["PYTHONPATH"] = injected_path(TRACER)
        return variables

    def close(self) -> None:
        """Close what was forwarded."""
        super().close()
        for relay, channel in self._agents:
            relay.release(channel)
