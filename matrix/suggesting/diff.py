"""Unified diffs of bytes, as `patch -p0` and `git apply -p0` take them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["diff_name", "diff_root", "unified_diff"]

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_NO_END = b"\n\\ No newline at end of file\n"
_QUOTED = re.compile(r'[\x00-\x1f"\\\x7f]')


def diff_root(paths: Sequence[Path], here: Path) -> Path:
    """Return the folder that the names in the diffs are of: `here`, if all the files lie in it."""
    absolute = [_plainly(here / path) for path in paths]
    if all(path.is_relative_to(here) for path in absolute):
        return here
    return Path(os.path.commonpath([path.parent for path in absolute]))


def diff_name(path: Path, root: Path, here: Path) -> str:
    """Return the name of a file in the diffs, from `diff_root`."""
    return _plainly(here / path).relative_to(root).as_posix()


def unified_diff(old: bytes, new: bytes, name: str) -> bytes:
    """Return the diff from `old` to `new` of a file, b"" where nothing is changed.

    A carriage return belongs to its line, and a last line may have no end.
    """
    if old == new:
        return b""
    header = _header(name)
    return b"".join((b"--- " + header, b"+++ " + header, *_hunks(old, new)))


def _plainly(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _hunks(old: bytes, new: bytes) -> Iterator[bytes]:
    before, after = _LINE.findall(old), _LINE.findall(new)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for group in matcher.get_grouped_opcodes(3):
        first, last = group[0], group[-1]
        spans = _span(first[1], last[2]), _span(first[3], last[4])
        yield "@@ -{} +{} @@\n".format(*spans).encode()
        for tag, low, high, new_low, new_high in group:
            if tag == "equal":
                yield from (_line(b" ", line) for line in before[low:high])
                continue
            yield from (_line(b"-", line) for line in before[low:high])
            yield from (_line(b"+", line) for line in after[new_low:new_high])


def _span(start: int, end: int) -> str:
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _line(sign: bytes, line: bytes) -> bytes:
    return sign + line if line.endswith(b"\n") else sign + line + _NO_END


def _header(name: str) -> bytes:
    if _QUOTED.search(name):
        escaped = _QUOTED.sub(lambda found: f"\\{ord(found[0]):03o}", name)
        return f'"{escaped}"\n'.encode()
    # A tab ends a name that has a space in it.
    return os.fsencode(name) + (b"\t\n" if " " in name else b"\n")
