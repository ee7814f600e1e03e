"""The files of this machine that a process of untrusted code may see: no other is there.

Linux only in its effect; elsewhere nothing is hidden.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from matrix.system.paths import cache_dir, project_root, results_dir

_ROOTS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SYSTEM = ("/usr", "/nix/store")
# What the C library, name lookup, TLS and the names of users and systems need.
_ETC = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "debian_version", "gai.conf"),
    *("group", "host.conf", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime"),
    *("lsb-release", "mime.types", "nsswitch.conf", "os-release", "passwd", "pki", "protocols"),
    *("redhat-release", "resolv.conf", "services", "ssl/certs", "ssl/openssl.cnf", "timezone"),
)
_SYS = ("/sys/devices/system/cpu",)
_OWN_BYTES = 256 << 20
_MEMORY = {"/tmp": _OWN_BYTES, "/dev/shm": 64 << 20}  # noqa: S108 - inside
# The parts of a CPython's prefix: that may be somebody's home.
_PYTHON_PARTS = ("bin", "include", "lib", "lib64", "ssl")
_LIBRARIES = """
for name in ("bz2", "ctypes", "curses", "hashlib", "lzma", "readline", "sqlite3", "ssl", "zlib"):
    try:
        __import__(name)
    except ImportError:
        pass
for line in open("/proc/self/maps"):
    print(line.split(None, 5)[5].strip() if "/" in line else "")
"""
_LIBRARIES_SECONDS = 20.0

Step = tuple[object, ...]
"""A step of `matrix.system.namespaces.enter`."""


@dataclasses.dataclass(frozen=True)
class View:
    """Files and folders, beside the system's own, that can be read, and those that can be written.

    Each is at its own path inside; one that does not exist is left out. `own` are empty folders of
    256 MiB in memory, which end with the process.
    """

    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    own: tuple[Path, ...] = ()

    def steps(self) -> list[Step]:
        """Return the steps that make a file system of it, parents first."""
        shown = {**dict.fromkeys(_system_paths(), False), **dict.fromkeys(self.readable, False)}
        shown |= dict.fromkeys(self.writable, True)
        sizes = {**_MEMORY, **dict.fromkeys(map(str, self.own), _OWN_BYTES)}
        steps: list[tuple[Path, int, Step]] = [
            (Path(folder), 2, ("memory", folder, size)) for folder, size in sizes.items()
        ]
        steps += [
            (path, 0, ("memory", str(path), 0))
            for path in _private_folders()
            if any(path.is_relative_to(parent) for parent in shown)
        ]
        steps += [
            (path, 1, ("show", os.path.realpath(path), str(path), writable))
            for path, writable in shown.items()
            if path.exists()
        ]
        links = [Path(name) for name in _ROOTS if os.path.islink(name)]
        first = [("link", str(path), os.readlink(path)) for path in links]
        return [*first, *(step for _, _, step in sorted(steps, key=lambda item: item[:2]))]


def _system_paths() -> Iterator[Path]:
    yield from map(Path, (*_SYSTEM, *_SYS))
    yield from (Path("/etc", name) for name in _ETC)
    yield from (Path(name) for name in _ROOTS if not os.path.islink(name))


def _private_folders() -> set[Path]:
    """Return folders that are hidden where they lie in one of the system."""
    folders = {project_root(), cache_dir(), results_dir()}
    home = Path(os.path.expanduser("~"))
    # Not the /usr/sbin of a user who has no home.
    return folders | ({home} if len(home.parts) > len(Path("/usr/sbin").parts) else set())


def python_paths(python: Path) -> tuple[Path, ...]:
    """Return the paths that an environment's CPython needs beside the system's files."""
    paths: dict[Path, None] = {}
    for executable in _executables(python):
        prefix = executable.parent.parent
        is_environment = (prefix / "pyvenv.cfg").is_file()
        folders = [prefix] if is_environment else [prefix / name for name in _PYTHON_PARTS]
        paths |= dict.fromkeys(folders)
    for folder in _library_folders(os.path.realpath(python)):
        if not any(folder.is_relative_to(path) for path in paths):
            paths[folder] = None
    return tuple(paths)


def _executables(python: Path) -> Iterator[Path]:
    """Yield the paths that lead to the program of an environment's interpreter."""
    path = os.path.abspath(python)
    while os.path.islink(path):
        yield Path(path)
        path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    yield Path(path)
    yield Path(os.path.realpath(python))
    for line in _lines(python.parent.parent / "pyvenv.cfg"):
        name, _, value = line.partition("=")
        if name.strip() == "home":
            yield Path(value.strip(), "python")
            yield Path(os.path.realpath(value.strip()), "python")


def _lines(file: Path) -> Iterable[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()


@functools.cache
def _library_folders(executable: str) -> tuple[Path, ...]:
    """Return the folders of shared libraries that the interpreter's own modules load.

    It is asked, without an environment, as only the loader knows them.
    """
    if executable.startswith("/usr/"):
        return ()
    try:
        finished = subprocess.run(
            [executable, "-E", "-s", "-S", "-c", _LIBRARIES],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIBRARIES_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = finished.stdout.decode("utf-8", "surrogateescape").splitlines()
    folders = {Path(line).parent for line in lines if line.startswith("/")}
    return tuple(sorted(folder for folder in folders if folder.is_dir()))
