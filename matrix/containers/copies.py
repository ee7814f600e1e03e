"""Folders of this machine for an engine that does not share its files: copies in volumes.

A copy is filled under a name of its own and then named by a second, empty volume, whose label says
which copy is complete. Making a volume that exists gives the existing one, so of two who fill at
once one wins, and what a killed run half filled is never named: its run's sweep removes it.
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

from matrix.containers.client import Client
from matrix.containers.failures import translated
from matrix.containers.labels import COMPLETE, CONTENT, PROJECT_LABELS, ROLE, Run
from matrix.containers.seam import ContainerError, ContainerSpec, Mount

__all__ = ["Copies", "content_key", "volume_mount"]

_INSIDE = "/compat-matrix-copy"


class Copies:
    """The copies on one engine; safe for several threads and processes."""

    def __init__(self, client: Client, run: Run) -> None:
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
