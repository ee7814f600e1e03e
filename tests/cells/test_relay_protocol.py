"""Frames between a cell and its relay, cut and broken in any way, are never misread."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.cells import relay_protocol as wire
from matrix.cells.relay_protocol import Frame, FrameDecoder, FrameKind, ProtocolError
from matrix.system.paths import fixtures_dir

FRAMES = st.builds(
    Frame, st.sampled_from(FrameKind), st.integers(0, 2**32 - 1), st.binary(max_size=3000)
)


def load_relay_wire() -> ModuleType:
    path = fixtures_dir() / "cell" / "relay_wire.py"
    spec = importlib.util.spec_from_file_location("relay_wire", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform == "win32", reason="a relay is of Linux")
def test_both_sides_have_the_same_constants() -> None:
    relay_side = load_relay_wire()
    assert {kind.name: kind.value for kind in FrameKind} == {
        kind.name: getattr(relay_side, kind.name) for kind in FrameKind
    }
    for name in ("VERSION", "LONGEST", "WINDOW", "CHUNK"):
        assert getattr(wire, name) == getattr(relay_side, name)
    assert wire.HEADER.format == relay_side.HEADER.format
    assert wire.NUMBER.format == relay_side.NUMBER.format


@given(st.lists(FRAMES, max_size=6), st.data())
def test_frames_are_decoded_from_any_pieces(frames: list[Frame], data: st.DataObject) -> None:
    whole = b"".join(bytes(frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    decoder = FrameDecoder()
    decoded = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        decoded += decoder.decode(whole[start:end])
    assert decoded == frames


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_decoded_exactly(data: bytes) -> None:
    decoder = FrameDecoder()
    try:
        decoded = decoder.decode(data)
    except ProtocolError:
        return
    assert data.startswith(b"".join(bytes(frame) for frame in decoded))


@given(st.binary(max_size=12))
def test_a_payload_that_is_not_a_number_is_invalid(payload: bytes) -> None:
    frame = Frame(FrameKind.CREDIT, 2, payload)
    if len(payload) == 4:
        assert frame.number == int.from_bytes(payload, "big")
    else:
        with pytest.raises(ProtocolError):
            _ = frame.number


@pytest.mark.parametrize("payload", [b"", b"1", b"a\0b", b"1\0002\0003"])
def test_a_payload_that_is_not_two_numbers_is_invalid(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        Frame(FrameKind.EXITED, 2, payload).numbers(2)
    assert Frame(FrameKind.EXITED, 2, b"-9\x001").numbers(2) == (-9, 1)


def test_a_frame_that_is_too_long_is_refused() -> None:
    with pytest.raises(ProtocolError, match="2000000 bytes"):
        FrameDecoder().decode(wire.HEADER.pack(FrameKind.DATA, 1, 2_000_000))
