"""Images built from Debian's packages, without a registry, a builder or emulation.

Packages are only extracted (mmdebstrap's variant of that name): no maintainer script runs, so they
may be for any CPU. https://manpages.debian.org/mmdebstrap.1
"""

from __future__ import annotations

import email
import itertools
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matrix.docker.images.build import ImageBuild, build_image, write_system_layer
from matrix.docker.images.interface import ImageError, ImageOffer, ReportLine
from matrix.docker.images.layers import Layer, filter_archive
from matrix.docker.images.mmdebstrap import (
    LINUX_ONLY,
    BuildCommand,
    BuildFolder,
    Tool,
    build_error,
    open_build_folder,
    run_tool,
)
from matrix.docker.images.recipes import ImageTarget, Suite, read_recipes, recipe_key
from matrix.docker.interface import ContainerEngine
from matrix.model.reason import Reason

MIRROR_VARIABLE = "COMPAT_MATRIX_DEBIAN_MIRROR"

_NAMES = ("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid")
_BRANCHES = ("oldoldstable", "oldstable", "stable", "testing", "unstable")
_SUITES = frozenset(_NAMES + _BRANCHES)
# What stands before the address in a line of `sources.list`.
_OPTIONS = re.compile(r"deb\s+(\[.*?\])?")


def find_mirror(suite: str, environ: Mapping[str, str], sources: Path = Path("/etc/apt")) -> str:
    """Return the address of a mirror of Debian, "" where none is configured.

    `$COMPAT_MATRIX_DEBIAN_MIRROR_<SUITE>` is for one suite (old ones have an archive of their own),
    `$COMPAT_MATRIX_DEBIAN_MIRROR` for all. Without either, it is the first mirror of Debian in this
    system's configuration of apt, in `sources`.
    """
    for name in (f"{MIRROR_VARIABLE}_{suite.upper()}", MIRROR_VARIABLE):
        if environ.get(name):
            return environ[name]
    for address, suites, components in _read_sources(sources):
        if suites & _SUITES and "main" in components and address.startswith(("http", "file:")):
            return address
    return ""


def _read_sources(folder: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    """Yield address, suites and components of every configured source of packages."""
    lists = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))]
    for path in lists:
        for line in _lines(path):
            if line.startswith("deb "):
                address, *rest = _OPTIONS.sub("", line).split() or [""]
                if len(rest) > 1:  # a suite and components
                    yield address, {rest[0]}, set(rest[1:])
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        for _, lines in itertools.groupby(_lines(path), key=bool):
            message = email.message_from_string("\n".join(lines))
            fields = {name.lower(): str(value).split() for name, value in message.items()}
            if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
                for address in fields.get("uris", []):
                    yield address, set(fields.get("suites", [])), set(fields.get("components", []))


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return []
    return [line.rstrip() for line in text.splitlines() if not line.lstrip().startswith("#")]


_TOOL = "mmdebstrap"
_KEYRINGS = tuple(
    Path(f"/usr/share/keyrings/debian-archive-keyring.{kind}") for kind in ("gpg", "pgp")
)
_SECONDS = 900.0
_VERSION = 1
"""Version of the code that makes the layers; increased with every change of it."""


class DebianSource:
    """Debian's CPythons, one image for each suite and target."""

    name = "debian"
    rank = 20

    def __init__(self, tool: Tool = run_tool) -> None:
        self._tool = tool

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:  # noqa: ARG002 - as in the interface
        """Return an offer for each CPython of each suite, on each target."""
        obstacle, remedy = find_obstacle() if self._tool is run_tool else ("", "")
        return tuple(
            ImageOffer(
                source=self.name,
                name=f"debian {suite.name}",
                python=python.python,
                target=target.name,
                platform=target.platform,
                key=recipe_key(_VERSION, suite, target.debian, read_recipes().inside),
                executable=python.executable,
                site=python.site,
                obstacle=obstacle,
                remedy=remedy,
            )
            for suite in read_recipes().suites
            for python in suite.pythons
            for target in read_recipes().targets
        )

    def provide(
        self, offer: ImageOffer, engine: ContainerEngine, report: ReportLine
    ) -> tuple[str, str]:
        """Build the image, with all CPythons of its suite. Raises ImageError."""
        suite = read_recipes().suite(offer.name.removeprefix("debian "))
        target = read_recipes().target(offer.target)
        packages = [*suite.base, *suite.packages]
        packages += [name for python in suite.pythons for name in python.packages]
        report(f"{offer.name} for {target.platform}: unpacking packages of Debian")
        with open_build_folder() as build_folder:
            base = unpack_packages(suite, target, packages, build_folder, self._tool)
            sites = [python.site for python in suite.pythons]
            own = write_system_layer(build_folder.folder / "own.tar", sites)
            report(f"{offer.name} for {target.platform}: compiling the standard library")
            build = ImageBuild(
                key=offer.key,
                target=target,
                layers=(base, own),
                executables=[python.executable for python in suite.pythons],
                tag=f"compat-matrix:debian-{suite.name}-{target.name}",
            )
            image = build_image(build, engine, build_folder.folder)
        return image, image


def find_obstacle() -> tuple[str, str]:
    """Return why this machine cannot unpack packages, and the remedy; both "" where it can."""
    if sys.platform != "linux":
        return LINUX_ONLY, ""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
    if shutil.which(_TOOL, path=path) is None:
        return f"{_TOOL} is not installed", f"sudo apt-get install {_TOOL}"
    if not any(keyring.is_file() for keyring in _KEYRINGS):
        return (
            "the keys of Debian's archive are not installed",
            "sudo apt-get install debian-archive-keyring",
        )
    return "", ""


def unpack_packages(
    suite: Suite,
    target: ImageTarget,
    packages: Sequence[str],
    build_folder: BuildFolder,
    tool: Tool,
) -> Layer:
    """Return the layer of `packages` and their dependencies. Raises ImageError, OSError."""
    keyring = next((path for path in _KEYRINGS if path.is_file()), _KEYRINGS[0])
    mirror = find_mirror(suite.name, os.environ)
    options = ('Acquire::http::Timeout "30"', 'Acquire::Retries "2"', *suite.apt_options)
    raw = build_folder.folder / "raw.tar"
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
    output = tool(BuildCommand(argv, raw, build_folder.folder, _SECONDS, build_folder.lock))
    if output.code != 0:
        raise _add_hint(build_error(output), suite, mirror)
    with raw.open("rb") as stream:
        layer = filter_archive(stream, build_folder.folder / "base.tar", suite.leave_out, started)
    raw.unlink()
    return layer


def _add_hint(error: ImageError, suite: Suite, mirror: str) -> ImageError:
    """Return the error with the usual remedy."""
    detail = error.detail
    if error.reason is Reason.DISK_FULL:
        hint = f"images are built in {tempfile.gettempdir()}; set TMPDIR to another folder"
    elif "does not have a Release file" in detail:
        hint = f"{mirror} does not serve {suite.name}; set a mirror that does in"
        hint = f"{hint} {MIRROR_VARIABLE}_{suite.name.upper()}"
    elif "Failed to fetch" in detail or "Could not" in detail:
        hint = f"set another mirror of Debian in {MIRROR_VARIABLE}"
    elif "unshare" in detail or "subuid" in detail or "newuidmap" in detail:
        hint = "without root it needs user namespaces and the package uidmap"
        hint = f"{hint}, with ranges of this user in /etc/subuid and /etc/subgid"
    else:
        return error
    return ImageError(error.reason, f"{detail} ({hint})")
