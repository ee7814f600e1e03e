"""Fakes for builds of environments: an index, an installer, an interpreter."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from matrix.environments.lock import LockedFile
from matrix.environments.store import EnvironmentStore
from matrix.errors import IndexUnavailableError
from matrix.model.environment import Interpreter, Requirements
from matrix.model.index import File, Project, ReleaseFiles

INTERPRETER = Interpreter(
    executable=Path("/opt/python3.9/bin/python3.9"),
    version="3.9.18",
    build="3.9.18 (main) [GCC]",
    target="linux_x86_64",
    libc="glibc 2.36",
    source="test",
)
REQUIREMENTS = Requirements(("ddtrace==1.9.0", "flask==2.2.3"), ("cheroot",), dt.date(2023, 3, 1))
DDTRACE = LockedFile("ddtrace", "1.9.0", ("a" * 64,))
FLASK = LockedFile("flask", "2.2.3", ("b" * 64,))
LOCK = (DDTRACE, FLASK)


def write_distribution(folder: Path, name: str, version: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: of the text\n"
    (info / "METADATA").write_text(text)


@dataclasses.dataclass
class FakeInstaller:
    """An installer that writes an environment without running anything, and counts its calls."""

    lock: tuple[LockedFile, ...] = LOCK
    installed: tuple[LockedFile, ...] = LOCK
    on_resolve: Callable[[], None] = lambda: None
    on_build: Callable[[Path], None] = lambda _: None
    resolved: int = 0
    built: int = 0
    lock_counts: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def resolve(
        self, interpreter: Interpreter, requirements: Requirements
    ) -> tuple[LockedFile, ...]:
        with self.lock_counts:
            self.resolved += 1
        self.on_resolve()
        return self.lock

    def build(
        self,
        interpreter: Interpreter,
        requirements: Requirements,
        lock: tuple[LockedFile, ...],
        folder: Path,
    ) -> None:
        with self.lock_counts:
            self.built += 1
        packages = folder / "lib" / "python3.9" / "site-packages"
        for locked in self.installed:
            write_distribution(packages, locked.name, locked.version)
        self.on_build(folder)
        (folder / "bin").mkdir()
        (folder / "bin" / "python").write_text("")


def store_with(tmp_path: Path, installer: FakeInstaller, free: int = 2**40) -> EnvironmentStore:
    return EnvironmentStore(
        tmp_path,
        installer=lambda _: installer,
        index=FakeIndex({}),
        free_bytes=lambda _: free,
        wait_seconds=0,
    )


@dataclasses.dataclass
class FakeIndex:
    """An index of these projects that is unavailable for all others."""

    projects: Mapping[str, Project]

    def project(self, name: str) -> Project:
        try:
            return self.projects[name]
        except KeyError:
            raise IndexUnavailableError(f"no answer for {name!r}") from None


def published(
    name: str, version: str, day: str, *, tags: str = "py2.py3-none-any", requires: str = ""
) -> File:
    filename = f"{name}-{version}-{tags}.whl" if tags else f"{name}-{version}.tar.gz"
    moment = dt.datetime.fromisoformat(day).replace(tzinfo=dt.timezone.utc)
    digest = f"{abs(hash(filename)):064x}"
    url = f"https://files.example/{filename}"
    return File(filename, url, digest, moment, requires, yanked=False, tags=tags)


def project(name: str, *files: tuple[str, File]) -> Project:
    releases = tuple(
        ReleaseFiles(version, file.uploaded, file.yanked, file.requires_python, (file,))
        for version, file in files
    )
    return Project(name, dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), releases)
