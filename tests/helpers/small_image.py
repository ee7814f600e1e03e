"""An empty image, with this machine's own programs mounted into its containers.

It is built quickly, on any Linux, without a registry.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from matrix.docker.interface import Mount

__all__ = ["CPU", "archive", "host_mounts", "python"]

CPU = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def archive(
    labels: Mapping[str, str],
    *,
    tag: str = "",
    cpu: str = CPU,
    files: Iterable[Path] = (),
    folders: Iterable[str] = ("tmp", "proc", "dev", "sys", "etc"),
) -> bytes:
    """Return an archive as `docker save` writes it, of one layer; `files` keep their paths."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in folders:
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(info)
        for file in files:
            tar.add(file.resolve(), arcname=str(file).lstrip("/"))
    config = json.dumps(
        {
            "architecture": cpu,
            "os": "linux",
            "config": {"Labels": dict(labels)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer.getvalue())}"]},
        }
    ).encode()
    names = {"Config": f"{_digest(config)}.json", "Layers": ["layer.tar"]}
    manifest = json.dumps([{**names, "RepoTags": [tag] if tag else None}]).encode()
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, content in (
            ("layer.tar", layer.getvalue()),
            (names["Config"], config),
            ("manifest.json", manifest),
        ):
            info = tarfile.TarInfo(str(name))
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def host_mounts() -> tuple[Mount, ...]:
    """Return mounts of the folders that this Python needs, read-only and at the same paths."""
    folders = {"/usr", "/lib", "/lib64", "/bin", "/sbin", sys.base_prefix}
    roots = sorted(
        path for path in folders if Path(path).is_dir() and not _is_below(path, folders - {path})
    )
    return tuple(Mount(Path(path), path) for path in roots)


def python(code: str) -> list[str]:
    """Return the command line that runs some code with this very Python, quickly."""
    executable = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    return [str(executable), "-S", "-E", "-s", "-c", code]


def _is_below(path: str, others: Iterable[str]) -> bool:
    return any(path.startswith(other + "/") for other in others)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
