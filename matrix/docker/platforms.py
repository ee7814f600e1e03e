"""What an engine can run: its own platform, what its CPU runs too, and what it emulates.

How an engine is asked for an image of a registry.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["BINFMT", "VARIABLE", "emulated", "engine_platform", "platforms_of", "reference"]

BINFMT = Path("/proc/sys/fs/binfmt_misc")

# What `uname -m` says on the engine's machine, in the words of images.
# https://github.com/opencontainers/image-spec/blob/main/config.md (GOARCH)
_MACHINES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm/v7",
    "armv6l": "arm/v6",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}

# e_machine and word size of an ELF header. https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_ELF = {
    (0x3E, 64): "amd64",
    (0x03, 32): "386",
    (0xB7, 64): "arm64",
    (0x28, 32): "arm/v7",
    (0x15, 64): "ppc64le",
    (0x16, 64): "s390x",
    (0xF3, 64): "riscv64",
}

# What Docker Desktop's virtual machine always brings emulators for.
# https://docs.docker.com/build/building/multi-platform/#qemu
_DESKTOP = ("linux/amd64", "linux/386", "linux/arm64")


def engine_platform(info: Mapping[str, object]) -> str:
    """Return what the engine runs natively, from its answer to `info`."""
    machine = str(info.get("Architecture", ""))
    return f"{info.get('OSType', 'linux')}/{_MACHINES.get(machine, machine)}"


def platforms_of(
    info: Mapping[str, object], *, here: bool, binfmt: Path = BINFMT
) -> tuple[str, ...]:
    """Return all that it can run, native first. `here`: it shares this machine's files.

    An engine does not say what it emulates. One on this very kernel can be seen through; of one
    elsewhere only what is native is known, Docker Desktop apart.
    """
    own = engine_platform(info)
    found = [own]
    if own == "linux/amd64":
        found.append("linux/386")  # by the same CPU
    if info.get("OperatingSystem") == "Docker Desktop":
        found += _DESKTOP
    elif here and info.get("KernelVersion") == platform.release():
        found += sorted(f"linux/{name}" for name in emulated(binfmt))
    return tuple(dict.fromkeys(found))


def emulated(folder: Path = BINFMT) -> frozenset[str]:
    """Return the CPUs for which this kernel starts an emulator, in containers too."""
    try:
        if (folder / "status").read_text() != "enabled\n":
            return frozenset()
        entries = [entry for entry in folder.iterdir() if entry.name not in {"status", "register"}]
    except OSError:
        return frozenset()
    return frozenset(_cpus(entries))


def _cpus(entries: list[Path]) -> Iterator[str]:
    for entry in entries:
        try:
            lines = entry.read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):
            continue
        said = dict(line.partition(" ")[::2] for line in lines)
        # F: the kernel holds the emulator open, so a container need not have it.
        # https://docs.kernel.org/admin-guide/binfmt-misc.html
        if "enabled" not in said or "F" not in said.get("flags:", "") or said.get("offset") != "0":
            continue
        cpu = _cpu(said.get("magic", ""))
        if cpu:
            yield cpu


def _cpu(magic: str) -> str:
    """Return the CPU that an ELF header of these hexadecimal bytes is for, "" where it is none."""
    try:
        head = bytes.fromhex(magic)
    except ValueError:
        return ""
    if len(head) < 20 or head[:4] != b"\x7fELF":  # noqa: PLR2004
        return ""
    order = "big" if head[5] == 2 else "little"  # noqa: PLR2004
    machine = int.from_bytes(head[18:20], "big" if order == "big" else "little")
    if machine == 0x15 and order == "big":  # noqa: PLR2004 - the big-endian kind of ppc64
        return ""
    return _ELF.get((machine, 64 if head[4] == 2 else 32), "")  # noqa: PLR2004


VARIABLE = "COMPAT_MATRIX_REGISTRY"
"""Names another registry, or a mirror, with a path where it has one: `mirror.example:5000/library`.
Where it is not set, the engine goes where it goes for a name without a host."""


def reference(name: str, environ: Mapping[str, str]) -> str:
    """Return a name such as `python:3.11-slim` as an engine is to be asked for it."""
    prefix = environ.get(VARIABLE, "").removeprefix("http://").removeprefix("https://").rstrip("/")
    return f"{prefix}/{name}" if prefix else name
