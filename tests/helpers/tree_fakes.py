"""A small world for trees: an index with files, a resolver's answer, an engine that builds."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from helpers.environment_fakes import FakeIndex
from helpers.fake_engine import FakeEngine, fake_image
from matrix.docker.interface import ContainerSpec
from matrix.environments.commands import CommandResult, RunningCommand
from matrix.environments.errors import BuildError
from matrix.environments.image_builds import BUILD, COMPILE
from matrix.environments.image_trees import TreeStore
from matrix.model.environment import Image, Interpreter, Requirements
from matrix.model.index import File, Project, ReleaseFiles
from matrix.model.reason import Reason
from matrix.pypi.tags import wheel_tags

__all__ = ["REQUIREMENTS", "World", "image", "source", "wheel"]

REQUIREMENTS = Requirements(("ddtrace==1.9.0",), ("shop",), dt.date(2023, 3, 1))
_DAY = dt.datetime(2022, 6, 1, tzinfo=dt.timezone.utc)
_PLATFORMS = {
    "linux_i686": "linux/386",
    "linux_aarch64": "linux/arm64",
    "linux_x86_64": "linux/amd64",
}


def image(target: str = "linux_x86_64", python: str = "3.11.2", name: str = "test") -> Image:
    held = fake_image(f"{name} {python}", _PLATFORMS[target])
    minor = ".".join(python.split(".")[:2])
    return Image(
        id=held.id,
        digest=held.id,
        name=name,
        source="test",
        platform=held.platform,
        target=target,
        python=python,
        build=f"{python} (main) [GCC]",
        libc="glibc 2.36",
        executable=f"/usr/bin/python{minor}",
        site=f"/usr/local/lib/python{minor}/dist-packages",
        launch=("/usr/bin/linux32",) if target == "linux_i686" else (),
    )


def wheel(name: str, version: str, files: Mapping[str, str] | None = None) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for path, text in (files or {f"{name}.py": f"version = {version!r}"}).items():
            archive.writestr(path, text)
        archive.writestr(
            f"{name}-{version}.dist-info/METADATA", f"Name: {name}\nVersion: {version}\n\n"
        )
    return raw.getvalue()


def source(name: str, version: str, pyproject: str = "") -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        texts = {
            "setup.py": "raise SystemExit",
            **({"pyproject.toml": pyproject} if pyproject else {}),
        }
        for path, text in texts.items():
            item = tarfile.TarInfo(f"{name}-{version}/{path}")
            item.size = len(text)
            archive.addfile(item, io.BytesIO(text.encode()))
    return raw.getvalue()


@dataclasses.dataclass
class World:
    """`files` are what the index has, by name; all are locked by uv in their newest version.

    `served` is what comes instead of some of them. `builds` says what comes out of a source
    distribution in a container: a wheel's name and content, or the words of a failure.
    """

    folder: Path
    files: dict[str, bytes]
    builds: Callable[[ContainerSpec], tuple[str, bytes] | str] = lambda _: "no compiler"
    interpreters: tuple[Interpreter, ...] = ()
    served: dict[str, bytes] = dataclasses.field(default_factory=dict)
    fetched: list[str] = dataclasses.field(default_factory=list)
    resolved: list[list[str]] = dataclasses.field(default_factory=list)
    scripts: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    away: int = 0
    counting: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.tools = {
            f"{name}-{version}-py3-none-any.whl": wheel(name, version)
            for name, version in (("pip", "22.3"), ("setuptools", "65.6"), ("wheel", "0.38"))
        }
        self.engine = FakeEngine()

    def holds(self, *images: Image) -> None:
        for item in images:
            self.engine.held[item.id] = fake_image(f"{item.name} {item.python}", item.platform)
            self.engine.acts[item.id] = self.act

    def store(self, native: Image | None = None, *, offline: bool = False) -> TreeStore:
        return TreeStore(
            self.folder,
            self.engine,
            native=lambda _: native,
            interpreters=lambda: self.interpreters,
            offline=offline,
            wait_seconds=0,
            index=FakeIndex(self.projects()),
            runner=self.run,
            download=self.download,
            free_bytes=lambda _: 2**40,
        )

    def projects(self) -> dict[str, Project]:
        listed: dict[str, dict[str, list[File]]] = {}
        for filename, content in {**self.files, **self.tools}.items():
            name, version = filename.removesuffix(".tar.gz").split("-")[:2]
            file = File(
                filename=filename,
                url=f"https://files.example/{filename}",
                sha256=hashlib.sha256(content).hexdigest(),
                uploaded=_DAY,
                requires_python="",
                yanked=False,
                tags=wheel_tags(filename),
            )
            listed.setdefault(name, {}).setdefault(version, []).append(file)
        return {
            name: Project(
                name,
                _DAY,
                tuple(
                    ReleaseFiles(version, _DAY, yanked=False, requires_python="", files=files)
                    for version, files in releases.items()
                ),
            )
            for name, releases in listed.items()
        }

    def download(self, url: str, path: Path, seconds: float) -> None:
        filename = url.rpartition("/")[2]
        with self.counting:
            self.fetched.append(filename)
            self.away -= 1
            if self.away >= 0:
                raise BuildError(Reason.INDEX_UNAVAILABLE, f"{filename} could not be fetched")
        path.write_bytes({**self.files, **self.tools, **self.served}[filename])

    def run(self, command: RunningCommand) -> CommandResult:
        """Resolve as uv would: everything, or the tools where it is told of them."""
        if "compile" not in command.argv:
            done = subprocess.run(
                [sys.executable, *command.argv[1:]], capture_output=True, text=True, check=False
            )
            return CommandResult(done.returncode, done.stdout, done.stderr)
        with self.counting:
            self.resolved.append([*command.argv, *command.given.split()])
        tools = "pip" in command.given.split()
        wanted = set(command.given.split())
        lines = [
            f"{name}=={release.version} "
            + " ".join(f"--hash=sha256:{file.sha256}" for file in release.files)
            for name, project in self.projects().items()
            for release in project.releases
            if (name in wanted if tools else name in {file.split("-")[0] for file in self.files})
        ]
        return CommandResult(0, "\n".join(lines), "")

    def act(self, spec: ContainerSpec, _: IO[bytes], out: IO[bytes], err: IO[bytes]) -> int:
        script = spec.argv[list(spec.argv).index("-c") + 1]
        with self.counting:
            self.scripts.append((spec.image, "build" if script == BUILD else "compile"))
        if script == COMPILE:
            sources = json.dumps([str(mount.source) for mount in spec.mounts])
            argv = [sys.executable, "-c", COMPILE, sources]
            out.write(subprocess.run(argv, capture_output=True, check=True).stdout)
            return 0
        made = self.builds(spec)
        if isinstance(made, str):
            err.write(made.encode())
            return 1
        out.write(made[0].encode() + b"\n" + made[1])
        return 0
