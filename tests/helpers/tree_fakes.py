"""Fakes for trees: an index with files, a resolver, an engine that builds."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from helpers.environment_fakes import FakeIndex
from helpers.fake_engine import FakeEngine, fake_image
from matrix.docker.interface import ContainerSpec
from matrix.environments.committed_locks import CommittedLocks
from matrix.environments.errors import BuildError
from matrix.environments.image_builds import BUILD_WHEEL, COMPILE_BYTECODE, read_script
from matrix.environments.image_trees import TreeStore
from matrix.environments.toolbox import Command, CommandResult
from matrix.model.environment import Image, Interpreter, Requirements
from matrix.model.index import File, Project, ReleaseFiles
from matrix.model.reason import Reason
from matrix.pypi.tags import wheel_tags

__all__ = ["REQUIREMENTS", "TreeFakes", "image", "source", "wheel"]

REQUIREMENTS = Requirements(("ddtrace==1.9.0",), ("shop",), dt.date(2023, 3, 1))
_DAY = dt.datetime(2022, 6, 1, tzinfo=dt.timezone.utc)
_PLATFORMS = {
    "linux_i686": "linux/386",
    "linux_aarch64": "linux/arm64",
    "linux_x86_64": "linux/amd64",
}


def image(target: str = "linux_x86_64", python: str = "3.11.2", name: str = "test") -> Image:
    info = fake_image(f"{name} {python}", _PLATFORMS[target])
    minor = ".".join(python.split(".")[:2])
    return Image(
        id=info.id,
        digest=info.id,
        name=name,
        source="test",
        platform=info.platform,
        target=target,
        python=python,
        build=f"{python} (main) [GCC]",
        libc="glibc 2.36",
        executable=f"/usr/bin/python{minor}",
        site=f"/usr/local/lib/python{minor}/dist-packages",
        launch=("/usr/bin/linux32",) if target == "linux_i686" else (),
    )


def wheel(
    name: str, version: str, files: Mapping[str, str] | None = None, requires: str = ""
) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for path, text in (files or {f"{name}.py": f"version = {version!r}"}).items():
            archive.writestr(path, text)
        archive.writestr(
            f"{name}-{version}.dist-info/METADATA",
            f"Name: {name}\nVersion: {version}\n{requires}\n",
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
class TreeFakes:
    """An index with `files` by name, all of which uv locks, an engine and a store's folder.

    `served` has other contents for some files. `builds` returns the result of the build of a source
    distribution in a container: a wheel's name and content, or the log of a failure. `unavailable`
    is how many downloads fail.
    """

    folder: Path
    files: dict[str, bytes]
    builds: Callable[[ContainerSpec], tuple[str, bytes] | str] = lambda _: "no compiler"
    interpreters: tuple[Interpreter, ...] = ()
    served: dict[str, bytes] = dataclasses.field(default_factory=dict)
    fetched: list[str] = dataclasses.field(default_factory=list)
    resolved: list[list[str]] = dataclasses.field(default_factory=list)
    scripts: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    unavailable: int = 0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.tools = {
            f"{name}-{version}-py3-none-any.whl": wheel(name, version)
            for name, version in (("pip", "22.3"), ("setuptools", "65.6"), ("wheel", "0.38"))
        }
        self.engine = FakeEngine()

    def add_images(self, *images: Image) -> None:
        for item in images:
            self.engine.local_images[item.id] = fake_image(
                f"{item.name} {item.python}", item.platform
            )
            self.engine.functions[item.id] = self.run_script

    def store(
        self, native: Image | None = None, *, offline: bool = False, anew: bool = False
    ) -> TreeStore:
        return TreeStore(
            self.folder,
            engine=self.engine,
            native=lambda _: native,
            interpreters=lambda: self.interpreters,
            offline=offline,
            wait_seconds=0,
            index=FakeIndex(self.projects()),
            runner=self.run,
            download=self.download,
            committed=CommittedLocks(self.folder / "facts"),
            anew=anew,
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
        with self.lock:
            self.fetched.append(filename)
            self.unavailable -= 1
            if self.unavailable >= 0:
                raise BuildError(Reason.INDEX_UNAVAILABLE, f"cannot fetch {filename}")
        path.write_bytes({**self.files, **self.tools, **self.served}[filename])

    def run(self, command: Command) -> CommandResult:
        """Resolve as uv would: everything, or the build tools where pip is required."""
        if "compile" not in command.argv:
            done = subprocess.run(
                [sys.executable, *command.argv[1:]], capture_output=True, text=True, check=False
            )
            return CommandResult(done.returncode, done.stdout, done.stderr)
        with self.lock:
            self.resolved.append([*command.argv, *command.stdin.split()])
        names = set(command.stdin.split())
        lines = [
            f"{name}=={release.version} "
            + " ".join(f"--hash=sha256:{file.sha256}" for file in release.files)
            for name, project in self.projects().items()
            for release in project.releases
            if (
                name in names
                if "pip" in names
                else name in {file.split("-")[0] for file in self.files}
            )
        ]
        return CommandResult(0, "\n".join(lines), "")

    def run_script(self, spec: ContainerSpec, _: IO[bytes], out: IO[bytes], err: IO[bytes]) -> int:
        script = spec.argv[list(spec.argv).index("-c") + 1]
        with self.lock:
            kind = "build" if script == read_script(BUILD_WHEEL) else "compile"
            self.scripts.append((spec.image, kind))
        if script == read_script(COMPILE_BYTECODE):
            sources = json.dumps([str(mount.source) for mount in spec.mounts])
            argv = [sys.executable, "-c", script, sources]
            # A container's temporary files end with it.
            with tempfile.TemporaryDirectory() as folder:
                env = {**os.environ, "TMPDIR": folder}
                out.write(subprocess.run(argv, capture_output=True, check=True, env=env).stdout)
            return 0
        result = self.builds(spec)
        if isinstance(result, str):
            err.write(result.encode())
            return 1
        name, content = result
        out.write(name.encode() + b"\n" + content)
        return 0
