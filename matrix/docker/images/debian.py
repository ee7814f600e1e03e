"""Images of Debian's packages: no registry, no builder, and no emulation to unpack them.

Packages are extracted only (mmdebstrap's variant of that name): no maintainer script runs, so it
does not matter which CPU they are for. https://manpages.debian.org/mmdebstrap.1

Where Debian's packages come from: as configured, or from where this system's own come.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matrix.docker.images.build import ImageBuild, make, own_layer
from matrix.docker.images.layers import Layer, filtered
from matrix.docker.images.mmdebstrap import (
    BuildCommand,
    BuildFolder,
    Tool,
    complaint,
    from_os_error,
    run_tool,
)
from matrix.docker.images.recipes import ImageTarget, Suite, SuitePython, key_of, recipes
from matrix.docker.images.source import ImageError, ImageOffer, Tell
from matrix.docker.interface import ContainerEngine
from matrix.model.reason import Reason

__all__ = ["VARIABLE", "DebianSource", "mirror_for", "obstacle_here", "unpacked"]

VARIABLE = "COMPAT_MATRIX_DEBIAN_MIRROR"

_NAMES = ("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid")
_BRANCHES = ("oldoldstable", "oldstable", "stable", "testing", "unstable")
_SUITES = frozenset(_NAMES + _BRANCHES)


def mirror_for(suite: str, environ: Mapping[str, str], sources: Path = Path("/etc/apt")) -> str:
    """Return the address of a mirror of Debian, "" where none is known.

    `$COMPAT_MATRIX_DEBIAN_MIRROR_<SUITE>` is for one suite (an old one lies in an archive of its
    own), `$COMPAT_MATRIX_DEBIAN_MIRROR` for all. Where there is neither, `sources` are read: the
    system's own configuration of apt, if it is one of Debian.
    """
    for name in (f"{VARIABLE}_{suite.upper()}", VARIABLE):
        if environ.get(name):
            return environ[name]
    for address, suites, components in _entries(sources):
        if suites & _SUITES and "main" in components and address.startswith(("http", "file:")):
            return address
    return ""


def _entries(folder: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    """Yield address, suites and components of every source of packages."""
    lists = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    for path in lists:
        for line in _lines(path):
            if line.startswith("deb "):
                words = _without_options(line).split()
                if len(words) > 2:  # noqa: PLR2004 - address, suite, components
                    yield words[0], {words[1]}, set(words[2:])
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        for filled, lines in itertools.groupby(_lines(path), key=bool):
            fields = _fields(lines) if filled else {}
            if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
                for address in fields.get("uris", []):
                    yield address, set(fields.get("suites", [])), set(fields.get("components", []))


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return []
    return [line.rstrip() for line in text.splitlines() if not line.lstrip().startswith("#")]


def _without_options(line: str) -> str:
    rest = line.removeprefix("deb").strip()
    return rest.partition("]")[2] if rest.startswith("[") else rest


def _fields(lines: Iterator[str]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        if not line.startswith((" ", "\t")):
            name, _, line = line.partition(":")  # noqa: PLW2901
            name = name.lower()
        fields.setdefault(name, []).extend(line.split())
    return fields


_TOOL = "mmdebstrap"
_KEYRINGS = tuple(
    Path(f"/usr/share/keyrings/debian-archive-keyring.{kind}") for kind in ("gpg", "pgp")
)
_SECONDS = 900.0
# How the layers are put together; to be raised with every change of the code that does.
_VERSION = 1


class DebianSource:
    """Debian's own CPythons, one image for each suite and target."""

    name = "debian"
    rank = 20

    def __init__(self, tool: Tool = run_tool) -> None:
        self._tool = tool

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:  # noqa: ARG002 - as the seam has it
        """Return an offer for each CPython of each suite, on each target."""
        obstacle, remedy = obstacle_here() if self._tool is run_tool else ("", "")
        return tuple(
            ImageOffer(
                source=self.name,
                name=f"debian {suite.name}",
                python=python.python,
                target=target.name,
                platform=target.platform,
                key=key_of(_VERSION, suite, target.debian, recipes().inside),
                executable=python.executable,
                site=python.site,
                obstacle=obstacle,
                remedy=remedy,
            )
            for suite in recipes().suites
            for python in suite.pythons
            for target in recipes().targets
        )

    def provide(self, offer: ImageOffer, engine: ContainerEngine, tell: Tell) -> tuple[str, str]:
        """Make the image; it has all CPythons of its suite. Raises ImageError."""
        if sys.platform == "win32":
            raise ImageError(Reason.NO_IMAGE, obstacle_here()[0])
        from matrix.docker.images.build_folder import workshop  # noqa: PLC0415 - not everywhere

        suite = recipes().suite(offer.name.removeprefix("debian "))
        target = recipes().target(offer.target)
        packages = [*suite.base, *suite.packages]
        packages += [name for python in suite.pythons for name in python.packages]
        tell(f"{offer.name} for {target.platform}: unpacking packages of Debian")
        try:
            with workshop() as shop:
                base = unpacked(suite, target, packages, shop, self._tool)
                own = own_layer(shop.folder / "own.tar", _sites(suite.pythons))
                tell(f"{offer.name} for {target.platform}: compiling the standard library")
                making = ImageBuild(
                    key=offer.key,
                    target=target,
                    layers=(base, own),
                    executables=[python.executable for python in suite.pythons],
                    tag=f"compat-matrix:debian-{suite.name}-{target.name}",
                )
                image = make(making, engine, shop.folder)
        except OSError as error:
            raise from_os_error(error) from error
        return image, image


def _sites(pythons: Sequence[SuitePython]) -> list[str]:
    return [python.site for python in pythons]


def obstacle_here() -> tuple[str, str]:
    """Return why packages cannot be unpacked on this machine, and what to do; "" where they can."""
    if sys.platform != "linux":
        return "images are made of Debian's packages on Linux only", ""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
    if shutil.which(_TOOL, path=path) is None:
        return f"{_TOOL} is not on this machine", f"sudo apt-get install {_TOOL}"
    if not any(keyring.is_file() for keyring in _KEYRINGS):
        return (
            "the keys of Debian's archive are not on this machine",
            "sudo apt-get install debian-archive-keyring",
        )
    return "", ""


def unpacked(
    suite: Suite, target: ImageTarget, packages: Sequence[str], shop: BuildFolder, tool: Tool
) -> Layer:
    """Return the layer of `packages` and all that they depend on. Raises ImageError, OSError."""
    keyring = next((path for path in _KEYRINGS if path.is_file()), _KEYRINGS[0])
    mirror = mirror_for(suite.name, os.environ)
    options = ('Acquire::http::Timeout "30"', 'Acquire::Retries "2"', *suite.apt_options)
    raw = shop.folder / "raw.tar"
    started = time.time()
    argv = [
        _TOOL,
        "--variant=extract",
        "--mode=auto",
        "--format=tar",
        f"--architectures={target.debian}",
        f"--include={','.join(packages)}",
        f"--keyring={keyring}",
        *(f"--aptopt={option}" for option in options),
        suite.name,
        "-",
        *([mirror] if mirror else []),
    ]
    finished = tool(BuildCommand(argv, raw, shop.folder, _SECONDS, shop.lock))
    if finished.code != 0:
        raise _explained(complaint(finished), suite, mirror)
    with raw.open("rb") as stream:
        layer = filtered(stream, shop.folder / "base.tar", suite.leave_out, started)
    raw.unlink()
    return layer


def _explained(error: ImageError, suite: Suite, mirror: str) -> ImageError:
    """Return the error with what it usually means."""
    detail = error.detail
    if error.reason is Reason.DISK_FULL:
        hint = f"images are made in {_temporary()}; TMPDIR names another place"
    elif "does not have a Release file" in detail:
        hint = f"{mirror} does not serve {suite.name}; name one that does in"
        hint = f"{hint} {VARIABLE}_{suite.name.upper()}"
    elif "Failed to fetch" in detail or "Could not" in detail:
        hint = f"name another mirror of Debian in {VARIABLE}"
    elif "unshare" in detail or "subuid" in detail or "newuidmap" in detail:
        hint = "as a user who is not root it needs user namespaces and the package uidmap"
        hint = f"{hint}, with ranges of this user in /etc/subuid and /etc/subgid"
    else:
        return error
    return ImageError(error.reason, f"{detail} ({hint})")


def _temporary() -> str:
    import tempfile  # noqa: PLC0415

    return tempfile.gettempdir()
