"""What an exit code tells of a crash."""

from __future__ import annotations

__all__ = ["how_it_crashed"]

# The codes of errors among those of Windows, such as 0xC0000005, an access violation:
# https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/
_ERRORS = 0xC0000000


def how_it_crashed(code: int) -> str:
    """Return in words what ended a process with this exit code, "" where it ended itself.

    POSIX has a signal's number, negative here, and nothing beyond 255; Windows 32 bits.
    """
    if code < 0:
        return f"died of signal {-code}"
    return f"died of exception {code:#x}" if code >= _ERRORS else ""
