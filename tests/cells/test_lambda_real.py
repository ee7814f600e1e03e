"""Real cells in AWS's emulator, in containers of a real engine."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.container_jobs import connecting, real_image

from matrix.agent.observations import liveness, observations_of, telemetry_messages
from matrix.cells.job import CellJob
from matrix.cells.places import lambda_emulator
from matrix.cells.run import run_cell
from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.labels import RUN, RunLabels, lock_run
from matrix.environments.image_trees import TreeStore
from matrix.judging.cells import findings_of
from matrix.model.capture import OUTSIDE, CellCapture, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.model.verdict import Observed
from matrix.probes.places import Place, find_place
from matrix.probes.registry import load_probes
from matrix.runs.environments import cell_requirements
from matrix.system.paths import cache_dir

pytestmark = [pytest.mark.engine, pytest.mark.cells, pytest.mark.index]

CELL = Cell("3.13", "linux_x86_64", "flask", "3.1.3", "4.16.0", place="lambda-emulated")
AS_OF = dt.date(2026, 10, 25)
PROBES = ("threat-detection", "sca")


@pytest.fixture(scope="module")
def engine_and_job(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[DockerEngine, CellJob]]:
    with lock_run(tmp_path_factory.mktemp("runs")) as run, connect(run) as engine:
        yield engine, new_job(engine, run)


def new_job(engine: DockerEngine, run: RunLabels) -> CellJob:
    catalog = ImageCatalog(engine, cache_dir())
    trees = TreeStore(
        cache_dir(), engine=engine, native=lambda python: catalog.find(python, "linux_x86_64")
    )
    probes = load_probes()
    planned = PlannedCell(CELL, AS_OF, PROBES)
    image = real_image(engine, CELL.target, CELL.python)
    environment = trees.ensure(image, cell_requirements(planned, probes))
    return CellJob(
        planned,
        "key",
        environment.python,
        environment.lock,
        tuple(probes[name] for name in PROBES),
        repeats=1,
        image=image,
        tree=environment.tree,
        tree_key=environment.key,
        connect=connecting(run),
    )


@pytest.fixture(scope="module")
def capture(engine_and_job: tuple[DockerEngine, CellJob]) -> CellCapture:
    engine, job = engine_and_job
    capture = run_cell(job)
    assert capture.failed is None, capture.detail
    assert containers(engine) == []
    return capture


def containers(engine: DockerEngine) -> list[object]:
    """Return the containers of this run, which lives."""
    label = f"{RUN}={engine.run_labels.id}"
    return list(engine.client.containers(all=True, filters={"label": [label]}))


def processes(capture: CellCapture, setting: str, *, outside: bool) -> tuple[ProcessCapture, ...]:
    return tuple(
        item
        for item in capture.processes
        if item.setting == setting and (item.purpose == OUTSIDE) == outside
    )


def test_requests_reach_the_function_as_events_of_every_kind(capture: CellCapture) -> None:
    (process,) = processes(capture, "off", outside=False)
    assert liveness(process, CELL.ddtrace).alive
    observations = observations_of(process)
    assert {item.exchange.headers["X-Bookshop-Event"] for item in observations} == {
        "rest",
        "http",
        "load-balancer",
        "url",
    }
    for item in observations:
        assert item.root is not None, item.exchange
        assert {"aws.lambda", "flask.request"} <= {span.name for span in item.spans}


def test_the_extension_passes_on_what_a_function_sends(capture: CellCapture) -> None:
    (process,) = processes(capture, "sca", outside=False)
    assert "BOOKSHOP_AGENT_PORT" in process.environment
    assert "/v0.4/traces" in {request.path for request in process.agent}
    kinds = {message["request_type"] for message in telemetry_messages(process.agent)}
    assert "app-dependencies-loaded" in kinds


def test_outside_is_no_function(capture: CellCapture) -> None:
    for setting in ("appsec", "sca"):
        (process,) = processes(capture, setting, outside=True)
        assert liveness(process, CELL.ddtrace).alive
        names = {span.name for item in observations_of(process) for span in item.spans}
        assert "flask.request" in names
        assert not any(name.startswith("aws.") for name in names)


def test_the_release_detects_threats_in_a_function(capture: CellCapture) -> None:
    found = {
        (item.probe, item.channel): item.shows
        for item in findings_of(capture, PROBES, load_probes())
    }
    assert found["threat-detection", "static"] is Observed.PRESENT


def test_a_function_that_takes_more_memory_than_it_has(
    engine_and_job: tuple[DockerEngine, CellJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, job = engine_and_job

    def find(name: str) -> Place:
        place = find_place(name)
        return dataclasses.replace(place, options={**place.options, "memory": 48})

    monkeypatch.setattr(lambda_emulator, "find_place", find)
    capture = run_cell(job)
    assert capture.failed is Reason.OUT_OF_MEMORY, capture.detail
    assert "the function's container" in capture.detail
    assert containers(engine) == []


def test_an_extension_that_is_refused_fails_the_place(
    engine_and_job: tuple[DockerEngine, CellJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, job = engine_and_job
    # The emulator takes only those that are registered under the name of their file.
    real = lambda_emulator._ensure_extension

    def ensure(source: Path, executable: str) -> tuple[Path, str]:
        program = tmp_path / "extension.py"
        program.write_text(
            source.read_text(encoding="utf-8").replace(
                "name = os.path.basename(sys.argv[0])", "name = 'another'"
            )
        )
        return real(program, executable)

    monkeypatch.setattr(lambda_emulator, "_ensure_extension", ensure)
    capture = run_cell(job)
    assert capture.failed is Reason.PLACE_FAILED, capture.detail
    assert "extension" in capture.detail
