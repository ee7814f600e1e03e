"""What tests ask of processes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

__all__ = ["gone", "kill"]


def gone(pid: int) -> bool:
    """Whether a process has ended; Linux only."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return True
    # Where nobody reaps orphans, a dead one stays as a zombie.
    return status.rpartition(")")[2].split()[0] == "Z"


def kill(pid: int) -> None:
    """End a process at once, with no chance to do anything about it."""
    if sys.platform == "win32":
        os.kill(pid, signal.SIGTERM)  # that is what it means there
    else:
        os.kill(pid, signal.SIGKILL)
