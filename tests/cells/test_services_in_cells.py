"""Services reached from a cell across network namespaces, and the reasons when one is lost."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import multiprocessing
import socket
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("services are started on POSIX systems only", allow_module_level=True)

from helpers.processes import kill
from helpers.toy_services import recipes, toy

from matrix.cells.interface import SandboxError
from matrix.cells.job import CellJob
from matrix.cells.local import LocalSandbox
from matrix.cells.services import forward_services, redact_passwords
from matrix.environments.errors import BuildError
from matrix.model.capture import CellCapture
from matrix.model.cell import Cell
from matrix.model.environment import Environment, Interpreter
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.service import PortForward, Service
from matrix.runs.interface import CellRequest, CellResult
from matrix.runs.keys import environment_text
from matrix.runs.services import CellServices, ServedEnvironments, ServedRunner
from matrix.services.pool import Services
from matrix.services.recipes import ServiceRecipe
from matrix.system.network import isolate

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")

PLANNED = PlannedCell(
    cell=Cell("3.9", "linux_x86_64", "toylib", "1.0", "2.0.0"),
    as_of=dt.date(2024, 1, 1),
    probes=("toy",),
    decisive=("toy",),
)
PROBES = {"toy": Probe("toy", "a toy", (), services=("toy",))}
HERE = Interpreter(Path(sys.executable), "3.9.1", "gcc", "linux_x86_64", "", "path")
ENVIRONMENT = Environment(Path(sys.executable), "key", (), HERE)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        yield Path(folder)


def job(scratch: Path, *services: Service) -> CellJob:
    return CellJob(PLANNED, "key", Path(sys.executable), (), (), scratch=scratch, services=services)


def visit(cell_job: CellJob, answers: multiprocessing.Queue[object]) -> None:
    """Act as a worker: leave the network, and talk to the service from a cell."""
    answers.put(isolate())
    try:
        with LocalSandbox(cell_job) as sandbox, forward_services(cell_job, sandbox) as variables:
            for port in variables["BOOKSHOP_TOY_PORTS"].split(","):
                with socket.create_connection(("127.0.0.1", int(port)), 10) as sock:
                    sock.sendall(b"hello\n")
                    answers.put((int(port), sock.recv(100)))
    except BaseException as error:  # noqa: BLE001 - the test gets it as an answer
        answers.put(repr(error))


@pytest.mark.parametrize("same", [False, True])
def test_a_cell_in_a_network_of_its_own_reaches_every_port(folder: Path, same: bool) -> None:
    recipe = toy(ports=3, same_ports=same)
    with Services(recipes=recipes(recipe), below=folder) as services:
        service = services.ensure("toy")
        spawn = multiprocessing.get_context("spawn")
        answers = spawn.Queue()
        worker = spawn.Process(target=visit, args=(job(folder, service), answers))
        worker.start()
        network = answers.get(timeout=30)
        replies = [answers.get(timeout=30) for _ in range(3)]
        worker.join()
        answers.close()
        answers.join_thread()
    assert [reply for _, reply in replies] == [b"hello\n"] * 3
    if same and str(network).startswith("own"):
        assert [port for port, _ in replies] == [item.port for item in service.forwards]


def test_a_required_port_that_is_taken_is_reported(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        recipe = toy()
        with Services(recipes=recipes(recipe), below=folder) as services:
            service = services.ensure("toy")
            forward = PortForward(service.forwards[0].path, other.getsockname()[1])
            cell_job = job(folder, dataclasses.replace(service, forwards=(forward,)))
            with (
                LocalSandbox(cell_job) as sandbox,
                pytest.raises(SandboxError, match="is taken") as caught,
                forward_services(cell_job, sandbox),
            ):
                pass
    assert caught.value.reason is Reason.NO_BACK_END


def test_passwords_of_the_user_are_redacted_and_ours_are_kept(folder: Path) -> None:
    with Services(recipes=recipes(toy()), below=folder) as services:
        ours = services.ensure("toy")
    theirs = dataclasses.replace(ours, password="hush", secret=True)
    variables = {"BOOKSHOP_TOY_URL": "toy://me:hush@127.0.0.1", "BOOKSHOP_TOY_PASSWORD": "hush"}
    assert redact_passwords(variables, [theirs]) == {
        "BOOKSHOP_TOY_URL": "toy://me:...@127.0.0.1",
        "BOOKSHOP_TOY_PASSWORD": "...",
    }
    assert redact_passwords(variables, [ours]) == variables


class Runner:
    """Runs nothing; calls `during` while a cell would run, and returns a capture with `failed`."""

    def __init__(self, during: object = None, failed: Reason | None = None) -> None:
        self.during = during
        self.failed = failed
        self.killed = False

    def submit(self, request: CellRequest, report: object) -> Future[CellResult]:
        if callable(self.during):
            self.during()
        future: Future[CellResult] = Future()
        cell = request.planned.cell.id
        capture = CellCapture(cell, request.key, None, (), (), "2024-01-01T00:00:00", 1.0)
        future.set_result(CellResult(dataclasses.replace(capture, failed=self.failed)))
        return future

    def kill(self) -> None:
        self.killed = True


class Environments:
    def peek(self, planned: PlannedCell) -> Environment | str:
        return ENVIRONMENT

    def ensure(self, planned: PlannedCell, report: object) -> Environment:
        return ENVIRONMENT


def kill_servers(folder: Path) -> None:
    variable = f"COMPAT_MATRIX_SERVICE={folder}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if variable in (process / "environ").read_bytes():
                kill(int(process.name))


def run(
    folder: Path, recipe: ServiceRecipe, during: object = None
) -> tuple[CellCapture, CellCapture]:
    """Return the captures of two cells, one after the other."""
    with Services(recipes=recipes(recipe), below=folder) as services:
        runner = Runner(during)
        served = ServedRunner(runner, CellServices(services, PROBES))
        first = run_cell(served)
        runner.during = None
        return first, run_cell(served)


def run_cell(runner: ServedRunner) -> CellCapture:
    request = CellRequest(0, PLANNED, ENVIRONMENT, "key")
    capture = runner.submit(request, lambda _text: None).result(60).capture
    assert capture is not None
    return capture


def test_a_lost_server_is_reported_and_replaced_for_the_next_cell(folder: Path) -> None:
    first, second = run(folder, toy(), lambda: kill_servers(folder))
    assert first.failed is Reason.BACK_END_LOST
    assert "toy: " in first.detail
    assert "signal 9" in first.detail
    assert second.failed is None


@pytest.mark.parametrize("failed", [Reason.ENGINE_LOST, Reason.INTERRUPTED])
def test_a_server_that_ends_with_the_run_is_not_reported(folder: Path, failed: Reason) -> None:
    with Services(recipes=recipes(toy()), below=folder) as services:
        runner = Runner(lambda: kill_servers(folder), failed)
        served = ServedRunner(runner, CellServices(services, PROBES))
        assert run_cell(served).failed is failed


def test_a_server_that_does_not_start_is_no_back_end_and_no_cell_runs(folder: Path) -> None:
    first, second = run(folder, toy("broken"), lambda: pytest.fail("it ran"))
    assert {first.failed, second.failed} == {Reason.NO_BACK_END}
    assert "FATAL: the configuration is wrong" in first.detail


def test_a_cell_that_needs_nothing_starts_nothing(folder: Path) -> None:
    with Services(recipes=recipes(toy()), below=folder) as services:
        served = ServedRunner(Runner(), CellServices(services, {}))
        assert run_cell(served).failed is None
        assert list(folder.iterdir()) == []


def test_the_key_of_a_result_names_its_services_before_they_are_started(folder: Path) -> None:
    keys = []
    for version in ("--version", "--help"):
        recipe = toy(source="program", version=(version,))
        with Services(recipes=recipes(recipe), below=folder) as services:
            served = ServedEnvironments(Environments(), CellServices(services, PROBES))
            environment = served.peek(PLANNED)
            assert isinstance(environment, Environment)
            keys.append(environment_text(environment))
    assert list(folder.iterdir()) == []
    assert keys[0].startswith("key with toy: ")
    assert keys[0] != keys[1]


def test_a_cell_without_its_service_is_left_out_with_a_remedy(folder: Path) -> None:
    recipe = toy(source="program", programs={"toyd": "toyd-that-is-not-there"})
    with Services(recipes=recipes(recipe), below=folder) as services:
        served = ServedEnvironments(Environments(), CellServices(services, PROBES))
        with pytest.raises(BuildError) as caught:
            served.peek(PLANNED)
    assert caught.value.reason is Reason.NO_BACK_END
    assert "apt-get install --no-install-recommends toy-server" in caught.value.detail
