"""Copies of folders in volumes, for an engine that cannot mount folders of this machine.

A copy is filled in a volume with a name of its own and then referenced by a second, empty volume,
whose label names the complete copy. Creating a volume that exists returns the existing one, so of
two concurrent writers one wins, and a copy that a killed run left incomplete is never referenced:
the sweep of that run removes it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tarfile
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import docker.errors

from matrix.docker.client import EngineClient, translate_errors
from matrix.docker.interface import ContainerError, ContainerSpec, Mount
from matrix.docker.labels import COMPLETE, CONTENT, PROJECT_LABELS, ROLE, RunLabels

_TARGET = "/compat-matrix-copy"


class VolumeCopies:
    """The copies on one engine; safe for several threads and processes."""

    def __init__(self, client: EngineClient, run: RunLabels) -> None:
        self._client = client
        self._run = run
        self._lock = threading.Lock()

    def ensure(self, mount: Mount, spec: ContainerSpec) -> str:
        """Return the name of a volume with the folder's content. Raises ContainerError.

        The image of `spec` must exist: copying takes a container of it, which is never started.
        """
        if mount.writable:
            raise ContainerError(
                f"cannot mount {mount.source} writable: this engine does not share our files"
            )
        if not mount.source.is_dir():
            raise ContainerError(f"cannot copy {mount.source} to the engine: not a folder")
        key = mount.key or content_key(mount.source)
        name = f"compat-matrix-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        with self._lock, translate_errors(f"copying {mount.source} to the engine"):
            return self._find_complete(name) or self._copy(name, mount.source, spec)

    def _find_complete(self, name: str) -> str:
        """Return the volume of the complete copy, "" where there is none."""
        labels = self._labels(name)
        content = labels.get(CONTENT, "") if labels is not None else ""
        if content and self._labels(content) is None:
            self._client.remove_volume(name)  # the copy was removed, but not its reference
            return ""
        return content

    def _copy(self, name: str, source: Path, spec: ContainerSpec) -> str:
        own = f"{name}-{secrets.token_hex(4)}"
        self._client.create_volume(own, labels=self._run.labels)
        body = {
            "Image": spec.image,
            "Cmd": ["none"],
            "Labels": self._run.labels,
            "NetworkDisabled": True,
            "HostConfig": {
                "NetworkMode": "none",
                "Mounts": [build_volume_mount(own, _TARGET, read_only=False)],
            },
        }
        untyped: Any = self._client
        container = self._client.create_from_body(body, None, spec.platform)
        try:
            with tempfile.TemporaryFile() as archive:
                _pack(source, archive)
                untyped.put_archive(container, _TARGET, archive)
        finally:
            self._client.remove_container(container, force=True)
        labels = {**PROJECT_LABELS, ROLE: COMPLETE, CONTENT: own}
        volume = untyped.create_volume(name, labels=labels)
        winner = str((volume.get("Labels") or {}).get(CONTENT, own))
        if winner != own:
            self._client.remove_volume(own)
        return winner

    def _labels(self, name: str) -> Mapping[str, str] | None:
        try:
            volume: Any = self._client.inspect_volume(name)
        except docker.errors.NotFound:
            return None
        return dict(volume.get("Labels") or {})


def build_volume_mount(volume: str, target: str, *, read_only: bool) -> dict[str, object]:
    """Return the entry of `HostConfig.Mounts` for a volume."""
    return {
        "Type": "volume",
        "Source": volume,
        "Target": target,
        "ReadOnly": read_only,
        # Without it an empty volume would be filled with the image's files.
        "VolumeOptions": {"NoCopy": True},
    }


def content_key(folder: Path) -> str:
    """Return a key of a folder's content: names, kinds, executable bits and bytes."""
    total = hashlib.sha256()
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = Path(parent, name)
            total.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            if path.is_symlink():
                total.update(f"link {path.readlink()}\0".encode())
            elif path.is_file():
                executable = bool(path.stat().st_mode & 0o100)
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                total.update(f"file {executable} {digest}\0".encode())
    return f"content {total.hexdigest()}"


def shares_files(client: EngineClient, platform: str, folder: Path) -> bool:
    """Return whether the engine can mount files in `folder`; takes no image and no container.

    The engine refuses to create a container with a mount whose source does not exist, and checks
    that before it looks for the image. So two containers of an image that cannot exist are
    requested: one with a folder just created here, one with a folder that does not exist. An engine
    that shares our files finds the first (and then misses the image) and refuses the second. Its
    address shows nothing: a socket may lead into a virtual machine, and loopback TCP to this one.

    Where `folder` is not writable, none of our files can lie in it, and the system's folder for
    temporary files is tried.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix="check-", dir=folder)
    except OSError:
        temporary = tempfile.TemporaryDirectory(prefix="compat-matrix-")
    with temporary as name:
        existing = Path(name).absolute()
        return _mounts(client, existing, platform) and not _mounts(
            client, existing / "not", platform
        )


def _mounts(client: EngineClient, source: Path, platform: str) -> bool:
    body = {
        "Image": f"compat-matrix-none:{secrets.token_hex(8)}",
        "Cmd": ["none"],
        "HostConfig": {
            "Mounts": [{"Type": "bind", "Source": str(source), "Target": "/mnt", "ReadOnly": True}]
        },
    }
    try:
        client.create_from_body(body, None, platform)
    except docker.errors.NotFound:
        return True  # the image is what it did not find
    except docker.errors.APIError:
        return False
    return False


def _pack(source: Path, archive: IO[bytes]) -> None:
    """Pack a folder, owned by root and readable by all: the engine's users may differ."""
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(source, arcname=".", filter=_normalise)
    archive.seek(0)


def _normalise(member: tarfile.TarInfo) -> tarfile.TarInfo:
    executable = 0o111 if member.isdir() or member.mode & 0o100 else 0
    member.mode |= 0o444 | executable
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
