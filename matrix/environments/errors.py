"""Errors of builds: the output of uv and pip as a typed reason and one line with the cause."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from matrix.model.reason import Reason
from matrix.system.files import is_disk_full

_LOG_LINES = 200
_DETAIL_CHARACTERS = 300
# Lines are cut: their content is untrusted, and some searches take quadratic time.
_LINE_CHARACTERS = 1000

_TRANSIENT = frozenset(
    {Reason.INDEX_UNAVAILABLE, Reason.DISK_FULL, Reason.CONTAINER_LOST, Reason.ENGINE_LOST}
)

# In order of precedence. The first complaint of a compiler causes the others; of a traceback the
# last line has the error.
_MISSING_FILE = re.compile(
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

_UV_BUILD = re.compile(r"Failed to (?:download and )?build `(?P<name>[^`]+)`")
_PIP_WHEEL = re.compile(r"Failed building wheel for (?P<name>\S+)")
_PIP_COLLECTING = re.compile(r"^\s*Collecting (?P<name>[A-Za-z0-9][^\s(;]*)")
_PIP_FAILED = re.compile(r"Command errored out|Failed building wheel|egg_info failed")

# In order of precedence: a full disk also makes downloads and compilers fail.
_PATTERNS: tuple[tuple[Reason, re.Pattern[str]], ...] = tuple(
    (reason, re.compile("|".join(patterns), re.IGNORECASE))
    for reason, patterns in {
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
        Reason.WRONG_INSTALL: (r"\bhash mismatch for\b",),
    }.items()
)
# pip has one message for an unknown version and for one without a usable file.
_PIP_NO_MATCH = re.compile(
    r"no matching distribution found for (?P<name>[a-z0-9._-]+)==", re.IGNORECASE
)
_UV_LINE = re.compile(r"^\s*(error:|cause:|[\u00d7x]|[├╰]─▶|hint:|the error)", re.IGNORECASE)
_PIP_LINE = re.compile(r"^\s*(ERROR:|error:|[A-Za-z.]*Error:)")


class BuildError(Exception):
    """A failed build: `detail` is one line, `log` the end of the tool's output."""

    def __init__(self, reason: Reason, detail: str, log: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.log = log

    @property
    def transient(self) -> bool:
        """Return whether the same call may succeed later in the same run."""
        return self.reason in _TRANSIENT

    def __reduce__(self) -> tuple[type[BuildError], tuple[Reason, str, str]]:
        return (BuildError, (self.reason, self.detail, self.log))


def from_log(log: str, only_binary: tuple[str, ...] = ()) -> BuildError:
    """Return the error that a tool's output describes."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    end = "\n".join(lines[-_LOG_LINES:])
    flat = " ".join(line.strip() for line in lines)
    for reason, pattern in _PATTERNS:
        if pattern.search(flat):
            matching = _first_match((pattern,), lines)
            detail = _shorten(matching.string) if matching else ""
            return BuildError(reason, detail or _error_line(lines), end)
    no_match = _PIP_NO_MATCH.search(flat)
    if no_match:
        binary = no_match["name"].lower() in only_binary
        reason = Reason.NO_WHEEL if binary else Reason.NO_RELEASE
        matching = _first_match((_PIP_NO_MATCH,), lines)
        return BuildError(reason, _shorten(matching.string) if matching else "", end)
    return BuildError(Reason.BUILD_FAILED, _describe_build(lines) or _error_line(lines), end)


def from_os_error(error: OSError) -> BuildError:
    """Return the build error for an error of our own file operations."""
    reason = Reason.DISK_FULL if is_disk_full(error) else Reason.BUILD_FAILED
    return BuildError(reason, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))


def find_cause(lines: Sequence[str]) -> str:
    """Return the line of a build's output that names the cause, "" where there is none.

    It is seldom the last one.
    """
    lines = [line[:_LINE_CHARACTERS] for line in lines]
    plain = [line for line in reversed(lines) if not line.startswith("ERROR: Command errored out")]
    match = _first_match((_MISSING_FILE, _COMPILER, _LINKER), lines) or _first_match(
        (_PYTHON, _COMMAND), plain
    )
    return match.string.strip() if match else ""


def find_failed_build(lines: Sequence[str]) -> str:
    """Return what did not build, as uv or pip names it, "" where no build failed."""
    lines = [line[:_LINE_CHARACTERS] for line in lines]
    match = _first_match((_UV_BUILD, _PIP_WHEEL), lines)
    if match is None and any(map(_PIP_FAILED.search, lines)):
        match = _first_match((_PIP_COLLECTING,), lines[::-1])
    return match["name"] if match else ""


def _first_match(patterns: Iterable[re.Pattern[str]], lines: Sequence[str]) -> re.Match[str] | None:
    """Return the first match of the first pattern that matches any line."""
    matches = (pattern.search(line) for pattern in patterns for line in lines)
    return next(filter(None, matches), None)


def _describe_build(lines: list[str]) -> str:
    """Return what did not build and why, "" where no build failed or no cause is found."""
    name = find_failed_build(lines)
    cause = _shorten(find_cause(lines)) if name else ""
    return f"cannot build {name}: {cause}" if cause else ""


def _error_line(lines: list[str]) -> str:
    """Return the last error line of pip, or the deepest of uv, or the last line."""
    for pattern in (_PIP_LINE, _UV_LINE):
        errors = [line for line in lines if pattern.search(line) and "hint:" not in line]
        if errors:
            return _shorten(errors[-1])
    return _shorten(lines[-1]) if lines else "no output"


def _shorten(line: str) -> str:
    text = re.sub(r"^\s*([├╰]─▶|[\u00d7x]\s|error:|ERROR:|cause:)\s*", "", line).strip()
    text = re.sub(r"//[^/@\s]+@", "//", text)  # credentials of an index
    return text if len(text) <= _DETAIL_CHARACTERS else text[: _DETAIL_CHARACTERS - 1] + "…"
