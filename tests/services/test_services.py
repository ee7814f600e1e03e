"""Services: started once, ready when they answer, ended whatever happens. With a toy server."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("services are started on POSIX systems only", allow_module_level=True)

from helpers.toy_services import (
    SERVER,
    available,
    empty_in_the_end,
    exchange_bytes,
    recipes,
    toy,
    toy_services,
    toy_source,
    wait_until,
)

from matrix.model.service import Service, ServiceKind
from matrix.services.external import ExternalService
from matrix.services.pool import MAX_STARTS, Services
from matrix.services.recipes import AvailableService, NoServiceError, ServiceRecipe, SetupStep
from matrix.services.start import ServiceFailedError, start
from matrix.services.supervised import new_folder, sweep
from matrix.system.paths import project_root

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")


@pytest.fixture
def below() -> Iterator[Path]:
    with empty_in_the_end() as folder:
        yield folder


def pids(below: Path) -> set[int]:
    """Return the processes of servers whose folders are below a folder."""
    variable = f"COMPAT_MATRIX_SERVICE={below}".encode()
    processes = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if variable in (process / "environ").read_bytes():
                processes.add(int(process.name))
    return processes


@pytest.mark.parametrize("ports", [0, 2])
def test_a_server_is_started_once_answers_and_is_gone_with_its_folder(
    below: Path, ports: int
) -> None:
    with toy_services(below, toy(ports=ports)) as services:
        assert services.identity("toy").version
        assert pids(below) == set(), "it is started when it is needed"
        service = services.ensure("toy")
        assert str(service.identity) == "toy: memcached 1.0"
        assert services.ensure("toy") is service
        assert len(pids(below)) == max(ports, 1)
        assert [exchange_bytes(forward.path, b"hello\n") for forward in service.forwards] == [
            b"hello\n"
        ] * max(ports, 1)
        assert services.loss_reason(service) == ""
    assert pids(below) == set()


def test_variables_have_the_address_for_an_app(below: Path) -> None:
    with toy_services(below, toy()) as services:
        variables = services.ensure("toy").variables([4711])
    assert variables["BOOKSHOP_TOY_URL"] == "toy://127.0.0.1:4711"
    assert variables["BOOKSHOP_TOY_PORT"] == "4711"


def test_two_runs_have_a_server_each(below: Path) -> None:
    recipe = toy(ports=1)
    with toy_services(below, recipe) as first, toy_services(below, recipe) as second:
        service = first.ensure("toy")
        assert service.forwards != second.ensure("toy").forwards
        second.close()
        assert first.loss_reason(service) == ""


def test_a_failed_start_quotes_the_relevant_line_of_the_log(below: Path) -> None:
    with toy_services(below, toy("broken")) as services, pytest.raises(NoServiceError) as caught:
        services.ensure("toy")
    assert "exit code 1" in caught.value.detail
    assert caught.value.detail.endswith("FATAL: the configuration is wrong")
    assert "services -- start toy" in caught.value.remedy


def test_a_port_that_is_open_is_no_answer(below: Path) -> None:
    with pytest.raises(ServiceFailedError, match=r"no answer within .* s"):
        start(*toy_with_source(toy("silent", seconds=1.5)), below)


def test_a_step_that_hangs_is_ended_in_time(below: Path) -> None:
    recipe = toy(
        prepare=(SetupStep(("{python}", "-c", "import time; time.sleep(600)")),), seconds=0.5
    )
    with pytest.raises(ServiceFailedError, match="not ready within"):
        start(*toy_with_source(recipe), below)


def toy_with_source(recipe: ServiceRecipe) -> tuple[ServiceRecipe, AvailableService]:
    return recipe, available(recipe)


def test_steps_have_their_input_and_files(below: Path) -> None:
    copy = "import sys; open('copy', 'w').write(sys.stdin.read() + open('file').read())"
    check = "assert open('copy').read() == 'given and file'"
    recipe = toy(
        prepare=(
            SetupStep(("{python}", "-c", copy), "given and "),
            SetupStep(("{python}", "-c", check)),
        ),
        files={"file": "file"},
    )
    running = start(*toy_with_source(recipe), below)
    running.server.close()


def test_a_taken_port_is_not_mistaken_for_ours(below: Path) -> None:
    """Servers have a network of their own; where they have none, the next port is tried."""
    recipe = toy(ports=1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        picks = iter([[taken], [taken + 1], [taken + 2]])
        running = start(recipe, available(recipe), below, lambda _: next(picks))
        try:
            assert exchange_bytes(running.service.forwards[0].path, b"hello\n") == b"hello\n"
        finally:
            running.server.close()


def died(services: Services, service: Service) -> bool:
    return "exit code 3" in services.loss_reason(service)


def test_a_server_that_died_is_started_anew_but_not_for_ever(below: Path) -> None:
    with toy_services(below, toy()) as services:
        for _ in range(MAX_STARTS):
            service = services.ensure("toy")
            with contextlib.suppress(OSError):
                exchange_bytes(service.forwards[0].path, b"die\n")
            wait_until(functools.partial(died, services, service))
        with pytest.raises(NoServiceError, match=r"lost 3 times, most recently: .*exit code 3"):
            services.ensure("toy")


def test_a_restarted_server_still_reports_the_loss_of_the_first(below: Path) -> None:
    with toy_services(below, toy()) as services:
        before = services.ensure("toy")
        for pid in pids(below):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: services.ensure("toy").forwards != before.forwards)
        assert "signal 9" in services.loss_reason(before)


def test_a_server_that_hangs_is_lost(below: Path) -> None:
    with toy_services(below, toy()) as services:
        service = services.ensure("toy")
        services.answer_seconds = 0.3
        for pid in pids(below):
            os.kill(pid, signal.SIGSTOP)
        assert "does not answer" in services.loss_reason(service)


def test_processes_that_a_server_started_end_with_it(below: Path) -> None:
    with toy_services(below, toy("child")) as services:
        services.ensure("toy")
        assert len(pids(below)) == 2
    assert pids(below) == set()


_RUN = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
sys.path.insert(0, {root!r} + "/tests")
from helpers.toy_services import toy, toy_services
services = toy_services(Path({below!r}), toy("child", ports=1))
services.ensure("toy")
print("ready", flush=True)
time.sleep(600)
"""


@contextlib.contextmanager
def other_run(below: Path) -> Iterator[subprocess.Popen[bytes]]:
    code = _RUN.format(root=str(project_root()), below=str(below))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as run:
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == b"ready\n"
            yield run
        finally:
            run.kill()


def test_a_run_that_is_killed_leaves_no_server(below: Path) -> None:
    with other_run(below) as run:
        assert len(pids(below)) == 2
        run.kill()
        wait_until(lambda: not pids(below))
        wait_until(lambda: not list(below.iterdir()))


def test_a_supervisor_that_is_killed_ends_its_server_and_the_rest_is_swept(below: Path) -> None:
    with other_run(below) as run:
        assert sweep(below) == 0, "it is running"
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        server, *_ = (pid for pid in pids(below) if SERVER.name in cmdline(pid))
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        wait_until(lambda: server not in pids(below))
        assert pids(below), "the kernel ends only the server itself"
        run.kill()
        run.wait()
        assert sweep(below) == 1
        wait_until(lambda: not pids(below))


def cmdline(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    return ""


def test_closing_does_not_wait_for_a_server_that_is_being_started(below: Path) -> None:
    services = toy_services(below, toy("silent", seconds=300.0))
    failures: list[str] = []

    def wait() -> None:
        try:
            services.ensure("toy")
        except NoServiceError as error:
            failures.append(error.detail)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: pids(below))
    began = time.monotonic()
    services.close()
    thread.join()
    assert failures
    assert time.monotonic() - began < 30
    with pytest.raises(NoServiceError, match="the run is over"):
        services.ensure("toy")


def test_a_folder_is_not_swept_while_it_is_locked(below: Path) -> None:
    with new_folder(None, below) as (folder, _):
        assert sweep(below) == 0
        assert folder.is_dir()
    assert sweep(below) == 1


def test_a_missing_program_is_reported_with_its_package(below: Path) -> None:
    missing = toy_source(source="program", programs={"toyd": "toyd-that-is-not-there"})
    recipe = ServiceRecipe("toy", "The toy", "memcached", (missing,))
    with toy_services(below, recipe) as services:
        state = services.state("toy")
        with pytest.raises(NoServiceError, match="not installed here: toyd"):
            services.ensure("toy")
    assert state.identity is None
    assert state.remedy == "apt-get install --no-install-recommends toy-server"


def test_the_best_available_source_is_used(below: Path) -> None:
    missing = toy_source(source="program", programs={"toyd": "toyd-that-is-not-there"})
    recipe = ServiceRecipe(
        "toy", "The toy", "memcached", (missing, toy_source(kind=ServiceKind.STUB))
    )
    with toy_services(below, recipe) as services:
        assert services.identity("toy").kind is ServiceKind.STUB
        assert str(services.ensure("toy").identity) == "toy: memcached 1.0 (a stub)"


def test_a_server_that_runs_already_is_used_and_not_ended(below: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-S", str(SERVER), "good", str(port)]
    recipe = toy()
    with subprocess.Popen(command) as server:
        try:
            external = {"toy": ExternalService(recipe, "127.0.0.1", port, "me", "hush")}
            wait_until(lambda: accepts(port))
            with Services(external, recipes=recipes(recipe), below=below) as services:
                service = services.ensure("toy")
                assert service.identity.source == "given"
                assert exchange_bytes(service.forwards[0].path, b"hello\n") == b"hello\n"
                assert "hush" not in repr(service)
                server.kill()
                server.wait()
                assert "does not answer" in services.loss_reason(service)
                with pytest.raises(NoServiceError, match=f"127.0.0.1:{port}"):
                    services.ensure("toy")
        finally:
            server.kill()


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False
