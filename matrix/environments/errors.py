"""Why an environment could not be built: the tools' many words, as few typed reasons.

The one line of a failed build that says why, which is seldom the last one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from matrix.model.reason import Reason
from matrix.system.atomic import is_disk_full

__all__ = ["BuildError", "cause_of", "failed_build", "from_log", "from_os_error"]

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


_KEPT_LINES = 200
_PASSING = frozenset(
    {
        Reason.INDEX_UNAVAILABLE,
        Reason.DISK_FULL,
        Reason.CONTAINER_LOST,
        Reason.ENGINE_LOST,
    }
)

# The first that matches wins: a full disk also makes downloads and compilers fail.
_PATTERNS: tuple[tuple[Reason, re.Pattern[str]], ...] = tuple(
    (reason, re.compile("|".join(words), re.IGNORECASE))
    for reason, words in {
        Reason.DISK_FULL: (
            r"no space left on device",
            r"os error (28|112)\b",
            r"disk quota exceeded",
            r"not enough space on the disk",
        ),
        Reason.INDEX_UNAVAILABLE: (
            r"error sending request",
            r"failed to fetch",
            r"request failed after",
            r"dns error|temporary failure in name resolution",
            r"could not connect|connection (refused|reset)|connectionerror|tls handshake",
            r"max retries exceeded|(read|operation) timed out",
            r"http status server error|\b50[0234] server error",
            r"network connectivity is disabled|because the network was disabled",
        ),
        Reason.NO_WHEEL: (
            r"no wheels? (are )?(available )?with a matching",
            r"has no (usable )?wheels",
            r"building source distributions .*is disabled",
        ),
        Reason.REQUIRES_PYTHON: (r"does not satisfy python", r"requires a different python"),
        Reason.NO_RELEASE: (r"there (is|are) no versions? of", r"was filtered by .?exclude-newer"),
    }.items()
)

# pip says the same for an unknown version and for one without a usable file.
_PIP_NOTHING = re.compile(
    r"no matching distribution found for (?P<name>[a-z0-9._-]+)==", re.IGNORECASE
)
_UV_LINE = re.compile(r"^\s*(error:|cause:|[\u00d7x]|[├╰]─▶|hint:|the error)", re.IGNORECASE)
_PIP_LINE = re.compile(r"^\s*(ERROR:|error:|[A-Za-z.]*Error:)")


class BuildError(Exception):
    """No environment: `reason` is the kind, `detail` one line, `log` the end of what was said."""

    def __init__(self, reason: Reason, detail: str, log: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.log = log

    @property
    def passing(self) -> bool:
        """Return whether the same call may succeed later in the same run."""
        return self.reason in _PASSING

    def __reduce__(self) -> tuple[type[BuildError], tuple[Reason, str, str]]:
        return (BuildError, (self.reason, self.detail, self.log))


def from_log(log: str, only_binary: tuple[str, ...] = ()) -> BuildError:
    """Return the failure that a tool's output tells of."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    kept = "\n".join(lines[-_KEPT_LINES:])
    flat = " ".join(line.strip() for line in lines)
    for reason, pattern in _PATTERNS:
        if pattern.search(flat):
            where = next((line for line in lines if pattern.search(line)), "")
            return BuildError(reason, _shorten(where) or _relevant(lines), kept)
    nothing = _PIP_NOTHING.search(flat)
    if nothing:
        binary = nothing["name"].lower() in only_binary
        reason = Reason.NO_WHEEL if binary else Reason.NO_RELEASE
        where = next((line for line in lines if _PIP_NOTHING.search(line)), "")
        return BuildError(reason, _shorten(where), kept)
    return BuildError(Reason.BUILD_FAILED, _cause(lines) or _relevant(lines), kept)


def from_os_error(error: OSError) -> BuildError:
    """Return the failure that an error of our own file operations is."""
    reason = Reason.DISK_FULL if is_disk_full(error) else Reason.BUILD_FAILED
    return BuildError(reason, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))


def _cause(lines: list[str]) -> str:
    """Return what did not build, and the line that says why; "" where nothing was built."""
    built = failed_build(lines)
    cause = _shorten(cause_of(lines)) if built else ""
    return f"the build of {built} fails: {cause}" if cause else ""


def _relevant(lines: list[str]) -> str:
    """Return the line that names the cause: the last error of pip, or the deepest of uv."""
    for pattern in (_PIP_LINE, _UV_LINE):
        marked = [line for line in lines if pattern.search(line) and "hint:" not in line]
        if marked:
            return _shorten(marked[-1])
    return _shorten(lines[-1]) if lines else "it said nothing"


def _shorten(line: str) -> str:
    text = re.sub(r"^\s*([├╰]─▶|[\u00d7x]\s|error:|ERROR:|cause:)\s*", "", line).strip()
    text = re.sub(r"//[^/@\s]+@", "//", text)  # credentials of an index
    limit = 300
    return text if len(text) <= limit else text[: limit - 1] + "…"
