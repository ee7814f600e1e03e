"""Files of the index, fetched once, each checked against the hash that the index gives."""

from __future__ import annotations

import concurrent.futures
import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from matrix.environments.artifacts import Artifacts
from matrix.environments.choosing import Chosen
from matrix.environments.failures import BuildError
from matrix.environments.given import copy_here, is_here
from matrix.environments.toolbox import Toolbox
from matrix.model.reason import Reason

__all__ = ["Download", "Fetcher", "download"]

Download = Callable[[str, Path, float], None]
"""Puts what is at a URL into a file within so many seconds; raises BuildError."""

_AT_ONCE = 4
_MOST_BYTES = 512 * 1024 * 1024
_PIECE = 1 << 18
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 60.0


class Fetcher:
    """Published files by hash; what is not here is fetched, unless that is forbidden."""

    def __init__(self, tools: Toolbox, artifacts: Artifacts, get: Download) -> None:
        self._tools = tools
        self._artifacts = artifacts
        self._get = get

    def fetch(self, files: Sequence[Chosen]) -> list[Path]:
        """Return where the files are, in their order; raise BuildError where one cannot be had."""
        missing = [file for file in files if self._artifacts.find(file.sha256) is None]
        away = [file for file in missing if not is_here(file.url)]
        if away and self._tools.offline:
            names = ", ".join(file.filename for file in away)
            said = f"not here, and nothing may be fetched: {names}"
            raise BuildError(Reason.INDEX_UNAVAILABLE, said)
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            for done in [pool.submit(self._fetch, file) for file in missing]:
                done.result()
        return [self._find(file) for file in files]

    def _find(self, file: Chosen) -> Path:
        found = self._artifacts.find(file.sha256)
        if found is None:
            raise BuildError(Reason.BUILD_FAILED, f"{file.filename} was fetched and is gone")
        return found

    def _fetch(self, file: Chosen) -> None:
        with self._tools.guard(f"file-{file.sha256[:32]}"), self._tools.scratch() as folder:
            if self._artifacts.find(file.sha256) is not None:
                return
            # A name from outside: nothing but a name.
            path = folder / Path(file.filename).name
            (copy_here if is_here(file.url) else self._get)(file.url, path, self._tools.seconds)
            with path.open("rb") as stream:
                digest = _sha256(stream.read)
            if digest != file.sha256:
                said = f"{file.filename} is not the file whose hash the index tells"
                raise BuildError(Reason.WRONG_INSTALL, said)
            self._artifacts.keep(path)


def download(url: str, path: Path, seconds: float) -> None:
    """Fetch over HTTP; what is too slow, too large or cut off is a failure of the index."""
    import requests  # noqa: PLC0415 - not for a look at what is finished

    name = path.name
    deadline = time.monotonic() + seconds
    try:
        with (
            requests.get(url, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)) as answer,
            path.open("wb") as stream,
        ):
            if answer.status_code != requests.codes.ok:
                raise _away(name, f"HTTP {answer.status_code}")
            size = 0
            for piece in answer.iter_content(_PIECE):
                size += stream.write(piece)
                if size > _MOST_BYTES:
                    said = f"{name} is larger than {_MOST_BYTES >> 20} MB"
                    raise BuildError(Reason.BUILD_FAILED, said)
                if time.monotonic() > deadline:
                    raise _away(name, f"it took longer than {seconds:g} s")
    except requests.exceptions.RequestException as error:
        # The library's text names the address, credentials and all: give its kind only.
        raise _away(name, type(error).__name__) from error


def _away(name: str, said: str) -> BuildError:
    return BuildError(Reason.INDEX_UNAVAILABLE, f"{name} could not be fetched: {said}")


def _sha256(read: Callable[[int], bytes]) -> str:
    digest = hashlib.sha256()
    while piece := read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()
