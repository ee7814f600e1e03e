"""Cells in the place `lambda-emulated` on a fake engine: what is started, and how it fails."""

from __future__ import annotations

import dataclasses
import datetime as dt
import socket
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
from helpers.cell_jobs import DETECTION, fake_job
from helpers.container_jobs import in_fake_container
from helpers.fake_engine import FakeEngine
from helpers.lambda_place import PROGRAMS

from matrix.cells.interface import SandboxError
from matrix.cells.job import CellJob
from matrix.cells.places import lambda_emulator
from matrix.cells.run import run_cell
from matrix.errors import IndexUnavailableError
from matrix.model.capture import OUTSIDE
from matrix.model.index import Project
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.model.service import Service
from matrix.probes.places import find_place
from matrix.runs.environments import cell_requirements
from matrix.system.paths import cache_dir

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a container is of Linux")
NAME = "lambda-emulated"
OPTIONS = find_place(NAME).options
SHA256 = OPTIONS["emulator"]["members"]["linux_x86_64"]["sha256"]
MakeJob = Callable[[str], tuple[CellJob, FakeEngine]]


class NoIndex:
    """An index that does not answer."""

    def project(self, name: str) -> Project:
        raise IndexUnavailableError(f"no answer for {name}", "try again")


class EmptyIndex:
    """An index without any release."""

    def project(self, name: str) -> Project:
        return Project(name, dt.datetime.now(dt.timezone.utc), ())


@pytest.fixture
def make_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeJob:
    """Return a function that makes a job whose emulator is a shell script, none where it is ""."""
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(lambda_emulator, "PORT", free.getsockname()[1])

    def make(script: str) -> tuple[CellJob, FakeEngine]:
        job = fake_job(tmp_path, "good", probes=(DETECTION,))
        cell = dataclasses.replace(job.planned.cell, place=NAME)
        planned = dataclasses.replace(job.planned, cell=cell)
        folder = cache_dir() / "places" / SHA256
        if script:
            folder.mkdir(parents=True)
            (folder / lambda_emulator.PROGRAM).write_text(f"#!/bin/sh\n{script}\n")
            (folder / lambda_emulator.PROGRAM).chmod(0o755)
        for name, path in (("EMULATOR", folder), ("PLACE", PROGRAMS), ("TASK", job.apps)):
            monkeypatch.setattr(lambda_emulator, name, PurePosixPath(path))
        job = dataclasses.replace(job, planned=planned, tree=tmp_path, tree_key="tree")
        return in_fake_container(job, monkeypatch)

    return make


def test_a_function_has_a_container_of_its_own_in_the_shape_of_lambda(make_job: MakeJob) -> None:
    job, engine = make_job("exit 7")
    capture = run_cell(job)
    own, *functions = engine.started
    assert len(functions) == len([item for item in capture.processes if item.purpose != OUTSIDE])
    assert job.image is not None
    assert job.image.site in {mount.target for mount in own.mounts}
    python = job.planned.cell.python
    for spec in functions:
        targets = {mount.target: mount for mount in spec.mounts}
        assert job.image.site not in targets
        assert targets[f"/opt/python/lib/python{python}/site-packages"].source == job.tree
        extension = targets["/opt/extensions"].source / "datadog-agent"
        assert extension.read_text().startswith(f"#!{job.image.executable} -ESs\n")
        assert extension.stat().st_mode & 0o111
        assert all(mount.key and not mount.writable for mount in spec.mounts)
        confinement = spec.confinement
        assert (confinement.tmp_bytes >> 20, confinement.memory >> 20) == (512, 1024)
        assert not confinement.writable
        assert not confinement.network
    assert "1024 MiB" in capture.isolation
    assert not engine.living


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 7", "the emulator ended with exit code 7"),
        ("echo 'place failed: the extension is refused: 403'; exit 1", "is refused: 403"),
    ],
)
def test_an_emulator_that_does_not_start_says_nothing_about_the_release(
    make_job: MakeJob, script: str, words: str
) -> None:
    job, engine = make_job(script)
    capture = run_cell(job)
    assert capture.failed is Reason.PLACE_FAILED
    assert words in capture.detail
    assert not engine.living


def test_a_program_between_that_fails_says_nothing_about_the_release(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job, engine = make_job("exit 7")
    (tmp_path / "front.py").write_text("raise SystemExit(5)")
    monkeypatch.setattr(lambda_emulator, "PLACE", PurePosixPath(tmp_path))
    capture = run_cell(job)
    assert capture.failed is Reason.PLACE_FAILED
    assert capture.detail == "what serves the function ended with 5"
    assert not engine.living


def test_outside_is_an_ordinary_process_with_its_agent(make_job: MakeJob) -> None:
    capture = run_cell(make_job("exit 7")[0])
    outside = [item for item in capture.processes if item.purpose == OUTSIDE]
    assert [item.setting for item in outside] == ["appsec"]
    for item in outside:
        assert item.failed is None
        assert "DD_TRACE_AGENT_URL" in item.environment
        assert "BOOKSHOP_AGENT_PORT" not in item.environment
    inside = next(item for item in capture.processes if item.setting == "appsec")
    assert "DD_TRACE_AGENT_URL" not in inside.environment


@pytest.mark.parametrize(
    ("index", "reason"),
    [(NoIndex(), Reason.INDEX_UNAVAILABLE), (EmptyIndex(), Reason.BUILD_FAILED)],
)
def test_an_emulator_that_cannot_be_had_is_a_typed_reason(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, index: object, reason: Reason
) -> None:
    monkeypatch.setattr(lambda_emulator, "CachedIndex", lambda *_: index)
    job, engine = make_job("")
    capture = run_cell(job)
    assert capture.failed is reason
    assert "AWS's emulator" in capture.detail
    assert not engine.started


def test_an_emulator_that_is_not_cached_is_not_fetched_offline(make_job: MakeJob) -> None:
    job, engine = make_job("")
    capture = run_cell(dataclasses.replace(job, offline=True))
    assert capture.failed is Reason.INDEX_UNAVAILABLE
    assert "--offline" in capture.detail
    assert not engine.started


def test_a_target_without_an_emulator_and_back_ends_are_refused(make_job: MakeJob) -> None:
    job, _ = make_job("exit 7")
    assert job.image is not None
    image = dataclasses.replace(job.image, target="linux_i686")
    capture = run_cell(dataclasses.replace(job, image=image))
    assert capture.failed is Reason.BUILD_FAILED
    assert "no emulator for linux_i686" in capture.detail
    services: tuple[Service, ...] = (object(),)  # type: ignore[assignment]
    with pytest.raises(SandboxError) as caught:
        lambda_emulator.new_sandbox(
            dataclasses.replace(job, services=services),
            image,
            FakeEngine(),
            None,  # type: ignore[arg-type]
        )
    assert caught.value.reason is Reason.NO_BACK_END


def test_the_environment_has_what_the_place_requires_as_wheels(make_job: MakeJob) -> None:
    planned: PlannedCell = make_job("exit 7")[0].planned
    placed = cell_requirements(planned, {})
    elsewhere = cell_requirements(
        dataclasses.replace(planned, cell=dataclasses.replace(planned.cell, place="")), {}
    )
    assert set(placed.also) - set(elsewhere.also) == {"awslambdaric", "datadog-lambda"}
    assert set(placed.only_binary) - set(elsewhere.only_binary) == {
        "awslambdaric",
        "datadog-lambda",
    }
