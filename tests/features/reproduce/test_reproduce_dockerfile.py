"""`reproduce --dockerfile`: a folder that builds a cell without this project or a network."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.tree_fakes import TreeFakes, source, wheel

from matrix.__main__ import main
from matrix.cli import reproduce as reproduce_command
from matrix.docker.connect import connect
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.interface import ContainerSpec
from matrix.docker.labels import lock_run
from matrix.environments.image_trees import TreeStore
from matrix.environments.lock import parse_lock
from matrix.errors import ExitCode, UsageError
from matrix.features.reproduce import dockerfile
from matrix.features.reproduce.dockerfile import DockerfileOptions, WrittenContext, write_context
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.system.paths import cache_dir

CELL = Cell.parse("cp311-linux_i686-flask2.2.3-ddtrace1.9.0")
PLANNED = PlannedCell(CELL, dt.date(2023, 2, 27), ("threat-detection", "custom-blocked-response"))
FILES = {
    "ddtrace-1.9.0-cp311-cp311-manylinux_2_17_i686.manylinux2014_i686.whl": wheel(
        "ddtrace", "1.9.0"
    ),
    "ddtrace-1.9.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": b"another",
    "flask-2.2.3-py3-none-any.whl": wheel("flask", "2.2.3"),
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeFakes:
    fakes = TreeFakes(tmp_path / "cache", dict(FILES))

    def store(*_: object, offline: bool, **_options: object) -> TreeStore:
        return fakes.store(offline=offline)

    monkeypatch.setattr(dockerfile, "TreeStore", store)
    return fakes


DEFAULTS = DockerfileOptions()


def written(
    folder: Path, options: DockerfileOptions = DEFAULTS, planned: PlannedCell = PLANNED
) -> WrittenContext:
    return write_context(planned, folder / "cell", options, None, lambda _: None)


def instructions(folder: Path, word: str) -> list[str]:
    text = (folder / "cell" / "Dockerfile").read_text().replace("\\\n", " ")
    return [line[len(word) + 1 :] for line in text.splitlines() if line.startswith(word + " ")]


def test_the_folder_has_exactly_the_files_of_the_target(world: TreeFakes, tmp_path: Path) -> None:
    folder = written(tmp_path).folder
    names = {path.name for path in (folder / "wheels").iterdir()}
    assert names == {name for name in FILES if "x86_64" not in name}
    hashes = {hashlib.sha256((folder / "wheels" / name).read_bytes()).hexdigest() for name in names}
    lock = parse_lock((folder / "requirements.txt").read_text())
    assert {item for locked in lock for item in locked.hashes} == hashes
    assert [path.name for path in (folder / "tools").iterdir()] == ["pip-22.3-py3-none-any.whl"]
    assert (folder / "apps" / "flask_shop" / "shop.py").exists()
    assert {path.name for path in (folder / "fixtures").iterdir()} >= {"rules.json", "blocked.html"}
    assert not list(folder.rglob("*.pyc"))


def test_it_is_built_from_the_official_image_without_network(
    world: TreeFakes, tmp_path: Path
) -> None:
    written(tmp_path)
    (base,) = instructions(tmp_path, "ARG")
    assert re.fullmatch(r"BASE=python:3\.11-slim(@sha256:[0-9a-f]{64})?", base)
    (run,) = instructions(tmp_path, "RUN")
    argv = json.loads(run)
    assert argv[:2] == ["python3.11", "/cell/tools/pip-22.3-py3-none-any.whl/pip"]
    assert {"--no-index", "--require-hashes", "--no-deps"} <= set(argv)
    assert "docker build --platform linux/386 --network none" in _readme(tmp_path)
    assert instructions(tmp_path, "USER") == ["1000:1000"]


def test_a_32_bit_cell_is_started_as_one(world: TreeFakes, tmp_path: Path) -> None:
    written(tmp_path)
    (command,) = instructions(tmp_path, "CMD")
    argv = json.loads(command)
    assert argv[:3] == ["linux32", "python3.11", "-c"]
    assert argv[-2:] == ["/cell/apps/serve.py", "flask"]


def test_each_setting_is_a_file_of_variables_inside_the_image(
    world: TreeFakes, tmp_path: Path
) -> None:
    written(tmp_path)
    text = (tmp_path / "cell" / "settings" / "custom-rules.env").read_text()
    assert "DD_APPSEC_RULES=/cell/fixtures/rules.json\n" in text
    (environment,) = instructions(tmp_path, "ENV")[1:]
    assert 'DD_TRACE_API_VERSION="v0.4"' in environment
    # What a setting switches on must not be on for all of them.
    assert "DD_APPSEC_ENABLED" not in environment


def test_the_setting_of_the_options_comes_first(world: TreeFakes, tmp_path: Path) -> None:
    written(tmp_path, DockerfileOptions(setting="custom-rules"))
    settings = re.findall(r"^## Setting `(.+)`", _readme(tmp_path), re.MULTILINE)
    assert settings[0] == "custom-rules"
    assert set(settings) > {"appsec", "custom-response", "off"}
    assert "python agent/agent.py custom-rules" in _readme(tmp_path)


def test_the_readme_has_the_stimuli_with_their_evidence(world: TreeFakes, tmp_path: Path) -> None:
    written(tmp_path)
    assert "curl -i -X GET -H 'User-Agent: Arachni/v1'" in _readme(tmp_path)
    assert "evidence: " in _readme(tmp_path)


def test_the_agent_needs_nothing_but_the_folder(world: TreeFakes, tmp_path: Path) -> None:
    written(tmp_path)
    agent = tmp_path / "cell" / "agent"
    code = (
        "import matrix.agent.server as server, sys; print(server.__file__);"
        " exec(open('agent.py').read().partition('CONFIGS')[0]); Agent(0).__enter__()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=agent,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(agent)
    compile((agent / "agent.py").read_text(), "agent.py", "exec")


def test_sources_are_built_with_tools_that_do_not_stay(world: TreeFakes, tmp_path: Path) -> None:
    del world.files["flask-2.2.3-py3-none-any.whl"]
    world.files["flask-2.2.3.tar.gz"] = source("flask", "2.2.3")
    written(tmp_path)
    tools, install = map(json.loads, instructions(tmp_path, "RUN"))
    assert tools[tools.index("--target") + 1] == "/cell/build"
    assert "/cell/tools/setuptools-65.6-py3-none-any.whl" in tools
    assert "--no-build-isolation" in install
    paths = [line for line in instructions(tmp_path, "ENV") if line.startswith("PYTHONPATH")]
    assert paths == ['PYTHONPATH="/cell/build"', 'PYTHONPATH=""']


def test_without_wheels_the_build_uses_the_index(world: TreeFakes, tmp_path: Path) -> None:
    context = written(tmp_path, DockerfileOptions(vendor=False))
    assert context.size == 0
    assert not (context.folder / "wheels").exists()
    (run,) = instructions(tmp_path, "RUN")
    assert "--no-index" not in json.loads(run)
    assert "--network none" not in _readme(tmp_path)


def test_many_megabytes_are_left_to_the_index(
    world: TreeFakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr(dockerfile, "_MOST_VENDORED", 10)
    context = write_context(PLANNED, tmp_path / "cell", DEFAULTS, None, notes.append)
    assert context.size == 0
    assert "--vendor" in notes[0]


def test_a_folder_with_something_in_it_is_left_alone(world: TreeFakes, tmp_path: Path) -> None:
    other = tmp_path / "cell" / "other"
    other.mkdir(parents=True)
    with pytest.raises(UsageError, match="not empty"):
        written(tmp_path)
    assert list((tmp_path / "cell").iterdir()) == [other]


def test_an_unknown_setting_and_another_system_are_errors(world: TreeFakes, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown setting 'apsec'"):
        written(tmp_path, DockerfileOptions(setting="apsec"))
    elsewhere = dataclasses.replace(PLANNED, cell=dataclasses.replace(CELL, target="win_amd64"))
    with pytest.raises(UsageError, match="there is no image for win_amd64"):
        written(tmp_path, planned=elsewhere)
    assert not (tmp_path / "cell").exists()


def test_the_command_says_what_it_wrote_and_why_it_could_not(
    world: TreeFakes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(reproduce_command, "_find", lambda *_: PLANNED)
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    argv = ["reproduce", CELL.id, "--engine", "local", "--dockerfile"]
    assert main([*argv, str(tmp_path / "cell")]) == ExitCode.OK
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'cell'}: 2 distributions")
    assert main([*argv, str(tmp_path / "more"), "--json", "-"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["kept"] == str(tmp_path / "more")
    world.files = {"ddtrace-1.9.0-py2-none-any.whl": b""}
    (tmp_path / "cache" / "environments" / "locks").rename(tmp_path / "locks")
    assert main([*argv, str(tmp_path / "other")]) == ExitCode.USAGE
    assert "no-wheel: ddtrace 1.9.0 has no wheel for CPython 3.11" in capsys.readouterr().err


def _readme(folder: Path) -> str:
    return (folder / "cell" / "README.md").read_text()


@contextlib.contextmanager
def built(folder: Path, base: str, platform: str) -> Iterator[str]:
    """Build a folder as its README says; yield the image's id, and remove it."""
    import docker  # noqa: PLC0415

    client = docker.from_env(timeout=300)
    tag = f"compat-matrix-test:{secrets.token_hex(8)}"
    try:
        image, _ = client.images.build(
            path=str(folder),
            buildargs={"BASE": base},
            platform=platform,
            network_mode="none",
            tag=tag,
            rm=True,
        )
        yield str(image.id)
        client.images.remove(tag)
    finally:
        client.close()


@pytest.mark.engine
@pytest.mark.parametrize(
    "cell",
    ["cp311-linux_i686-flask2.2.3-ddtrace1.9.0", "cp311-linux_x86_64-flask0.10-ddtrace1.9.0"],
)
def test_what_is_written_builds_without_network_and_serves(cell: str, tmp_path: Path) -> None:
    planned = PlannedCell(Cell.parse(cell), PLANNED.as_of, ("threat-detection",))
    with lock_run() as run, connect(run) as engine:
        base = ImageCatalog(engine, cache_dir()).ensure(
            planned.cell.python, planned.cell.target, lambda _: None
        )
        context = write_context(planned, tmp_path / "cell", DEFAULTS, engine, lambda _: None)
        (command,) = instructions(tmp_path, "CMD")
        with built(context.folder, base.id, base.platform) as image:
            spec = ContainerSpec(
                image, base.platform, json.loads(command), {"DD_TRACE_ENABLED": "false"}
            )
            with engine.start(spec) as container:
                output = b""
                while b"bookshop ready" not in output:
                    piece = container.pipe.read()
                    assert piece, container.pipe.errors
                    output += piece
                container.pipe.close()


def test_the_bare_control_runs_in_the_image_without_the_tracer(
    world: TreeFakes, tmp_path: Path
) -> None:
    written(tmp_path, DockerfileOptions(setting="bare"))
    assert (tmp_path / "cell" / "settings" / "bare.env").read_text() == "BOOKSHOP_BARE=1\n"
    readme = _readme(tmp_path)
    section = readme[readme.index("## Setting `bare`") :].split("\n## Setting")[0]
    assert "--unset=DD_AGENT_HOST" in section
    assert "linux32 python3.11 /cell/apps/serve.py flask" in section
    assert "ddtrace_run" not in section
    assert "agent.py bare" not in readme
