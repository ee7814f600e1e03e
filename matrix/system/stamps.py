"""Stamps: JSON objects that begin with the sha256 of the rest, so that damage is noticed.

`{"sha256":"<digest>","a":1}` is `{"a":1}` with the digest of `"a":1}`. Readers that know no stamps
see one more field. A stamp is no signature: who can write the file can write another stamp.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_BEGINNING = b'{"sha256":'
_STAMP = re.compile(rb'\{"sha256":"([0-9a-f]{64})",')
_CHUNK_BYTES = 1 << 20


class StampError(ValueError):
    """A text whose stamp does not match it."""


class UnstampedError(StampError):
    """A text without a stamp: of an earlier version, or damaged at its beginning."""


def stamp(text: str) -> str:
    """Return the text of a JSON object that is not empty, with its stamp."""
    rest = text[1:]
    return f'{{"sha256":"{hashlib.sha256(rest.encode()).hexdigest()}",{rest}'


def unstamp(content: bytes) -> bytes:
    """Return the text without its stamp; raise StampError, UnstampedError where it has none."""
    match = _STAMP.match(content)
    if match is None:
        if content.startswith(_BEGINNING):
            raise StampError("its digest is damaged")
        raise UnstampedError("it has no digest")
    rest = content[match.end() :]
    if hashlib.sha256(rest).hexdigest().encode() != match[1]:
        raise StampError("its content does not have its digest")
    return b"{" + rest


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file; raise OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
