"""Cells in sets of containers of a fake engine: what is started, what is shared, what is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest
from helpers.cell_jobs import DETECTION, LIMITS, fake_job, process_of, shown
from helpers.container_jobs import in_fake_container
from helpers.fake_engine import FakeContainer, FakeEngine

from matrix.cells.job import CellJob
from matrix.cells.places import container_set, container_set_specs
from matrix.cells.run import run_cell
from matrix.docker.interface import ContainerError, ContainerSpec
from matrix.interpreters.discovery import find_interpreters
from matrix.model.reason import Reason
from matrix.probes.places import Place, find_place
from matrix.system.paths import fixtures_dir

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a container is of Linux")
MakeJob = Callable[..., tuple[CellJob, FakeEngine]]
PLACES = ["ecs-shaped", "fargate-shaped", "pod-shaped"]
FILES = fixtures_dir() / "places" / "container_set"


@pytest.fixture
def make_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeJob:
    """Return a function that makes a job in a place, without what would change this machine."""
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    monkeypatch.setattr(container_set, "SOCKETS", PurePosixPath(sockets))
    monkeypatch.setattr(container_set_specs, "SOCKETS", PurePosixPath(sockets))

    def find(name: str) -> Place:
        place = find_place(name)
        options = {
            key: value
            for key, value in place.options.items()
            if key not in {"metadata", "injection"}
        }
        return dataclasses.replace(place, options=options)

    monkeypatch.setattr(container_set, "find_place", find)

    def make(place: str, mode: str = "good", **options: object) -> tuple[CellJob, FakeEngine]:
        job = fake_job(tmp_path, mode, **{"probes": (DETECTION,), **options})  # type: ignore[arg-type]
        planned = dataclasses.replace(
            job.planned, cell=dataclasses.replace(job.planned.cell, place=place)
        )
        return in_fake_container(dataclasses.replace(job, planned=planned), monkeypatch)

    return make


@dataclasses.dataclass(frozen=True)
class StartedSet:
    """The specifications of a set, in the order of their start; agent and app start at once."""

    pause: ContainerSpec
    agent: ContainerSpec
    app: ContainerSpec
    outside: ContainerSpec


def run_set(job: CellJob, engine: FakeEngine) -> StartedSet:
    capture = run_cell(job)
    assert capture.failed is None, capture.detail
    pause, *both, outside = engine.started
    agent, app = sorted(both, key=lambda spec: len(spec.mounts))
    return StartedSet(pause, agent, app, outside)


@pytest.mark.parametrize("place", PLACES)
def test_a_cell_shows_in_a_set_what_it_shows_anywhere(make_job: MakeJob, place: str) -> None:
    job, engine = make_job(place)
    capture = run_cell(job)
    assert shown(capture, "appsec") == [True]
    assert shown(capture, "off", control=True) == [False]
    assert process_of(capture, "appsec", "outside").environment["DD_TRACE_AGENT_URL"]
    assert capture.isolation.startswith("own set of containers")
    assert "not started" not in capture.isolation
    assert len(engine.started) == 4
    assert not engine.living
    assert not engine.objects


def test_a_task_of_fargate_shares_one_network_that_leads_nowhere(make_job: MakeJob) -> None:
    started = run_set(*make_job("fargate-shaped"))
    assert not started.pause.network_of
    assert started.app.network_of == started.agent.network_of == "fake1"
    assert not started.outside.network_of
    for spec in (started.pause, started.agent, started.app, started.outside):
        assert not spec.bridge
        assert not spec.volumes
        assert (spec.confinement.network, spec.confinement.writable) == (False, False)
        assert re.fullmatch("/ecs/[0-9a-f]{32}", spec.cgroup_parent)
    assert {mount.writable for mount in started.app.mounts} == {False}


def test_a_task_on_an_instance_has_its_agent_on_a_bridge(make_job: MakeJob) -> None:
    job, engine = make_job("ecs-shaped")
    started = run_set(job, engine)
    assert started.pause.bridge == started.agent.bridge == "bridge0"
    assert started.app.network_of == "fake1"
    assert not started.agent.network_of
    assert (started.outside.network_of, started.outside.bridge) == ("", "")


def test_a_pod_mounts_the_socket_of_its_agent(make_job: MakeJob) -> None:
    job, engine = make_job("pod-shaped")
    started = run_set(job, engine)
    (written,), (read,) = started.agent.volumes, started.app.volumes
    assert (written.name, written.writable) == (read.name, True)
    assert not read.writable
    assert (started.agent.network_of, started.agent.bridge) == ("", "")
    assert started.app.network_of == started.outside.network_of == "fake1"
    assert not started.outside.volumes
    assert re.fullmatch(r"/kubepods/burstable/pod[0-9a-f]{8}(-\w+){4}", started.app.cgroup_parent)


@pytest.mark.parametrize("place", PLACES)
def test_no_container_of_what_is_under_test_has_a_capability(make_job: MakeJob, place: str) -> None:
    started = run_set(*make_job(place))
    for spec in (started.agent, started.app, started.outside):
        assert spec.confinement.capabilities == ()
        assert spec.confinement.user == "1000:1000"


@pytest.mark.parametrize("place", PLACES)
def test_each_process_reaches_an_agent_of_its_own(make_job: MakeJob, place: str) -> None:
    capture = run_cell(make_job(place)[0])
    urls = [
        item.environment["DD_TRACE_AGENT_URL"]
        for item in capture.processes
        if "DD_TRACE_AGENT_URL" in item.environment
    ]
    assert len(urls) == len(set(urls)) == 3
    if place == "pod-shaped":
        assert all(re.fullmatch(r"unix:///\S+/apm(-\d)?\.socket", url) for url in urls)
    else:
        ports = [int(url.rpartition(":")[2]) for url in urls]
        assert all(container_set.AGENT_PORT <= port < 9000 for port in ports)


def test_an_engine_that_refuses_a_control_group_runs_the_set_without_one(make_job: MakeJob) -> None:
    job, engine = make_job("fargate-shaped")
    start = engine.start

    def strict(spec: ContainerSpec) -> FakeContainer:
        if spec.cgroup_parent:
            raise ContainerError("cgroup-parent for systemd cgroup should be a valid slice")
        return start(spec)

    engine.start = strict  # type: ignore[method-assign]
    capture = run_cell(job)
    assert shown(capture, "appsec") == [True]
    assert "the engine refuses one" in capture.isolation
    assert not any(spec.cgroup_parent for spec in engine.started)


@pytest.mark.parametrize("place", PLACES)
def test_a_refusal_is_reported_and_leaves_nothing(make_job: MakeJob, place: str) -> None:
    job, engine = make_job(place)
    engine.refusal = "no space left on device"
    capture = run_cell(job)
    assert capture.failed is Reason.INTERNAL_ERROR
    assert "no space left on device" in capture.detail
    assert not engine.living
    assert not engine.objects


@pytest.mark.parametrize(
    ("index", "oom", "reason"),
    [
        (0, False, Reason.CONTAINER_LOST),
        (1, False, Reason.CONTAINER_LOST),
        (2, True, Reason.OUT_OF_MEMORY),
        (3, False, Reason.CONTAINER_LOST),
    ],
)
def test_a_set_of_which_one_container_ends_has_no_results(
    make_job: MakeJob, index: int, oom: bool, reason: Reason
) -> None:
    # The app still runs while one is ended.
    limits = dataclasses.replace(LIMITS, start=2)
    job, engine = make_job("fargate-shaped", "never-ready", limits=limits)
    job = dataclasses.replace(job, repeats=1)
    start = engine.start
    started: list[FakeContainer] = []
    timers: list[threading.Timer] = []

    def end_one_later(spec: ContainerSpec) -> FakeContainer:
        started.append(container := start(spec))
        if len(started) == 4:
            timers.append(threading.Timer(0.5, lambda: started[index].end(oom=oom)))
            timers[0].start()
        return container

    engine.start = end_one_later  # type: ignore[method-assign]
    capture = run_cell(job)
    timers[0].join()
    assert capture.failed is reason, capture.detail
    assert not engine.living


def test_a_lost_engine_is_reported(make_job: MakeJob) -> None:
    limits = dataclasses.replace(LIMITS, start=2)
    job, engine = make_job("ecs-shaped", "never-ready", limits=limits)
    start = engine.start

    def lose_later(spec: ContainerSpec) -> FakeContainer:
        container = start(spec)
        if len(engine.started) == 4:
            engine.lost = True
        return container

    engine.start = lose_later  # type: ignore[method-assign]
    capture = run_cell(job)
    assert capture.failed is Reason.ENGINE_LOST, capture.detail


def test_a_container_outside_that_does_not_start_spoils_the_cell(make_job: MakeJob) -> None:
    job, engine = make_job("fargate-shaped")
    start = engine.start

    def refuse_the_last(spec: ContainerSpec) -> FakeContainer:
        if len(engine.started) == 3:
            raise ContainerError("no space left on device")
        return start(spec)

    engine.start = refuse_the_last  # type: ignore[method-assign]
    capture = run_cell(job)
    assert capture.failed is Reason.INTERNAL_ERROR
    assert "no space left on device" in capture.detail
    assert not engine.living


@contextlib.contextmanager
def metadata_endpoint(python: str = sys.executable) -> Iterator[str]:
    """Yield the address of a metadata endpoint that runs on this machine."""
    documents = json.dumps({"/v4/1f": {"Name": "app"}})
    process = subprocess.Popen(
        [python, str(FILES / "task_metadata.py"), "127.0.0.1", "0", documents],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield process.stdout.readline().split()[-1]
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_metadata_endpoint_answers_what_it_was_given() -> None:
    with metadata_endpoint() as endpoint:
        with urllib.request.urlopen(f"http://{endpoint}/v4/1f") as answer:
            assert json.load(answer) == {"Name": "app"}
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://{endpoint}/v4/2f")
    assert caught.value.code == 404
    caught.value.close()


def write_site(site: Path) -> None:
    """Write a folder of packages: the tracer, what it requires, and a framework."""
    for name, text in {
        "ddtrace/__init__.py": "",
        "ddtrace/__pycache__/__init__.cpython-311.pyc": "byte code",
        "ddtrace-9.9.9.dist-info/METADATA": "Name: ddtrace\nRequires-Dist: Under_Score>=1\n\n",
        "ddtrace-9.9.9.dist-info/RECORD": "ddtrace/__init__.py,sha256=1,0\n../../bin/run,,\n",
        "under_score.py": "",
        "under_score-1.dist-info/METADATA": "Name: under-score\nRequires-Dist: ddtrace\n\n",
        "under_score-1.dist-info/RECORD": "under_score.py,,\nunder_score-1.dist-info/RECORD,,\n",
        "flask/__init__.py": "",
        "flask-1.dist-info/METADATA": "Name: flask\n\n",
        "flask-1.dist-info/RECORD": "flask/__init__.py,,\n",
    }.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


def copy_tracer(site: Path, target: Path, python: str = sys.executable) -> tuple[int, str]:
    command = [python, str(FILES / "copy_tracer.py"), str(site), str(target)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    return result.returncode, result.stderr


def test_the_tracer_is_copied_with_what_it_requires(tmp_path: Path) -> None:
    site, target = tmp_path / "site", tmp_path / "target"
    write_site(site)
    target.mkdir()
    assert copy_tracer(site, target) == (0, "")
    copied = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert copied == {
        "ddtrace/__init__.py",
        "ddtrace/__pycache__/__init__.cpython-311.pyc",
        "under_score.py",
        "under_score-1.dist-info/METADATA",
        "under_score-1.dist-info/RECORD",
    }
    # Byte code is of a file with a time.
    names = ["ddtrace/__init__.py", "under_score.py"]
    assert [(target / name).stat().st_mtime for name in names] == [
        (site / name).stat().st_mtime for name in names
    ]


def test_without_a_tracer_nothing_is_copied(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    code, errors = copy_tracer(tmp_path / "site", tmp_path)
    assert code == 1
    assert "there is no ddtrace" in errors


@pytest.mark.cells
@pytest.mark.parametrize("python", ["2.7", "3.5", "3.7", "3.14"])
def test_every_interpreter_runs_what_a_set_needs(tmp_path: Path, python: str) -> None:
    interpreters = [item for item in find_interpreters() if item.python == python]
    if not interpreters:
        pytest.skip(f"no CPython {python} here")
    executable = str(interpreters[0].executable)
    write_site(tmp_path / "site")
    (tmp_path / "target").mkdir()
    assert copy_tracer(tmp_path / "site", tmp_path / "target", executable) == (0, "")
    assert (tmp_path / "target" / "under_score.py").exists()
    with (
        metadata_endpoint(executable) as endpoint,
        urllib.request.urlopen(f"http://{endpoint}/v4/1f/") as answer,
    ):
        assert json.load(answer) == {"Name": "app"}
