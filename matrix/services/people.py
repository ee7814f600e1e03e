"""POSIX only: who runs servers, as many refuse to be run by root."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    raise ImportError("POSIX only: there are no numbers of users")

import pwd

__all__ = ["server_user"]

_NOBODY = "nobody"


def server_user() -> tuple[int, int] | None:
    """Return user and group to run servers as where we are root, else None: as ourselves."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_NOBODY)
    return entry.pw_uid, entry.pw_gid
