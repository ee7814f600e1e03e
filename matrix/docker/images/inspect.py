"""Facts about an image, read in a container of it: a name or a label proves nothing.

They are cached on disk by the image's id: reading them takes a second for each image.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import filelock

from matrix.docker.images.build import describe_failure, emulation_environment, run_script
from matrix.docker.images.interface import ImageError, ImageOffer
from matrix.docker.images.recipes import ImageTarget, read_recipes
from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.model.environment import Image
from matrix.model.reason import Reason
from matrix.system.files import write_atomic
from matrix.system.stamps import stamp, unstamp

# Modules that every app and every release under test may import.
_MODULES = ("ssl", "sqlite3", "ctypes", "threading", "zlib", "bz2")
# `linux32` reports i686 on every 64-bit kernel; a 32-bit kernel may report an older CPU.
_MACHINE_ALIASES = {
    **dict.fromkeys(("i386", "i486", "i586"), "i686"),
    "amd64": "x86_64",
    "arm64": "aarch64",
}


def inspect_image(offer: ImageOffer, image: str, digest: str, engine: ContainerEngine) -> Image:
    """Return the image with the facts read in a container of it.

    Raises ImageError: WRONG_IMAGE for another platform or CPython than was offered, NO_IMAGE where
    a module is missing.
    """
    target = read_recipes().target(offer.target)
    facts = _read_facts(offer, image, target, engine)
    differences = _find_differences(offer, target, facts)
    if differences:
        detail = f"{offer.name} {offer.python}: {'; '.join(differences)}"
        raise ImageError(Reason.WRONG_IMAGE, detail)
    missing = [f"{name} ({error})" for name, error in sorted(facts["modules"].items()) if error]
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
        python=facts["python"],
        build=facts["build"],
        libc=facts["libc"],
        executable=offer.executable,
        site=offer.site,
        launch=target.launch,
        environment=emulation_environment(target, engine),
    )


def _read_facts(
    offer: ImageOffer, image: str, target: ImageTarget, engine: ContainerEngine
) -> dict[str, Any]:
    info = engine.image(image)
    if info is not None and info.platform != offer.platform:
        detail = f"{offer.name} is for {info.platform}, not for {offer.platform}"
        raise ImageError(Reason.WRONG_IMAGE, detail)
    try:
        result = run_script(engine, image, target, offer.executable, "inspect_image.py", *_MODULES)
    except ContainerError as error:
        raise ImageError(Reason.NO_IMAGE, f"{offer.name} does not start: {error}") from error
    try:
        facts = json.loads(result.out.decode("utf-8").splitlines()[-1])
        if isinstance(facts, dict) and isinstance(facts["modules"], dict):
            return facts
    except (IndexError, KeyError, ValueError):
        pass
    failure = describe_failure(result)
    raise ImageError(Reason.NO_IMAGE, f"{offer.name}: {offer.executable} does not run: {failure}")


def _find_differences(offer: ImageOffer, target: ImageTarget, facts: dict[str, Any]) -> list[str]:
    machine = _MACHINE_ALIASES.get(facts["machine"], facts["machine"])
    minor = re.match(r"\d+\.\d+", facts["python"])
    checks = {
        f"its interpreter is {facts['implementation']}": facts["implementation"] == "CPython",
        f"its CPython is {facts['python']}": minor is not None and minor[0] == offer.python,
        f"its machine is {facts['machine']}, not {target.machine}": machine == target.machine,
        f"its pointers have {facts['bits']} bits, not {target.bits}": facts["bits"] == target.bits,
        f"{offer.site} is not on its path": offer.site in facts["path"],
    }
    return [difference for difference, holds in checks.items() if not holds]


_SCHEMA = "image-facts/1"


class ImageFactsCache:
    """Facts by image id and interpreter; a file that cannot be read or written is no error.

    Nor is one that does not have its digest: images are inspected again.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "images.json"
        self._lock = folder / "images.json.lock"
        self._version: tuple[int, int] | None = None
        self._entries: dict[str, dict[str, Any]] = {}

    def get(self, image: str, executable: str) -> Image | None:
        """Return the image with its facts, None where they are not cached."""
        self._reload()
        entry = self._entries.get(f"{image} {executable}")
        if entry is None:
            return None
        try:
            pairs = tuple((name, value) for name, value in entry["environment"])
            cached = Image(**{**entry, "launch": tuple(entry["launch"]), "environment": pairs})
        except (KeyError, TypeError, ValueError):
            return None
        return cached if (cached.id, cached.executable) == (image, executable) else None

    def put(self, image: Image) -> None:
        """Store the facts of an image."""
        with contextlib.suppress(OSError, filelock.Timeout):
            self._file.parent.mkdir(parents=True, exist_ok=True)  # for the lock
            with filelock.FileLock(self._lock, timeout=10):
                self._reload()
                entry = dataclasses.asdict(image)
                self._entries[f"{image.id} {image.executable}"] = entry
                data = {"schema": _SCHEMA, "images": self._entries}
                write_atomic(self._file, stamp(json.dumps(data, indent=1)))

    def _reload(self) -> None:
        """Read the file again where another process has written it."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            status = self._file.stat()
            version = (status.st_mtime_ns, status.st_ino)
            if version == self._version:
                return
            data = json.loads(unstamp(self._file.read_bytes()))
            if data["schema"] == _SCHEMA:
                self._entries = dict(data["images"])
                self._version = version
