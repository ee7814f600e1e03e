"""Errors of ours: one line for the user, and a file to attach to a report."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from matrix.errors import ExitCode
from matrix.system.files import write_atomic
from matrix.system.paths import project_root, results_dir
from matrix.system.source_files import project_version

FOLDER = "internal-errors"
"""The folder of the files, in the results or else in the temporary folder."""
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]+(?=@)")
_MOST = 300


def report_internal_error(error: Exception, argv: Sequence[str]) -> ExitCode:
    """Print a line on the error, and where its traceback lies; return the exit code.

    The results folder is tried first, then the temporary folder. Credentials of addresses are
    left out.
    """
    name = " ".join(f"{type(error).__name__}: {error}".split())
    summary = _CREDENTIALS.sub("***", name if len(name) < _MOST else f"{name[:_MOST]}…")
    path = _write(_CREDENTIALS.sub("***", _text(error, argv)))
    where = f"attach {path} to a report" if path else "its traceback could not be written"
    print(
        f"internal error: {summary}; {where}, with the document or record that the command read",
        file=sys.stderr,
    )
    return ExitCode.INTERNAL


def _text(error: Exception, argv: Sequence[str]) -> str:
    try:
        version = project_version()
    except Exception as problem:  # noqa: BLE001 - what went wrong first is to be reported
        version = f"unknown ({problem})"
    return (
        f"command: python -m matrix {shlex.join(argv)}\n"
        f"project: {version}\n"
        f"Python: {sys.version.splitlines()[0]} on {platform.platform()}\n\n"
        f"{''.join(traceback.format_exception(error))}"
    ).replace(str(project_root()), ".")


def _write(text: str) -> Path | None:
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.txt"
    for find in (results_dir, lambda: Path(tempfile.gettempdir())):
        try:
            path = find() / FOLDER / name
            write_atomic(path, text.encode("utf-8", "backslashreplace"))
        except OSError:
            continue
        return path
    return None
