"""What an image is, as told from inside of a container of it: a name or a label proves nothing.

What images told of themselves, kept on disk by the engine's id: asking takes a second each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import filelock

from matrix.docker.images.build import run_script, emulation_environment
from matrix.docker.images.recipes import ImageTarget, read_recipes
from matrix.docker.images.source import ImageError, ImageOffer
from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.model.environment import Image
from matrix.model.reason import Reason
from matrix.system.atomic import write_atomic

__all__ = ["ImageFactsCache", "inspect_image"]

# What every app and every release under test may count on.
_MODULES = ("ssl", "sqlite3", "ctypes", "threading", "zlib", "bz2")
# `linux32` says i686 on every 64-bit kernel; a 32-bit kernel may name an older CPU.
_ALIKE = {"i386": "i686", "i486": "i686", "i586": "i686", "amd64": "x86_64", "arm64": "aarch64"}


def inspect_image(offer: ImageOffer, image: str, digest: str, engine: ContainerEngine) -> Image:
    """Return the image with what was told inside.

    Raises ImageError: WRONG_IMAGE where it is of another platform or CPython than was offered,
    NO_IMAGE where something is missing in it.
    """
    target = read_recipes().target(offer.target)
    said = _asked(offer, image, target, engine)
    wrong = _wrong(offer, target, said)
    if wrong:
        raise ImageError(Reason.WRONG_IMAGE, f"{offer.name} {offer.python}: {'; '.join(wrong)}")
    missing = [f"{name} ({why})" for name, why in sorted(said["modules"].items()) if why]
    if missing:
        detail = f"{offer.name} {offer.python} lacks modules: {', '.join(missing)}"
        raise ImageError(Reason.NO_IMAGE, detail)
    return Image(
        id=image,
        digest=digest,
        name=offer.name,
        source=offer.source,
        platform=offer.platform,
        target=offer.target,
        python=said["python"],
        build=said["build"],
        libc=said["libc"],
        executable=offer.executable,
        site=offer.site,
        launch=target.launch,
        environment=emulation_environment(target, engine),
    )


def _asked(
    offer: ImageOffer, image: str, target: ImageTarget, engine: ContainerEngine
) -> dict[str, Any]:
    held = engine.image(image)
    if held is not None and held.platform != offer.platform:
        detail = f"{offer.name} is for {held.platform}, not for {offer.platform}"
        raise ImageError(Reason.WRONG_IMAGE, detail)
    try:
        ran = run_script(engine, image, target, offer.executable, "examining.py", *_MODULES)
    except ContainerError as error:
        raise ImageError(Reason.NO_IMAGE, f"{offer.name} does not start: {error}") from error
    try:
        said = json.loads(ran.out.decode("utf-8").splitlines()[-1])
        if isinstance(said, dict) and isinstance(said["modules"], dict):
            return said
    except (IndexError, KeyError, ValueError):
        pass
    lines = ran.err.decode("utf-8", "replace").strip().splitlines()
    last = "not done in time" if ran.timed_out else (lines or [f"exit code {ran.code}"])[-1]
    raise ImageError(Reason.NO_IMAGE, f"{offer.name}: {offer.executable} does not run: {last}")


def _wrong(offer: ImageOffer, target: ImageTarget, said: dict[str, Any]) -> list[str]:
    machine = _ALIKE.get(said["machine"], said["machine"])
    minor = re.match(r"\d+\.\d+", said["python"])
    problems = []
    if said["implementation"] != "CPython":
        problems.append(f"its interpreter is {said['implementation']}")
    if minor is None or minor[0] != offer.python:
        problems.append(f"its CPython is {said['python']}")
    if machine != target.machine:
        problems.append(f"its machine is {said['machine']}, not {target.machine}")
    if said["bits"] != target.bits:
        problems.append(f"its pointers have {said['bits']} bits, not {target.bits}")
    if offer.site not in said["path"]:
        problems.append(f"{offer.site} is not on its path")
    return problems


_SCHEMA = "image-facts/1"


class ImageFactsCache:
    """Facts by image id and interpreter. A file that cannot be read or written costs time only."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "images.json"
        self._lock = folder / "images.json.lock"
        self._read_at: tuple[int, int] | None = None
        self._entries: dict[str, dict[str, Any]] = {}

    def recall(self, image: str, executable: str) -> Image | None:
        """Return what was told of an image, None where it was never asked."""
        self._refresh()
        entry = self._entries.get(f"{image} {executable}")
        if entry is None:
            return None
        try:
            pairs = tuple((name, value) for name, value in entry["environment"])
            found = Image(**{**entry, "launch": tuple(entry["launch"]), "environment": pairs})
        except (KeyError, TypeError, ValueError):
            return None
        return found if found.id == image and found.executable == executable else None

    def keep(self, image: Image) -> None:
        """Write down what an image told, whole or not at all."""
        with contextlib.suppress(OSError, filelock.Timeout):
            self._file.parent.mkdir(parents=True, exist_ok=True)  # for the lock
            with filelock.FileLock(self._lock, timeout=10):
                self._refresh()
                entry = dataclasses.asdict(image)
                self._entries[f"{image.id} {image.executable}"] = entry
                data = {"schema": _SCHEMA, "images": self._entries}
                write_atomic(self._file, json.dumps(data, indent=1))

    def _refresh(self) -> None:
        """Read the file again where another process has written it."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._read_at:
                return
            data = json.loads(self._file.read_text("utf-8"))
            if data["schema"] == _SCHEMA:
                self._entries = dict(data["images"])
                self._read_at = stamp
