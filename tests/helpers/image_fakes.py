"""A tool that unpacks nothing real, and an engine whose images answer as they are told to."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Sequence

from helpers.fake_engine import FakeEngine
from matrix.docker.images.mmdebstrap import BuildCommand, BuildOutput
from matrix.docker.images.recipes import recipes
from matrix.docker.interface import ContainerResult, ContainerSpec, EngineInfo

ALL = ("linux/amd64", "linux/386", "linux/arm64")
LISTS = [p for suite in recipes().suites for p in suite.pythons]


def tar_of(*members: tuple[str, bytes], mode: str = "w") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode=mode) as tar:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return sink.getvalue()


class FakeTool:
    """Writes a tar, or fails as it is told to; `jobs` are what it was asked for."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.jobs: list[BuildCommand] = []
        self.guard = threading.Lock()

    def __call__(self, job: BuildCommand) -> BuildOutput:
        with self.guard:
            self.jobs.append(job)
        if self.fails:
            return BuildOutput(25, self.fails)
        content = " ".join(job.argv).encode()
        job.out.write_bytes(tar_of(("./usr/lib/file", content), ("./usr/share/doc/x", b"")))
        return BuildOutput(0, "I: done\n")


class AnsweringEngine(FakeEngine):
    """Answers examinations from what the image is for; `says` changes an answer, `compiles` is what
    comes of compiling.
    """

    def __init__(self, platforms: Sequence[str] = ALL) -> None:
        super().__init__(info=EngineInfo("Fake 1.0", ALL[0], tuple(platforms), True, 2, 2**33))
        self.says: dict[str, object] = {}
        self.modules: dict[str, str] = {}
        self.ran: list[ContainerSpec] = []
        self.compiles = ContainerResult(
            0, tar_of(("usr/lib/python/x.pyc", b"code"), mode="w:gz"), b""
        )

    def run(self, spec: ContainerSpec, seconds: float, given: bytes = b"") -> ContainerResult:
        self.check()
        self.ran.append(spec)
        if b"py_compile" in given:
            return self.compiles
        target = next(each for each in recipes().targets if each.platform == spec.platform)
        executable = next(word for word in spec.argv if "python" in word)
        known = [each for each in LISTS if each.executable == executable]
        answer = {
            "implementation": "CPython",
            "python": f"{known[0].python if known else '3.8'}.7",
            "build": "a build",
            "machine": target.machine,
            "bits": target.bits,
            "libc": "glibc 2.36",
            "path": [known[0].site if known else "/opt/site"],
            "modules": {"ssl": "", **self.modules},
            **self.says,
        }
        return ContainerResult(0, b"\n" + json.dumps(answer).encode() + b"\n", b"")
