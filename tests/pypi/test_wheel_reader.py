"""Tests of damaged and hostile wheels: they are refused by name, with the reason."""

from __future__ import annotations

import contextlib
import io
import stat
import struct
import zipfile

import pytest
from helpers.wheel_files import elf, wheel
from hypothesis import given
from hypothesis import strategies as st

from matrix.pypi.inspect import inspect_wheel
from matrix.pypi.remote_file import BadArtifactError, WheelLimits
from matrix.pypi.wheel_reader import WheelArchive

SMALL = WheelLimits(entries=20, member=1 << 20, unpacked=2 << 20, small=1 << 12, ratio=50)


def refusal(content: bytes, limits: WheelLimits = SMALL) -> str:
    with pytest.raises(BadArtifactError) as caught:
        WheelArchive(io.BytesIO(content), "demo.whl", limits)
    assert caught.value.source == "demo.whl"
    return caught.value.detail


def zipped(*members: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for info, content in members:
            archive.writestr(info, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("../evil.py", "leaves the archive"),
        ("a/../../evil.py", "leaves the archive"),
        ("./a.py", "leaves the archive"),
        ("/etc/passwd", "absolute"),
        ("C:/evil.py", "absolute"),
        ("a\\..\\evil.py", "read differently"),
    ],
)
def test_paths_that_lead_out(name: str, detail: str) -> None:
    assert detail in refusal(zipped((zipfile.ZipInfo(name), b"x")))


def test_a_name_that_ends_at_a_zero_byte() -> None:
    content = zipped((zipfile.ZipInfo("a.pyXevil"), b"x")).replace(b"a.pyXevil", b"a.py\0evil")
    assert "read differently" in refusal(content)


def test_a_symbolic_link() -> None:
    info = zipfile.ZipInfo("a.py")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "symbolic link" in refusal(zipped((info, b"/etc/passwd")))


def test_an_encrypted_member() -> None:
    content = bytearray(zipped((zipfile.ZipInfo("a.py"), b"x")))
    at = content.rindex(b"PK\x01\x02")
    struct.pack_into("<H", content, at + 8, 1)
    assert "encrypted" in refusal(bytes(content))


def test_a_packing_that_wheels_do_not_have() -> None:
    info = zipfile.ZipInfo("a.py")
    info.compress_type = zipfile.ZIP_LZMA
    assert "unsupported compression" in refusal(zipped((info, b"x" * 100)))


def test_a_bomb_by_its_ratio() -> None:
    assert "would unpack to 100000 from" in refusal(wheel({"a.so": bytes(100_000)}))


def test_a_bomb_by_its_size() -> None:
    assert "would unpack to" in refusal(wheel({"a.so": bytes(1 << 20) + b"x"}))


def test_a_bomb_of_many_members() -> None:
    info = [zipfile.ZipInfo(f"{number}.bin") for number in range(3)]
    big = zipped(*((member, bytes(1 << 20)) for member in info))
    assert "more than 2097152 bytes" in refusal(big)
    many = zipped(*((zipfile.ZipInfo(f"{number}.py"), b"") for number in range(21)))
    assert "21 members are more than 20" in refusal(many)


def test_a_member_that_is_there_twice() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        content = zipped((zipfile.ZipInfo("a.py"), b"1"), (zipfile.ZipInfo("a.py"), b"2"))
    assert "is duplicated" in refusal(content)


def test_members_that_overlap() -> None:
    content = bytearray(
        zipped((zipfile.ZipInfo("a.py"), b"1" * 50), (zipfile.ZipInfo("b.py"), b"2" * 50))
    )
    second = content.rindex(b"PK\x01\x02")
    struct.pack_into("<I", content, second + 42, 10)
    assert "overlaps" in refusal(bytes(content))


def test_what_is_no_archive() -> None:
    assert "not a whole zip archive" in refusal(b"<html>Please sign in</html>")
    assert "not a whole zip archive" in refusal(wheel({"a.py": "x = 1"})[:-30])
    assert "not a whole zip archive" in refusal(b"")


def test_a_lie_about_the_size_ends_at_the_limit() -> None:
    content = bytearray(wheel({"a.py": "x = 1\n" * 100}))
    at = content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 100)
    opened = WheelArchive(io.BytesIO(bytes(content)), "demo.whl", SMALL)
    with pytest.raises(BadArtifactError, match=r"demo\.whl: its member a\.py"):
        opened.read(opened.members["a.py"])


def test_a_library_that_cannot_be_read_costs_only_itself() -> None:
    members = {"p/__init__.py": "import os", "p/a.so": elf(), "p/b.so": b"\x7fELF" + bytes(2)}
    found = inspect_wheel("demo.whl", "", io.BytesIO(wheel(members)))
    assert [library.path for library in found.libraries] == ["p/a.so"]
    assert [note for note in found.notes if "p/b.so" in note]
    assert found.modules[0].imports[0].module == "os"


def test_a_wheel_without_metadata_is_none() -> None:
    content = zipped((zipfile.ZipInfo("a.py"), b"x = 1"))
    with pytest.raises(BadArtifactError, match="0 METADATA files"):
        inspect_wheel("demo.whl", "", io.BytesIO(content))


@given(st.data())
def test_damage_is_an_error_of_ours_or_none(data: st.DataObject) -> None:
    content = bytearray(wheel({"p/__init__.py": "import os\n", "p/a.so": elf()}))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    # Whatever else the readers raise must not come through.
    with contextlib.suppress(BadArtifactError):
        inspect_wheel("demo.whl", "", io.BytesIO(bytes(content)), limits=SMALL)
