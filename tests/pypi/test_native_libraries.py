"""Tests of the headers of native libraries: a damaged one raises our error and nothing else."""

from __future__ import annotations

import contextlib

import pytest
from helpers.wheel_files import elf, mach_o, pe
from hypothesis import given
from hypothesis import strategies as st

from matrix.pypi.remote_file import BadArtifactError
from matrix.pypi.wheel_contents import HEAD, NativeLibrary, read_head, read_needed


@pytest.mark.parametrize(
    ("content", "form", "machines", "bits"),
    [
        (elf("x86_64"), "elf", ("x86_64",), (64,)),
        (elf("i686"), "elf", ("i686",), (32,)),
        (elf("aarch64"), "elf", ("aarch64",), (64,)),
        (mach_o("aarch64"), "mach-o", ("aarch64",), (64,)),
        (mach_o("x86_64", "aarch64"), "mach-o", ("x86_64", "aarch64"), (64, 64)),
        (mach_o("x86_64", "i686"), "mach-o", ("x86_64", "i686"), (64, 32)),
        (pe("x86_64"), "pe", ("x86_64",), (64,)),
        (pe("i686"), "pe", ("i686",), (32,)),
        (pe("aarch64"), "pe", ("aarch64",), (64,)),
        (b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(40), "", (), ()),  # Java
        (b"MZ" + bytes(400), "", (), ()),
        (b"#!/bin/sh", "", (), ()),
        (b"", "", (), ()),
    ],
)
def test_the_header_tells(
    content: bytes, form: str, machines: tuple[str, ...], bits: tuple[int, ...]
) -> None:
    assert read_head("a/b.so", content[:HEAD]) == NativeLibrary("a/b.so", form, machines, bits)


@pytest.mark.parametrize("machine", ["x86_64", "i686"])
def test_what_an_elf_library_needs(machine: str) -> None:
    content = elf(machine, ("libc.so.6", "libm.so.6"))
    library = read_needed(read_head("b.so", content), content)
    assert library.needed == ("libc.so.6", "libm.so.6")


def test_a_library_that_needs_nothing_is_not_one_that_was_not_looked_at() -> None:
    content = elf()
    library = read_head("b.so", content)
    assert library.needed is None
    assert read_needed(library, content).needed == ()


def test_a_library_that_asks_for_too_much_is_refused() -> None:
    content = elf("x86_64", tuple(f"lib{number}.so" for number in range(300)))
    with pytest.raises(BadArtifactError, match=r"b\.so: its dynamic section"):
        read_needed(read_head("b.so", content), content)


@given(
    st.sampled_from([elf("x86_64", ("libc.so.6",)), mach_o("x86_64", "aarch64"), pe()]), st.data()
)
def test_damage_is_an_error_of_ours_or_none(content: bytes, data: st.DataObject) -> None:
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(4, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    content = bytes(damaged)[: data.draw(st.integers(0, len(damaged)))]
    # Whatever else the readers raise must not come through.
    with contextlib.suppress(BadArtifactError):
        read_needed(read_head("b.so", content), content)
