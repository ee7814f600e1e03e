"""An engine in memory that starts containers as processes of this machine, or as functions.

What it does of the real one's: it knows only images that were loaded, pulled or added, refuses an
image of another platform and a mount whose source is not there, gives the first process its three
streams, tells how it ended, and is lost when it is told to be. `tests/test_containers_engine.py`
asks the same of both. What it does not do: hold a process back from anything.

A process is started with every path under a mount's target turned into one under its source, in
its arguments, its environment and its folder; a mount whose target is its source needs no turning,
and holds for paths that are named later, too. `programs` says what stands for programs of the image
(`/usr/bin/python3.11`); whatever is named `python...` and is not there is this very Python.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, TYPE_CHECKING

from matrix.docker.interface import (
    ContainerError,
    ContainerResult,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    EngineLostError,
    ImageInfo,
)

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Act", "FakeContainer", "FakeEngine", "fake_image"]

Act = Callable[[ContainerSpec, IO[bytes], IO[bytes], IO[bytes]], int]
"""A first process as a function: what is asked for, standard input, output and error; exit code."""

_BLOCK = 65536
_MOST_JSON = 1024**2


def fake_image(
    name: str, platform: str = "linux/amd64", labels: Mapping[str, str] | None = None
) -> ImageInfo:
    """Return an image, to be added to a FakeEngine's."""
    digest = hashlib.sha256(f"{name} {platform}".encode()).hexdigest()
    return ImageInfo(f"sha256:{digest}", (name,), platform, dict(labels or {}), 1000)


class FakeEngine:
    """See above. `started` are all specifications so far, `living` the containers that are there.

    `acts` maps an image's reference or id to a function that is its first process. Set `lost` to
    let it go away with all its containers, `refusing` to a message to let it refuse to start any.
    """

    def __init__(
        self,
        *images: ImageInfo,
        info: EngineInfo | None = None,
        acts: Mapping[str, Act] | None = None,
        programs: Mapping[str, str] | None = None,
    ) -> None:
        native = ("linux/amd64", "linux/386")
        self._info = info or EngineInfo(
            "Fake 1.0", native[0], native, shares_files=True, cpus=2, memory=8 * 1024**3
        )
        self.held: dict[str, ImageInfo] = {image.id: image for image in images}
        self.registry: dict[str, ImageInfo] = {}
        self.acts = dict(acts or {})
        self.programs = dict(programs or {})
        self.started: list[ContainerSpec] = []
        self.living: dict[str, FakeContainer] = {}
        self.refusing = ""
        self._lost = False

    @property
    def info(self) -> EngineInfo:
        return self._info

    @property
    def lost(self) -> bool:
        return self._lost

    @lost.setter
    def lost(self, lost: bool) -> None:
        self._lost = lost
        if lost:
            for container in list(self.living.values()):
                container.end()

    def image(self, reference: str) -> ImageInfo | None:
        self.check()
        for image in self.held.values():
            if reference in (image.id, *image.tags):
                return image
        return None

    def images(self) -> tuple[ImageInfo, ...]:
        self.check()
        return tuple(i for i in self.held.values() if "compat-matrix.project" in i.labels)

    def load(self, archive: IO[bytes]) -> str:
        self.check()
        try:
            image = _read_archive(archive)
        except (tarfile.TarError, KeyError, ValueError) as error:
            raise ContainerError(f"loading an image: {error}") from error
        self.held[image.id] = image
        return image.id

    def pull(self, reference: str, platform: str, seconds: float) -> str:
        self.check()
        image = self.registry.get(reference)
        if image is None:
            raise ContainerError(f"pulling {reference}: manifest unknown")
        if image.platform != platform:
            raise ContainerError(f"pulling {reference}: it is for {image.platform}")
        self.held[image.id] = image
        return image.id

    def discard(self, image: str) -> None:
        self.check()
        self.held.pop(image, None)

    def start(self, spec: ContainerSpec) -> FakeContainer:
        self.check()
        self.started.append(spec)
        if self.refusing:
            raise ContainerError(self.refusing)
        image = self.image(spec.image)
        if image is None:
            raise ContainerError(f"no such image: {spec.image}")
        if image.platform != spec.platform:
            raise ContainerError(f"{spec.image} is for {image.platform}, not for {spec.platform}")
        for mount in spec.mounts:
            if not mount.source.exists():
                raise ContainerError(f"bind source path does not exist: {mount.source}")
        act = next((self.acts[n] for n in (spec.image, image.id) if n in self.acts), None)
        process = _Acting(act, spec) if act else _Running(self._turned(spec))
        address = "127.0.0.1" if spec.confinement.private else ""
        container = FakeContainer(f"fake{len(self.started)}", self, process, address)
        self.living[container.id] = container
        return container

    def run(self, spec: ContainerSpec, seconds: float, given: bytes = b"") -> ContainerResult:
        with self.start(spec) as container:
            return container.to_end(seconds, given)

    def sweep(self) -> int:
        self.check()
        return 0

    def close(self) -> None:
        for container in list(self.living.values()):
            container.pipe.close()

    def check(self) -> None:
        if self._lost:
            raise EngineLostError("the engine does not answer")

    def _turned(self, spec: ContainerSpec) -> ContainerSpec:
        """Return the same in terms of this machine."""

        def turn(word: str) -> str:
            for mount in sorted(spec.mounts, key=lambda m: -len(m.target)):
                if word == mount.target or word.startswith(mount.target + "/"):
                    return str(mount.source) + word[len(mount.target) :]
            return word

        def program(word: str) -> str:
            word = self.programs.get(word, turn(word))
            python = PurePosixPath(word).name.startswith("python") and not Path(word).exists()
            return sys.executable if python else word

        folder = turn(spec.folder)
        return dataclasses.replace(
            spec,
            argv=[program(word) for word in spec.argv],
            environment={
                name: os.pathsep.join(map(turn, value.split(os.pathsep)))
                for name, value in spec.environment.items()
            },
            folder=folder if Path(folder).is_dir() else "/",
        )


class FakePipe:
    """A `Pipe` over the ends of three pipes."""

    def __init__(self, into: IO[bytes], out: IO[bytes], err: IO[bytes]) -> None:
        self._into, self._out, self._err = into, out, err
        self._kept = bytearray()
        self._closed = False
        self._reading = threading.Lock()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def write(self, data: bytes) -> None:
        try:
            self._into.write(data)
            self._into.flush()
        except ValueError as error:
            raise OSError("the pipe is closed") from error

    def read(self) -> bytes:
        with self._reading:
            try:
                block = os.read(self._out.fileno(), _BLOCK)
            except ValueError:
                return b""
        if not block:
            self.wait_errors()  # of the real one both streams end at once
        return block

    def end_input(self) -> None:
        with contextlib.suppress(OSError):
            self._into.close()

    @property
    def errors(self) -> str:
        return self.error_bytes().decode(errors="replace")

    def error_bytes(self) -> bytes:
        return bytes(self._kept)

    def wait_errors(self) -> None:
        self._listener.join(timeout=5)

    def close(self) -> None:
        self.end_input()

    def let_go(self) -> None:
        """Close all ends, once the process has gone and every reader has met the end."""
        self.end_input()
        self._listener.join(timeout=5)
        with self._reading:
            self._out.close()
        self._err.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while block := os.read(self._err.fileno(), _BLOCK):
                self._kept += block


class _Running:
    """A first process that is a process of this machine."""

    def __init__(self, spec: ContainerSpec) -> None:
        try:
            self._process = subprocess.Popen(
                list(spec.argv),
                env=dict(spec.environment),
                cwd=spec.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # the whole of it can be killed, as with a container
            )
        except OSError as error:
            raise ContainerError(f"starting a container: {error}") from error
        into, out, err = self._process.stdin, self._process.stdout, self._process.stderr
        assert into is not None
        assert out is not None
        assert err is not None
        self.pipe = FakePipe(into, out, err)

    def code(self) -> int | None:
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def kill(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


class _Acting:
    """A first process that is a function, in a thread. A kill ends its streams."""

    def __init__(self, act: Act, spec: ContainerSpec) -> None:
        self._code: int | None = None
        ends = [os.pipe() for _ in range(3)]
        self._inside = [
            os.fdopen(ends[0][0], "rb", buffering=0),
            os.fdopen(ends[1][1], "wb", buffering=0),
            os.fdopen(ends[2][1], "wb", buffering=0),
        ]
        self.pipe = FakePipe(
            os.fdopen(ends[0][1], "wb", buffering=0),
            os.fdopen(ends[1][0], "rb", buffering=0),
            os.fdopen(ends[2][0], "rb", buffering=0),
        )
        self._thread = threading.Thread(target=self._act, args=(act, spec), daemon=True)
        self._thread.start()

    def code(self) -> int | None:
        return self._code

    def kill(self) -> None:
        self.pipe.end_input()
        if not self.wait(5):
            raise AssertionError("the function that plays a container does not mind its input")

    def wait(self, seconds: float) -> bool:
        self._thread.join(timeout=seconds)
        return not self._thread.is_alive()

    def _act(self, act: Act, spec: ContainerSpec) -> None:
        code = 137
        try:
            code = act(spec, *self._inside)
        except (OSError, ValueError):
            pass  # killed: its streams were closed under it
        finally:
            self._code = code
            for end in self._inside:
                end.close()


class FakeContainer:
    """A `Container`. `end` is what somebody outside would do to it: kill it, for want of memory."""

    def __init__(
        self, name: str, engine: FakeEngine, process: _Running | _Acting, address: str = ""
    ) -> None:
        self.id = name
        self.address = address
        self.pipe = process.pipe
        self._engine = engine
        self._process = process
        self._oom = False
        self._removed = False

    def state(self) -> ContainerState:
        self._engine.check()
        code = self._process.code()
        return ContainerState(code is None, code, self._oom)

    def end(self, *, oom: bool = False) -> None:
        """Kill it from outside."""
        self._oom = oom
        self._process.kill()

    def remove(self) -> None:
        if self._removed:
            return
        self._removed = True
        self._process.kill()
        self.pipe.let_go()
        self._engine.living.pop(self.id, None)
        self._engine.check()

    def to_end(self, seconds: float, given: bytes) -> ContainerResult:
        """Do what `Engine.run` does, but for the start."""
        out = bytearray()
        threads = [
            threading.Thread(target=work, daemon=True)
            for work in (lambda: self._give(given), lambda: out.extend(b"".join(self._blocks())))
        ]
        for thread in threads:
            thread.start()
        ended = self._process.wait(seconds)
        if not ended:
            self._process.kill()
        for thread in threads:
            thread.join(timeout=5)
        self.pipe.wait_errors()
        self._engine.check()
        code = self._process.code()
        assert code is not None
        return ContainerResult(
            code, bytes(out), self.pipe.error_bytes(), timed_out=not ended, oom=self._oom
        )

    def _give(self, given: bytes) -> None:
        with contextlib.suppress(OSError):
            if given:
                self.pipe.write(given)
        self.pipe.end_input()

    def _blocks(self) -> Iterator[bytes]:
        while block := self.pipe.read():
            yield block

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(EngineLostError):
            self.remove()


def _read_archive(archive: IO[bytes]) -> ImageInfo:
    """Read what `docker save` writes; the configuration may come before or after its manifest."""
    files: dict[str, bytes] = {}
    size = 0
    with tarfile.open(fileobj=archive, mode="r|*") as tar:
        for member in tar:
            size += member.size
            if member.isfile() and member.size < _MOST_JSON:
                found = tar.extractfile(member)
                assert found is not None
                files[member.name] = found.read()
    manifests: Sequence[Mapping[str, object]] = json.loads(files["manifest.json"])
    if len(manifests) != 1:
        raise ValueError(f"{len(manifests)} images in one archive")
    config = files[str(manifests[0]["Config"])]
    said = json.loads(config)
    tags = manifests[0].get("RepoTags") or ()
    assert isinstance(tags, Sequence)
    return ImageInfo(
        id=f"sha256:{hashlib.sha256(config).hexdigest()}",
        tags=tuple(map(str, tags)),
        platform=f"{said['os']}/{said['architecture']}",
        labels=dict((said.get("config") or {}).get("Labels") or {}),
        size=size,
    )
