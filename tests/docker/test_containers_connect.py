"""Addresses where an engine is looked for, and the platforms that it can run."""

from __future__ import annotations

import hashlib
import json
import platform
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from matrix.docker.connect import connect, find_addresses, find_engine
from matrix.docker.interface import EngineAddress
from matrix.docker.labels import RunLabels
from matrix.docker.platforms import engine_platform, list_emulated_cpus, list_platforms
from matrix.errors import EngineUnavailableError
from matrix.system.paths import project_root

RUN = RunLabels("run", "owner")


def make_context(home: Path, name: str, host: str, *, tls: bool = False) -> None:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker" / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    document = {"Name": name, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}}
    (meta / "meta.json").write_text(json.dumps(document))
    if tls:
        (home / ".docker" / "contexts" / "tls" / digest / "docker").mkdir(parents=True)


def urls(environment: dict[str, str], home: Path) -> list[str]:
    return [
        a.url for a in find_addresses(environment, home) if a.url != "unix:///var/run/docker.sock"
    ]


def test_what_is_named_counts_alone_and_the_environment_first(tmp_path: Path) -> None:
    make_context(tmp_path, "far", "tcp://far:2375")
    make_context(tmp_path, "near", "unix:///near.sock")
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"currentContext": "far"}))
    assert urls({}, tmp_path) == ["tcp://far:2375"]
    assert urls({"DOCKER_CONTEXT": "near"}, tmp_path) == ["unix:///near.sock"]
    both = {"DOCKER_CONTEXT": "near", "DOCKER_HOST": "tcp://named:1"}
    assert urls(both, tmp_path) == ["tcp://named:1"]
    assert find_addresses({"DOCKER_CONTEXT": "nowhere"}, tmp_path)[0].url == ""


def test_sockets_are_tried_where_nothing_is_named(tmp_path: Path) -> None:
    assert urls({}, tmp_path) == []
    desktop = tmp_path / ".docker" / "run" / "docker.sock"
    rootless = tmp_path / "runtime" / "docker.sock"
    for path in (desktop, rootless):
        path.parent.mkdir(parents=True)
        path.touch()
    environment = {"XDG_RUNTIME_DIR": str(rootless.parent)}
    assert urls(environment, tmp_path) == [f"unix://{rootless}", f"unix://{desktop}"]
    # The context `default` always exists, and names no engine.
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"currentContext": "default"}))
    assert urls({}, tmp_path) == [f"unix://{desktop}"]


def test_certificates_come_with_the_name(tmp_path: Path) -> None:
    make_context(tmp_path, "far", "tcp://far:2376", tls=True)
    (address,) = find_addresses({"DOCKER_CONTEXT": "far"}, tmp_path)
    assert (address.url, address.verify) == ("https://far:2376", True)
    assert address.certificates is not None
    environment = {
        "DOCKER_HOST": "tcp://a:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": "/c",
    }
    assert find_addresses(environment, tmp_path) == (
        EngineAddress("https://a:2376", "DOCKER_HOST", certificates=Path("/c")),
    )


@pytest.mark.parametrize("content", ["", "[]", "{not json", '{"Endpoints": 3}', "\xff"])
def test_a_broken_context_is_no_crash(tmp_path: Path, content: str) -> None:
    make_context(tmp_path, "far", "tcp://far:2375")
    (meta,) = (tmp_path / ".docker" / "contexts" / "meta").glob("*/meta.json")
    meta.write_text(content, encoding="latin-1")
    (tmp_path / ".docker" / "config.json").write_text(content, encoding="latin-1")
    assert find_addresses({"DOCKER_CONTEXT": "far"}, tmp_path)[0].url == ""
    assert urls({}, tmp_path) == []


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("unix:///nowhere/docker.sock", "no such socket"),
        ("ssh://somewhere", "unsupported protocol 'ssh'"),
        ("tcp://127.0.0.1:1", "does not answer"),
        ("nonsense", "nonsense"),
    ],
)
def test_no_engine_is_told_with_what_was_tried_and_what_to_do(
    host: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    start = time.monotonic()
    with pytest.raises(EngineUnavailableError, match=message) as caught:
        connect(RUN)
    assert time.monotonic() - start < 10
    assert "DOCKER_HOST" in caught.value.message
    assert "--engine local" in caught.value.hint
    assert find_engine(RUN) is None


def test_it_is_waited_for_as_long_as_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32":
        pytest.skip("there are no Unix sockets")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen(8)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 's'}")
        start = time.monotonic()
        with pytest.raises(EngineUnavailableError, match=r"timeout=0\.2"):
            connect(RUN, 0.2)
        assert time.monotonic() - start < 4


def test_nothing_slow_is_imported_before_an_engine_is_there() -> None:
    code = (
        "import sys, matrix.docker.connect, matrix.docker.interface;"
        "sys.exit(bool({'docker', 'requests', 'filelock'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=project_root(), check=False).returncode
        == 0
    )


AARCH64 = "7f454c460201010000000000000000000200b700"
S390X = "7f454c4602020100000000000000000000020016"
PPC64_BIG = "7f454c4602020100000000000000000000020015"


def binfmt(folder: Path, **entries: str) -> Path:
    folder.mkdir()
    (folder / "status").write_text("enabled\n")
    (folder / "register").write_text("")
    for name, content in entries.items():
        (folder / name).write_text(content)
    return folder


def entry(magic: str, *, flags: str = "PF", state: str = "enabled", offset: int = 0) -> str:
    return (
        f"{state}\ninterpreter /usr/bin/emulator\nflags: {flags}\n"
        f"offset {offset}\nmagic {magic}\nmask {'f' * 40}\n"
    )


def test_emulators_are_known_by_what_they_take_not_by_their_names(tmp_path: Path) -> None:
    folder = binfmt(
        tmp_path / "binfmt",
        anything=entry(AARCH64),
        big=entry(S390X),
        off=entry("7f454c460201010000000000000000000200f300", state="disabled"),
        # Without F a container would have to contain the emulator.
        without_f=entry("7f454c460101010000000000000000000200280000", flags="P"),
        other_order=entry(PPC64_BIG),
        java="enabled\ninterpreter /usr/bin/java\nflags: F\noffset 0\nmagic cafebabe\n",
        broken="enabled\nflags: F\noffset 0\nmagic xyz\n",
        by_ending="enabled\ninterpreter /x\nflags: F\nextension .exe\n",
    )
    assert list_emulated_cpus(folder) == {"arm64", "s390x"}
    (folder / "status").write_text("disabled\n")
    assert list_emulated_cpus(folder) == frozenset()
    assert list_emulated_cpus(tmp_path / "none") == frozenset()


def test_what_it_emulates_counts_only_where_it_can_be_known(tmp_path: Path) -> None:
    folder = binfmt(tmp_path / "binfmt", one=entry(AARCH64))
    info = {"OSType": "linux", "Architecture": "x86_64", "KernelVersion": platform.release()}
    native = ("linux/amd64", "linux/386")
    assert engine_platform(info) == "linux/amd64"
    assert list_platforms(info, shares_files=True, binfmt=folder) == (*native, "linux/arm64")
    assert list_platforms(info, shares_files=False, binfmt=folder) == native
    assert (
        list_platforms({**info, "KernelVersion": "1"}, shares_files=True, binfmt=folder) == native
    )
    arm = {**info, "Architecture": "aarch64"}
    assert list_platforms(arm, shares_files=False) == ("linux/arm64",)
    desktop = {**arm, "OperatingSystem": "Docker Desktop", "KernelVersion": "1"}
    assert set(list_platforms(desktop, shares_files=True)) == {*native, "linux/arm64"}
    assert list_platforms(desktop, shares_files=True)[0] == "linux/arm64"
