"""The container engine interface over docker-py."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matrix.docker.cleanup import CleanupResult, clean, sweep
from matrix.docker.client import SILENCE_SECONDS, EngineClient, translate_errors
from matrix.docker.container import DockerContainer, ExitWatcher, remove_network
from matrix.docker.image_store import ImageStore
from matrix.docker.interface import (
    ContainerError,
    ContainerResult,
    ContainerSpec,
    EngineInfo,
    EngineLostError,
    Mount,
)
from matrix.docker.labels import RunLabels
from matrix.docker.pipe import OUT
from matrix.docker.platforms import engine_platform, list_platforms
from matrix.docker.volumes import VolumeCopies, build_volume_mount, shares_files
from matrix.system.paths import cache_dir

MAX_OUTPUT_BYTES = 64 * 1024**2
"""A container that writes more is killed."""

_KILLED = 128 + 9


class DockerEngine(ImageStore, contextlib.AbstractContextManager["DockerEngine"]):
    """The engine behind `client`; safe for several threads, but not after a fork."""

    def __init__(self, client: EngineClient, run: RunLabels) -> None:
        """Read the engine's information, within the client's time limit; raises ContainerError."""
        super().__init__(client)
        self.run_labels = run
        self._copies = VolumeCopies(client, run)
        self._exits: ExitWatcher | None = None
        self._exits_lock = threading.Lock()
        with translate_errors("reading the engine's information"):
            info: dict[str, Any] = client.info()
            shared = shares_files(client, engine_platform(info), cache_dir() / "runs")
        self.info = EngineInfo(
            name=f"Docker {info.get('ServerVersion', '')}".strip(),
            platform=engine_platform(info),
            platforms=list_platforms(info, shares_files=shared),
            shares_files=shared,
            cpus=int(info.get("NCPU") or 1),
            memory=int(info.get("MemTotal") or 0),
        )
        client.timeout = SILENCE_SECONDS

    def start(self, spec: ContainerSpec) -> DockerContainer:
        """Create and start a container, attached to its standard input and output."""
        exits = self._watch_exits()
        name = self._new_name()
        network = name if spec.confinement.private else ""
        labels = self.run_labels.labels
        binds = [self._bind(mount, spec) for mount in spec.mounts]
        binds += [
            build_volume_mount(volume.name, volume.target, read_only=not volume.writable)
            for volume in spec.volumes
        ]
        body = create_body(spec, binds, labels, self.info.cpus, network)
        with contextlib.ExitStack() as undo:
            if network:
                with translate_errors("creating a network"):
                    self.client.create_network(network, "bridge", internal=True, labels=labels)
                undo.callback(remove_network, self.client, network)
            with translate_errors(f"creating a container of {spec.image}"):
                container = self.client.create_from_body(body, name, spec.platform)
            undo.callback(self._discard_container, container)
            with translate_errors("starting a container"):
                # Attached before the start, or its first output would be lost.
                pipe = self.client.attach_pipe(container)
                undo.callback(pipe.close)
                self.client.start(container)
            undo.pop_all()
        return DockerContainer(
            self.client, container, pipe, exits, network or spec.bridge, private=bool(network)
        )

    def run(self, spec: ContainerSpec, seconds: float, stdin: bytes = b"") -> ContainerResult:
        """Run a container to its end, or kill it after `seconds`; it is removed in any case."""
        return run_to_end(self.start(spec), seconds, stdin)

    @contextlib.contextmanager
    def bridge(self) -> Iterator[str]:
        """Return the name of a network that joins containers and leads nowhere else."""
        name = self._new_name()
        # Without an address of its own the engine's machine cannot be reached by it, either.
        options = {"com.docker.network.bridge.inhibit_ipv4": "true"}
        with translate_errors("creating a network"):
            self.client.create_network(
                name, "bridge", options=options, internal=True, labels=self.run_labels.labels
            )
        try:
            yield name
        finally:
            remove_network(self.client, name)

    @contextlib.contextmanager
    def volume(self, size: int) -> Iterator[str]:
        """Return the name of a volume of at most `size` bytes of memory, writable by all."""
        name = self._new_name()
        options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={size},mode=1777,nosuid,nodev"}
        with translate_errors("creating a volume"):
            self.client.create_volume(
                name, "local", driver_opts=options, labels=self.run_labels.labels
            )
        try:
            yield name
        finally:
            with contextlib.suppress(ContainerError), translate_errors("removing a volume"):
                self.client.remove_volume(name)

    def sweep(self) -> int:
        """Remove the objects of this machine's dead runs; return their number."""
        return sweep(self.client)

    def clean(self, *, force: bool = False, dry_run: bool = False) -> CleanupResult:
        """Remove all that the project made on this engine; see `cleanup.clean`."""
        return clean(self.client, force=force, dry_run=dry_run)

    def close(self) -> None:
        """Disconnect from the engine; containers keep running."""
        with self._exits_lock:
            if self._exits is not None:
                self._exits.close()
        self.client.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _new_name(self) -> str:
        return f"compat-matrix-{self.run_labels.id}-{secrets.token_hex(4)}"

    def _discard_container(self, container: str) -> None:
        # The engine may have removed it already: what matters is why it did not start.
        with contextlib.suppress(ContainerError), translate_errors("removing a container"):
            self.client.remove_container(container, v=True, force=True)

    def _watch_exits(self) -> ExitWatcher:
        """Return the watcher of exits, a new one where the engine was lost in between."""
        with self._exits_lock:
            if self._exits is None or self._exits.lost:
                if self._exits is not None:
                    self._exits.close()
                with translate_errors("listening to the engine"):
                    self._exits = ExitWatcher(self.client, self.run_labels)
            return self._exits

    def _bind(self, mount: Mount, spec: ContainerSpec) -> Mapping[str, object]:
        if not self.info.shares_files:
            return build_volume_mount(
                self._copies.ensure(mount, spec), mount.target, read_only=True
            )
        return {
            "Type": "bind",
            "Source": str(mount.source.absolute()),
            "Target": mount.target,
            "ReadOnly": not mount.writable,
        }


def create_body(
    spec: ContainerSpec,
    binds: Sequence[Mapping[str, object]],
    labels: Mapping[str, str],
    cpus: int,
    network: str = "",
) -> dict[str, Any]:
    """Return the body of the engine's `create` request; `network` is the private one, or "".

    `binds` are the entries of `HostConfig.Mounts`.

    https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerCreate
    """
    confinement = spec.confinement
    mode = "default" if confinement.network else "none"
    if spec.network_of:
        mode = f"container:{spec.network_of}"
    return {
        "Image": spec.image,
        "Entrypoint": [spec.argv[0]],
        "Cmd": list(spec.argv[1:]),
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "WorkingDir": spec.folder,
        "User": confinement.user,
        # That of the container whose network it shares.
        "Hostname": "" if spec.network_of else "cell",
        "Labels": dict(labels),
        "Healthcheck": {"Test": ["NONE"]},
        "Tty": False,
        # Once: the first process reads the end of its input when we disconnect or are killed.
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "NetworkDisabled": False,
        "HostConfig": {
            # The engine removes it when its first process ends, even where we were killed.
            "AutoRemove": True,
            "Mounts": list(binds),
            "NetworkMode": network or spec.bridge or mode,
            "CgroupParent": spec.cgroup_parent,
            "ReadonlyRootfs": not confinement.writable,
            "Tmpfs": {
                # `exec`: what is under test unpacks and loads shared libraries there.
                "/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={confinement.tmp_bytes}",  # noqa: S108
                **dict.fromkeys(spec.hidden, "ro,noexec,nosuid,nodev,mode=755,size=4096"),
            },
            "CapDrop": ["ALL"],
            "CapAdd": list(confinement.capabilities),
            "SecurityOpt": ["no-new-privileges"],
            "IpcMode": "private",
            "Memory": confinement.memory,
            "MemorySwap": confinement.memory,  # the sum of both: no swap
            "PidsLimit": confinement.pids,
            "NanoCpus": int(min(confinement.cpus, cpus) * 1_000_000_000),
            # A core dump goes where the host's core_pattern says, outside of all limits.
            "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
            "LogConfig": {"Type": "none", "Config": {}},
            "Init": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        },
    }


def run_to_end(
    container: DockerContainer, seconds: float, stdin: bytes, *, max_bytes: int = MAX_OUTPUT_BYTES
) -> ContainerResult:
    """Write a container's input, read its output and return both with its exit code; remove it.

    It is killed after `seconds`. Raises ContainerError where it writes more than `max_bytes`,
    EngineLostError where its exit code is unknown.
    """
    deadline = time.monotonic() + seconds
    with container:
        writer = threading.Thread(target=_write, args=(container, stdin), daemon=True)
        writer.start()
        try:
            out, err, timed_out = _read(container, deadline, max_bytes)
            if timed_out:
                container.remove()
            state = container.state()
        finally:
            container.pipe.close()
            writer.join()
    code = _KILLED if timed_out and state.code is None else state.code
    if code is None:
        raise EngineLostError("a container is gone, and the engine did not report its exit code")
    return ContainerResult(code, out, err, timed_out, state.oom)


def _write(container: DockerContainer, stdin: bytes) -> None:
    with contextlib.suppress(OSError):  # the process need not read all of it
        if stdin:
            container.pipe.write(stdin)
    container.pipe.end_input()


def _read(container: DockerContainer, deadline: float, max_bytes: int) -> tuple[bytes, bytes, bool]:
    """Return standard output, standard error and whether the deadline came first."""
    out, err = bytearray(), bytearray()
    while True:
        try:
            pieces = container.pipe.pieces(deadline)
        except TimeoutError:
            return bytes(out), bytes(err), True
        except OSError as error:
            raise EngineLostError(f"reading a container's output: {error}") from error
        if pieces is None:
            return bytes(out), bytes(err), False
        for stream, piece in pieces:
            (out if stream == OUT else err).extend(piece)
        if len(out) + len(err) > max_bytes:
            raise ContainerError(f"a container wrote more than {max_bytes} bytes")
