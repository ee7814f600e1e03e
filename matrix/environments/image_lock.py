"""What requirements come to in an image, resolved on this machine: nothing is run in the image.

uv resolves for a platform that it is told. It does not know 32-bit Linux: there the answer for
x86-64 stands in, whose markers differ in the name of the machine only, and whether the files of
these releases are there is seen when they are chosen. For CPython 2.7 and 3.5 a pip of their time
resolves on this machine's own interpreter of that version, and its choice of releases is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile, dump_lock, parse_line
from matrix.environments.lock_files import Content, LockFiles, lock_key
from matrix.environments.store import ERA, LOCK_FORMAT, EnvironmentStore
from matrix.environments.toolbox import Toolbox
from matrix.environments.uv import UvInstaller
from matrix.model.environment import Image, Interpreter, Requirements
from matrix.model.reason import Reason

__all__ = ["ImageLocks", "uv_platform"]

# What `uv pip compile --python-platform` takes; the newest of them stands for all newer ones.
_GLIBC_MINORS = (17, 28, *range(31, 41))
_UV_CPUS = {"x86_64": "x86_64", "i686": "x86_64", "aarch64": "aarch64"}
_LIBC = re.compile(r"(?P<name>glibc|musl) (?P<major>\d+)\.(?P<minor>\d+)")


class ImageLocks:
    """Locks for images; those of equal CPythons and C libraries are shared with `store`'s own."""

    def __init__(
        self,
        tools: Toolbox,
        store: EnvironmentStore,
        interpreters: Callable[[], Sequence[Interpreter]],
    ) -> None:
        self._tools = tools
        self._store = store
        self._interpreters = interpreters
        self._files = LockFiles(tools)

    def resolve(self, image: Image, requirements: Requirements) -> tuple[LockedFile, ...]:
        """Return the lock; raise BuildError where there is none.

        For CPython 2.7 and 3.5 its hashes are those of this machine's files, not of the image's.
        """
        minor = ".".join(image.python.split(".")[:2])
        if minor in ERA:
            interpreter = self._interpreter(minor)
            return tuple(map(parse_line, self._store.resolve(interpreter, requirements)))
        where = (image.python, image.target, image.libc)
        key = lock_key(LOCK_FORMAT, self._tools.index_url, where, requirements)

        def ask() -> Content:
            lock = UvInstaller(self._tools).compile(self._arguments(image, minor), requirements)
            return {"lock": dump_lock(lock), "python": image.python}

        known = self._files.known(key) or self._files.find(key, requirements, ask)
        return tuple(map(parse_line, known["lock"]))

    def _arguments(self, image: Image, minor: str) -> list[str]:
        """Return what uv is told; where it must build a source to read it, by which CPython."""
        own = [str(item.executable) for item in self._interpreters() if item.python == minor]
        return [
            *("--python", own[0] if own else self._tools.host_python),
            *("--python-version", image.python),
            *("--python-platform", uv_platform(image.target, image.libc)),
        ]

    def _interpreter(self, minor: str) -> Interpreter:
        for interpreter in self._interpreters():
            if interpreter.python == minor:
                return interpreter
        raise BuildError(
            Reason.NO_INTERPRETER,
            f"what an install for CPython {minor} came to is resolved by a CPython {minor} of "
            "this machine, and there is none",
        )


def uv_platform(target: str, libc: str) -> str:
    """Return what uv calls a Linux target; raise BuildError for one that it cannot resolve for."""
    system, _, cpu = target.partition("_")
    found = _LIBC.match(libc)
    if system != "linux" or cpu not in _UV_CPUS or found is None:
        raise BuildError(Reason.BUILD_FAILED, f"nothing resolves for {target} with {libc}")
    if found["name"] == "musl":
        return f"{_UV_CPUS[cpu]}-unknown-linux-musl"
    minors = [minor for minor in _GLIBC_MINORS if minor <= int(found["minor"])]
    return f"{_UV_CPUS[cpu]}-manylinux_2_{minors[-1] if minors else _GLIBC_MINORS[0]}"
