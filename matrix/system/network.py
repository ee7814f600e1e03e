"""Network isolation of a process that runs cells or a server: loopback only.

On Linux this is a network namespace, see unshare(2), network_namespaces(7) and
user_namespaces(7). Elsewhere there is no isolation, and `isolation()` reports that.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from pathlib import Path

from matrix.model.capture import UNISOLATED

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

_achieved = UNISOLATED


def is_isolated() -> bool:
    """Return whether this process is kept from the network."""
    return not _achieved.startswith(UNISOLATED)


def isolation() -> str:
    """Describe the network isolation of this process."""
    return _achieved


def isolate(*, own_user: bool = True) -> str:
    """Move this process into a network namespace of its own; return the isolation achieved.

    `own_user` permits a user namespace, which an unprivileged user needs, and in which no other
    user exists. Call this before a second thread starts: Linux refuses a user namespace to a
    process with several. Never raises.
    """
    global _achieved  # noqa: PLW0603 - it is a fact about the process
    if _achieved != UNISOLATED:
        return _achieved
    try:
        achieved = _enter_namespace(own_user=own_user)
        _loopback_up()
        _achieved = achieved
    except OSError as error:
        _achieved = f"{UNISOLATED}: {error}"
    return _achieved


def _enter_namespace(*, own_user: bool) -> str:
    if sys.platform != "linux":
        raise OSError(f"not on {sys.platform}")
    try:
        _unshare(CLONE_NEWNET)
    except PermissionError:
        if not own_user:
            raise
        user, group = os.getuid(), os.getgid()
        _unshare(CLONE_NEWUSER | CLONE_NEWNET)
        # Map our ids to themselves, so that files and `getuid` stay as they are.
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
        return "own network namespace in an own user namespace, loopback only"
    return "own network namespace, loopback only"


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _loopback_up() -> None:
    """Set the interface `lo` up, which is down in a new namespace, see netdevice(7)."""
    if sys.platform != "linux":
        return
    import fcntl  # noqa: PLC0415 - POSIX

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
