"""Archives as `docker save` writes them: layers and a configuration, equal for equal content.

https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import IO

from matrix.images.layers import EPOCH, Layer

__all__ = ["Content", "configuration", "write_archive"]


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
