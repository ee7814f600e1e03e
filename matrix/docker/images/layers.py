"""Image layers and archives (as `docker save` writes them), equal for equal content.

A layer is a tar file of a part of a file system; an archive has layers and a configuration.

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
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO

EPOCH = 1577836800
"""The time of files without one of their own: 2020-01-01. Zip archives cannot represent 1970."""

_BLOCK = 1024**2
_COPIED_TYPES = (
    tarfile.REGTYPE,
    tarfile.AREGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
)


@dataclasses.dataclass(frozen=True)
class Layer:
    """A finished layer; `diff_id` is the digest of the tar file, `size` its bytes."""

    path: Path
    diff_id: str
    size: int


class LayerWriter(AbstractContextManager["LayerWriter"]):
    """Writes a layer in a `with` block, after which `layer` is set.

    Names are absolute paths in the image. Owners are root, and nothing depends on the current time.
    """

    layer: Layer

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folders: set[str] = set()

    def __enter__(self) -> LayerWriter:  # noqa: PYI034 - Self is of 3.11
        self._tar = tarfile.open(self._path, mode="w", format=tarfile.GNU_FORMAT)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tar.__exit__(kind, value, traceback)
        if kind is None:
            self.layer = read_layer(self._path)

    def folder(self, path: str) -> None:
        """Add a folder and its missing parents, unless this layer has it already."""
        name = path.strip("/")
        if not name or name in self._folders:
            return
        self.folder(name.rpartition("/")[0])
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, EPOCH
        self._folders.add(name)
        self._tar.addfile(info)

    def file(self, path: str, data: bytes) -> None:
        """Add a file; its parent folders must be in this layer or in one below."""
        info = tarfile.TarInfo(path.strip("/"))
        info.size, info.mtime = len(data), EPOCH
        self._tar.addfile(info, io.BytesIO(data))

    def copy(self, source: Path, path: str) -> None:
        """Add a file of this machine with its own time, readable by all users."""
        with source.open("rb") as stream:
            status = os.fstat(stream.fileno())
            info = tarfile.TarInfo(path.strip("/"))
            info.size, info.mtime = status.st_size, int(status.st_mtime)
            info.mode = 0o755 if status.st_mode & 0o100 else 0o644
            self._tar.addfile(info, stream)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        info = tarfile.TarInfo(path.strip("/"))
        info.type, info.linkname, info.mtime = tarfile.SYMTYPE, target, EPOCH
        self._tar.addfile(info)

    def member(self, info: tarfile.TarInfo, stream: IO[bytes] | None) -> None:
        """Add a member unchanged."""
        self._tar.addfile(info, stream)


def filter_archive(source: IO[bytes], path: Path, leave_out: Sequence[str], before: float) -> Layer:
    """Copy a tar file to a layer without the paths in `leave_out`, devices and build times.

    `leave_out` are globs of paths without a leading slash; paths below a match are left out, too.
    Files changed at `before` (seconds since 1970) or later get EPOCH, and so does every folder.
    """
    with LayerWriter(path) as writer, tarfile.open(fileobj=source, mode="r|") as tar:
        for info in tar:
            name = info.name.removeprefix("./").strip("/")
            if name in ("", ".") or info.type not in _COPIED_TYPES or _matches(name, leave_out):
                continue
            info.name = name
            if info.islnk():
                info.linkname = info.linkname.removeprefix("./")
                if _matches(info.linkname, leave_out):
                    continue
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.pax_headers = {}
            is_new = info.isdir() or info.issym() or info.mtime >= before
            info.mtime = EPOCH if is_new else int(info.mtime)
            writer.member(info, tar.extractfile(info) if info.isreg() else None)
    return writer.layer


def read_layer(path: Path) -> Layer:
    """Return a layer that was written earlier."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return Layer(path, f"sha256:{digest.hexdigest()}", path.stat().st_size)


def _matches(name: str, globs: Iterable[str]) -> bool:
    parts = name.split("/")
    paths = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return any(
        fnmatch.fnmatchcase(path, glob) and path.count("/") == glob.count("/")
        for glob in globs
        for path in paths
    )


@dataclasses.dataclass(frozen=True)
class ImageContent:
    """Content of an image; `platform` such as `linux/386`, `tag` such as `name:tag` or ""."""

    platform: str
    layers: Sequence[Layer]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    tag: str = ""


def build_configuration(content: ImageContent) -> bytes:
    """Return an image's configuration, whose digest is its id."""
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


def write_archive(content: ImageContent, sink: IO[bytes]) -> str:
    """Write an image's archive to `sink`; return the image's id (`sha256:...`)."""
    config = build_configuration(content)
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
