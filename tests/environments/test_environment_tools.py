"""Tools of installers: commands and their limits, uv, the dated index, unpacking of wheels."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest
from helpers.environment_fakes import INTERPRETER, REQUIREMENTS, FakeIndex, project, published

from matrix.environments.download import link_into, unpack
from matrix.environments.errors import BuildError, from_log
from matrix.environments.installers import UvInstaller
from matrix.environments.own_indexes import DatedIndex, is_usable, serve
from matrix.environments.toolbox import Command, CommandResult, Toolbox, child_environment, run
from matrix.model.environment import Requirements
from matrix.model.reason import Reason
from matrix.pypi.client import index_url
from matrix.system.paths import project_root
from matrix.system.processes import CHILDREN, ProcessTree

MARCH = dt.datetime(2023, 3, 1, tzinfo=dt.timezone.utc)


def test_installers_get_neither_secrets_nor_this_machines_settings(tmp_path: Path) -> None:
    caller = {
        "PATH": "/bin",
        "HOME": "/home/somebody",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "HTTPS_PROXY": "http://proxy:3128",
        "CLOUD_TOKEN": "secret",
        "PIP_FIND_LINKS": "/somewhere",
        "PIP_EXTRA_INDEX_URL": "https://other.example/simple",
        "UV_INDEX": "https://other.example/simple",
        "PYTHONPATH": "/somewhere",
        "PYTHONSTARTUP": "/somewhere/evil.py",
        "VIRTUAL_ENV": "/venv",
    }
    variables = child_environment(tmp_path, {"PIP_INDEX_URL": "http://127.0.0.1/"}, caller)
    assert {name for name in caller if variables.get(name) == caller[name]} == {
        "PATH",
        "SSL_CERT_FILE",
        "HTTPS_PROXY",
    }
    assert variables["HOME"] == str(tmp_path)
    assert variables["PIP_CONFIG_FILE"] == os.devnull
    assert variables["PIP_INDEX_URL"] == "http://127.0.0.1/"


def python(tmp_path: Path, code: str, seconds: float = 30, stdin: str = "") -> CommandResult:
    command = Command([sys.executable, "-I", "-c", code], os.environ, tmp_path, seconds, stdin)
    return run(command)


def test_a_run_gives_code_and_output(tmp_path: Path) -> None:
    code = "import sys; print(sys.stdin.read()); sys.stderr.write('b'); sys.exit(3)"
    result = python(tmp_path, code, stdin="a")
    assert dataclasses.replace(result, cpu_seconds=None) == CommandResult(3, f"a{os.linesep}", "b")


@pytest.mark.skipif(sys.platform == "win32", reason="asks wait4(2)")
def test_a_run_tells_the_cpu_time_that_it_took(tmp_path: Path) -> None:
    spent = python(tmp_path, "import time\nwhile time.process_time() < 0.3: pass").cpu_seconds
    assert spent is not None
    assert 0.3 <= spent < 5


@pytest.mark.skipif(sys.platform == "win32", reason="looks at process groups")
def test_a_run_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    with pytest.raises(BuildError) as caught:
        python(tmp_path, code, seconds=1)
    assert caught.value.reason is Reason.TIMED_OUT
    child = int(caught.value.log)
    deadline = time.monotonic() + 5
    while _lives(child):
        assert time.monotonic() < deadline, "the child outlived the time limit"
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="looks at process groups")
def test_tools_end_with_the_program_that_runs_them(tmp_path: Path) -> None:
    code = f"""
import pathlib, sys, threading
from matrix.environments.toolbox import Command, run
here = pathlib.Path({str(tmp_path)!r})
said = "import os, time; open('pid', 'w').write(str(os.getpid()) + '.'); time.sleep(60)"
command = Command([sys.executable, "-I", "-c", said], {{}}, here, 60)
threading.Thread(target=run, args=(command,), daemon=True).start()
while not (here / "pid").exists() or not (here / "pid").read_text().endswith("."):
    pass
"""
    command = Command([sys.executable, "-c", code], os.environ, project_root(), 30)
    assert run(command).code == 0
    assert not _lives(int((tmp_path / "pid").read_text().rstrip(".")))


def test_a_tool_that_is_just_starting_is_ended_too(tmp_path: Path) -> None:
    started = threading.Event()

    class SlowStart(ProcessTree):
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of ProcessTree
            super().__init__(*args, **kwargs)
            started.set()
            time.sleep(0.3)

    command = Command([sys.executable, "-I", "-c", "import time; time.sleep(60)"], {}, tmp_path, 60)
    thread = threading.Thread(target=run, args=(command,), kwargs={"start": SlowStart}, daemon=True)
    thread.start()
    try:
        assert started.wait(10)
        CHILDREN.kill_all()
        thread.join(10)
        assert not thread.is_alive()
    finally:
        CHILDREN.kill_all()


def _lives(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        return not Path("/proc/self").exists()
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("log", "reason", "detail"),
    [
        (
            (
                "error: No solution found when resolving dependencies\n"
                "  cause: Because ddtrace==1.0.0 has no wheels with a matching Python version tag "
                "(e.g., `cp311`) and you require ddtrace==1.0.0, ..."
            ),
            Reason.NO_WHEEL,
            "Because ddtrace==1.0.0 has no wheels",
        ),
        (
            (
                "error: No solution found when resolving dependencies\n"
                "  cause: Because the current Python version (3.6.15) does not satisfy Python>=3.7"
            ),
            Reason.REQUIRES_PYTHON,
            "does not satisfy Python>=3.7",
        ),
        (
            "  cause: Because there is no version of ddtrace==99 and you require ddtrace==99",
            Reason.NO_RELEASE,
            "no version of ddtrace==99",
        ),
        (
            (
                "ERROR: Could not find a version that satisfies the requirement ddtrace==1.9.0\n"
                "ERROR: No matching distribution found for ddtrace==1.9.0"
            ),
            Reason.NO_WHEEL,
            "No matching distribution found for ddtrace==1.9.0",
        ),
        (
            "ERROR: No matching distribution found for flask==99",
            Reason.NO_RELEASE,
            "No matching distribution found for flask==99",
        ),
        (
            (
                "error: Failed to fetch: `https://me:secret@index.example/simple/flask/`\n"
                "  cause: error sending request for url\n  cause: dns error"
            ),
            Reason.INDEX_UNAVAILABLE,
            "https://index.example/simple/flask/",
        ),
        (
            "error: Failed to fetch: `x`\n  cause: No space left on device (os error 28)",
            Reason.DISK_FULL,
            "No space left on device",
        ),
        (
            (
                "Collecting scandir\n  error: command 'gcc' failed: No such file or directory\n"
                "  ERROR: Failed building wheel for scandir"
            ),
            Reason.BUILD_FAILED,
            "cannot build scandir: command 'gcc' failed: No such file or directory",
        ),
        ("", Reason.BUILD_FAILED, "no output"),
    ],
)
def test_the_tools_words_become_a_reason(log: str, reason: Reason, detail: str) -> None:
    error = from_log(log, only_binary=("ddtrace",))
    assert error.reason is reason
    assert detail in error.detail
    assert "secret" not in error.detail


class RecordingRunner:
    """A runner that records its commands and returns the next result."""

    def __init__(self, *results: CommandResult) -> None:
        self.results = list(results)
        self.commands: list[Command] = []

    def __call__(self, command: Command) -> CommandResult:
        self.commands.append(command)
        return self.results.pop(0)


def tools(tmp_path: Path, runner: RecordingRunner, *, offline: bool = False) -> Toolbox:
    return Toolbox(tmp_path / "store", "https://index.example/simple", offline, runner, 60)


PRINTED = CommandResult(0, "flask==2.2.3 \\\n    --hash=sha256:" + "a" * 64 + "\n", "")


def test_uv_is_found_by_several_threads_at_once() -> None:
    """On some CPythons sysconfig, which uv asks, is half-filled for whoever comes second."""
    code = """
import sysconfig, threading, time
from matrix.environments.toolbox import uv_binary
fill, sysconfig._CONFIG_VARS = sysconfig._init_posix, None
sysconfig._CONFIG_VARS_INITIALIZED = False
def slowly(variables):
    time.sleep(0.3)
    fill(variables)
sysconfig._init_posix = slowly
found = []
threads = [threading.Thread(target=lambda: found.append(uv_binary())) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(found) == 4, found
assert len(set(found)) == 1, found
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=project_root(), check=False)
    assert done.returncode == 0


def test_resolving_is_as_of_the_end_of_the_day_and_pins_are_exempt(tmp_path: Path) -> None:
    runner = RecordingRunner(PRINTED)
    (locked,) = UvInstaller(tools(tmp_path, runner)).resolve(INTERPRETER, REQUIREMENTS)
    assert (locked.name, locked.version) == ("flask", "2.2.3")
    argv = list(runner.commands[-1].argv)
    assert argv[argv.index("--exclude-newer") + 1] == "2023-03-02T00:00:00Z"
    exempt = [argv[i + 1] for i, word in enumerate(argv) if word == "--exclude-newer-package"]
    assert [text.partition("=")[0] for text in exempt] == ["ddtrace", "flask"]
    assert argv[argv.index("--only-binary") + 1] == "ddtrace"
    assert runner.commands[-1].stdin.splitlines() == ["ddtrace==1.9.0", "flask==2.2.3", "cheroot"]
    assert runner.commands[-1].environ["UV_DEFAULT_INDEX"] == "https://index.example/simple"


def test_what_is_cached_is_tried_before_the_network(tmp_path: Path) -> None:
    runner = RecordingRunner(
        CommandResult(2, "", "error: network connectivity is disabled"), PRINTED
    )
    assert UvInstaller(tools(tmp_path, runner)).resolve(INTERPRETER, REQUIREMENTS)
    assert [command.environ.get("UV_OFFLINE") for command in runner.commands] == ["1", None]


# Without the network uv passes over releases that it knows no details of.
OLDER = CommandResult(
    0, PRINTED.out, "WARN `flask==2.3.0` needs to be downloaded from a registry\n"
)


def test_an_older_release_that_is_cached_does_not_stand_for_a_newer_one(tmp_path: Path) -> None:
    runner = RecordingRunner(OLDER, PRINTED)
    assert UvInstaller(tools(tmp_path, runner)).resolve(INTERPRETER, REQUIREMENTS)
    assert [command.environ.get("UV_OFFLINE") for command in runner.commands] == ["1", None]


def test_offline_an_older_release_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"flask==2\.3\.0") as caught:
        UvInstaller(tools(tmp_path, RecordingRunner(OLDER), offline=True)).resolve(
            INTERPRETER, REQUIREMENTS
        )
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE


@pytest.mark.index
def test_the_real_uv_says_when_it_has_but_an_older_release(tmp_path: Path) -> None:
    def resolved(day: str, *, offline: bool = False) -> str:
        toolbox = Toolbox(tmp_path, index_url(), offline, run, 60)
        requirements = Requirements((), ("pip",), dt.date.fromisoformat(day), (":all:",))
        return str(UvInstaller(toolbox).resolve(real, requirements)[0]).split()[0]

    real = dataclasses.replace(INTERPRETER, executable=Path(sys.executable))
    assert resolved("2021-08-01") == "pip==21.2.2"
    with pytest.raises(BuildError) as caught:
        resolved("2022-12-01", offline=True)
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE
    assert resolved("2022-12-01") == "pip==22.3.1"
    assert resolved("2022-12-01", offline=True) == "pip==22.3.1"


def test_offline_means_offline(tmp_path: Path) -> None:
    runner = RecordingRunner(CommandResult(2, "", "error: network connectivity is disabled"))
    with pytest.raises(BuildError) as caught:
        UvInstaller(tools(tmp_path, runner, offline=True)).resolve(INTERPRETER, REQUIREMENTS)
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE


def dated() -> DatedIndex:
    index = FakeIndex(
        {
            "click": project(
                "click",
                ("7.0", published("click", "7.0", "2018-09-25", requires=">=2.7")),
                ("8.0", published("click", "8.0", "2021-05-11", requires=">=3.6")),
                ("9.0", published("click", "9.0", "2023-03-01", requires=">=2.7")),
            ),
            "ddtrace": project(
                "ddtrace",
                ("1.8.0", published("ddtrace", "1.8.0", "2023-01-18", tags="")),
                ("1.9.0", published("ddtrace", "1.9.0", "2023-04-01", tags="")),
            ),
        }
    )
    return DatedIndex(index, MARCH, "2.7", {"ddtrace": "1.9"})


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback server
        return str(answer.read().decode())


def test_the_dated_index_hides_what_came_later_and_what_this_python_cannot_use() -> None:
    with serve(dated()) as url:
        page = fetch(f"{url}click/")
    assert "click-7.0" in page
    assert "click-8.0" not in page
    assert "click-9.0" not in page
    assert 'data-requires-python="&gt;=2.7"' in page


def test_the_dated_index_shows_a_pinned_release_whatever_its_date_and_no_other() -> None:
    with serve(dated()) as url:
        page = fetch(f"{url}ddtrace/")
    assert "ddtrace-1.9.0.tar.gz" in page
    assert "ddtrace-1.8.0.tar.gz" not in page


def test_the_dated_index_tells_what_the_index_could_not_say() -> None:
    index = dated()
    with serve(index) as url, pytest.raises(urllib.error.HTTPError) as caught:
        fetch(f"{url}unknown/")
    caught.value.close()
    assert "unknown" in str(index.failed)


@pytest.mark.parametrize(
    ("tags", "requires", "usable"),
    [
        ("py2.py3-none-any", "", True),
        ("py2-none-any", "", True),
        ("cp27-cp27mu-manylinux1_x86_64", "", True),
        ("py26.py27-none-any", "", True),
        ("", "", True),
        ("", ">=3.5", False),
        ("", ">=2.7.9", True),
        ("py3-none-any", "", False),
        ("cp39-cp39-win32", "", False),
        ("", "not a specifier", True),
    ],
)
def test_what_2_7_could_use(tags: str, requires: str, *, usable: bool) -> None:
    assert (
        is_usable(published("a", "1.0", "2020-01-01", tags=tags, requires=requires), "2.7")
        is usable
    )


def wheel(tmp_path: Path, **files: str) -> Path:
    path = tmp_path / "a-1.0-py2-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return path


def test_wheels_are_unpacked_once_and_linked(tmp_path: Path) -> None:
    path = wheel(
        tmp_path,
        **{"a__b.py": "1", "a-1.0.data__purelib__c.py": "2", "a-1.0.data__scripts__run": "3"},
    )
    source = unpack(path, tmp_path / "unpacked")
    path.unlink()
    assert unpack(path, tmp_path / "unpacked") == source
    link_into(source, tmp_path / "site")
    files = {file.relative_to(tmp_path / "site") for file in (tmp_path / "site").rglob("*.py")}
    assert files == {Path("a/b.py"), Path("c.py")}
    assert not list((tmp_path / "site").rglob("run"))


def test_of_two_who_unpack_one_wheel_at_once_neither_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = wheel(tmp_path, **{"a__b.py": "1"}), tmp_path / "unpacked"
    replace = Path.replace

    def a_moment_later(part: Path, target: Path) -> Path:
        shutil.copytree(part, target)  # by the other one
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", a_moment_later)
    assert unpack(path, folder) == folder
    assert [file.name for file in folder.rglob("*.py")] == ["b.py"]
    assert not list(tmp_path.glob(".part-*"))


def test_a_wheel_may_not_write_outside(tmp_path: Path) -> None:
    path = wheel(tmp_path, **{"..__..__evil.py": "1"})
    with pytest.raises(BuildError, match="outside"):
        unpack(path, tmp_path / "deep" / "unpacked")
    assert not list(tmp_path.rglob("evil.py"))


def test_a_wheel_with_other_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        unpack(wheel(tmp_path, a="1"), tmp_path / "unpacked", sha256="0" * 64)
    assert caught.value.reason is Reason.WRONG_INSTALL


def test_half_a_wheel_is_no_wheel(tmp_path: Path) -> None:
    path = wheel(tmp_path, a="1" * 1000)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BuildError, match="damaged"):
        unpack(path, tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()
