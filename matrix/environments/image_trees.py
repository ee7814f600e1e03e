"""The store of trees: folders that are mounted over an image's site-packages.

locks/<key>.json        the lock of requirements as of their date, with the chosen files
trees/<key>/site/       a finished tree: hard links to unpacked wheels, and to their byte code
unpacked/ compiled/     each wheel once; its byte code once for each CPython minor
files/ wheels/          published files, and wheels built from source distributions

This machine builds them for the image's tags; only builds of source distributions, and of byte code
where this machine lacks the CPython, run in containers.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from matrix.docker.interface import ContainerEngine
from matrix.environments.cache_folders import Artifacts, CacheFolders, free_bytes_at
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
from matrix.environments.lock import (
    Content,
    LockFiles,
    check_installed,
    dump_lock,
    lock_key,
    pinned,
    read_installed,
)
from matrix.environments.own_indexes import index_with_local_wheels
from matrix.environments.sdist_wheels import SdistWheels, is_pure
from matrix.environments.store import LEGACY_PYTHONS, EnvironmentStore, FailedAttempts
from matrix.environments.toolbox import Runner, Toolbox, cutoff, interpreter_id, run
from matrix.errors import IndexUnavailableError
from matrix.interpreters.discovery import find_interpreters
from matrix.model.environment import Environment, Image, Interpreter, Requirements
from matrix.model.reason import Reason
from matrix.pypi.client import CachedIndex, Index, index_url
from matrix.pypi.tags import supported_tags

# Part of every key: raise them to invalidate existing trees, or locks.
_FORMAT = "tree/1"
_FILES_FORMAT = "files/2"
_SITE = "site"


def _no_image(_: str) -> Image | None:
    return None


@dataclasses.dataclass(eq=False)
class TreeStore:
    """Environments for images. Safe for threads and processes.

    `engine` runs builds in images; None is enough to choose and fetch files. `native` returns an
    image for a CPython minor that the engine runs without emulation. `interpreters` are those of
    this machine, which are faster for some steps. The other fields are those of `EnvironmentStore`,
    with which locks and files are shared.
    """

    cache_dir: Path
    engine: ContainerEngine | None
    native: Callable[[str], Image | None] = _no_image
    interpreters: Callable[[], Sequence[Interpreter]] = find_interpreters
    url: str = ""
    offline: bool = False
    seconds: float = 300.0
    wait_seconds: float = 1.0
    index: Index | None = None
    runner: Runner = run
    download: Download = download
    free_bytes: Callable[[Path], int] = free_bytes_at
    read_installed: Callable[[Path], dict[str, str]] = read_installed

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
        command = ImageCommand(self.engine, self.seconds)
        self._byte_code = ByteCodeCache(tools, command, self.interpreters)
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
            command,
            environment=self.ensure,
            native=self.native,
            host_builders=lambda minor: [
                interpreter_id(item) for item in self.interpreters() if item.python == minor
            ],
        )

    def peek(self, image: Image, requirements: Requirements) -> Environment | None:
        """Return the environment if it is finished, without network, engine or subprocess."""
        content = self._lock_files.read(self._lock_key(image, requirements))
        return None if content is None else self._find(image, content["lock"])

    def ensure(self, image: Image, requirements: Requirements) -> Environment:
        """Return the environment, built if necessary; raise BuildError where that fails.

        A permanent failure is kept while this store lives.
        """
        try:
            files = self.files(image, requirements)
            lock = _lock_lines(files)
            environment = self._find(image, lock)
            if environment is not None:
                return environment
            return self._attempts.make(
                _tree_key(image, lock), lambda: self._build(image, requirements, files)
            )
        except OSError as error:
            raise from_os_error(error) from error

    def files(self, image: Image, requirements: Requirements) -> tuple[ChosenFile, ...]:
        """Return the one file of each distribution, chosen if necessary; raise BuildError."""
        key = self._lock_key(image, requirements)

        def resolve() -> Content:
            self._folders.check_space()
            files = self._choose(image, requirements)
            return {
                "lock": _lock_lines(files),
                "python": image.python,
                "files": [dataclasses.asdict(file) for file in files],
            }

        content = self._lock_files.read(key) or self._attempts.make(
            key, lambda: self._lock_files.ensure(key, requirements, resolve)
        )
        return tuple(ChosenFile(**file) for file in content["files"])

    def fetch(self, files: Sequence[ChosenFile]) -> list[Path]:
        """Return the paths of these files, downloaded if necessary; raise BuildError."""
        return self._fetcher.fetch(files)

    def _choose(self, image: Image, requirements: Requirements) -> tuple[ChosenFile, ...]:
        target = FileTarget(
            image.python,
            supported_tags(image.minor, image.target, image.libc),
            f"CPython {image.minor} on {image.target} ({image.libc})",
        )
        pins = {name for name, _ in map(pinned, requirements.pins)}
        listing = index_with_local_wheels(self._listing, requirements)
        files = []
        for locked in self._locks.resolve(image, requirements):
            try:
                project = listing.project(locked.name)
            except IndexUnavailableError as error:
                raise BuildError(Reason.INDEX_UNAVAILABLE, str(error)) from error
            choice = FileChoice(
                # Pins were requested by name: the date is for everything else.
                before=None if locked.name in pins else cutoff(requirements),
                hashes=image.minor not in LEGACY_PYTHONS,
                only_binary=not {":all:", locked.name}.isdisjoint(requirements.only_binary),
            )
            files.append(choose(locked, project, target, choice))
        return tuple(files)

    def _lock_key(self, image: Image, requirements: Requirements) -> str:
        runtime = (image.python, image.target, image.libc)
        return lock_key(_FILES_FORMAT, self._tools.index_url, runtime, requirements)

    def _find(self, image: Image, lock: tuple[str, ...]) -> Environment | None:
        for key in (_tree_key(image, lock), _tree_key(image, lock, in_image=True)):
            tree = self._folders.path(key) / _SITE
            if self._folders.metadata(key) is not None and tree.is_dir():
                return Environment(
                    Path(image.executable), key, lock, _interpreter(image), image, tree
                )
        return None

    def _build(
        self, image: Image, requirements: Requirements, files: tuple[ChosenFile, ...]
    ) -> Environment:
        lock = _lock_lines(files)
        wheels, in_image = self._wheels(image, files)
        byte_code = self._byte_code.folders(image.minor, wheels, image)

        def fill(part: Path) -> dict[str, object]:
            site = part / _SITE
            for folder in (*(wheel.folder for wheel in wheels), *byte_code):
                link_into(folder, site)
            installed = self.read_installed(site)
            check_installed(installed, requirements.pins, [file.locked for file in files])
            return {"installed": installed, "made_in": image.id if in_image else ""}

        self._folders.ensure(
            _tree_key(image, lock, in_image=in_image),
            lambda: self._find(image, lock) is not None,
            fill,
        )
        environment = self._find(image, lock)
        if environment is None:
            raise BuildError(Reason.BUILD_FAILED, "the tree was removed after its build")
        return environment

    def _wheels(
        self, image: Image, files: tuple[ChosenFile, ...]
    ) -> tuple[list[UnpackedWheels], bool]:
        """Return the unpacked wheels, and whether one was built for this image only."""
        wheels, in_image = [], False
        for file, path in zip(files, self.fetch(files), strict=True):
            wheel, key = path, file.sha256
            if not file.is_wheel:
                wheel = self._source_wheels.wheel(image, file, path)
                key = hashlib.sha256(wheel.read_bytes()).hexdigest()
                in_image = in_image or not is_pure(wheel)
            folder = self.root / "unpacked" / key / wheel.stem
            wheels.append(UnpackedWheels(unpack(wheel, folder, key), key))
        return wheels, in_image


def _lock_lines(files: Sequence[ChosenFile]) -> tuple[str, ...]:
    return dump_lock(file.locked for file in files)


def _interpreter(image: Image) -> Interpreter:
    return Interpreter(
        executable=Path(image.executable),
        version=image.python,
        build=image.build,
        target=image.target,
        libc=image.libc,
        source=image.source,
    )


def _tree_key(image: Image, lock: tuple[str, ...], *, in_image: bool = False) -> str:
    """Return the key of a tree; `in_image` means that a part was built for this image only."""
    text = "\n".join((_FORMAT, image.minor, image.target, image.id if in_image else "", *lock))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]
