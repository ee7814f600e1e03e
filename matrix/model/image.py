"""An image: a file system with one CPython for one target, as an engine holds it."""

from __future__ import annotations

import dataclasses

__all__ = ["Image"]


@dataclasses.dataclass(frozen=True)
class Image:
    """What a container of it is, as told from inside of one.

    `id` is what this engine calls it (`sha256:...`, of its configuration), `digest` what names it
    everywhere: the manifest's digest for one of a registry, the id for one that was made here.
    `name` is for people (`debian bookworm`), `source` is which image source gave it. `platform` is
    the engine's word (`linux/386`), `target` ours (`linux_i686`). `python` is the full version,
    `build` all of `sys.version`, `libc` such as `glibc 2.36`. `executable` and `site` are absolute
    paths inside: the interpreter, and the folder that installed distributions go to. `launch`
    comes before every command line (`linux32`, where the kernel would name another machine).
    `environment` is what every process there must be given (settings of the emulator), as pairs.
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
