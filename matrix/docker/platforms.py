"""Platforms that an engine can run, and its names for images of a registry."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

BINFMT = Path("/proc/sys/fs/binfmt_misc")

REGISTRY_VARIABLE = "COMPAT_MATRIX_REGISTRY"
"""Environment variable with another registry or a mirror, and a path where it has one, such as
`mirror.example:5000/library`. Without it the engine uses its default registry."""

# CPUs of images by the output of `uname -m` on the engine's machine, where the names differ.
# https://github.com/opencontainers/image-spec/blob/main/config.md (GOARCH)
_MACHINES = {
    "x86_64": "amd64",
    "i386": "386",
    "i686": "386",
    "aarch64": "arm64",
    "armv7l": "arm/v7",
    "armv6l": "arm/v6",
}

# CPUs of images by e_machine and word size of an ELF header. https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
_ELF = {
    (0x3E, 64): "amd64",
    (0x03, 32): "386",
    (0xB7, 64): "arm64",
    (0x28, 32): "arm/v7",
    (0x15, 64): "ppc64le",
    (0x16, 64): "s390x",
    (0xF3, 64): "riscv64",
}

# Platforms of Docker Desktop's virtual machine, which always has emulators.
# https://docs.docker.com/build/building/multi-platform/#qemu
_DESKTOP = ("linux/amd64", "linux/386", "linux/arm64")


def engine_platform(info: Mapping[str, object]) -> str:
    """Return the engine's native platform, from its response to `info`."""
    machine = str(info.get("Architecture", ""))
    return f"{info.get('OSType', 'linux')}/{_MACHINES.get(machine, machine)}"


def list_platforms(
    info: Mapping[str, object], *, shares_files: bool, binfmt: Path = BINFMT
) -> tuple[str, ...]:
    """Return all platforms that the engine can run, native ones first.

    An engine does not report its emulators. They are read from the kernel where the engine shares
    this machine's files and kernel release, and known of Docker Desktop.
    """
    native = engine_platform(info)
    platforms = [native]
    if native == "linux/amd64":
        platforms.append("linux/386")  # by the same CPU
    if info.get("OperatingSystem") == "Docker Desktop":
        platforms += _DESKTOP
    elif shares_files and info.get("KernelVersion") == platform.release():
        platforms += sorted(f"linux/{name}" for name in list_emulated_cpus(binfmt))
    return tuple(dict.fromkeys(platforms))


def list_emulated_cpus(folder: Path = BINFMT) -> frozenset[str]:
    """Return the CPUs for which this kernel starts an emulator, also in containers."""
    try:
        if (folder / "status").read_text() != "enabled\n":
            return frozenset()
        entries = [entry for entry in folder.iterdir() if entry.name not in {"status", "register"}]
    except OSError:
        return frozenset()
    return frozenset(filter(None, map(_read_emulated_cpu, entries)))


def _read_emulated_cpu(entry: Path) -> str:
    """Return the CPU that an entry's emulator runs; "" for an unknown one, or not in containers."""
    try:
        lines = entry.read_text(encoding="ascii").splitlines()
        settings = dict(line.partition(" ")[::2] for line in lines)
        head = bytes.fromhex(settings.get("magic", ""))
    except (OSError, ValueError):
        return ""
    # F: the kernel keeps the emulator open, so that a container need not contain it.
    # https://docs.kernel.org/admin-guide/binfmt-misc.html
    if "enabled" not in settings or "F" not in settings.get("flags:", ""):
        return ""
    if settings.get("offset") != "0" or len(head) < 20 or head[:4] != b"\x7fELF":  # noqa: PLR2004
        return ""
    big_endian = head[5] == 2  # noqa: PLR2004
    machine = int.from_bytes(head[18:20], "big" if big_endian else "little")
    if machine == 0x15 and big_endian:  # noqa: PLR2004 - ppc64le is little-endian
        return ""
    return _ELF.get((machine, 64 if head[4] == 2 else 32), "")  # noqa: PLR2004


def registry_reference(name: str, environ: Mapping[str, str]) -> str:
    """Return an image name such as `python:3.11-slim` with the configured registry, if any."""
    address = environ.get(REGISTRY_VARIABLE, "")
    prefix = address.removeprefix("http://").removeprefix("https://").rstrip("/")
    return f"{prefix}/{name}" if prefix else name
