"""Locks for images, resolved on this machine without running the image.

uv resolves for a given platform. It does not support 32-bit Linux: the lock for x86-64 is used
instead, whose markers differ in the name of the machine only; missing files are detected when files
are chosen. For CPython 2.7 and 3.5 pip resolves on this machine's own interpreter of that version,
and only its choice of releases is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from matrix.environments.errors import BuildError
from matrix.environments.installers import UvInstaller
from matrix.environments.lock import Content, LockedFile, LockFiles, dump_lock, lock_key, parse_line
from matrix.environments.store import LEGACY_PYTHONS, LOCK_FORMAT, EnvironmentStore
from matrix.environments.toolbox import Toolbox
from matrix.model.environment import Image, Interpreter, Requirements
from matrix.model.reason import Reason

# Supported by `uv pip compile --python-platform`; the newest stands for all newer ones.
_GLIBC_MINORS = (17, 28, *range(31, 41))
_UV_CPUS = {"x86_64": "x86_64", "i686": "x86_64", "aarch64": "aarch64"}
_LIBC = re.compile(r"(?P<name>glibc|musl) (?P<major>\d+)\.(?P<minor>\d+)")


class ImageLocks:
    """Locks for images; images and interpreters of equal CPython and C library share theirs."""

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

        For CPython 2.7 and 3.5 its hashes are of files for this machine, not for the image.
        """
        if image.minor in LEGACY_PYTHONS:
            interpreter = self._interpreter(image.minor)
            return tuple(map(parse_line, self._store.resolve(interpreter, requirements)))
        runtime = (image.python, image.target, image.libc)
        key = lock_key(LOCK_FORMAT, self._tools.index_url, runtime, requirements)

        def resolve() -> Content:
            lock = UvInstaller(self._tools).compile(self._arguments(image), requirements)
            return {"lock": dump_lock(lock), "python": image.python}

        content = self._files.read(key) or self._files.ensure(key, requirements, resolve)
        return tuple(map(parse_line, content["lock"]))

    def _arguments(self, image: Image) -> list[str]:
        """Return the arguments for uv; `--python` builds sources whose metadata it must read."""
        own = (str(item.executable) for item in self._interpreters() if item.python == image.minor)
        return [
            *("--python", next(own, self._tools.host_python)),
            *("--python-version", image.python),
            *("--python-platform", uv_platform(image.target, image.libc)),
        ]

    def _interpreter(self, minor: str) -> Interpreter:
        for interpreter in self._interpreters():
            if interpreter.python == minor:
                return interpreter
        raise BuildError(
            Reason.NO_INTERPRETER,
            f"cannot resolve for CPython {minor}: that needs a CPython {minor} of this machine,"
            " and there is none",
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
