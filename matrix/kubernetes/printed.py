"""A result as a recorder prints it for `pods/log`: numbered lines of base64, and their digest.

Other lines may stand between them. A log that lost lines, at its start where a node has begun a new
file, or at its end, is noticed.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

MARK = "compat-matrix-result"
# Runtimes split longer lines than 16 KiB: https://kubernetes.io/docs/concepts/cluster-administration/logging/
_LINE_BYTES = 6_000
_MOST_BYTES = 1 << 28
_LINE = re.compile(
    rf"^{MARK} (?P<number>\d+)/(?P<count>\d+) (?P<digest>[0-9a-f]{{64}}) (?P<data>\S+)$"
)


class CutShortError(Exception):
    """A log lacks a part of the result, or has it damaged."""


def print_lines(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield the lines of a JSON value."""
    content = gzip.compress(json.dumps(value).encode(), mtime=0)
    digest = hashlib.sha256(content).hexdigest()
    count = -(-len(content) // _LINE_BYTES)
    for number in range(count):
        piece = content[number * _LINE_BYTES : (number + 1) * _LINE_BYTES]
        yield f"{MARK} {number + 1}/{count} {digest} {base64.b64encode(piece).decode('ascii')}"


def read_log(log: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value that was printed; raise CutShortError where a part of it is missing."""
    pieces: dict[int, bytes] = {}
    counts: set[int] = set()
    digests: set[str] = set()
    for line in log.decode("utf-8", "replace").splitlines():
        if match := _LINE.match(line):
            counts.add(int(match["count"]))
            digests.add(match["digest"])
            pieces[int(match["number"])] = _decode(match["data"])
    if not pieces:
        raise CutShortError("the log has no line of a result")
    if len(counts) != 1 or len(digests) != 1:
        raise CutShortError("the log has lines of several results")
    (count,), (digest,) = counts, digests
    missing = [number for number in range(1, count + 1) if number not in pieces]
    if missing:
        raise CutShortError(f"{len(missing)} of {count} lines are missing, from {missing[0]} on")
    content = b"".join(pieces[number] for number in range(1, count + 1))
    if hashlib.sha256(content).hexdigest() != digest:
        raise CutShortError("the lines have another digest than they say")
    return _unpack(content)


def _decode(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise CutShortError(f"a line is no base64: {error}") from error


def _unpack(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = unpacker.decompress(content, _MOST_BYTES)
        if not unpacker.eof:
            raise CutShortError(f"a result of more than {_MOST_BYTES} bytes")
        return json.loads(plain)
    except (zlib.error, ValueError) as error:
        raise CutShortError(f"the result cannot be read: {error}") from error
