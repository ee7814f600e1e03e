"""The store of trees: folders that are mounted over an image's site-packages.

locks/<key>.json        the lock of requirements as of their date, with the chosen files
trees/<key>/site/       a finished tree: hard links to unpacked wheels, and to their byte code
unpacked/ compiled/     each wheel once; its byte code once for each CPython minor
files/ wheels/          published files, and wheels built from source distributions

A committed lock for the target, the minor and the kind of C library is used here as on this machine
(`committed_locks`); what the index no longer has, or another patch release of the CPython requires,
is noticed, and resolved. Only the addresses of files are looked up then. No other target has
committed locks, but for 32-bit Linux, which has those of x86-64.

This machine builds them for the image's tags; only builds of source distributions, and of byte code
where this machine lacks the CPython, run in containers. uv resolves for a given platform. It does
not support 32-bit Linux: the lock for x86-64 is used instead, whose markers differ in the name of
the machine only; missing files are detected when files are chosen. For CPython 2.7 and 3.5 pip
resolves on this machine's own interpreter of that version, and only its choice of releases is used.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from matrix.docker.interface import ContainerEngine
from matrix.environments.cache_folders import Artifacts, Metadata, content_key
from matrix.environments.committed_locks import (
    CommittedLock,
    CommittedLocks,
    describe_difference,
    locked_target,
)
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
from matrix.environments.errors import BuildError
from matrix.environments.image_builds import ByteCodeCache, ImageCommand
from matrix.environments.installers import UvInstaller
from matrix.environments.lock import (
    Content,
    LockedFile,
    check_installed,
    check_markers,
    dump_lock,
    lock_key,
    parse_line,
    pinned,
    read_installed,
)
from matrix.environments.own_indexes import index_with_local_wheels
from matrix.environments.sdist_wheels import SdistWheels, is_pure
from matrix.environments.store import (
    LEGACY_PYTHONS,
    LOCK_FORMAT,
    UNUSABLE,
    ContentStore,
    EnvironmentStore,
    describe_change,
    describe_refusal,
)
from matrix.environments.toolbox import cutoff, interpreter_id
from matrix.errors import IndexUnavailableError
from matrix.interpreters.discovery import find_interpreters
from matrix.model.environment import Environment, Image, Interpreter, Requirements
from matrix.model.reason import Reason
from matrix.pypi.tags import supported_tags

# Part of every key: raise them to invalidate existing trees, or locks.
_FORMAT = "tree/2"
_FILES_FORMAT = "files/2"
_SITE = "site"
# Supported by `uv pip compile --python-platform`; the newest stands for all newer ones.
_GLIBC_MINORS = (17, 28, *range(31, 41))
_UV_CPUS = {"x86_64": "x86_64", "i686": "x86_64", "aarch64": "aarch64"}
_LIBC = re.compile(r"(?P<name>glibc|musl) (?P<major>\d+)\.(?P<minor>\d+)")


@dataclasses.dataclass(eq=False)
class TreeStore(ContentStore[Image]):
    """Environments for images, which share locks and files with those for interpreters.

    `engine` runs builds in images; None is enough to choose and fetch files. `native` returns an
    image for a CPython minor that the engine runs without emulation. `interpreters` are those of
    this machine, which are faster for some steps.
    """

    kind = "tree"

    engine: ContainerEngine | None = None
    native: Callable[[str], Image | None] = lambda _image: None
    interpreters: Callable[[], Sequence[Interpreter]] = find_interpreters
    download: Download = download
    committed: CommittedLocks = dataclasses.field(default_factory=CommittedLocks)
    read_installed: Callable[[Path], dict[str, str]] = read_installed

    def __post_init__(self) -> None:
        super().__post_init__()
        artifacts = Artifacts(self._tools)
        self._fetcher = Fetcher(self._tools, artifacts, self.download)
        command = ImageCommand(self.engine, self.seconds)
        self._byte_code = ByteCodeCache(self._tools, command, self.interpreters)
        self._environments = EnvironmentStore(
            *(self.cache_dir, self._tools.index_url, self.offline, self.seconds),
            *(self.wait_seconds, self._listing, self.runner, self.free_bytes),
            anew=self.anew,
            committed=self.committed,
        )
        self._refused: set[str] = set()
        self._source_wheels = SdistWheels(
            self._tools,
            artifacts,
            command,
            environment=self.prepare,
            native=self.native,
            host_builders=lambda minor: [interpreter_id(item) for item in self._own(minor)],
        )

    def prepare(self, runtime: Image, requirements: Requirements) -> Environment:
        """Return what `ensure` does; resolve where the committed lock cannot be used here."""
        try:
            return super().prepare(runtime, requirements)
        except BuildError as error:
            key = self._lock_key(runtime, requirements)
            content = self._lock_files.read(key) or {}
            if error.reason not in UNUSABLE or not content.get("committed"):
                raise
            self._refuse(runtime, requirements, error)
            self._lock_files.discard(key)
            return super().prepare(runtime, requirements)

    def files(self, image: Image, requirements: Requirements) -> tuple[ChosenFile, ...]:
        """Return the one file of each distribution, chosen if necessary; raise BuildError."""
        content = self._locked(image, requirements)
        return tuple(ChosenFile(**file) for file in content["files"])

    def fetch(self, files: Sequence[ChosenFile]) -> list[Path]:
        """Return the paths of these files, downloaded if necessary; raise BuildError."""
        return self._fetcher.fetch(files)

    def _own(self, minor: str) -> list[Interpreter]:
        return [item for item in self.interpreters() if item.python == minor]

    def _resolve(self, runtime: Image, requirements: Requirements) -> Content:
        files, committed = self._choose(runtime, requirements)
        return {
            "lock": dump_lock(file.locked for file in files),
            "python": runtime.python,
            "files": [dataclasses.asdict(file) for file in files],
            "committed": committed,
        }

    def _choose(self, image: Image, requirements: Requirements) -> tuple[list[ChosenFile], bool]:
        """Return the files of the lock, and whether that is a committed one."""
        lock = self._committed_lock(image, requirements)
        if lock is not None:
            try:
                return self._files_of(image, requirements, map(parse_line, lock.lines)), True
            except BuildError as error:
                if error.reason not in UNUSABLE:
                    raise
                self._refuse(image, requirements, error)
        releases = self._choose_releases(image, requirements)
        return self._files_of(image, requirements, releases), False

    def _committed_lock(self, image: Image, requirements: Requirements) -> CommittedLock | None:
        """Return the committed lock, None where there is none, or this machine has its own."""
        key = self._key_of_lock(LOCK_FORMAT, image, requirements)
        if self.anew or key in self._refused or self._lock_files.read(key) is not None:
            return None
        if image.minor in LEGACY_PYTHONS and self._own(image.minor):
            return None  # its own store takes the committed one
        return self._find_committed(image, requirements)

    def _find_committed(self, image: Image, requirements: Requirements) -> CommittedLock | None:
        runtime = dataclasses.replace(_interpreter(image), target=locked_target(image.target))
        return self.committed.find(runtime, requirements, self._tools.notices)

    def _refuse(self, image: Image, requirements: Requirements, error: BuildError) -> None:
        """Use the committed lock no more, with a notice."""
        notice = describe_refusal(_interpreter(image), requirements, error)
        self._tools.notices.append(notice)
        self._refused.add(self._key_of_lock(LOCK_FORMAT, image, requirements))

    def _files_of(
        self, image: Image, requirements: Requirements, lock: Iterable[LockedFile]
    ) -> list[ChosenFile]:
        target = FileTarget(
            image.python,
            supported_tags(image.minor, image.target, image.libc),
            f"CPython {image.minor} on {image.target} ({image.libc})",
        )
        pins = {name for name, _ in map(pinned, requirements.pins)}
        listing = index_with_local_wheels(self._listing, requirements)
        files = []
        for locked in lock:
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
        return files

    def _choose_releases(self, image: Image, requirements: Requirements) -> Iterator[LockedFile]:
        """Return a lock, which images and interpreters of equal CPython and C library share.

        For CPython 2.7 and 3.5 its hashes are of files for this machine, not for the image.
        """
        own = self._own(image.minor)
        if image.minor in LEGACY_PYTHONS:
            if not own:
                raise BuildError(
                    Reason.NO_INTERPRETER,
                    f"cannot resolve for CPython {image.minor}: that needs a CPython {image.minor}"
                    " of this machine, and there is none",
                )
            return map(parse_line, self._environments.resolve(own[0], requirements))
        key = self._key_of_lock(LOCK_FORMAT, image, requirements)

        def resolve() -> Content:
            python = own[0].executable if own else Path(sys.executable)
            platform = (
                *("--python-version", image.python),
                *("--python-platform", uv_platform(image.target, image.libc)),
            )
            installer = UvInstaller(self._tools, anew=self.anew)
            lock = dump_lock(installer.compile(python, requirements, platform))
            committed = self._find_committed(image, requirements)
            if self.anew and committed and (change := describe_difference(committed.lines, lock)):
                notice = describe_change(_interpreter(image), requirements, change)
                self._tools.notices.append(notice)
            return {"lock": lock, "python": image.python}

        files = self._lock_files
        known = None if self.anew else files.read(key)
        content = known or files.ensure(key, requirements, resolve, anew=self.anew)
        return map(parse_line, content["lock"])

    def _key_of_lock(self, form: str, image: Image, requirements: Requirements) -> str:
        parts = (image.python, image.target, image.libc)
        return lock_key(form, self._tools.index_url, parts, requirements)

    def _lock_key(self, runtime: Image, requirements: Requirements) -> str:
        return self._key_of_lock(_FILES_FORMAT, runtime, requirements)

    def _key(self, runtime: Image, lock: tuple[str, ...], *, in_image: bool = False) -> str:
        """Return the key of a tree; `in_image` means that a part was built for this image only."""
        image_id = runtime.id if in_image else ""
        return content_key(_FORMAT, runtime.minor, runtime.target, image_id, *lock)

    def _find(self, runtime: Image, lock: tuple[str, ...]) -> Environment | None:
        for key in (self._key(runtime, lock), self._key(runtime, lock, in_image=True)):
            tree = self._folders.path(key) / _SITE
            if self._folders.metadata(key) is not None and tree.is_dir():
                executable = Path(runtime.executable)
                return Environment(
                    *(executable, key, lock, _interpreter(runtime), runtime, tree),
                    folder=self._folders.path(key),
                )
        return None

    def _build(
        self, runtime: Image, requirements: Requirements, lock: tuple[str, ...]
    ) -> Environment:
        files = self.files(runtime, requirements)
        wheels, in_image = self._wheels(runtime, files)
        byte_code = self._byte_code.folders(runtime.minor, wheels, runtime)

        def fill(part: Path) -> Metadata:
            site = part / _SITE
            for folder in (*(wheel.folder for wheel in wheels), *byte_code):
                link_into(folder, site)
            installed = self.read_installed(site)
            check_installed(installed, requirements.pins, [file.locked for file in files])
            if self._locked(runtime, requirements).get("committed"):
                check_markers(site, runtime.python, installed)
            return {"installed": installed, "made_in": runtime.id if in_image else ""}

        key = self._key(runtime, lock, in_image=in_image)
        return self._make_folder(runtime, lock, key, fill, "the tree was removed after its build")

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
            make = functools.partial(unpack, wheel, folder, key)
            wheels.append(UnpackedWheels(self._tools.ensure_built(folder, make), key))
        return wheels, in_image


def _interpreter(image: Image) -> Interpreter:
    return Interpreter(
        executable=Path(image.executable),
        version=image.python,
        build=image.build,
        target=image.target,
        libc=image.libc,
        source=image.source,
    )


def uv_platform(target: str, libc: str) -> str:
    """Return uv's name of a Linux target; raise BuildError for an unsupported one."""
    system, _, cpu = target.partition("_")
    match = _LIBC.match(libc)
    if system != "linux" or cpu not in _UV_CPUS or match is None:
        raise BuildError(
            Reason.BUILD_FAILED,
            f"cannot resolve for {target} with {libc or 'an unknown C library'}",
        )
    if match["name"] == "musl":
        return f"{_UV_CPUS[cpu]}-unknown-linux-musl"
    minors = [minor for minor in _GLIBC_MINORS if minor <= int(match["minor"])]
    return f"{_UV_CPUS[cpu]}-manylinux_2_{minors[-1] if minors else _GLIBC_MINORS[0]}"
