"""Folders of this machine for an engine that does not share its files: copies in volumes.

A copy is filled under a name of its own and then named by a second, empty volume, whose label says
which copy is complete. Making a volume that exists gives the existing one, so of two who fill at
once one wins, and what a killed run half filled is never named: its run's sweep removes it.

Whether an engine sees the files of this machine, asked without an image and without a container.

The engine refuses to create a container with a mount whose source it does not find, and does so
before it looks for the image. So two containers of an image that cannot exist are asked for: with a
folder just made here, and with one that is nowhere. One that shares files finds the first (and then
misses the image) and refuses the second; where it is local makes no difference, which is as well:
a socket may lead into a virtual machine, and loopback TCP to this one.
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

from matrix.docker.client import EngineClient
from matrix.docker.errors import translated
from matrix.docker.interface import ContainerError, ContainerSpec, Mount
from matrix.docker.labels import COMPLETE, CONTENT, PROJECT_LABELS, ROLE, RunLabels

__all__ = ["VolumeCopies", "content_key", "shares_files", "volume_mount"]

_INSIDE = "/compat-matrix-copy"


class VolumeCopies:
    """The copies on one engine; safe for several threads and processes."""

    def __init__(self, client: EngineClient, run: RunLabels) -> None:
        self._client = client
        self._run = run
        self._filling = threading.Lock()

    def volume(self, mount: Mount, spec: ContainerSpec) -> str:
        """Return the name of a volume that holds the folder's content. Raises ContainerError.

        `spec` has an image that is there: filling takes a container, which is never started.
        """
        if mount.writable:
            raise ContainerError(
                f"{mount.source} is to be written to, and this engine does not share our files"
            )
        if not mount.source.is_dir():
            raise ContainerError(f"{mount.source} is no folder, and only those can be copied")
        key = mount.key or content_key(mount.source)
        name = f"compat-matrix-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        with self._filling, translated(f"copying {mount.source} to the engine"):
            return self._complete(name) or self._fill(name, mount.source, spec)

    def _complete(self, name: str) -> str:
        """Return which copy is complete, "" where none is."""
        labels = self._labels(name)
        content = labels.get(CONTENT, "") if labels is not None else ""
        if content and self._labels(content) is None:
            self._client.remove_volume(name)  # somebody took the copy away and left its name
            return ""
        return content

    def _fill(self, name: str, source: Path, spec: ContainerSpec) -> str:
        own = f"{name}-{secrets.token_hex(4)}"
        self._client.create_volume(own, labels=self._run.labels)
        body = {
            "Image": spec.image,
            "Cmd": ["none"],
            "Labels": self._run.labels,
            "NetworkDisabled": True,
            "HostConfig": {
                "NetworkMode": "none",
                "Mounts": [volume_mount(own, _INSIDE, read_only=False)],
            },
        }
        container = self._client.created(body, None, spec.platform)
        try:
            with tempfile.TemporaryFile() as archive:
                _pack(source, archive)
                put: Any = self._client
                put.put_archive(container, _INSIDE, archive)
        finally:
            self._client.remove_container(container, force=True)
        labels = {**PROJECT_LABELS, ROLE: COMPLETE, CONTENT: own}
        made: Any = self._client.create_volume(name, labels=labels)
        winner = str((made.get("Labels") or {}).get(CONTENT, own))
        if winner != own:
            self._client.remove_volume(own)
        return winner

    def _labels(self, name: str) -> Mapping[str, str] | None:
        try:
            said: Any = self._client.inspect_volume(name)
        except docker.errors.NotFound:
            return None
        return dict(said.get("Labels") or {})


def volume_mount(volume: str, target: str, *, read_only: bool) -> dict[str, object]:
    """Return a mount of a volume, in the engine's words."""
    return {
        "Type": "volume",
        "Source": volume,
        "Target": target,
        "ReadOnly": read_only,
        # Or an empty one would be filled with what the image has there.
        "VolumeOptions": {"NoCopy": True},
    }


def content_key(folder: Path) -> str:
    """Return what names a folder's content: names, kinds, who may execute, bytes."""
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


def _pack(source: Path, into: IO[bytes]) -> None:
    """Pack a folder, of nobody in particular and readable by all: users differ over there."""
    with tarfile.open(fileobj=into, mode="w") as tar:
        tar.add(source, arcname=".", filter=_of_nobody)
    into.seek(0)


def _of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    executable = 0o111 if member.isdir() or member.mode & 0o100 else 0
    member.mode |= 0o444 | executable
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def shares_files(client: EngineClient, platform: str, folder: Path) -> bool:
    """Return whether it can mount what lies in `folder`; a nonce is put there for a moment.

    In a folder that cannot be written to nothing of ours can lie: then it is the temporary one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        nonce = tempfile.TemporaryDirectory(prefix="asked-", dir=folder)
    except OSError:
        nonce = tempfile.TemporaryDirectory(prefix="compat-matrix-")
    with nonce as name:
        there = Path(name).absolute()
        return _finds(client, there, platform) and not _finds(client, there / "not", platform)


def _finds(client: EngineClient, source: Path, platform: str) -> bool:
    body = {
        "Image": f"compat-matrix-none:{secrets.token_hex(8)}",
        "Cmd": ["none"],
        "HostConfig": {
            "Mounts": [{"Type": "bind", "Source": str(source), "Target": "/mnt", "ReadOnly": True}]
        },
    }
    try:
        client.created(body, None, platform)
    except docker.errors.NotFound:
        return True  # it was the image that it did not find
    except docker.errors.APIError:
        return False
    return False
