"""Back ends: started once, ready when they answer, ended whatever happens. With a toy server."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("services are started on POSIX systems only", allow_module_level=True)

from helpers.toy_services import SERVER, found, recipes, toy, toy_way

from matrix.model.service import Service, ServiceKind
from matrix.services.external import ExternalService
from matrix.services.forwarding import unix_dial
from matrix.services.pool import STARTS, NoServiceError, Services
from matrix.services.recipes import AvailableService, ServiceRecipe, SetupStep
from matrix.services.start import ServiceFailedError, start
from matrix.services.supervised import new_folder, sweep
from matrix.system.paths import project_root

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")


@pytest.fixture
def below() -> Iterator[Path]:
    """A folder with a short path, that must be empty in the end."""
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


def pids(mark: Path) -> set[int]:
    """Return the processes of servers whose folders are below one."""
    wanted = f"COMPAT_MATRIX_SERVICE={mark}".encode()
    found_ = set()
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (each / "environ").read_bytes():
                found_.add(int(each.name))
    return found_


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)


def pool(below: Path, *those: ServiceRecipe) -> Services:
    return Services(recipes=recipes(*those), below=below)


def say(path: str, words: bytes) -> bytes:
    with unix_dial(path)() as sock:
        sock.sendall(words)
        return sock.recv(100)


@pytest.mark.parametrize("ports", [0, 2])
def test_a_server_is_started_once_answers_and_is_gone_with_its_folder(
    below: Path, ports: int
) -> None:
    with pool(below, toy(ports=ports)) as services:
        assert services.identity("toy").version
        assert pids(below) == set(), "nobody has asked for it yet"
        service = services.ensure("toy")
        assert str(service.identity) == "toy: memcached 1.0"
        assert services.ensure("toy") is service
        assert len(pids(below)) == max(ports, 1)
        assert [say(way.path, b"hello\n") for way in service.ways] == [b"hello\n"] * max(ports, 1)
        assert services.lost(service) == ""
    assert pids(below) == set()


def test_variables_tell_an_app_where_it_is(below: Path) -> None:
    with pool(below, toy()) as services:
        variables = services.ensure("toy").variables([4711])
    assert variables["BOOKSHOP_TOY_URL"] == "toy://127.0.0.1:4711"
    assert variables["BOOKSHOP_TOY_PORT"] == "4711"


def test_two_runs_have_a_server_each(below: Path) -> None:
    recipe = toy(ports=1)
    with pool(below, recipe) as one, pool(below, recipe) as two:
        ours, theirs = one.ensure("toy"), two.ensure("toy")
        assert ours.ways != theirs.ways
        two.close()
        assert one.lost(ours) == ""


def test_what_does_not_start_says_its_one_relevant_line(below: Path) -> None:
    with pool(below, toy("broken")) as services, pytest.raises(NoServiceError) as caught:
        services.ensure("toy")
    assert "exit code 1" in caught.value.detail
    assert caught.value.detail.endswith("FATAL: the configuration is wrong")
    assert "services -- start toy" in caught.value.remedy


def test_a_port_that_is_open_is_no_answer(below: Path) -> None:
    with pytest.raises(ServiceFailedError, match=r"no answer within .* s"):
        start(*both(toy("silent", seconds=1.5)), below)


def test_a_step_that_hangs_is_ended_in_time(below: Path) -> None:
    recipe = toy(
        prepare=(SetupStep(("{python}", "-c", "import time; time.sleep(600)")),), seconds=0.5
    )
    with pytest.raises(ServiceFailedError, match="not ready within"):
        start(*both(recipe), below)


def both(recipe: ServiceRecipe) -> tuple[ServiceRecipe, AvailableService]:
    return recipe, found(recipe)


def test_steps_are_given_their_input_and_what_they_wrote(below: Path) -> None:
    copy = "import sys; open('copy', 'w').write(sys.stdin.read() + open('file').read())"
    check = "assert open('copy').read() == 'given and file'"
    recipe = toy(
        prepare=(
            SetupStep(("{python}", "-c", copy), "given and "),
            SetupStep(("{python}", "-c", check)),
        ),
        files={"file": "file"},
    )
    running = start(*both(recipe), below)
    running.guarded.close()


def test_a_taken_port_is_not_mistaken_for_ours(below: Path) -> None:
    """Servers have a network of their own; where they have none, the next port is tried."""
    recipe = toy(ports=1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        draws = iter([[taken], [taken + 1], [taken + 2]])
        running = start(recipe, found(recipe), below, lambda _: next(draws))
        try:
            assert say(running.service.ways[0].path, b"hello\n") == b"hello\n"
        finally:
            running.guarded.close()


def died(services: Services, service: Service) -> bool:
    return "exit code 3" in services.lost(service)


def test_a_server_that_died_is_started_anew_but_not_for_ever(below: Path) -> None:
    with pool(below, toy()) as services:
        for _ in range(STARTS):
            service = services.ensure("toy")
            with contextlib.suppress(OSError):
                say(service.ways[0].path, b"die\n")
            until(functools.partial(died, services, service))
        with pytest.raises(NoServiceError, match=r"lost 3 times, at last: .*exit code 3"):
            services.ensure("toy")


def test_who_had_the_dead_one_is_told_even_when_there_is_a_new_one(below: Path) -> None:
    with pool(below, toy()) as services:
        before = services.ensure("toy")
        for pid in pids(below):
            os.kill(pid, signal.SIGKILL)
        until(lambda: services.ensure("toy").ways != before.ways)
        assert "signal 9" in services.lost(before)


def test_a_server_that_hangs_is_lost(below: Path) -> None:
    import matrix.services.start as it  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch, pool(below, toy()) as services:
        service = services.ensure("toy")
        patch.setattr(it.ask, "__defaults__", (0.3,))
        for pid in pids(below):
            os.kill(pid, signal.SIGSTOP)
        assert "does not answer" in services.lost(service)


def test_nobody_is_left_of_a_server_that_starts_others(below: Path) -> None:
    with pool(below, toy("child")) as services:
        services.ensure("toy")
        assert len(pids(below)) == 2
    assert pids(below) == set()


_RUN = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from matrix.services.pool import Services
sys.path.insert(0, {root!r} + "/tests")
from helpers.toy_services import recipes, toy
services = Services(recipes=recipes(toy("child", ports=1)), below=Path({below!r}))
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
        until(lambda: not pids(below))
        until(lambda: not list(below.iterdir()))


def test_a_guardian_that_is_killed_takes_its_server_along_and_the_rest_is_swept(
    below: Path,
) -> None:
    with other_run(below) as run:
        assert sweep(below) == 0, "it lives"
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        server, *_ = (pid for pid in pids(below) if SERVER.name in cmdline(pid))
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        until(lambda: server not in pids(below))
        assert pids(below), "what left the server is not the kernel's to end"
        run.kill()
        run.wait()
        assert sweep(below) == 1
        until(lambda: not pids(below))


def cmdline(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    return ""


def test_closing_does_not_wait_for_a_server_that_is_being_started(below: Path) -> None:
    import threading  # noqa: PLC0415

    services = pool(below, toy("silent", seconds=300.0))
    failures: list[str] = []

    def wait() -> None:
        try:
            services.ensure("toy")
        except NoServiceError as error:
            failures.append(error.detail)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: pids(below))
    began = time.monotonic()
    services.close()
    thread.join()
    assert failures
    assert time.monotonic() - began < 30
    with pytest.raises(NoServiceError, match="the run is over"):
        services.ensure("toy")


def test_a_folder_is_not_swept_while_somebody_holds_it(below: Path) -> None:
    with new_folder(None, below) as (folder, _):
        assert sweep(below) == 0
        assert folder.is_dir()
    assert sweep(below) == 1


def test_a_program_that_is_not_there_is_named_with_its_package(below: Path) -> None:
    missing = toy_way(source="program", programs={"toyd": "toyd-that-is-not-there"})
    recipe = ServiceRecipe("toy", "The toy", "memcached", (missing,))
    with pool(below, recipe) as services:
        state = services.state("toy")
        with pytest.raises(NoServiceError, match="not installed here: toyd"):
            services.ensure("toy")
    assert state.identity is None
    assert state.remedy == "apt-get install --no-install-recommends toy-server"


def test_the_best_way_that_there_is_is_taken_and_named(below: Path) -> None:
    missing = toy_way(source="program", programs={"toyd": "toyd-that-is-not-there"})
    recipe = ServiceRecipe("toy", "The toy", "memcached", (missing, toy_way(kind=ServiceKind.STUB)))
    with pool(below, recipe) as services:
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
            given = {"toy": ExternalService(recipe, "127.0.0.1", port, "me", "hush")}
            until(lambda: answers(port))
            with Services(given, recipes=recipes(recipe), below=below) as services:
                service = services.ensure("toy")
                assert service.identity.source == "given"
                assert say(service.ways[0].path, b"hello\n") == b"hello\n"
                assert "hush" not in repr(service)
                server.kill()
                server.wait()
                assert "does not answer" in services.lost(service)
                with pytest.raises(NoServiceError, match=f"127.0.0.1:{port}"):
                    services.ensure("toy")
        finally:
            server.kill()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False
