"""The containers of a set, as specifications for an engine: what a task or a pod consists of. Pure.

- *pause* owns the network of the app, and the task's metadata endpoint;
- *agent* runs our relay, through which the recording agent is reached as an agent is in the place;
- *init* copies the tracer to a volume, where the place injects it;
- *app* is an ordinary container of a cell, joined to the others;
- *outside* is one that lacks what leads to the agent, and is otherwise like *app*.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import socket
from collections.abc import Mapping
from pathlib import PurePosixPath

from matrix.cells.container import describe_limits
from matrix.cells.relayed_container import plain_command
from matrix.docker.interface import Confinement, ContainerSpec, Mount, VolumeMount
from matrix.model.environment import Image
from matrix.probes.places import Place
from matrix.system.paths import fixtures_dir

PLACE_FILES = PurePosixPath("/cell/place")
"""The folder, inside, of what only the place needs."""

SOCKETS = PurePosixPath("/var/run/datadog")
"""The folder, inside, of the agent's socket.

https://docs.datadoghq.com/containers/kubernetes/apm/
"""

TRACER = PurePosixPath("/datadog-lib")
"""The folder, inside, of the tracer that is injected.

https://docs.datadoghq.com/tracing/trace_collection/automatic_instrumentation/dd_libraries/python/
"""

SOCKETS_BYTES = 1 << 20
TRACER_BYTES = 1 << 29

_FILES = Mount(fixtures_dir() / "places" / "container_set", str(PLACE_FILES))
_SMALL = Confinement(memory=128 << 20, pids=32, cpus=1.0, tmp_bytes=1 << 20)
# What it writes to the volume counts as its memory.
_COPYING = dataclasses.replace(_SMALL, memory=_SMALL.memory + TRACER_BYTES)
# To add an address, and to listen on a port below 1024.
_NETWORK_ADMIN = dataclasses.replace(
    _SMALL, user="0:0", capabilities=("NET_ADMIN", "NET_BIND_SERVICE")
)


class AgentWay(enum.Enum):
    """Ways of an app to its agent: on localhost, by an address on a bridge, or by a socket."""

    LOCALHOST = "localhost"
    BRIDGE = "bridge"
    SOCKET = "socket"


_NETWORKS = {
    AgentWay.LOCALHOST: "one network for app and agent that leads nowhere else",
    AgentWay.BRIDGE: "a bridge to the agent's container that leads nowhere else",
    AgentWay.SOCKET: "a network that leads nowhere, the agent behind a mounted socket",
}


@dataclasses.dataclass(frozen=True)
class SetOptions:
    """The options of a place that is a set of containers.

    `cgroup_parent` is the control group of the set, in which `{group}` stands for its id and
    `{uid}` for the same as a UUID. `metadata` is the address of the task's metadata endpoint, ""
    for none, and `launch_type` that of the task. With `injection` the tracer comes from a volume.
    `variables` are given to the app.
    """

    agent: AgentWay
    cgroup_parent: str = ""
    metadata: str = ""
    launch_type: str = ""
    injection: bool = False
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)


def options_of(place: Place) -> SetOptions:
    """Return the options of a place; raises TypeError or ValueError for one that has others."""
    return SetOptions(**{**place.options, "agent": AgentWay(place.options["agent"])})


def group_id(place: Place) -> str:
    """Return the id, 32 hexadecimal digits, of the control group of a place's sets.

    It is that of all sets of a machine: an engine makes the group, and never removes it.
    """
    return hashlib.sha256(f"{place.name} {socket.gethostname()}".encode()).hexdigest()[:32]


@dataclasses.dataclass(frozen=True)
class SetSpecs:
    """Makes the specifications of a set's containers; `app` is that of an ordinary container.

    `group` is the id of its control group, which names the set. `cgroup_parent` is "" where the
    engine refuses it, `bridge` the name of the network that joins the containers, `sockets` that
    of the volume with the agent's socket, and `tracer` that of the volume with the tracer, where
    the place has them.
    """

    options: SetOptions
    image: Image
    app: ContainerSpec
    group: str
    cgroup_parent: str = ""
    bridge: str = ""
    sockets: str = ""
    tracer: str = ""

    def pause(self) -> ContainerSpec:
        """Return the container that owns the network of the app.

        It keeps the volume with the tracer, which would be emptied when *init* has ended.
        """
        confinement = _NETWORK_ADMIN if self.options.metadata else _SMALL
        spec = self._small(confinement)
        return dataclasses.replace(
            spec,
            mounts=(*spec.mounts, _FILES),
            bridge=self.bridge,
            volumes=self._tracer(writable=False),
        )

    def init(self) -> ContainerSpec:
        """Return the container that copies the tracer, and ends."""
        program = PLACE_FILES / "copy_tracer.py"
        return dataclasses.replace(
            self._small(_COPYING),
            argv=(*plain_command(self.image, program), self.image.site, str(TRACER)),
            mounts=(*self.app.mounts, _FILES),
            volumes=self._tracer(writable=True),
        )

    def agent(self, pause: str) -> ContainerSpec:
        """Return the agent's container; `pause` is the id of the one that owns the network."""
        shared = self.options.agent is AgentWay.LOCALHOST
        return dataclasses.replace(
            self._small(_SMALL),
            network_of=pause if shared else "",
            bridge=self.bridge,
            volumes=self._sockets(writable=True),
        )

    def inside(self, pause: str) -> ContainerSpec:
        """Return the app's container in the place."""
        spec = self._injected()
        volumes = (*spec.volumes, *self._sockets(writable=False))
        return dataclasses.replace(spec, network_of=pause, volumes=volumes)

    def outside(self, pause: str) -> ContainerSpec:
        """Return the app's container without that which leads to the agent."""
        by_socket = self.options.agent is AgentWay.SOCKET
        return dataclasses.replace(self._injected(), network_of=pause if by_socket else "")

    def variables(self, container: str) -> dict[str, str]:
        """Return the variables that the place gives to the app in the container with this id.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-metadata.html
        """
        variables = dict(self.options.variables)
        if self.options.metadata:
            variables |= {
                "AWS_EXECUTION_ENV": f"AWS_ECS_{self.options.launch_type}",
                "ECS_CONTAINER_METADATA_URI_V4": f"http://{self.options.metadata}/v4/{container}",
            }
        return variables

    def metadata(self, container: str) -> dict[str, object]:
        """Return what the metadata endpoint answers, by path; `container` is the app's id.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-response.html
        """
        account = "arn:aws:ecs:us-east-1:000000000000"
        labels = {
            "com.amazonaws.ecs.cluster": "cells",
            "com.amazonaws.ecs.container-name": "app",
            "com.amazonaws.ecs.task-arn": f"{account}:task/cells/{self.group}",
            "com.amazonaws.ecs.task-definition-family": "cell",
            "com.amazonaws.ecs.task-definition-version": "1",
        }
        app = {
            "DockerId": container,
            "Name": "app",
            "DockerName": "app",
            "Image": self.image.name,
            "ImageID": self.app.image,
            "Labels": labels,
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "Limits": {"CPU": int(self.app.confinement.cpus * 1024)},
            "Type": "NORMAL",
        }
        task = {
            "Cluster": "cells",
            "TaskARN": labels["com.amazonaws.ecs.task-arn"],
            "Family": "cell",
            "Revision": "1",
            "DesiredStatus": "RUNNING",
            "KnownStatus": "RUNNING",
            "LaunchType": self.options.launch_type,
            "Containers": [app],
        }
        return {f"/v4/{container}": app, f"/v4/{container}/task": task}

    def isolation(self, container: str) -> str:
        """Return what keeps the app from the world; `container` is its control group."""
        words = [_NETWORKS[self.options.agent]]
        if self.tracer:
            words.append("the tracer injected from a volume")
        if self.options.metadata:
            words.append(f"the task's metadata at {self.options.metadata}")
        words.append(f"cgroup {container or 'unknown'}")
        if self.options.cgroup_parent and not self.cgroup_parent:
            words.append("no cgroup of the set (the engine refuses one)")
        return f"own set of containers: {', '.join(words)}; {describe_limits(self.app.confinement)}"

    def _small(self, confinement: Confinement) -> ContainerSpec:
        """Return a container with the relay, and nothing else of the cell."""
        relay = self.app.argv[-1]
        mounts = (mount for mount in self.app.mounts if relay.startswith(f"{mount.target}/"))
        return ContainerSpec(
            image=self.app.image,
            platform=self.app.platform,
            argv=self.app.argv,
            environment=self.app.environment,
            mounts=tuple(mounts),
            confinement=confinement,
            cgroup_parent=self.cgroup_parent,
        )

    def _sockets(self, *, writable: bool) -> tuple[VolumeMount, ...]:
        return (VolumeMount(self.sockets, str(SOCKETS), writable),) if self.sockets else ()

    def _tracer(self, *, writable: bool) -> tuple[VolumeMount, ...]:
        return (VolumeMount(self.tracer, str(TRACER), writable),) if self.tracer else ()

    def _injected(self) -> ContainerSpec:
        """Return the app's container with the tracer of the volume, not that of its own site."""
        spec = dataclasses.replace(self.app, cgroup_parent=self.cgroup_parent)
        if not self.tracer:
            return spec
        hidden = (f"{self.image.site}/ddtrace",)
        return dataclasses.replace(spec, volumes=self._tracer(writable=False), hidden=hidden)
