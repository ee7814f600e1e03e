"""Who runs servers: many refuse to be run by root."""

from __future__ import annotations

import os
import sys

__all__ = ["server_user"]

_NOBODY = "nobody"


def server_user() -> tuple[int, int] | None:
    """Return user and group to run servers as where we are root, else None: as ourselves."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - there is none on Windows

    entry = pwd.getpwnam(_NOBODY)
    return entry.pw_uid, entry.pw_gid
