"""The check that no test leaves anything behind: it finds, names and removes what one left."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers.leftovers import Leftovers
from helpers.processes import gone, wait_until

ORPHAN = """
import subprocess, sys
command = (sys.executable, "-c", "import time; time.sleep(600)")
pipes = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
process = subprocess.Popen(command, env={}, start_new_session=True, **pipes)
print(process.pid)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_an_orphan_in_a_session_of_its_own_is_named_and_ended(tmp_path: Path) -> None:
    leftovers = Leftovers(tmp_path, patience=0.2)
    command = (sys.executable, "-c", ORPHAN)
    pid = int(subprocess.run(command, capture_output=True, check=True).stdout)
    leftovers.note("test_first")
    leftovers.note("test_second")
    (left,) = leftovers.end()
    assert f"process {pid}" in left
    assert left.endswith("since test_first")
    assert wait_until(lambda: gone(pid))
    assert leftovers.end() == []


def test_a_temporary_folder_is_named_and_removed(tmp_path: Path) -> None:
    leftovers = Leftovers(tmp_path, patience=0.2)
    folder = Path(tempfile.mkdtemp())
    (folder / "file").write_bytes(b"")
    leftovers.note("test_first")
    (left,) = leftovers.end()
    assert left.startswith(folder.name)
    assert left.endswith("since test_first")
    assert not folder.exists()


def test_what_was_there_before_and_what_has_gone_is_no_leftover(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory():
        leftovers = Leftovers(tmp_path, patience=0.2)
        with tempfile.TemporaryDirectory():
            leftovers.note("test_first")
        assert leftovers.end() == []


def test_temporary_files_of_tests_are_in_a_folder_of_the_session(tmp_path: Path) -> None:
    assert Path(tempfile.gettempdir()).name.startswith("t-")
    assert not tmp_path.is_relative_to(tempfile.gettempdir())
