"""Numbers that options give."""

from __future__ import annotations

import argparse

__all__ = ["cell_count"]


def cell_count(text: str) -> int:
    """Return how many cells run at a time; raise ArgumentTypeError for less than one."""
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of cells such as 2")
    return count
