"""Whether an engine sees the files of this machine, asked without an image and without a container.

The engine refuses to create a container with a mount whose source it does not find, and does so
before it looks for the image. So two containers of an image that cannot exist are asked for: with a
folder just made here, and with one that is nowhere. One that shares files finds the first (and then
misses the image) and refuses the second; where it is local makes no difference, which is as well:
a socket may lead into a virtual machine, and loopback TCP to this one.
"""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

import docker.errors

from matrix.containers.client import Client

__all__ = ["shares_files"]


def shares_files(client: Client, platform: str, folder: Path) -> bool:
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


def _finds(client: Client, source: Path, platform: str) -> bool:
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
