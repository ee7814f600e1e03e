"""An `Engine` over docker-py."""

from __future__ import annotations

import contextlib
import secrets
import threading
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from matrix.containers.client import SECONDS, Client
from matrix.containers.copies import Copies, volume_mount
from matrix.containers.creating import Bind, create_body
from matrix.containers.docker_container import DockerContainer, remove_network
from matrix.containers.endings import Endings
from matrix.containers.failures import translated
from matrix.containers.image_store import ImageStore
from matrix.containers.labels import Run
from matrix.containers.platforms import engine_platform, platforms_of
from matrix.containers.running import run_to_end
from matrix.containers.seam import ContainerError, ContainerSpec, EngineInfo, ImageInfo, Mount, Ran
from matrix.containers.sharing import shares_files
from matrix.containers.sweeping import Cleaned, clean, sweep
from matrix.places import cache_dir

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DockerEngine"]


class DockerEngine:
    """The engine behind `client`; safe for several threads, not to be carried over a fork."""

    def __init__(self, client: Client, run: Run) -> None:
        """Ask the engine what it is, within the client's time limit; raises ContainerError."""
        self.client = client
        self.labelled = run
        self._images = ImageStore(client)
        self._copies = Copies(client, run)
        self._endings: Endings | None = None
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

    def run(self, spec: ContainerSpec, seconds: float, given: bytes = b"") -> Ran:
        """Run a container to its end, or kill it after so many seconds; it is gone afterwards."""
        return run_to_end(self.start(spec), seconds, given)

    def sweep(self) -> int:
        """Remove what dead runs of this machine left; return how many objects."""
        return sweep(self.client)

    def clean(self, *, force: bool = False, dry_run: bool = False) -> Cleaned:
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

    def _listen(self) -> Endings:
        """Return the events' listener, a new one where the engine was lost in between."""
        with self._listening:
            if self._endings is None or self._endings.lost:
                if self._endings is not None:
                    self._endings.close()
                with translated("listening to the engine"):
                    self._endings = Endings(self.client, self.labelled)
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
