"""Interpreters, images and environments that cells run in."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

from matrix.model.index import File


@dataclasses.dataclass(frozen=True)
class Image:
    """An image of an engine: a file system with one CPython for one target.

    `id` is its id in this engine (`sha256:...`, of its configuration), `digest` its name
    everywhere: the manifest's digest for one of a registry, the id for one that was made here.
    `name` is for people (`debian bookworm`), `source` is the image source that provided it.
    `platform` is the engine's name (`linux/386`), `target` ours (`linux_i686`). `python` is the
    full version, `build` all of `sys.version`, `libc` such as `glibc 2.36`. `executable` and `site`
    are absolute paths inside: the interpreter, and the folder that installed distributions go to.
    `launch` comes before every command line (`linux32`, where the kernel would name another
    machine). `environment` has the variables that every process in it needs (for the emulator), as
    pairs.
    """

    id: str
    digest: str
    name: str
    source: str
    platform: str
    target: str
    python: str
    build: str
    libc: str
    executable: str
    site: str
    launch: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def minor(self) -> str:
        """Return `major.minor` of the CPython."""
        return ".".join(self.python.split(".")[:2])


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """A CPython of this machine.

    `version` is full (`3.9.18`), `build` all of `sys.version`, `target` in wheel-tag words
    (`linux_x86_64`), `source` where it was found (`pyenv`, `path`, `py`, `uv`).
    """

    executable: Path
    version: str
    build: str
    target: str
    libc: str
    source: str

    @property
    def python(self) -> str:
        """Return `major.minor`."""
        return ".".join(self.version.split(".")[:2])


@dataclasses.dataclass(frozen=True)
class Requirements:
    """The distributions that an environment must have.

    `pins` are exact (`ddtrace==1.9.0`) and are compared with what was installed; `also` are
    constraints and further requirements of the era; `as_of` hides what was uploaded later;
    `only_binary` names distributions that must come as wheels. `given` are the only wheels to use
    for one pinned release, whatever the index has for that version.
    """

    pins: tuple[str, ...]
    also: tuple[str, ...]
    as_of: dt.date
    only_binary: tuple[str, ...] = ("ddtrace",)
    given: tuple[File, ...] = dataclasses.field(default=(), repr=False)

    @property
    def text(self) -> str:
        """Return all requirements as text, for keys."""
        hashes = " ".join(sorted(file.sha256 for file in self.given))
        return f"{self!r} of {hashes}" if hashes else repr(self)


@dataclasses.dataclass(frozen=True)
class Environment:
    """A finished environment: `lock` lines are `name==version --hash=sha256:...`, sorted.

    `key` is the sha256 over the lock and the interpreter's build: equal environments are one.
    In an environment of an image, `tree` is the folder on this machine that is mounted over
    `image.site`, and `python` is `image.executable`. `instead` says why it is of this machine where
    one in an image was requested. `services` describes the back ends that its cell would have.
    `folder` has all its files on this machine, and `built` identifies their build, "" where they
    were not compared with it. `notices` say what was found damaged on the way here.
    """

    python: Path
    key: str
    lock: tuple[str, ...]
    interpreter: Interpreter
    image: Image | None = None
    tree: Path | None = None
    instead: str = ""
    services: tuple[str, ...] = ()
    folder: Path | None = None
    built: str = dataclasses.field(default="", compare=False)
    notices: tuple[str, ...] = dataclasses.field(default=(), compare=False)
