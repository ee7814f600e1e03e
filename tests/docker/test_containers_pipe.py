"""Data of an engine's connection is split into its two streams, whatever the block sizes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.docker.pipe import ERR, OUT, Frames, FramingError

PIECES = st.lists(st.tuples(st.sampled_from([OUT, ERR]), st.binary(max_size=40)), max_size=12)


def encode(pieces: list[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack(">B3xL", stream, len(data)) + data for stream, data in pieces)


def joined(pieces: list[tuple[int, bytes]], stream: int) -> bytes:
    return b"".join(data for number, data in pieces if number == stream)


@given(PIECES, st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_any_cut_gives_the_same_streams_in_order(
    pieces: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    encoded, frames, decoded = encode(pieces), Frames(), []
    offset = 0
    for step in range(len(encoded) + 1):
        size = cuts[step % len(cuts)]
        decoded += frames.feed(encoded[offset : offset + size])
        offset += size
    assert [joined(decoded, s) for s in (OUT, ERR)] == [joined(pieces, s) for s in (OUT, ERR)]
    # The order of bytes of both streams is the same, too.
    order = [stream for stream, data in pieces for _ in data]
    assert [stream for stream, data in decoded for _ in data] == order


@given(PIECES)
def test_nothing_is_held_back(pieces: list[tuple[int, bytes]]) -> None:
    frames = Frames()
    head = struct.pack(">B3xL", OUT, 100)
    assert joined(frames.feed(encode(pieces) + head + b"part"), OUT).endswith(b"part")


@given(st.binary(min_size=8, max_size=8))
def test_what_is_no_header_is_refused(head: bytes) -> None:
    valid = head[0] in (OUT, ERR) and head[1:4] == b"\0\0\0"
    frames = Frames()
    if valid:
        assert frames.feed(head) == []
    else:
        with pytest.raises(FramingError):
            frames.feed(head)
