"""What an image is, as told from inside of a container of it: a name or a label proves nothing."""

from __future__ import annotations

import json
import re
from typing import Any

from matrix.containers.seam import ContainerError, Engine
from matrix.images.making import run_inside, settings
from matrix.images.recipes import Target, recipes
from matrix.images.source import ImageError, Offer
from matrix.model.image import Image
from matrix.model.reason import Reason

__all__ = ["examine"]

# What every app and every release under test may count on.
_MODULES = ("ssl", "sqlite3", "ctypes", "threading", "zlib", "bz2")
# `linux32` says i686 on every 64-bit kernel; a 32-bit kernel may name an older CPU.
_ALIKE = {"i386": "i686", "i486": "i686", "i586": "i686", "amd64": "x86_64", "arm64": "aarch64"}


def examine(offer: Offer, image: str, digest: str, engine: Engine) -> Image:
    """Return the image with what was told inside.

    Raises ImageError: WRONG_IMAGE where it is of another platform or CPython than was offered,
    NO_IMAGE where something is missing in it.
    """
    target = recipes().target(offer.target)
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
        environment=settings(target, engine),
    )


def _asked(offer: Offer, image: str, target: Target, engine: Engine) -> dict[str, Any]:
    held = engine.image(image)
    if held is not None and held.platform != offer.platform:
        detail = f"{offer.name} is for {held.platform}, not for {offer.platform}"
        raise ImageError(Reason.WRONG_IMAGE, detail)
    try:
        ran = run_inside(engine, image, target, offer.executable, "examining.py", *_MODULES)
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


def _wrong(offer: Offer, target: Target, said: dict[str, Any]) -> list[str]:
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
