"""Images of Debian's packages and this machine's interpreters: the tool, errors, leftovers."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("images are built on Linux only", allow_module_level=True)

from helpers.image_fakes import AnsweringEngine, FakeTool

from matrix.docker.images import debian
from matrix.docker.images.debian import MIRROR_VARIABLE, DebianSource, find_mirror, find_obstacle
from matrix.docker.images.host import (
    HostSource,
    InterpreterLayout,
    make_layout_reader,
    read_layout,
    write_python_layer,
)
from matrix.docker.images.interface import ImageError, ImageOffer
from matrix.docker.images.mmdebstrap import (
    BuildCommand,
    build_environment,
    open_build_folder,
    run_tool,
)
from matrix.model.environment import Interpreter
from matrix.model.reason import Reason


def offer(engine: AnsweringEngine, tool: FakeTool) -> ImageOffer:
    offers = DebianSource(tool).offers(engine)
    return next(o for o in offers if (o.python, o.target) == ("3.14", "linux_i686"))


@pytest.mark.parametrize(
    ("errors", "reason", "message"),
    [
        (
            "I: x\nE: Failed to fetch http://m.example/x  Could not resolve 'm.example'\nE: more",
            Reason.NO_IMAGE,
            rf"Could not resolve 'm.example' \(.*{MIRROR_VARIABLE}",
        ),
        (
            "E: The repository 'http://m x Release' does not have a Release file.",
            Reason.NO_IMAGE,
            f"does not serve forky.*{MIRROR_VARIABLE}_FORKY",
        ),
        (
            "tar: x: Cannot write: No space left on device\nE: tar failed",
            Reason.DISK_FULL,
            "TMPDIR",
        ),
        ("E: mode unshare not supported, no newuidmap", Reason.NO_IMAGE, "uidmap"),
        ("", Reason.NO_IMAGE, "no output"),
    ],
)
def test_what_the_tool_complains_of_is_said_in_one_line_with_what_to_do(
    errors: str, reason: Reason, message: str
) -> None:
    tool, engine = FakeTool(errors or " "), AnsweringEngine()
    with pytest.raises(ImageError, match=message) as caught:
        DebianSource(tool).provide(offer(engine, tool), engine, print)
    assert caught.value.reason is reason
    assert "\n" not in caught.value.detail
    assert not engine.local_images


def test_the_recipe_reaches_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "http://mirror.example/debian")
    tool, engine = FakeTool(), AnsweringEngine()
    DebianSource(tool).provide(offer(engine, tool), engine, print)
    argv = list(tool.jobs[0].argv)
    assert argv[-3:] == ["forky", "-", "http://mirror.example/debian"]
    assert '--aptopt=Acquire::Check-Valid-Until "false"' in argv
    assert "python3.14-minimal" in next(word for word in argv if word.startswith("--include="))
    assert not tool.jobs[0].scratch.exists()


def test_what_is_missing_on_this_machine_comes_with_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert find_obstacle()[1] == "sudo apt-get install mmdebstrap"
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/usr/bin/mmdebstrap")
    monkeypatch.setattr(debian, "_KEYRINGS", (tmp_path / "none.gpg",))
    assert find_obstacle()[1] == "sudo apt-get install debian-archive-keyring"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "Linux only" in find_obstacle()[0]


def test_the_mirror_is_the_systems_own(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://old.example/debian bookworm main\n"
        "deb [arch=amd64] http://other.example/tool stable-tool main\n"
    )
    (tmp_path / "sources.list.d" / "debian.sources").write_text(
        "Types: deb\nURIs: http://security.example\nSuites: bookworm-security\nComponents: main\n"
        "\n# the one\nTypes: deb deb-src\nURIs: http://one.example/debian\n"
        "Suites: bookworm\n bookworm-updates\nComponents: main contrib\n"
    )
    assert find_mirror("forky", {}, tmp_path) == "http://one.example/debian"
    (tmp_path / "sources.list").write_text("deb http://list.example/debian bookworm main\n")
    assert find_mirror("forky", {}, tmp_path) == "http://list.example/debian"
    environ = {
        MIRROR_VARIABLE: "http://a.example",
        f"{MIRROR_VARIABLE}_BULLSEYE": "http://b.example",
    }
    assert find_mirror("forky", environ, tmp_path) == "http://a.example"
    assert find_mirror("bullseye", environ, tmp_path) == "http://b.example"
    assert find_mirror("forky", {}, tmp_path / "none") == ""


def create_command(folder: Path, code: str, seconds: float = 20) -> BuildCommand:
    keep = os.open(folder / "keep", os.O_CREAT | os.O_RDWR)
    return BuildCommand([sys.executable, "-c", code], folder / "out", folder, seconds, keep)


def test_the_tool_sees_only_what_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    command = create_command(
        tmp_path, "import os, sys; print(sorted(os.environ)); sys.exit('E: oh')"
    )
    output = run_tool(command)
    os.close(command.keep)
    variables = (tmp_path / "out").read_text()
    assert "https_proxy" in variables
    assert "SECRET" not in variables
    assert (output.code, output.err.strip()) == (1, "E: oh")
    assert build_environment({"PATH": "/bin"}, tmp_path)["PATH"] == "/bin:/usr/sbin:/sbin"


def test_a_tool_that_takes_too_long_ends_with_all_that_it_started(tmp_path: Path) -> None:
    # The child ignores SIGTERM and holds the lock for as long as it lives.
    code = (
        "import subprocess, sys, time\n"
        "child = 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)'\n"
        "subprocess.Popen([sys.executable, '-c', child], close_fds=False)\n"
        "time.sleep(60)\n"
    )
    command = create_command(tmp_path, code, 1)
    fcntl.flock(command.keep, fcntl.LOCK_EX)
    with pytest.raises(ImageError, match="took longer than 1 s"):
        run_tool(command)
    os.close(command.keep)
    again = os.open(tmp_path / "keep", os.O_RDWR)
    deadline = time.monotonic() + 10
    while True:
        try:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            assert time.monotonic() < deadline, "a process still lives"
            time.sleep(0.02)
    os.close(again)


def test_a_killed_makers_folder_goes_with_the_next_one_and_a_living_ones_stays(
    tmp_path: Path,
) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from matrix.docker.images.mmdebstrap import open_build_folder\n"
        "with open_build_folder(pathlib.Path(sys.argv[1])) as build_folder:\n"
        "    print(build_folder.folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    builder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert builder.stdout is not None
    folder = Path(builder.stdout.readline().strip())
    with open_build_folder(tmp_path) as build_folder:
        assert folder.is_dir()
        assert build_folder.folder != folder
    assert not build_folder.folder.exists()
    builder.send_signal(signal.SIGKILL)
    builder.communicate()
    assert folder.is_dir()
    with open_build_folder(tmp_path):
        assert not folder.exists()


def create_interpreter(folder: Path, libc: str = "glibc 2.36") -> Interpreter:
    executable = folder / "bin" / "python3.8"
    return Interpreter(executable, "3.8.18", "3.8.18 (x)", "linux_x86_64", libc, "pyenv")


@pytest.fixture
def layout(tmp_path: Path) -> InterpreterLayout:
    lib = tmp_path / "lib" / "python3.8"
    for name in ("os.py", "os.pyc", "test/x.py", "json/__init__.py", "json/__pycache__/x.pyc"):
        (lib / name).parent.mkdir(parents=True, exist_ok=True)
        (lib / name).write_text("")
    (lib / "site-packages").mkdir()
    (lib / "site-packages" / "own.py").write_text("")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3.8").write_text("")
    (tmp_path / "bin" / "python3.8").chmod(0o700)
    (tmp_path / "lib" / "libpython3.8.so.1.0").write_text("")
    library = str(tmp_path / "lib" / "libpython3.8.so.1.0")
    alias = str(tmp_path / "lib" / "libpython3.8.so")
    return InterpreterLayout((str(lib),), library, alias, "/opt/site")


def test_an_interpreter_is_copied_without_what_others_put_there(
    tmp_path: Path, layout: InterpreterLayout
) -> None:
    layer = write_python_layer(tmp_path / "bin" / "python3.8", layout, tmp_path / "layer.tar")
    with tarfile.open(layer.path) as tar:
        members = {"/" + member.name: member for member in tar}
    files = {name for name, member in members.items() if not member.isdir()}
    assert files == {
        str(tmp_path / name)
        for name in (
            "bin/python3.8",
            "lib/libpython3.8.so.1.0",
            "lib/libpython3.8.so",
            "lib/python3.8/os.py",
            "lib/python3.8/json/__init__.py",
        )
    }
    assert members[str(tmp_path / "bin" / "python3.8")].mode == 0o755
    assert {member.mode for member in members.values() if member.isdir()} == {0o755}


def test_the_base_is_new_enough_for_the_interpreter_and_made_once(
    tmp_path: Path, layout: InterpreterLayout
) -> None:
    tool, engine = FakeTool(), AnsweringEngine()
    engine.facts = {"path": ["/opt/site"]}

    def source(libc: str) -> HostSource:
        interpreters = (create_interpreter(tmp_path, libc),)
        return HostSource(tmp_path / "cache", tool, lambda: interpreters, lambda _: layout)

    offers = {libc: source(libc).offers(engine) for libc in ("glibc 2.17", "glibc 2.39", "glibc 3")}
    assert [offer.name for offer in offers["glibc 2.17"]] == ["pyenv on debian bookworm"]
    assert [offer.name for offer in offers["glibc 2.39"]] == ["pyenv on debian trixie"]
    assert not offers["glibc 3"]
    assert not source("musl 1.2").offers(engine)
    for _ in range(2):
        host = source("glibc 2.36")
        image, digest = host.provide(host.offers(engine)[0], engine, print)
        assert image == digest
    assert len(tool.jobs) == 1


def test_this_very_interpreter_tells_its_layout(tmp_path: Path) -> None:
    executable = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    layout = make_layout_reader(tmp_path / "layouts.json")(executable.resolve())
    assert Path(layout.folders[0], "os.py").is_file()
    assert layout.site.endswith("-packages")
    assert read_layout(executable)["folders"] == list(layout.folders)
