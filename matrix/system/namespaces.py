"""Linux only: the namespaces, the file system and the limits of a process of untrusted code.

It is called by the launcher, between `fork` and `exec`. See namespaces(7), user_namespaces(7),
mount_namespaces(7), pivot_root(2) and prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

if sys.platform != "linux":
    raise ImportError("Linux only: namespaces")

import resource

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
_OWN = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2
# Options of a mount in /proc/self/mountinfo. What a mount of another user namespace forbids must
# be kept where it is mounted again.
_OPTIONS = {
    b"ro": MS_RDONLY,
    b"nosuid": MS_NOSUID,
    b"nodev": MS_NODEV,
    b"noexec": MS_NOEXEC,
    b"noatime": 0x400,
    b"nodiratime": 0x800,
    b"relatime": 0x200000,
}

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
_LAST_CAPABILITY = 63

NOBODY = 65534
_OCTAL = re.compile(rb"\\([0-7]{3})")
_STAGE = "/tmp"  # noqa: S108 - a folder that every Linux has; it is covered in our own mounts only
_OLD = "/.old"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_LIMITS = {
    "data_bytes": resource.RLIMIT_DATA,
    "file_bytes": resource.RLIMIT_FSIZE,
    "processes": resource.RLIMIT_NPROC,
}

_libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> int:
    """Return the result of a C function; raise the OSError of -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(number: int, *arguments: Any) -> int:  # noqa: ANN401 - values of ctypes
    """Call the kernel; raise OSError."""
    return check(_libc.syscall(ctypes.c_long(number), *arguments))


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process; raise OSError."""
    rest = (ctypes.c_ulong(0),) * 3
    check(_libc.prctl(option, ctypes.c_ulong(value), *rest))


def leave(user: int) -> None:
    """Leave the caller's namespaces, except that of the network; raise OSError if it is refused.

    The namespace of process ids is that of the next child, which must call `enter`. With a `user`
    of 0, and for everybody but root, a user namespace is made at once.
    """
    uid, gid = os.getuid(), os.getgid()
    if uid == 0 and user != 0:
        check(_libc.unshare(_OWN))
    else:
        check(_libc.unshare(CLONE_NEWUSER | _OWN))
        _map_ids(uid, gid)


def enter(steps: Sequence[Sequence[Any]], user: int) -> None:
    """Make the file system of the first process of new namespaces, and give up all rights.

    `steps` are `("show", source, target, writable)`, `("memory", folder, size)` with 0 for an empty
    folder that cannot be written, and `("link", path, target)`, parents first. Root becomes `user`,
    in a user namespace of its own, in which there is nobody else. Raises OSError.
    """
    _make_root(steps)
    if os.getuid() == 0 and user != 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        # Only then its files in /proc belong to the new user.
        prctl(PR_SET_DUMPABLE, 1)
        check(_libc.unshare(CLONE_NEWUSER))
        _map_ids(user, user)
    with contextlib.suppress(OSError):  # no further namespaces, which need a lot of the kernel
        _write("/proc/sys/user/max_user_namespaces", "0")
    renounce()


def renounce() -> None:
    """Give up all that this process, or a program that it executes, could be granted."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # noqa: PERF203 - no more of them, or none that could be dropped
            break
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    with contextlib.suppress(OSError):  # the first to be ended where memory is short
        _write("/proc/self/oom_score_adj", "500")


def limit(limits: Mapping[str, int]) -> None:
    """Set limits of this process: `data_bytes` of memory, `file_bytes` of a file, `processes`."""
    for name, value in {**limits, "core": 0}.items():
        kind = _LIMITS.get(name, resource.RLIMIT_CORE)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
        resource.setrlimit(kind, (value, value))


def _map_ids(uid: int, gid: int) -> None:
    # A mapped root would keep its rights when it executes a program.
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid or NOBODY} {uid} 1")
    _write("/proc/self/gid_map", f"{gid or NOBODY} {gid} 1")


def _make_root(steps: Sequence[Sequence[Any]]) -> None:
    """Make a root file system by the steps, and leave the old one."""
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    _mount("tmpfs", _STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
    os.mkdir(_STAGE + _OLD)
    check(_libc.pivot_root(os.fsencode(_STAGE), os.fsencode(_STAGE + _OLD)))
    os.chdir("/")
    _make_devices()
    writable = set()
    for kind, path, *rest in steps:
        if kind == "link":
            os.symlink(rest[0], path)
        elif kind == "memory":
            os.makedirs(path, exist_ok=True)
            options = f"mode={'1777' if rest[0] else '755'},size={rest[0] or 65536}"
            _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options)
            writable |= {path} if rest[0] else set()
        else:
            _bind(_OLD + path, rest[0])
            writable |= {rest[0]} if rest[1] else set()
    os.mkdir("/proc")
    # While the old one can be seen, which the kernel demands of others than root.
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    writable.add("/proc")
    check(_libc.umount2(os.fsencode(_OLD), _MNT_DETACH))
    os.rmdir(_OLD)
    _protect(_read("/proc/self/mountinfo").splitlines(), writable)


def _make_devices() -> None:
    os.makedirs("/dev/shm", exist_ok=True)  # noqa: S108 - inside
    for name in _DEVICES:
        _bind(f"{_OLD}/dev/{name}", f"/dev/{name}")
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"/dev/{name}")


def _bind(source: str, target: str) -> None:
    """Show a file or folder at `target`."""
    if not os.path.lexists(target):
        if os.path.isdir(source):
            os.makedirs(target)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(source, target, None, MS_BIND | MS_REC)


def _protect(mountinfo: Sequence[bytes], writable: Collection[str]) -> None:
    """Make all mounts read-only, also those below others, except the writable ones."""
    for line in mountinfo:
        fields = line.split(b" ")
        # Blanks are written as octal numbers there.
        point = os.fsdecode(_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), fields[4]))
        flags = sum(_OPTIONS.get(option, 0) for option in set(fields[5].split(b",")))
        flags |= MS_NOSUID | (0 if point in writable else MS_RDONLY)
        flags |= 0 if point.startswith("/dev/") else MS_NODEV
        _mount(None, point, None, MS_REMOUNT | MS_BIND | flags)


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, data: str | None = None
) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    origin, point, name, options = texts
    try:
        check(_libc.mount(origin, point, name, ctypes.c_ulong(flags), options))
    except OSError as error:
        raise OSError(error.errno, f"mount {target}: {error.strerror}") from error


def _write(path: str, text: str) -> None:
    # Not `open`: its encodings may not be imported any more.
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, os.fsencode(text))
    finally:
        os.close(file)


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as stream:
        return stream.read()
