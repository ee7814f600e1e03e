"""Tests of atomic writes, TOML files, and hints at misspelt words."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from matrix.errors import did_you_mean
from matrix.system.files import is_disk_full, read_toml, remove_tree, write_atomic, write_toml


@pytest.mark.parametrize("content", ["é\r\n", b"\xff\n"])
def test_a_file_is_written_as_it_is_and_its_folder_made(
    tmp_path: Path, content: str | bytes
) -> None:
    path = tmp_path / "new" / "file"
    write_atomic(path, content)
    write_atomic(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [*path.parent.iterdir()] == [path]


def test_a_write_that_fails_leaves_no_part(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomic(folder, "text")
    assert [*tmp_path.iterdir()] == [folder]


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [f"{number}" * 10_000 for number in range(8)]
    threads = [threading.Thread(target=write_atomic, args=(path, text)) for text in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in contents
    assert [*tmp_path.iterdir()] == [path]


def test_a_toml_file_keeps_its_comments_when_it_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_text('# Edit by hand.\nname = "é"\n# Or not.\n', encoding="utf-8")
    assert read_toml(path) == {"name": "é"}
    write_toml(path, {"name": "ü"})
    text = path.read_text(encoding="utf-8")
    assert text == '# Edit by hand.\n# Or not.\nname = "ü"\n'


@pytest.mark.parametrize("content", [b"name =", b'name = "\xff"'])
def test_a_damaged_toml_file_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.toml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"name|decode|Invalid"):
        read_toml(path)


def test_a_full_disk_is_told_from_other_errors() -> None:
    assert is_disk_full(OSError(errno.ENOSPC, "full"))
    assert not is_disk_full(OSError(errno.EACCES, "denied"))
    assert not is_disk_full(OSError("no number"))


def test_a_hint_names_the_closest_choice_if_any_is_close() -> None:
    assert did_you_mean("djago", ["flask", "django"]) == "; did you mean 'django'?"
    assert did_you_mean("zzz", ["flask", "django"]) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="the depth is that of POSIX")
def test_a_folder_is_removed_however_deep_it_is_and_whatever_its_modes(tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.write_text("kept", "ascii")
    top = tmp_path / "top"
    (top / "closed" / "folder").mkdir(parents=True)
    (top / "closed" / "file").touch()
    (top / "closed" / "link").symlink_to(beside)
    (top / "folders").symlink_to(tmp_path)
    if sys.platform != "win32":
        os.mkfifo(top / "fifo")
    (top / "closed").chmod(0)
    below = os.open(top, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("deep", dir_fd=below)
        following = os.open("deep", os.O_RDONLY, dir_fd=below)
        os.close(below)
        below = following
    os.close(below)
    remove_tree(top)
    assert [*tmp_path.iterdir()] == [beside]
    assert beside.read_text("ascii") == "kept"
