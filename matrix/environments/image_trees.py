"""Trees: what `pip install` would have put into an image's own site-packages, made beside it.

locks/<key>.json        what requirements came to as of their date, and which files these are
trees/<key>/site/       finished trees: hard links to unpacked wheels, and to their byte code
unpacked/ compiled/     each wheel once; byte code once for each CPython minor
files/ wheels/          as published, and as made of source distributions

All of it is done by this machine, for the image's tags; only what must run there is run there, in
containers of its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from matrix.docker.interface import ContainerEngine
from matrix.environments.cache_folders import Artifacts, CacheFolders, free_bytes_at
from matrix.environments.commands import Runner, run
from matrix.environments.dated_index import with_given
from matrix.environments.download import (
    ChosenFile,
    Download,
    Fetcher,
    FileChoice,
    FileTarget,
    UnpackedWheels,
    choose,
    download,
    link_into,
    unpack,
)
from matrix.environments.errors import BuildError, from_os_error
from matrix.environments.image_builds import ByteCodeCache, ImageCommand
from matrix.environments.image_lock import ImageLocks
from matrix.environments.installed import check_installed, installed
from matrix.environments.lock import LockedFile, dump_lock, pinned
from matrix.environments.lock_files import Content, LockFiles, lock_key
from matrix.environments.sdist_wheels import SdistWheels, is_pure
from matrix.environments.store import ERA, EnvironmentStore, FailedAttempts
from matrix.environments.toolbox import Toolbox, cutoff, interpreter_id
from matrix.errors import IndexUnavailableError
from matrix.interpreters.discovery import find_interpreters
from matrix.model.environment import Environment, Image, Interpreter, Requirements
from matrix.model.reason import Reason
from matrix.pypi.client import CachedIndex, index_url
from matrix.pypi.index import Index
from matrix.pypi.tags import supported_tags

__all__ = ["TreeStore"]

# Part of every key: raise it when trees of before must not be used any more.
_FORMAT = "tree/1"
_FILES_FORMAT = "files/2"
_SITE = "site"


def _none(_: str) -> Image | None:
    return None


@dataclasses.dataclass(eq=False)
class TreeStore:
    """Environments for images. Safe to use from threads and from several processes.

    `engine` runs what must run in an image: None where files are only chosen and fetched. `native`
    names an image for a CPython minor that it runs without emulation. `interpreters` are this
    machine's own, for what they can do faster. The rest is as for `EnvironmentStore`, with which
    locks and files are shared.
    """

    cache_dir: Path
    engine: ContainerEngine | None
    native: Callable[[str], Image | None] = _none
    interpreters: Callable[[], Sequence[Interpreter]] = find_interpreters
    url: str = ""
    offline: bool = False
    seconds: float = 300.0
    wait_seconds: float = 1.0
    index: Index | None = None
    runner: Runner = run
    download: Download = download
    free_bytes: Callable[[Path], int] = free_bytes_at

    def __post_init__(self) -> None:
        self.root = self.cache_dir / "environments"
        tools = Toolbox(self.root, self.url or index_url(), self.offline, self.runner, self.seconds)
        self._tools = tools
        self._listing = self.index or CachedIndex(
            self.cache_dir, url=tools.index_url, offline=self.offline
        )
        self._attempts = FailedAttempts(offline=self.offline, wait_seconds=self.wait_seconds)
        self._folders = CacheFolders(tools, "tree", self.free_bytes)
        self._lock_files = LockFiles(tools)
        artifacts = Artifacts(self.root)
        self._fetcher = Fetcher(tools, artifacts, self.download)
        inside = ImageCommand(self.engine, self.seconds)
        self._byte_code = ByteCodeCache(tools, inside, self.interpreters)
        self._locks = ImageLocks(
            tools,
            EnvironmentStore(
                *(self.cache_dir, tools.index_url, self.offline, self.seconds, self.wait_seconds),
                index=self._listing,
                runner=self.runner,
                free_bytes=self.free_bytes,
            ),
            self.interpreters,
        )
        self._source_wheels = SdistWheels(
            tools,
            artifacts,
            inside,
            environment=self.ensure,
            native=self.native,
            hosts=lambda minor: [
                interpreter_id(item) for item in self.interpreters() if item.python == minor
            ],
        )

    def peek(self, image: Image, requirements: Requirements) -> Environment | None:
        """Return the environment if it is finished, without network, engine or process."""
        known = self._lock_files.known(self._lock_key(image, requirements))
        return None if known is None else self._finished(image, known["lock"])

    def ensure(self, image: Image, requirements: Requirements) -> Environment:
        """Return the environment, built if need be; raise BuildError where that fails.

        A failure that would come again is remembered while this store lives.
        """
        try:
            files = self.files(image, requirements)
            lock = _lines(files)
            finished = self._finished(image, lock)
            if finished is not None:
                return finished
            return self._attempts.make(
                _tree_key(image, lock), lambda: self._build(image, requirements, files)
            )
        except OSError as error:
            raise from_os_error(error) from error

    def files(self, image: Image, requirements: Requirements) -> tuple[ChosenFile, ...]:
        """Return the one file of each distribution, chosen if need be; raise BuildError."""
        key = self._lock_key(image, requirements)

        def ask() -> Content:
            self._folders.need_space()
            files = self._choose(image, requirements)
            told = [dataclasses.asdict(file) for file in files]
            return {"lock": _lines(files), "python": image.python, "files": told}

        known = self._lock_files.known(key) or self._attempts.make(
            key, lambda: self._lock_files.find(key, requirements, ask)
        )
        return tuple(ChosenFile(**file) for file in known["files"])

    def fetch(self, files: Sequence[ChosenFile]) -> list[Path]:
        """Return where these files are here; raise BuildError where one is not to be had."""
        return self._fetcher.fetch(files)

    def _choose(self, image: Image, requirements: Requirements) -> tuple[ChosenFile, ...]:
        minor = _minor(image)
        where = FileTarget(
            image.python, supported_tags(minor, image.target, image.libc), _called(image, minor)
        )
        pins = {name for name, _ in map(pinned, requirements.pins)}
        listing = with_given(self._listing, requirements)
        files = []
        for locked in self._locks.resolve(image, requirements):
            try:
                project = listing.project(locked.name)
            except IndexUnavailableError as error:
                raise BuildError(Reason.INDEX_UNAVAILABLE, str(error)) from error
            which = FileChoice(
                # What is pinned was asked for by name: the date is for all that pins leave open.
                before=None if locked.name in pins else cutoff(requirements),
                hashes=minor not in ERA,
                only_binary=not {":all:", locked.name}.isdisjoint(requirements.only_binary),
            )
            files.append(choose(locked, project, where, which))
        return tuple(files)

    def _lock_key(self, image: Image, requirements: Requirements) -> str:
        where = (image.python, image.target, image.libc)
        return lock_key(_FILES_FORMAT, self._tools.index_url, where, requirements)

    def _finished(self, image: Image, lock: tuple[str, ...]) -> Environment | None:
        for key in (_tree_key(image, lock), _tree_key(image, lock, own=True)):
            tree = self._folders.path(key) / _SITE
            if self._folders.mark(key) is not None and tree.is_dir():
                return Environment(
                    Path(image.executable), key, lock, _interpreter(image), image, tree
                )
        return None

    def _build(
        self, image: Image, requirements: Requirements, files: tuple[ChosenFile, ...]
    ) -> Environment:
        lock = _lines(files)
        wheels, own = self._wheels(image, files)
        byte_code = self._byte_code.folders(_minor(image), wheels, image)

        def fill(part: Path) -> dict[str, object]:
            site = part / _SITE
            for folder in (*(wheel.folder for wheel in wheels), *byte_code):
                link_into(folder, site)
            found = installed(site)
            check_installed(found, requirements.pins, [file.locked for file in files])
            return {"installed": found, "made_in": image.id if own else ""}

        self._folders.make(
            _tree_key(image, lock, own=own),
            lambda: self._finished(image, lock) is not None,
            fill,
        )
        finished = self._finished(image, lock)
        if finished is None:
            raise BuildError(Reason.BUILD_FAILED, "the tree was made and is gone")
        return finished

    def _wheels(
        self, image: Image, files: tuple[ChosenFile, ...]
    ) -> tuple[list[UnpackedWheels], bool]:
        """Return the unpacked wheels, and whether one was made for this very image."""
        wheels, own = [], False
        for file, path in zip(files, self.fetch(files), strict=True):
            wheel, key = path, file.sha256
            if not file.is_wheel:
                wheel = self._source_wheels.wheel(image, file, path)
                key = hashlib.sha256(wheel.read_bytes()).hexdigest()
                own = own or not is_pure(wheel)
            folder = self.root / "unpacked" / key / wheel.stem
            wheels.append(UnpackedWheels(unpack(wheel, folder, key), key))
        return wheels, own


def _minor(image: Image) -> str:
    return ".".join(image.python.split(".")[:2])


def _called(image: Image, minor: str) -> str:
    return f"CPython {minor} on {image.target} ({image.libc})"


def _lines(files: Sequence[ChosenFile]) -> tuple[str, ...]:
    return dump_lock(LockedFile(file.name, file.version, (file.sha256,)) for file in files)


def _interpreter(image: Image) -> Interpreter:
    return Interpreter(
        executable=Path(image.executable),
        version=image.python,
        build=image.build,
        target=image.target,
        libc=image.libc,
        source=image.source,
    )


def _tree_key(image: Image, lock: tuple[str, ...], *, own: bool = False) -> str:
    """Return the name of a tree; `own` where a part of it was made in this very image."""
    told = "\n".join((_FORMAT, _minor(image), image.target, image.id if own else "", *lock))
    return hashlib.sha256(told.encode("utf-8")).hexdigest()[:32]
