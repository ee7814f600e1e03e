"""Tests of the search for interpreters: sources, queries, cache and choice."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from matrix.interpreters.discovery import (
    InterpreterSource,
    NoInterpreterError,
    SearchPlaces,
    install_hint,
    interpreter_for,
    load_sources,
    search,
)
from matrix.interpreters.inspect import (
    InterpreterAnswer,
    NotAnInterpreterError,
    is_covered,
    query_interpreter,
    target_name,
)
from matrix.interpreters.sources.py_launcher import read_listing

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="writes shell scripts and bin folders")


def answer(version: str, **changes: object) -> InterpreterAnswer:
    return {
        "implementation": "CPython",
        "version": version,
        "build": f"{version} (main) [GCC]",
        "platform": "linux-x86_64",
        "machine": "x86_64",
        "bits": 64,
        "libc": "glibc 2.36",
        "free_threaded": False,
        **changes,
    }


def program(folder: Path, name: str = "python") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!{folder}")
    path.chmod(0o755)
    return path


def source(name: str, rank: int, *paths: Path) -> InterpreterSource:
    return InterpreterSource(name, rank, lambda _: paths)


def query_from(answers: dict[Path, InterpreterAnswer | str]) -> Callable[[Path], InterpreterAnswer]:
    """Return a query that gives these answers, or raises with the text of a failure."""

    def query(path: Path) -> InterpreterAnswer:
        answer = answers[path]
        if isinstance(answer, str):
            raise NotAnInterpreterError(answer)
        return answer

    return query


def test_one_interpreter_per_minor_the_highest_patch_wins_and_versions_ascend(
    tmp_path: Path,
) -> None:
    a, b, c = (program(tmp_path / name) for name in "abc")
    found = search(
        [source("one", 1, a, c), source("two", 2, b)],
        query_from({a: answer("3.10.2"), b: answer("3.10.13"), c: answer("3.9.1")}),
    )
    assert [(i.version, i.source) for i in found.interpreters] == [
        ("3.9.1", "one"),
        ("3.10.13", "two"),
    ]


def test_of_two_equal_versions_the_source_of_lower_rank_wins(tmp_path: Path) -> None:
    a, b = (program(tmp_path / name) for name in "ab")
    answers = query_from({a: answer("3.8.1"), b: answer("3.8.1")})
    found = search([source("late", 9, a), source("early", 1, b)], answers)
    assert [i.source for i in found.interpreters] == ["early"]


def test_of_one_minor_there_is_one_for_each_target_ours_first(tmp_path: Path) -> None:
    narrow, wide, older = (program(tmp_path / name) for name in "abc")
    answers = query_from(
        {
            narrow: answer("3.12.9", platform="win32", bits=32),
            wide: answer("3.12.8", platform="win-amd64"),
            older: answer("3.9.1", platform="win32", bits=32),
        }
    )
    for own, order in (("win_amd64", [wide, narrow]), ("win32", [narrow, wide])):
        sources = [source("here", 1, narrow, wide, older)]
        found = search(sources, answers, target=own).interpreters
        assert [interpreter.executable for interpreter in found] == [older, *order]
        assert interpreter_for("3.12", found).executable == order[0]
    assert interpreter_for("3.12", found, "win32").executable == narrow
    assert interpreter_for("3.12", found, "win_amd64").executable == wide
    with pytest.raises(NoInterpreterError, match=r"CPython 3\.9 for win_amd64 is not on this"):
        interpreter_for("3.9", found, "win_amd64")


def test_one_file_is_another_interpreter_for_who_runs_as_another_target(tmp_path: Path) -> None:
    both = program(tmp_path / "bin")
    for own, machine in (("macosx_arm64", "arm64"), ("macosx_x86_64", "x86_64")):
        query = query_from(
            {both: answer("3.12.1", platform="macosx-10.13-universal2", machine=machine)}
        )
        cache = tmp_path / "cache.json"
        found = search([source("here", 1, both)], query, cache_file=cache, target=own)
        assert [interpreter.target for interpreter in found.interpreters] == [own]


def test_a_broken_candidate_is_reported_and_the_others_stay(tmp_path: Path) -> None:
    good, bad = program(tmp_path / "good"), program(tmp_path / "bad")
    answers = query_from({good: answer("3.12.0"), bad: "exit code 127: no such library"})
    found = search([source("here", 1, bad, good)], answers)
    assert [i.version for i in found.interpreters] == ["3.12.0"]
    assert found.problems == (f"{bad} (here): exit code 127: no such library",)


def test_an_answer_without_sense_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    bad = program(tmp_path)
    found = search([source("here", 1, bad)], query_from({bad: {"implementation": "CPython"}}))
    assert found.interpreters == ()
    assert len(found.problems) == 1


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"version": "2.7.18"}, True),
        ({"version": "3.5.0"}, True),
        ({"version": "3.4.10"}, False),
        ({"version": "2.6.9"}, False),
        ({"version": "3.9.1", "implementation": "PyPy"}, False),
        ({"version": "3.13.0", "free_threaded": True}, False),
    ],
)
def test_which_interpreters_count(changes: dict[str, Any], *, counts: bool) -> None:
    assert is_covered(answer(**changes)) is counts


@pytest.mark.parametrize(
    ("platform", "machine", "bits", "target"),
    [
        ("linux-x86_64", "x86_64", 64, "linux_x86_64"),
        ("linux-x86_64", "x86_64", 32, "linux_i686"),
        ("linux-i686", "i686", 32, "linux_i686"),
        ("linux-aarch64", "aarch64", 64, "linux_aarch64"),
        ("macosx-10.9-universal2", "arm64", 64, "macosx_arm64"),
        ("macosx-11.0-x86_64", "x86_64", 64, "macosx_x86_64"),
        ("win-amd64", "AMD64", 64, "win_amd64"),
        ("win32", "AMD64", 32, "win32"),
    ],
)
def test_targets(platform: str, machine: str, bits: int, target: str) -> None:
    assert target_name(platform, machine, bits) == target


def test_answers_are_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path = program(tmp_path / "bin")
    queried: list[Path] = []

    def query(candidate: Path) -> InterpreterAnswer:
        queried.append(candidate)
        return answer("3.9.1")

    def find() -> None:
        found = search([source("here", 1, path)], query, cache_file=tmp_path / "cache.json")
        assert [i.version for i in found.interpreters] == ["3.9.1"]

    find()
    find()
    assert len(queried) == 1
    path.write_text("another program, of another size")
    find()
    assert len(queried) == 2


def test_a_torn_memory_is_no_memory(tmp_path: Path) -> None:
    path = program(tmp_path / "bin")
    cache = tmp_path / "cache.json"
    cache.write_text('{"version": 1, "entr')
    found = search([source("here", 1, path)], lambda _: answer("3.9.1"), cache_file=cache)
    assert len(found.interpreters) == 1


def test_this_interpreter_says_what_it_is() -> None:
    identity = query_interpreter(Path(sys.executable))
    assert identity["version"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert identity["build"] == sys.version


@POSIX
def test_a_hanging_candidate_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "python"
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    with pytest.raises(NotAnInterpreterError, match="did not answer"):
        query_interpreter(path, seconds=0.2)


def places(tmp_path: Path, **environ: str) -> SearchPlaces:
    return SearchPlaces(environ, tmp_path / "home", "linux")


def candidates(name: str, machine: SearchPlaces) -> list[Path]:
    (named,) = [item for item in load_sources() if item.name == name]
    return list(named.candidates(machine))


@POSIX
def test_pyenv_is_looked_for_in_its_root_and_at_home(tmp_path: Path) -> None:
    rooted = program(tmp_path / "root" / "versions" / "3.9.1" / "bin")
    at_home = program(tmp_path / "home" / ".pyenv" / "versions" / "2.7.18" / "bin")
    machine = places(tmp_path, PYENV_ROOT=str(tmp_path / "root"))
    assert candidates("pyenv", machine) == [rooted, at_home]


@POSIX
def test_uv_managed_builds_are_read_from_uvs_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "uv" / "python"
    built = program(folder / "cpython-3.12.7-linux-x86_64-gnu" / "bin")
    program(folder / "pypy-3.10.14-linux-x86_64-gnu" / "bin")
    assert candidates("uv", places(tmp_path, XDG_DATA_HOME=str(tmp_path / "data"))) == [built]


@POSIX
def test_path_skips_shims_and_other_programs_and_sees_through_environments(tmp_path: Path) -> None:
    plain = program(tmp_path / "bin", "python3.7")
    program(tmp_path / "bin", "python3-config")
    program(tmp_path / "bin", "pypy3")
    program(tmp_path / "shims", "python3.8")
    base = program(tmp_path / "base", "python3.9")
    program(tmp_path / "env" / "bin", "python")
    (tmp_path / "env" / "pyvenv.cfg").write_text(f"home = {tmp_path / 'base'}\n")
    path = os.pathsep.join(str(tmp_path / name) for name in ("shims", "env/bin", "bin"))
    assert candidates("path", places(tmp_path, PATH=path)) == [base, plain]


@pytest.mark.parametrize(("platform", "name"), [("linux", "bin/python"), ("win32", "python.exe")])
def test_all_that_a_runner_has_in_its_tool_cache_are_found(
    tmp_path: Path, platform: str, name: str
) -> None:
    cache = tmp_path / "tools" / "Python"
    installed = []
    for version, architecture in (("3.12.9", "x64"), ("3.12.9", "x86"), ("3.9.13", "x64")):
        home = cache / version / architecture
        path = home / name
        installed.append(program(path.parent, path.name))
        home.with_name(f"{architecture}.complete").touch()
    incomplete = cache / "3.13.1" / "x64" / name
    program(incomplete.parent, incomplete.name)
    machine = SearchPlaces({"RUNNER_TOOL_CACHE": str(tmp_path / "tools")}, tmp_path, platform)
    assert candidates("tool cache", machine) == installed
    assert candidates("tool cache", SearchPlaces({}, tmp_path, platform)) == []


def test_what_the_windows_launcher_prints_is_read() -> None:
    listing = (
        "Installed Pythons found by py Launcher for Windows\n"
        " -V:3.12 *        C:\\Program Files\\Python312\\python.exe\n"
        " -2.7-64          C:\\Python27\\python.exe\n"
        " -V:Astral/CPython3.8 not here\n"
    )
    assert list(read_listing(listing)) == [
        "C:\\Program Files\\Python312\\python.exe",
        "C:\\Python27\\python.exe",
    ]


def test_a_missing_version_says_what_is_there_and_how_to_get_it(tmp_path: Path) -> None:
    path = program(tmp_path)
    found = search([source("here", 1, path)], lambda _: answer("3.9.1")).interpreters
    assert interpreter_for("3.9", found).version == "3.9.1"
    with pytest.raises(NoInterpreterError, match=r"3\.14 is not on this machine \(found: 3\.9\)"):
        interpreter_for("3.14", found)


def test_uv_is_recommended_only_where_it_has_builds() -> None:
    assert "uv python install" in install_hint("3.8", "linux")
    assert "uv python install" not in install_hint("3.7", "linux")
    assert "pyenv install 2.7" in install_hint("2.7", "darwin")
    assert "pyenv" not in install_hint("2.7", "win32")
