"""A fake mmdebstrap, and an engine whose images report configurable facts."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Sequence

from helpers.fake_engine import FakeEngine
from matrix.docker.images.mmdebstrap import BuildCommand, BuildOutput
from matrix.docker.images.recipes import read_recipes
from matrix.docker.interface import ContainerResult, ContainerSpec, EngineInfo

__all__ = ["PLATFORMS", "AnsweringEngine", "FakeTool", "build_tar"]

PLATFORMS = ("linux/amd64", "linux/386", "linux/arm64")
_PYTHONS = {p.executable: p for suite in read_recipes().suites for p in suite.pythons}


def build_tar(*members: tuple[str, bytes], mode: str = "w") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as tar:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


class FakeTool:
    """Writes a tar, or fails with the error output `failure`; `jobs` are all its commands."""

    def __init__(self, failure: str = "") -> None:
        self.failure = failure
        self.jobs: list[BuildCommand] = []
        self.lock = threading.Lock()

    def __call__(self, command: BuildCommand) -> BuildOutput:
        with self.lock:
            self.jobs.append(command)
        if self.failure:
            return BuildOutput(25, self.failure)
        content = " ".join(command.argv).encode()
        command.out.write_bytes(build_tar(("./usr/lib/file", content), ("./usr/share/doc/x", b"")))
        return BuildOutput(0, "I: done\n")


class AnsweringEngine(FakeEngine):
    """Reports the facts of an image that is what its recipe promises.

    `facts` and `modules` replace some of them, `compile_result` is that of compiling byte code, and
    `ran` are all containers.
    """

    def __init__(self, platforms: Sequence[str] = PLATFORMS) -> None:
        super().__init__(
            info=EngineInfo("Fake 1.0", PLATFORMS[0], tuple(platforms), True, 2, 2**33)
        )
        self.facts: dict[str, object] = {}
        self.modules: dict[str, str] = {}
        self.ran: list[ContainerSpec] = []
        self.compile_result = ContainerResult(
            0, build_tar(("usr/lib/python/x.pyc", b"code"), mode="w:gz"), b""
        )

    def run(self, spec: ContainerSpec, seconds: float, stdin: bytes = b"") -> ContainerResult:
        self.check()
        self.ran.append(spec)
        if b"py_compile" in stdin:
            return self.compile_result
        target = next(t for t in read_recipes().targets if t.platform == spec.platform)
        python = _PYTHONS.get(next(word for word in spec.argv if "python" in word))
        facts = {
            "implementation": "CPython",
            "python": f"{python.python if python else '3.8'}.7",
            "build": "a build",
            "machine": target.machine,
            "bits": target.bits,
            "libc": "glibc 2.36",
            "path": [python.site if python else "/opt/site"],
            "modules": {"ssl": "", **self.modules},
            **self.facts,
        }
        return ContainerResult(0, b"\n" + json.dumps(facts).encode() + b"\n", b"")
