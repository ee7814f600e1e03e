"""Frames between a cell and its relay: whatever is cut or broken, nothing is misread."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.cells import wire
from matrix.cells.wire import Decoder, Frame, GarbageError, Kind
from matrix.places import fixtures_dir

FRAMES = st.builds(
    Frame, st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.binary(max_size=3000)
)


def relays() -> ModuleType:
    path = fixtures_dir() / "cell" / "relay_wire.py"
    spec = importlib.util.spec_from_file_location("relay_wire", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform == "win32", reason="a relay is of Linux")
def test_both_sides_mean_the_same() -> None:
    there = relays()
    assert {kind.name: kind.value for kind in Kind} == {
        kind.name: getattr(there, kind.name) for kind in Kind
    }
    for name in ("VERSION", "LONGEST", "WINDOW", "CHUNK"):
        assert getattr(wire, name) == getattr(there, name)
    assert wire.HEADER.format == there.HEADER.format
    assert wire.NUMBER.format == there.NUMBER.format


@given(st.lists(FRAMES, max_size=6), st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    frames: list[Frame], data: st.DataObject
) -> None:
    whole = b"".join(bytes(frame) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    decoder = Decoder()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        found += decoder.take(whole[start:end])
    assert found == frames


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_is_frames(data: bytes) -> None:
    decoder = Decoder()
    try:
        found = decoder.take(data)
    except GarbageError:
        return
    assert data.startswith(b"".join(bytes(frame) for frame in found))


@given(st.binary(max_size=12))
def test_a_payload_that_is_no_number_is_garbage(payload: bytes) -> None:
    frame = Frame(Kind.CREDIT, 2, payload)
    if len(payload) == 4:
        assert frame.number == int.from_bytes(payload, "big")
    else:
        with pytest.raises(GarbageError):
            _ = frame.number


@pytest.mark.parametrize("payload", [b"", b"1", b"a\0b", b"1\0002\0003"])
def test_a_payload_that_is_not_two_numbers_is_garbage(payload: bytes) -> None:
    with pytest.raises(GarbageError):
        _ = Frame(Kind.EXITED, 2, payload).numbers
    assert Frame(Kind.EXITED, 2, b"-9\x001").numbers == (-9, 1)


def test_a_frame_that_says_it_is_huge_is_not_waited_for() -> None:
    with pytest.raises(GarbageError, match="2000000 bytes"):
        Decoder().take(wire.HEADER.pack(Kind.DATA, 1, 2_000_000))
