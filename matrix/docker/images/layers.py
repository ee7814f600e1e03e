"""Layers: tar files of a part of a file system, equal for equal content.

Archives as `docker save` writes them: layers and a configuration, equal for equal content.

https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import fnmatch
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "EPOCH",
    "Content",
    "Layer",
    "LayerWriter",
    "configuration",
    "filtered",
    "layer_of",
    "write_archive",
]

EPOCH = 1577836800
"""The time of whatever has none of its own: 2020-01-01. Zip archives cannot say 1970."""

_BLOCK = 1024**2
_KEPT = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE)


@dataclasses.dataclass(frozen=True)
class Layer:
    """A finished layer; `diff_id` is the digest of the tar file, `size` its bytes."""

    path: Path
    diff_id: str
    size: int


class _Hashing(io.RawIOBase):
    """Passes bytes on and keeps their digest."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.digest.update(data)
        self.size += len(data)
        return self._sink.write(data)


class LayerWriter:
    """Writes a layer; `layer` is there when the `with` block has ended.

    Names are absolute paths inside. Owners are root, and nothing depends on the moment.
    """

    layer: Layer

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folders: set[str] = set()

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        self._hashing = _Hashing(self._file)
        self._tar = tarfile.open(fileobj=self._hashing, mode="w|", format=tarfile.GNU_FORMAT)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._tar.close()
        finally:
            self._file.close()
        if kind is None:
            digest = f"sha256:{self._hashing.digest.hexdigest()}"
            self.layer = Layer(self._path, digest, self._hashing.size)

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Add a folder, and those above it that this layer does not have yet."""
        name = path.strip("/")
        if not name or name in self._folders:
            return
        parent = name.rpartition("/")[0]
        self.folder(parent)
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = tarfile.DIRTYPE, mode, EPOCH
        self._folders.add(name)
        self._tar.addfile(info)

    def file(self, path: str, data: bytes, mode: int = 0o644, mtime: int = EPOCH) -> None:
        """Add a file; the folders above it must be in this layer or in one below."""
        info = tarfile.TarInfo(path.strip("/"))
        info.size, info.mode, info.mtime = len(data), mode, mtime
        self._tar.addfile(info, io.BytesIO(data))

    def copy(self, source: Path, path: str) -> None:
        """Add a file of this machine with its own time, readable by everybody."""
        with source.open("rb") as stream:
            status = os.fstat(stream.fileno())
            info = tarfile.TarInfo(path.strip("/"))
            info.size, info.mtime = status.st_size, int(status.st_mtime)
            info.mode = 0o755 if status.st_mode & 0o100 else 0o644
            self._tar.addfile(info, stream)

    def link(self, path: str, to: str) -> None:
        """Add a symbolic link."""
        info = tarfile.TarInfo(path.strip("/"))
        info.type, info.linkname, info.mtime = tarfile.SYMTYPE, to, EPOCH
        self._tar.addfile(info)

    def member(self, info: tarfile.TarInfo, stream: IO[bytes] | None) -> None:
        """Add a member as it is."""
        self._tar.addfile(info, stream)


def filtered(source: IO[bytes], path: Path, leave_out: Sequence[str], before: float) -> Layer:
    """Copy a tar file to a layer without what `leave_out` names, devices, and times of the making.

    `leave_out` are globs of paths without a leading slash; what lies below one goes too. Whatever
    was changed at `before` (seconds since 1970) or later gets EPOCH, and so does every folder.
    """
    with (
        LayerWriter(path) as writer,
        tarfile.open(fileobj=source, mode="r|") as tar,
    ):
        for info in tar:
            name = info.name.removeprefix("./").strip("/")
            if name in ("", ".") or info.type not in _KEPT or _matches(name, leave_out):
                continue
            info.name = name
            if info.islnk():
                info.linkname = info.linkname.removeprefix("./")
                if _matches(info.linkname, leave_out):
                    continue
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.pax_headers = {}
            late = info.isdir() or info.issym() or info.mtime >= before
            info.mtime = EPOCH if late else int(info.mtime)
            writer.member(info, tar.extractfile(info) if info.isreg() else None)
    return writer.layer


def layer_of(path: Path) -> Layer:
    """Return a layer that was written before."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return Layer(path, f"sha256:{digest.hexdigest()}", path.stat().st_size)


def _matches(name: str, globs: Iterable[str]) -> bool:
    parts = name.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return any(
        fnmatch.fnmatchcase(each, glob) and each.count("/") == glob.count("/")
        for glob in globs
        for each in above
    )


@dataclasses.dataclass(frozen=True)
class Content:
    """An image to be: `platform` such as `linux/386`, `tag` such as `name:tag` or ""."""

    platform: str
    layers: Sequence[Layer]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    tag: str = ""


def configuration(content: Content) -> bytes:
    """Return the image's configuration, whose digest is its id."""
    system, _, rest = content.platform.partition("/")
    cpu, _, variant = rest.partition("/")
    created = dt.datetime.fromtimestamp(EPOCH, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    document = {
        "architecture": cpu,
        **({"variant": variant} if variant else {}),
        "config": {
            "Env": [f"{name}={value}" for name, value in sorted(content.environment.items())],
            "Labels": dict(sorted(content.labels.items())),
            "WorkingDir": "/",
        },
        "created": created,
        "history": [{"created": created} for _ in content.layers],
        "os": system,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in content.layers]},
    }
    return json.dumps(document, sort_keys=True).encode()


def write_archive(content: Content, sink: IO[bytes]) -> str:
    """Write the archive; return the image's id (`sha256:...`)."""
    config = configuration(content)
    digest = hashlib.sha256(config).hexdigest()
    names = [f"{layer.diff_id.removeprefix('sha256:')}/layer.tar" for layer in content.layers]
    manifest = [
        {
            "Config": f"{digest}.json",
            "RepoTags": [content.tag] if content.tag else [],
            "Layers": names,
        }
    ]
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, f"{digest}.json", io.BytesIO(config), len(config))
        for name, layer in dict(zip(names, content.layers, strict=True)).items():
            with layer.path.open("rb") as stream:
                _add(tar, name, stream, layer.size)
        listing = json.dumps(manifest, sort_keys=True).encode()
        _add(tar, "manifest.json", io.BytesIO(listing), len(listing))
    return f"sha256:{digest}"


def _add(tar: tarfile.TarFile, name: str, stream: IO[bytes], size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, EPOCH
    tar.addfile(info, stream)
