"""Tests that code runs on every system, or declares and checks the system that it needs.

They simulate Windows and macOS: names that those lack are removed, or searched for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.posix_uses import Names, only_on, uses
from helpers.run_fakes import process

from matrix.agent.crashes import describe_crash, is_killed
from matrix.cells.env_vars import interpreter_environment, process_environment
from matrix.cells.local import parse_ps
from matrix.model.capture import UNISOLATED
from matrix.system.files import put_in_place
from matrix.system.paths import project_root
from matrix.system.processes import ProcessTree

ROOT = project_root()
NAMES = Names.load()
SOURCES = sorted(
    path
    for folder in ("matrix", "apps", "fixtures/cell", "fixtures/places")
    for path in (ROOT / folder).rglob("*.py")
    if not only_on(path.read_text(encoding="utf-8"))
)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no POSIX names to remove")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_posix_names_are_used_only_after_a_check_of_the_system(path: Path) -> None:
    assert [*uses(path.read_text(encoding="utf-8"), NAMES)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os\nos.fork()", ["2: os.fork"]),
        ("import signal\ndef end(pid):\n    return signal.SIGKILL", ["3: signal.SIGKILL"]),
        ("def lock():\n    import fcntl", ["2: fcntl"]),
        ("from os import killpg", ["1: os.killpg"]),
        ("import socket\nclass A:\n    kind = socket.AF_UNIX", ["3: socket.AF_UNIX"]),
        ("import os\nwith a():\n    n = os.sched_getaffinity(0)", ["3: os.sched_getaffinity"]),
        ("import subprocess\nsubprocess.Popen([], preexec_fn=f)", ["2: Popen(preexec_fn=)"]),
        ("import os\nif os.path.exists('x'):\n    os.setsid()", ["3: os.setsid"]),
        ("import os\nif sys.platform != 'win32':\n    os.fork()", []),
        ("import os\ndef f():\n    if sys.platform == 'win32':\n        return\n    os.fork()", []),
        ("import os\nx = os.getuid() if sys.platform != 'win32' else 0", []),
        ("import os\nif sys.platform == 'win32':\n    pass\nos.fork()", ["4: os.fork"]),
    ],
)
def test_the_search_finds_such_uses(source: str, found: list[str]) -> None:
    assert [*uses(source, NAMES)] == found


def test_the_names_exist_on_this_system() -> None:
    """Misspelt ones would never be found in a module."""
    if sys.platform != "linux":
        pytest.skip("this system lacks some")
    for module, names in NAMES.names.items():
        missing = names - set(dir(__import__(module)))
        assert len(missing) <= len(names) // 10, missing


@POSIX
def test_all_modules_can_be_imported_without_posix_names() -> None:
    run = subprocess.run(
        [sys.executable, "-B", "-m", "helpers.as_windows"],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=300,
    )
    report = json.loads(run.stdout)
    assert report["before"] == {}
    only = {name for name, system in report["systems"].items() if system in {"POSIX", "Linux"}}
    # Their error is the first words of their docstring, and no other module needs them.
    others = {name: error for name, error in report["after"].items() if name not in only}
    assert others == {}
    assert set(report["after"]) == only
    for name in only:
        assert report["after"][name].startswith(f"ImportError: {report['systems'][name]} only: ")


def test_all_file_names_are_valid_on_windows_and_macos() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    process = subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, check=True)
    names = process.stdout.decode().splitlines()
    assert len({name.lower() for name in names}) == len(names)
    reserved = {"con", "prn", "aux", "nul", *(f"{n}{i}" for n in ("com", "lpt") for i in range(10))}
    for name in names:
        assert not set(name) & set('<>:"|?*\\'), name
        assert not {part.split(".")[0].lower() for part in name.split("/")} & reserved, name


def test_text_is_checked_out_with_the_same_line_ends_on_all_systems() -> None:
    lines = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    assert "* text=auto eol=lf" in lines


def test_a_cell_on_windows_has_only_the_variables_that_python_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "environ", {"SYSTEMROOT": r"D:\Win", "SECRET": "s", "PATH": "mine"})
    monkeypatch.setattr(sys, "platform", "win32")
    environ = process_environment(tmp_path, setting={"A": "b"}, agent={}, upstream_port=2)
    assert environ["SYSTEMROOT"] == r"D:\Win"
    assert environ["PATH"] == r"D:\Win\System32;D:\Win"
    assert {environ[name] for name in ("TEMP", "TMP", "USERPROFILE", "APPDATA")} == {str(tmp_path)}
    assert "SECRET" not in environ


def test_a_cell_on_macos_has_an_existing_locale(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert interpreter_environment(tmp_path)["LC_ALL"] == "en_US.UTF-8"


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_a_cell_without_namespaces_is_reported_as_not_isolated(platform: str) -> None:
    code = (
        f"import sys; sys.platform = {platform!r}\n"
        "from matrix.system.network import isolate, isolation; isolate(); print(isolation())"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert process.stdout.strip() == f"{UNISOLATED}: not on {platform}"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-11, "died of signal 11"),
        (0xC0000005, "died of exception 0xc0000005"),
        (1, ""),
        (255, ""),
        (1000, ""),
        (0, ""),
    ],
)
def test_a_crash_is_distinguished_from_an_exit(code: int, words: str) -> None:
    assert describe_crash(code) == words
    assert is_killed(process("off", "", "1.9.0", exit_code=code)) is bool(words)


def test_marked_processes_are_found_in_the_output_of_ps() -> None:
    text = (
        "    1 /sbin/launchd\n"
        "  512 python serve.py HOME=/x BOOKSHOP_PROCESS=abc LANG=C\n"
        " 7133 sh -c BOOKSHOP_PROCESS=abcd\n"
        "99999 python BOOKSHOP_PROCESS=abc\n"
    )
    assert [*parse_ps(text, "BOOKSHOP_PROCESS=abc")] == [512, 99999]


def test_a_process_tree_is_killed_with_its_children(tmp_path: Path) -> None:
    child = "import sys; sys.stdin.read()"
    code = (
        "import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}]); print('up', flush=True)\n"
        "sys.stdin.read(); sys.stdin.read()"
    )
    tree = ProcessTree(
        [sys.executable, "-c", code],
        os.environ,
        tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with tree.process as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"up"
        tree.kill()
        # The pipe ends when no process holds it any more.
        assert process.stdout.read() == b""
    tree.close()


def test_a_program_that_execs_another_ends_when_that_ends(tmp_path: Path) -> None:
    """As `ddtrace-run` does; on Windows the first one ends at once, with code 0."""
    (tmp_path / "other.py").write_text("import sys; sys.stdin.read(); sys.exit(7)")
    code = "import os, sys; os.execl(sys.executable, sys.executable, 'other.py')"
    tree = ProcessTree(
        [sys.executable, "-c", code],
        os.environ,
        tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        tree.wait(0.5)
    assert tree.poll() is None
    assert tree.process.stdin is not None
    tree.process.stdin.close()
    assert tree.wait(30) == 7
    assert tree.poll() == 7
    tree.close()


def test_a_missing_program_cannot_be_started(tmp_path: Path) -> None:
    null, missing = subprocess.DEVNULL, str(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        ProcessTree([missing], {}, tmp_path, stdin=null, stdout=null, stderr=null)


def test_an_open_file_is_replaced_as_soon_as_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, final = tmp_path / "part", tmp_path / "final"
    part.write_text("new")
    refusals = [PermissionError("in use"), PermissionError("in use")]
    real_replace = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return real_replace(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(sys, "platform", "win32")
    put_in_place(part, final)
    assert final.read_text() == "new"
    refusals.append(PermissionError("not ours"))
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(PermissionError, match="not ours"):
        put_in_place(part, final)


@pytest.mark.parametrize(("platform", "output"), [("linux", rb"\u65e5"), ("win32", "日".encode())])
def test_characters_that_the_output_lacks_are_escaped(platform: str, output: bytes) -> None:
    code = (
        "import sys; from matrix.__main__ import main, _use_utf8\n"
        f"sys.platform = {platform!r}; _use_utf8(); sys.stdout.write('\\u65e5')"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert process.stdout == output
