"""The one line of a failed build that says why, which is seldom the last one."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["cause_of", "failed_build"]

# The first kind that is there wins. Of compilers the first complaint is the cause of the others, of
# a traceback the last line is.
_LACKING = re.compile(
    r"fatal error: .*(no such file|file not found)"
    r"|unable to execute '?[^'\s]+'?: no such file"
    r"|no such file or directory: '?[^']*(gcc|cc|c\+\+|clang|cargo|rustc|cmake|-config|_config)\b"
    r"|command '?\S+'? failed: no such file"
    r"|\b\w+[-_]config\b.*(not found|no such file|not available)|can't find rust compiler",
    re.IGNORECASE,
)
_COMPILER = re.compile(
    r"^\s*(?!.*\bconftest)\S+\.(c|cc|cpp|cxx|h|hpp):\d+(:\d+)?: (fatal )?error: "
    r"|^\s*\S+\.(pyx|pxd):\d+:\d+: (?!.*warning)",
    re.IGNORECASE,
)
_LINKER = re.compile(r"^\s*\S*\bld: (?!warning)|undefined reference to|cannot find -l")
_PYTHON = re.compile(
    r"^\s*(?!.*\bcommand\b.*\bfailed\b)(?!\S*CalledProcessError)([A-Za-z_]\w*\.)*"
    r"([A-Z]\w*)?(Error|Exception|Exit)(: |$)"
)
_COMMAND = re.compile(r"^\s*error: command .* failed", re.IGNORECASE)

_BUILT = (
    re.compile(r"Failed to (?:download and )?build `(?P<name>[^`]+)`"),
    re.compile(r"Failed building wheel for (?P<name>\S+)"),
    re.compile(r"^\s*Collecting (?P<name>[A-Za-z0-9][^\s(;]*)"),
)
_BY_PIP = re.compile(r"Command errored out|Failed building wheel|egg_info failed")
# Of a line no more is looked at: what builds is not ours, and a search can take the square of this.
_LINE = 1000


def cause_of(lines: Sequence[str]) -> str:
    """Return the line of a build's output that names the cause, "" where there is none such."""
    lines = [line[:_LINE] for line in lines]
    for pattern in (_LACKING, _COMPILER, _LINKER):
        for line in lines:
            if pattern.search(line):
                return line.strip()
    for pattern in (_PYTHON, _COMMAND):
        for line in reversed(lines):
            if pattern.search(line) and not line.startswith("ERROR: Command errored out"):
                return line.strip()
    return ""


def failed_build(lines: Sequence[str]) -> str:
    """Return what did not build, as uv or pip calls it, "" where the output is of no build."""
    lines = [line[:_LINE] for line in lines]
    uv, wheel, collecting = _BUILT
    for pattern in (uv, wheel):
        for line in lines:
            if found := pattern.search(line):
                return found["name"]
    if any(map(_BY_PIP.search, lines)):
        for line in reversed(lines):
            if found := collecting.search(line):
                return found["name"]
    return ""
