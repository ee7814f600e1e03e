"""Which version of this project runs and judges: machines of two versions make no run together."""

from __future__ import annotations

import functools
from pathlib import Path

from matrix.integrations import LIBRARIES
from matrix.journal import Sources
from matrix.places import apps_dir, project_root
from matrix.verify.running import cell_sources, judge_sources

__all__ = ["project_digest"]


@functools.cache
def project_digest() -> str:
    """Return the sha256 over all files that run a cell, say what is sent to it, or judge it.

    It is that of this process' start: a file that changes while it runs changes nothing in it.
    """
    return Sources.of(_sources()).digest


def _sources() -> list[Path]:
    probes = project_root() / "matrix" / "probes"
    return [*cell_sources(), apps_dir() / LIBRARIES, *judge_sources(), probes]
