"""Cells in sets of real containers: the agent is reached in the place, and not outside of it."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.system.paths import project_root

if sys.platform == "win32":
    pytest.skip("it needs signals", allow_module_level=True)

from helpers.cell_jobs import DETECTION, LIMITS, process_of, shown
from helpers.container_jobs import in_container, real_image
from helpers.processes import wait_until

from matrix.cells.job import CellJob
from matrix.cells.run import run_cell
from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.labels import RUN, RunLabels, lock_run
from matrix.model.capture import CellCapture
from matrix.model.environment import Image
from matrix.model.reason import Reason

pytestmark = pytest.mark.engine

PLACES = ["ecs-shaped", "fargate-shaped", "pod-shaped"]
SHORT = dataclasses.replace(LIMITS, start=30, request=5, span=3, cell=90, silence=0.2)
INJECTED = "import os\nos.environ['INJECTED'] = __file__\n"


@dataclasses.dataclass(frozen=True)
class EngineSetup:
    run: RunLabels
    engine: DockerEngine
    image: Image

    def objects(self) -> list[str]:
        """Return what the run has on the engine."""
        labels = {"label": [f"{RUN}={self.run.id}"]}
        client = self.engine.client
        return [
            *(str(item["Id"]) for item in client.containers(filters=labels, all=True)),
            *(str(item["Name"]) for item in client.networks(filters=labels)),
            *(str(item["Name"]) for item in client.volumes(filters=labels)["Volumes"] or ()),
        ]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineSetup]:
    with lock_run(tmp_path_factory.mktemp("runs")) as run, connect(run) as engine:
        if not engine.info.shares_files:
            pytest.skip("the engine does not share this machine's files")
        yield EngineSetup(run, engine, real_image(engine))


def placed(folder: Path, place: str, mode: str, setup: EngineSetup) -> CellJob:
    job = in_container(folder, mode, setup.image, setup.run, limits=SHORT)
    _add_tracer(folder / "tree")
    cell = dataclasses.replace(job.planned.cell, place=place)
    planned = dataclasses.replace(job.planned, cell=cell)
    return dataclasses.replace(job, planned=planned, probes=(DETECTION,))


def _add_tracer(tree: Path) -> None:
    """Add a distribution that can be injected, and does nothing but say so."""
    for name, text in {
        "ddtrace/bootstrap/sitecustomize.py": INJECTED,
        "ddtrace-9.9.9.dist-info/METADATA": "Name: ddtrace\nVersion: 9.9.9\n\n",
        "ddtrace-9.9.9.dist-info/RECORD": "ddtrace/bootstrap/sitecustomize.py,,\n",
    }.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    for path in tree.rglob("*"):
        path.chmod(path.stat().st_mode | 0o055)


def attack_of(capture: CellCapture, purpose: str) -> dict[str, str]:
    """Return the answer to the attack, of an app that tells its environment."""
    exchanges = process_of(capture, "appsec", purpose).exchanges
    body = next(item.body for item in exchanges if item.stimulus == "scanner")
    answer: dict[str, str] = json.loads(body)
    return answer


@pytest.mark.parametrize("place", PLACES)
def test_what_the_place_consists_of_leads_to_the_agent(
    tmp_path: Path, setup: EngineSetup, place: str
) -> None:
    capture = run_cell(placed(tmp_path, place, "describe-place", setup))
    assert process_of(capture, "appsec").failed is None
    assert shown(capture, "off", control=True) == [False]
    assert process_of(capture, "appsec").agent
    outside = process_of(capture, "appsec", "outside")
    assert outside.failed is None, outside.detail
    assert outside.agent == ()
    assert {item.status for item in outside.exchanges} == {200}, outside.log
    inside = attack_of(capture, "probe")
    assert inside["capabilities"] == attack_of(capture, "outside")["capabilities"]
    assert int(inside["capabilities"], 16) == 0
    assert (inside["user"], inside["privileges"]) == ("1000", "1")
    assert inside["interfaces"] == ("eth0 lo" if place == "ecs-shaped" else "lo")
    if place == "pod-shaped":
        assert "apm" in inside["sockets"]
        assert inside["injected"].startswith("/datadog-lib/")
        assert "apm" not in attack_of(capture, "outside")["sockets"]
    else:
        assert json.loads(inside["metadata"])["DockerId"] in inside["cgroup"]
        assert not inside["injected"]
    assert setup.objects() == []


@pytest.mark.parametrize("place", ["ecs-shaped", "fargate-shaped"])
def test_a_set_reaches_nothing_else(tmp_path: Path, setup: EngineSetup, place: str) -> None:
    job = placed(tmp_path, place, "reach-out", setup)
    job = dataclasses.replace(job, limits=dataclasses.replace(SHORT, request=30))
    (job.apps / "neighbours").write_text("", encoding="ascii")
    tried = attack_of(run_cell(job), "probe")
    assert "eth0" in tried.pop("interfaces") or place != "ecs-shaped"
    assert "reached" not in tried.values(), tried


def test_a_set_whose_app_takes_all_memory_has_no_results(
    tmp_path: Path, setup: EngineSetup
) -> None:
    job = placed(tmp_path, "fargate-shaped", "fill-memory", setup)
    capture = run_cell(job)
    assert capture.failed is Reason.OUT_OF_MEMORY, capture.detail
    assert "256 MiB" in capture.detail
    assert setup.objects() == []


RUN_IT = """
import pickle, sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[3]]
from matrix.cells.run import run_cell
run_cell(pickle.loads(Path(sys.argv[1]).read_bytes()))
"""


@pytest.mark.parametrize("place", ["ecs-shaped", "pod-shaped"])
def test_a_set_goes_with_the_process_that_runs_it(
    tmp_path: Path, setup: EngineSetup, place: str
) -> None:
    with lock_run(tmp_path) as own:
        job = placed(tmp_path, place, "hang", dataclasses.replace(setup, run=own))
        job = dataclasses.replace(job, limits=dataclasses.replace(SHORT, request=60, span=60))
        (tmp_path / "job").write_bytes(pickle.dumps(job))
        tests = project_root() / "tests"
        command = [sys.executable, "-c", RUN_IT, str(tmp_path / "job"), str(tests)]
        left = dataclasses.replace(setup, run=own)
        with subprocess.Popen([*command, str(tests.parent)], env=dict(os.environ)) as worker:
            # Four containers, and a network or two volumes.
            assert wait_until(lambda: len(left.objects()) >= 5, 30)
            time.sleep(1)  # while a request hangs
            worker.send_signal(signal.SIGKILL)
        client = setup.engine.client
        labels = {"label": f"{RUN}={own.id}"}
        assert wait_until(lambda: not client.containers(filters=labels, all=True), 20)
        assert left.objects()
    setup.engine.sweep()
    assert left.objects() == []
