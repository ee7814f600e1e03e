"""Cells in containers of a fake engine: their results, and the reason when one is lost."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from helpers.cell_jobs import DETECTION, LIMITS, TRACING, fake_job, process_of, shown
from helpers.container_jobs import in_fake_container
from helpers.fake_engine import FakeEngine
from helpers.processes import processes_with, wait_until

from matrix.agent.observations import liveness
from matrix.cells.container import ContainerSlot
from matrix.cells.job import CellJob
from matrix.cells.run import run_cell
from matrix.docker.interface import ContainerSpec, EngineLostError
from matrix.errors import EngineUnavailableError
from matrix.model.capture import CellCapture
from matrix.model.reason import Reason
from matrix.system.processes import CHILDREN

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a container is of Linux")
MakeJob = Callable[..., tuple[CellJob, FakeEngine]]


@pytest.fixture
def make_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeJob:
    def make(mode: str, **options: object) -> tuple[CellJob, FakeEngine]:
        return in_fake_container(fake_job(tmp_path, mode, **options), monkeypatch)  # type: ignore[arg-type]

    return make


def test_a_good_app_shows_the_same_as_on_the_machine(make_job: MakeJob) -> None:
    job, engine = make_job("good", soak=True)
    capture = run_cell(job)
    assert shown(capture, "appsec") == [True]
    assert shown(capture, "off", control=True) == [False]
    for item in capture.processes:
        assert item.failed is None
        assert liveness(item, "9.9.9").alive
        assert item.exit_code is None
    soaked = process_of(capture, "appsec", "soak").soak
    assert soaked is not None
    assert (soaked.statuses, soaked.alive) == ({"200": 30}, True)
    assert (capture.image, capture.engine) == ("sha256:the-digest", "Fake 1.0")
    assert "no network" in capture.isolation
    assert not engine.living


def test_addresses_are_those_inside(make_job: MakeJob) -> None:
    job, engine = make_job("good")
    capture = run_cell(job)
    (spec,) = engine.started
    assert spec.argv[-1].endswith("/relay.py")
    assert {mount.target for mount in spec.mounts} == {str(job.apps), str(job.fixtures)}
    assert all(mount.key and not mount.writable for mount in spec.mounts)
    urls = [item.environment["DD_TRACE_AGENT_URL"] for item in capture.processes]
    assert len(set(urls)) == len(urls)
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


def test_a_crash_in_a_container_is_reported_with_its_signal(make_job: MakeJob) -> None:
    job, _ = make_job("crash", probes=(DETECTION,))
    crashed = process_of(run_cell(job), "appsec")
    assert (crashed.failed, crashed.exit_code) == (Reason.CRASHED, -11)
    assert crashed.exchanges[-1].status is None


@pytest.mark.parametrize(
    ("mode", "reason", "words"),
    [
        ("exit", Reason.BROKEN_START, "exit code 3"),
        ("never-ready", Reason.TIMED_OUT, "did not get ready"),
        ("wrong-version", Reason.WRONG_INSTALL, "9.9.8, not 9.9.9"),
    ],
)
def test_what_does_not_start_well_has_a_typed_reason(
    make_job: MakeJob, mode: str, reason: Reason, words: str
) -> None:
    limits = dataclasses.replace(LIMITS, start=3, first_span=0.5)
    item = process_of(run_cell(make_job(mode, probes=(TRACING,), limits=limits)[0]), "off")
    assert item.failed is reason
    assert words in item.detail


def test_an_app_that_hangs_and_ignores_sigterm_is_bounded(make_job: MakeJob) -> None:
    limits = dataclasses.replace(LIMITS, request=0.5, span=0.5)
    began = time.monotonic()
    capture = run_cell(make_job("hang", probes=(DETECTION,), limits=limits)[0])
    assert time.monotonic() - began < 15
    assert {item.error for item in process_of(capture, "appsec").exchanges[1:]} == {
        "TimeoutError: timed out"
    }


def test_a_late_identity_in_a_container_is_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = dataclasses.replace(LIMITS, identity=5)
    job = fake_job(tmp_path, "good", limits=limits)
    fixtures = tmp_path / "slow"
    shutil.copytree(job.fixtures, fixtures)
    (fixtures / "identity.py").write_text("import time\ntime.sleep(60)\n")
    job, engine = in_fake_container(dataclasses.replace(job, fixtures=fixtures), monkeypatch)
    capture = run_cell(job)
    assert (capture.failed, capture.processes) == (Reason.TIMED_OUT, ())
    assert "cannot identify the interpreter: no answer within" in capture.detail
    assert not engine.living


def test_an_app_that_is_started_too_late_is_a_timeout(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_arguments: object, **_more: object) -> None:
        raise TimeoutError("the relay did not answer within 30 s")

    job, _ = make_job("good", probes=(TRACING,))
    monkeypatch.setattr(ContainerSlot, "start", late)
    item = process_of(run_cell(job), "off")
    assert (item.failed, item.log) == (Reason.TIMED_OUT, "")
    assert "did not answer" in item.detail


def test_an_interpreter_that_differs_from_the_image_is_a_wrong_image(make_job: MakeJob) -> None:
    job, _ = make_job("good")
    assert job.image is not None
    other = dataclasses.replace(job.image, libc="musl 1.2.5")
    capture = run_cell(dataclasses.replace(job, image=other))
    assert capture.failed is Reason.WRONG_IMAGE
    assert "not the image's 'musl 1.2.5'" in capture.detail
    assert capture.processes == ()


def test_an_installation_that_is_not_the_pinned_one_is_not_run(make_job: MakeJob) -> None:
    capture = run_cell(make_job("good", installed="9.9.7")[0])
    assert (capture.failed, capture.detail) == (Reason.WRONG_INSTALL, "ddtrace 9.9.7, not 9.9.9")


def while_it_runs(job: CellJob, act: Callable[[], object]) -> CellCapture:
    """Run a cell whose app hangs, and do something to it once it does."""
    limits = dataclasses.replace(LIMITS, request=60, span=60)
    captures: list[CellCapture] = []
    job = dataclasses.replace(job, limits=limits)
    thread = threading.Thread(target=lambda: captures.append(run_cell(job)))
    thread.start()
    apps = str((job.scratch or Path()).parent / "apps")
    assert wait_until(lambda: any("serve.py" in line for line in processes_with(apps)), 30)
    act()
    thread.join(20)
    assert not thread.is_alive(), "a wait went on after the end of what was waited for"
    return captures[0]


def kill(engine: FakeEngine, *, oom: bool = False) -> None:
    for item in list(engine.living.values()):
        item.end(oom=oom)


def lose(engine: FakeEngine) -> None:
    engine.lost = True


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (kill, Reason.CONTAINER_LOST),
        (lambda engine: kill(engine, oom=True), Reason.OUT_OF_MEMORY),
        (lose, Reason.ENGINE_LOST),
        (lambda _: CHILDREN.kill_all(), Reason.CONTAINER_LOST),
    ],
)
def test_a_cell_whose_container_is_lost_has_no_results(
    make_job: MakeJob, act: Callable[[FakeEngine], None], reason: Reason
) -> None:
    job, engine = make_job("hang")
    capture = while_it_runs(job, lambda: act(engine))
    assert capture.failed is reason, capture.detail


def test_a_refusal_has_the_message_of_the_engine(make_job: MakeJob) -> None:
    job, engine = make_job("good")
    engine.refusal = "no space left on device"
    capture = run_cell(job)
    assert capture.failed is Reason.INTERNAL_ERROR
    assert "no space left on device" in capture.detail


def test_a_missing_image_and_one_of_another_platform_are_reported(make_job: MakeJob) -> None:
    job, engine = make_job("good")
    (image,) = engine.local_images.values()
    engine.local_images = {image.id: dataclasses.replace(image, platform="linux/arm64")}
    assert run_cell(job).failed is Reason.WRONG_IMAGE
    engine.local_images = {}
    assert run_cell(job).failed is Reason.NO_IMAGE


def test_a_lost_engine_is_reported(make_job: MakeJob) -> None:
    job, engine = make_job("good")
    engine.lost = True
    assert run_cell(job).failed is Reason.ENGINE_LOST

    def refuse() -> FakeEngine:
        raise EngineUnavailableError("no engine answers", "start one")

    def lost() -> FakeEngine:
        raise EngineLostError("no engine answers")

    for connect in (refuse, lost):
        capture = run_cell(dataclasses.replace(job, connect=connect))
        assert (capture.failed, capture.detail) == (Reason.ENGINE_LOST, "no engine answers")


def silent(spec: ContainerSpec, stdin: IO[bytes], out: IO[bytes], err: IO[bytes]) -> int:
    stdin.read()
    return 0


def nonsense(spec: ContainerSpec, stdin: IO[bytes], out: IO[bytes], err: IO[bytes]) -> int:
    out.write(b"Hello, I am not a relay at all")
    stdin.read()
    return 0


def stubborn(spec: ContainerSpec, stdin: IO[bytes], out: IO[bytes], err: IO[bytes]) -> int:
    code = nonsense(spec, stdin, out, err)
    time.sleep(0.3)  # long enough to be asked while it still runs
    return code


def broken(spec: ContainerSpec, stdin: IO[bytes], out: IO[bytes], err: IO[bytes]) -> int:
    err.write(b"exec format error\n")
    return 1


@pytest.mark.parametrize(
    ("act", "reason", "words"),
    [
        (silent, Reason.TIMED_OUT, "did not start"),
        (nonsense, Reason.WRONG_IMAGE, "invalid data from the relay"),
        (stubborn, Reason.WRONG_IMAGE, "invalid data from the relay"),
        (broken, Reason.WRONG_IMAGE, "exec format error"),
    ],
)
def test_a_container_without_a_relay_is_reported(
    make_job: MakeJob, act: Callable[..., int], reason: Reason, words: str
) -> None:
    limits = dataclasses.replace(LIMITS, identity=1)
    job, engine = make_job("good", limits=limits)
    assert job.image is not None
    engine.functions = {job.image.id: act}
    capture = run_cell(job)
    assert capture.failed is reason, capture.detail
    assert words in capture.detail
    assert not engine.living
