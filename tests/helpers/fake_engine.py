"""An engine in memory that starts containers as processes of this machine, or as functions.

Like the real one it has only images that were loaded, pulled or added, refuses an image of another
platform and a mount of a missing source, connects the first process's three streams, reports its
exit code, and can be lost. `tests/docker/test_containers_engine.py` tests both alike. Unlike the
real one it does not restrict a process in any way.

A process is started with every path below a mount's target translated to one below its source, in
its arguments, its environment and its folder; a mount whose target is its source needs no
translation, and works for later paths, too. `programs` maps programs of the image
(`/usr/bin/python3.11`) to those of this machine; a missing `python...` is this very Python.
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
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from helpers.processes import kill_descendants
from matrix.docker.interface import (
    ContainerError,
    ContainerResult,
    ContainerSpec,
    ContainerState,
    EngineInfo,
    EngineLostError,
    ImageInfo,
)

__all__ = ["FakeContainer", "FakeEngine", "ProcessFunction", "fake_image"]

ProcessFunction = Callable[[ContainerSpec, IO[bytes], IO[bytes], IO[bytes]], int]
"""A first process as a function of its specification and standard streams, to the exit code."""

_BLOCK = 65536
_MAX_JSON_BYTES = 1024**2


def fake_image(
    name: str, platform: str = "linux/amd64", labels: Mapping[str, str] | None = None
) -> ImageInfo:
    """Return an image to add to a FakeEngine."""
    digest = hashlib.sha256(f"{name} {platform}".encode()).hexdigest()
    return ImageInfo(f"sha256:{digest}", (name,), platform, dict(labels or {}), 1000)


class FakeEngine:
    """See above. `started` are all specifications so far, `living` the containers not removed yet,
    `objects` the networks and volumes.

    `functions` maps an image's reference or id to its first process. Setting `lost` ends the engine
    and all its containers; with a `refusal` it does not start any, and raises that message.
    """

    def __init__(
        self,
        *images: ImageInfo,
        info: EngineInfo | None = None,
        functions: Mapping[str, ProcessFunction] | None = None,
        programs: Mapping[str, str] | None = None,
    ) -> None:
        native = ("linux/amd64", "linux/386")
        self._info = info or EngineInfo(
            "Fake 1.0", native[0], native, shares_files=True, cpus=2, memory=8 * 1024**3
        )
        self.local_images: dict[str, ImageInfo] = {image.id: image for image in images}
        self.registry: dict[str, ImageInfo] = {}
        self.functions = dict(functions or {})
        self.programs = dict(programs or {})
        self.started: list[ContainerSpec] = []
        self.living: dict[str, FakeContainer] = {}
        self.objects: set[str] = set()
        self.refusal = ""
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
        for image in self.local_images.values():
            if reference in (image.id, *image.tags):
                return image
        return None

    def images(self) -> tuple[ImageInfo, ...]:
        self.check()
        return tuple(i for i in self.local_images.values() if "compat-matrix.project" in i.labels)

    def load(self, archive: IO[bytes]) -> str:
        self.check()
        try:
            image = _read_archive(archive)
        except (tarfile.TarError, KeyError, ValueError) as error:
            raise ContainerError(f"loading an image: {error}") from error
        self.local_images[image.id] = image
        return image.id

    def pull(self, reference: str, platform: str, seconds: float) -> str:
        self.check()
        image = self.registry.get(reference)
        if image is None:
            raise ContainerError(f"pulling {reference}: manifest unknown")
        if image.platform != platform:
            raise ContainerError(f"pulling {reference}: it is for {image.platform}")
        self.local_images[image.id] = image
        return image.id

    def discard(self, image: str) -> None:
        self.check()
        self.local_images.pop(image, None)

    def start(self, spec: ContainerSpec) -> FakeContainer:
        self.check()
        self.started.append(spec)
        if self.refusal:
            raise ContainerError(self.refusal)
        image = self.image(spec.image)
        if image is None:
            raise ContainerError(f"no such image: {spec.image}")
        if image.platform != spec.platform:
            raise ContainerError(f"{spec.image} is for {image.platform}, not for {spec.platform}")
        for mount in spec.mounts:
            if not mount.source.exists():
                raise ContainerError(f"bind source path does not exist: {mount.source}")
        names = (name for name in (spec.image, image.id) if name in self.functions)
        function = next((self.functions[name] for name in names), None)
        process = (
            _FunctionProcess(function, spec) if function else _HostProcess(self._translate(spec))
        )
        address = "127.0.0.1" if spec.confinement.private or spec.bridge else ""
        container = FakeContainer(f"fake{len(self.started)}", self, process, address)
        self.living[container.id] = container
        return container

    def run(self, spec: ContainerSpec, seconds: float, stdin: bytes = b"") -> ContainerResult:
        with self.start(spec) as container:
            return container.run_to_end(seconds, stdin)

    @contextlib.contextmanager
    def bridge(self) -> Iterator[str]:
        with self._object("bridge") as name:
            yield name

    @contextlib.contextmanager
    def volume(self, size: int) -> Iterator[str]:
        with self._object("volume") as name:
            yield name

    def sweep(self) -> int:
        self.check()
        return 0

    def close(self) -> None:
        for container in list(self.living.values()):
            container.pipe.close()

    def check(self) -> None:
        if self._lost:
            raise EngineLostError("the engine does not answer")

    @contextlib.contextmanager
    def _object(self, kind: str) -> Iterator[str]:
        self.check()
        if self.refusal:
            raise ContainerError(self.refusal)
        name = f"{kind}{len(self.started)}"
        self.objects.add(name)
        yield name
        self.objects.remove(name)

    def _translate(self, spec: ContainerSpec) -> ContainerSpec:
        """Return the specification with paths of this machine."""

        def to_host(path: str) -> str:
            for mount in sorted(spec.mounts, key=lambda m: -len(m.target)):
                if path == mount.target or path.startswith(mount.target + "/"):
                    return str(mount.source) + path[len(mount.target) :]
            return path

        def to_program(word: str) -> str:
            path = self.programs.get(word, to_host(word))
            python = PurePosixPath(path).name.startswith("python") and not Path(path).exists()
            return sys.executable if python else path

        folder = to_host(spec.folder)
        return dataclasses.replace(
            spec,
            argv=[to_program(word) for word in spec.argv],
            environment={
                name: os.pathsep.join(map(to_host, value.split(os.pathsep)))
                for name, value in spec.environment.items()
            },
            folder=folder if Path(folder).is_dir() else "/",
        )


class FakePipe:
    """A `Pipe` over the ends of three pipes."""

    def __init__(self, stdin: IO[bytes], out: IO[bytes], err: IO[bytes]) -> None:
        self._stdin, self._out, self._err = stdin, out, err
        self._error_bytes = bytearray()
        self._closed = False
        self._read_lock = threading.Lock()
        self._error_reader = threading.Thread(target=self._read_errors, daemon=True)
        self._error_reader.start()

    def write(self, data: bytes) -> None:
        try:
            self._stdin.write(data)
            self._stdin.flush()
        except ValueError as error:
            raise OSError("the pipe is closed") from error

    def read(self) -> bytes:
        with self._read_lock:
            try:
                block = os.read(self._out.fileno(), _BLOCK)
            except ValueError:
                return b""
        if not block:
            self.wait_errors()  # both streams of the real one end at once
        return block

    def end_input(self) -> None:
        with contextlib.suppress(OSError):
            self._stdin.close()

    @property
    def errors(self) -> str:
        return self.error_bytes().decode(errors="replace")

    def error_bytes(self) -> bytes:
        return bytes(self._error_bytes)

    def wait_errors(self) -> None:
        self._error_reader.join(timeout=5)

    def close(self) -> None:
        self.end_input()

    def close_all(self) -> None:
        """Close all ends, once the process has ended and every reader is at the end."""
        self.end_input()
        self._error_reader.join(timeout=5)
        with self._read_lock:
            self._out.close()
        self._err.close()

    def _read_errors(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while block := os.read(self._err.fileno(), _BLOCK):
                self._error_bytes += block


class _HostProcess:
    """A first process that is a process of this machine, with a folder for temporary files."""

    def __init__(self, spec: ContainerSpec) -> None:
        self._temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        try:
            self._process = subprocess.Popen(
                list(spec.argv),
                env={**spec.environment, "TMPDIR": self._temporary.name},
                cwd=spec.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # its children can be killed with it, as in a container
            )
        except OSError as error:
            self._temporary.cleanup()
            raise ContainerError(f"starting a container: {error}") from error
        stdin, out, err = self._process.stdin, self._process.stdout, self._process.stderr
        assert stdin is not None
        assert out is not None
        assert err is not None
        self.pipe = FakePipe(stdin, out, err)

    def code(self) -> int | None:
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def kill(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
        else:
            if self._process.poll() is None:  # else the id may be another's by now
                kill_descendants(self._process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._temporary.cleanup()

    def wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


class _FunctionProcess:
    """A first process that is a function, in a thread. A kill ends its streams."""

    def __init__(self, function: ProcessFunction, spec: ContainerSpec) -> None:
        self._code: int | None = None
        ends = [os.pipe() for _ in range(3)]
        self._process_ends = [
            os.fdopen(ends[0][0], "rb", buffering=0),
            os.fdopen(ends[1][1], "wb", buffering=0),
            os.fdopen(ends[2][1], "wb", buffering=0),
        ]
        self.pipe = FakePipe(
            os.fdopen(ends[0][1], "wb", buffering=0),
            os.fdopen(ends[1][0], "rb", buffering=0),
            os.fdopen(ends[2][0], "rb", buffering=0),
        )
        self._thread = threading.Thread(target=self._run, args=(function, spec), daemon=True)
        self._thread.start()

    def code(self) -> int | None:
        return self._code

    def kill(self) -> None:
        self.pipe.end_input()
        if not self.wait(5):
            raise AssertionError("the function of a container ignores the end of its input")

    def wait(self, seconds: float) -> bool:
        self._thread.join(timeout=seconds)
        return not self._thread.is_alive()

    def _run(self, function: ProcessFunction, spec: ContainerSpec) -> None:
        code = 137
        try:
            code = function(spec, *self._process_ends)
        except (OSError, ValueError):
            pass  # killed: its streams were closed under it
        finally:
            self._code = code
            for end in self._process_ends:
                end.close()


class FakeContainer(contextlib.AbstractContextManager["FakeContainer"]):
    """A `Container` that can be killed from outside with `end`."""

    def __init__(
        self,
        name: str,
        engine: FakeEngine,
        process: _HostProcess | _FunctionProcess,
        address: str = "",
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
        """Kill it, with `oom` as for lack of memory."""
        self._oom = oom
        self._process.kill()

    def remove(self) -> None:
        if self._removed:
            return
        self._removed = True
        self._process.kill()
        self.pipe.close_all()
        self._engine.living.pop(self.id, None)
        self._engine.check()

    def run_to_end(self, seconds: float, stdin: bytes) -> ContainerResult:
        """Do what `ContainerEngine.run` does after the start."""
        out = bytearray()
        threads = [
            threading.Thread(target=work, daemon=True)
            for work in (lambda: self._write(stdin), lambda: out.extend(b"".join(self._blocks())))
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

    def _write(self, stdin: bytes) -> None:
        with contextlib.suppress(OSError):
            if stdin:
                self.pipe.write(stdin)
        self.pipe.end_input()

    def _blocks(self) -> Iterator[bytes]:
        while block := self.pipe.read():
            yield block

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(EngineLostError):
            self.remove()


def _read_archive(archive: IO[bytes]) -> ImageInfo:
    """Read an archive of `docker save`; the manifest may come before or after the configuration."""
    files: dict[str, bytes] = {}
    size = 0
    with tarfile.open(fileobj=archive, mode="r|*") as tar:
        for member in tar:
            size += member.size
            if member.isfile() and member.size < _MAX_JSON_BYTES:
                stream = tar.extractfile(member)
                assert stream is not None
                files[member.name] = stream.read()
    manifests: Sequence[Mapping[str, object]] = json.loads(files["manifest.json"])
    if len(manifests) != 1:
        raise ValueError(f"{len(manifests)} images in one archive")
    config = files[str(manifests[0]["Config"])]
    configuration = json.loads(config)
    tags = manifests[0].get("RepoTags") or ()
    assert isinstance(tags, Sequence)
    return ImageInfo(
        id=f"sha256:{hashlib.sha256(config).hexdigest()}",
        tags=tuple(map(str, tags)),
        platform=f"{configuration['os']}/{configuration['architecture']}",
        labels=dict((configuration.get("config") or {}).get("Labels") or {}),
        size=size,
    )
