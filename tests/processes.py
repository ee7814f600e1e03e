"""What tests ask of processes."""

from __future__ import annotations

from pathlib import Path

__all__ = ["gone"]


def gone(pid: int) -> bool:
    """Whether a process has ended; Linux only."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return True
    # Where nobody reaps orphans, a dead one stays as a zombie.
    return status.rpartition(")")[2].split()[0] == "Z"
