"""Why an environment could not be built: the tools' many words, as few typed reasons."""

from __future__ import annotations

import errno
import re

from matrix.environments.causes import cause_of, failed_build
from matrix.model.reason import Reason

__all__ = ["BuildError", "from_log", "from_os_error"]

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
    full = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
    reason = Reason.DISK_FULL if error.errno in full else Reason.BUILD_FAILED
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
