"""An `Engine` over docker-py.

What a container is made with: from our words to the engine's. Pure.

Run a container to its end: bounded in time and in what it may say.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from matrix.docker.cleanup import CleanupResult, clean, sweep
from matrix.docker.client import SECONDS, EngineClient
from matrix.docker.container import DockerContainer, remove_network
from matrix.docker.errors import translated
from matrix.docker.exit_states import ExitWatcher
from matrix.docker.image_store import ImageStore
from matrix.docker.interface import (
    ContainerError,
    ContainerResult,
    ContainerSpec,
    EngineInfo,
    EngineLostError,
    ImageInfo,
    Mount,
)
from matrix.docker.labels import RunLabels
from matrix.docker.pipe import OUT
from matrix.docker.platforms import engine_platform, platforms_of
from matrix.docker.volumes import VolumeCopies, shares_files, volume_mount
from matrix.system.paths import cache_dir

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MOST", "Bind", "DockerEngine", "create_body", "run_to_end"]

Bind = Mapping[str, object]
"""One of `HostConfig.Mounts`."""


def create_body(
    spec: ContainerSpec,
    binds: Sequence[Bind],
    labels: Mapping[str, str],
    cpus: int,
    network: str = "",
) -> dict[str, Any]:
    """Return the body of the engine's `create`, as its API spells it; `network` is its private one.

    https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerCreate
    """
    held = spec.confinement
    return {
        "Image": spec.image,
        "Entrypoint": [spec.argv[0]],
        "Cmd": list(spec.argv[1:]),
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "WorkingDir": spec.folder,
        "User": held.user,
        "Hostname": "cell",
        "Labels": dict(labels),
        "Healthcheck": {"Test": ["NONE"]},
        "Tty": False,
        # Once: the first process reads the end of its input when we let go, or are killed.
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "NetworkDisabled": False,
        "HostConfig": {
            # The engine removes it when its first process ends, whether or not we still live.
            "AutoRemove": True,
            "Mounts": list(binds),
            "NetworkMode": network or ("default" if held.network else "none"),
            "ReadonlyRootfs": not held.writable,
            "Tmpfs": {
                # `exec`: what is under test unpacks and loads shared libraries there.
                "/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={held.tmp_bytes}"  # noqa: S108
            },
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "IpcMode": "private",
            "Memory": held.memory,
            "MemorySwap": held.memory,  # the sum of both: no swap
            "PidsLimit": held.pids,
            "NanoCpus": int(min(held.cpus, cpus) * 1_000_000_000),
            # A core dump goes where the host's core_pattern says, outside of all limits.
            "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
            "LogConfig": {"Type": "none", "Config": {}},
            "Init": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        },
    }


MOST = 64 * 1024**2
"""How many bytes a container may write; one that writes more is killed."""


def run_to_end(container: DockerContainer, seconds: float, given: bytes) -> ContainerResult:
    """Give it its input, take its output, tell how it ended; remove it in any case.

    Raises ContainerError where it writes too much, EngineLostError where its end is not known.
    """
    deadline = time.monotonic() + seconds
    with container:
        writer = threading.Thread(target=_write, args=(container, given), daemon=True)
        writer.start()
        try:
            out, err, timed_out = _read(container, deadline)
            if timed_out:
                container.remove()
            state = container.state()
        finally:
            container.pipe.close()
            writer.join()
    if timed_out:
        return ContainerResult(_code(state.code, 137), out, err, timed_out=True, oom=state.oom)
    if state.code is None:
        raise EngineLostError("a container is gone, and the engine does not say how it ended")
    return ContainerResult(state.code, out, err, oom=state.oom)


def _code(known: int | None, otherwise: int) -> int:
    return otherwise if known is None else known


def _write(container: DockerContainer, given: bytes) -> None:
    with contextlib.suppress(OSError):  # it need not read all of it
        if given:
            container.pipe.write(given)
    container.pipe.end_input()


def _read(container: DockerContainer, deadline: float) -> tuple[bytes, bytes, bool]:
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
        if len(out) + len(err) > MOST:
            raise ContainerError(f"a container wrote more than {MOST} bytes")


class DockerEngine:
    """The engine behind `client`; safe for several threads, not to be carried over a fork."""

    def __init__(self, client: EngineClient, run: RunLabels) -> None:
        """Ask the engine what it is, within the client's time limit; raises ContainerError."""
        self.client = client
        self.labelled = run
        self._images = ImageStore(client)
        self._copies = VolumeCopies(client, run)
        self._endings: ExitWatcher | None = None
        self._listening = threading.Lock()
        with translated("asking the engine what it is"):
            said: dict[str, Any] = client.info()
            here = shares_files(client, engine_platform(said), cache_dir() / "runs")
        self._info = EngineInfo(
            name=f"Docker {said.get('ServerVersion', '')}".strip(),
            platform=engine_platform(said),
            platforms=platforms_of(said, here=here),
            shares_files=here,
            cpus=int(said.get("NCPU") or 1),
            memory=int(said.get("MemTotal") or 0),
        )
        client.timeout = SECONDS

    @property
    def info(self) -> EngineInfo:
        """What it is, as it was when connected to."""
        return self._info

    def image(self, reference: str) -> ImageInfo | None:
        """Return an image by id, tag or digest, None where it is not there."""
        return self._images.find(reference)

    def images(self) -> tuple[ImageInfo, ...]:
        """Return the images that this project has made or pulled."""
        return self._images.ours()

    def load(self, archive: IO[bytes]) -> str:
        """Load an archive of one image; return the image's id."""
        return self._images.load(archive)

    def pull(self, reference: str, platform: str, seconds: float) -> str:
        """Pull `name@sha256:...` for a platform; return the image's id."""
        return self._images.pull(reference, platform, seconds)

    def discard(self, image: str) -> None:
        """Remove an image that this project made; no complaint where it is gone or in use."""
        self._images.discard(image)

    def start(self, spec: ContainerSpec) -> DockerContainer:
        """Create and start a container, attached to its standard input and output."""
        endings = self._listen()
        name = f"compat-matrix-{self.labelled.id}-{secrets.token_hex(4)}"
        network = name if spec.confinement.private else ""
        labels = self.labelled.labels
        body = create_body(spec, self._binds(spec), labels, self._info.cpus, network)
        with contextlib.ExitStack() as undo:
            if network:
                with translated("making a network"):
                    self.client.create_network(network, "bridge", internal=True, labels=labels)
                undo.callback(remove_network, self.client, network)
            with translated(f"creating a container of {spec.image}"):
                container = self.client.created(body, name, spec.platform)
            undo.pop_all()
        pipe = None
        try:
            with translated("starting a container"):
                # Attached before it starts, or its first words would be lost.
                pipe = self.client.attached(container)
                self.client.start(container)
        except BaseException:
            if pipe is not None:
                pipe.close()
            # The engine may have removed it by itself: what matters is why it did not start.
            with contextlib.suppress(ContainerError), translated("removing a container"):
                self.client.remove_container(container, v=True, force=True)
            if network:
                remove_network(self.client, network)
            raise
        return DockerContainer(self.client, container, pipe, endings, network)

    def run(self, spec: ContainerSpec, seconds: float, given: bytes = b"") -> ContainerResult:
        """Run a container to its end, or kill it after so many seconds; it is gone afterwards."""
        return run_to_end(self.start(spec), seconds, given)

    def sweep(self) -> int:
        """Remove what dead runs of this machine left; return how many objects."""
        return sweep(self.client)

    def clean(self, *, force: bool = False, dry_run: bool = False) -> CleanupResult:
        """Remove all that the project made here; see `sweeping.clean`."""
        return clean(self.client, force=force, dry_run=dry_run)

    def close(self) -> None:
        """Let go of the engine; what was started goes on."""
        with self._listening:
            if self._endings is not None:
                self._endings.close()
        self.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self) -> ExitWatcher:
        """Return the events' listener, a new one where the engine was lost in between."""
        with self._listening:
            if self._endings is None or self._endings.lost:
                if self._endings is not None:
                    self._endings.close()
                with translated("listening to the engine"):
                    self._endings = ExitWatcher(self.client, self.labelled)
            return self._endings

    def _binds(self, spec: ContainerSpec) -> list[Bind]:
        return [self._bind(mount, spec) for mount in spec.mounts]

    def _bind(self, mount: Mount, spec: ContainerSpec) -> Bind:
        if not self._info.shares_files:
            return volume_mount(self._copies.volume(mount, spec), mount.target, read_only=True)
        return {
            "Type": "bind",
            "Source": str(mount.source.absolute()),
            "Target": mount.target,
            "ReadOnly": not mount.writable,
        }
