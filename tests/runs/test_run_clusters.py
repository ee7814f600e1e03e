"""Tests of runs on a cluster of Kubernetes: its namespace, the jobs of its cells, and their end."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.fake_kubelet import playing, running
from helpers.fake_kubernetes import CONTEXT, FakeKubernetes, running_kubernetes, write_kubeconfig
from helpers.processes import wait_until
from helpers.run_fakes import FakeEnvironments, planned

from matrix.__main__ import main
from matrix.cells.job import Limits
from matrix.cells.run import run_cell
from matrix.errors import ClusterUnavailableError, ExitCode
from matrix.kubernetes.interface import RunNamespace
from matrix.model.reason import Reason
from matrix.probes.places import find_place
from matrix.runs.backend import RunBackend, open_backend
from matrix.runs.environments import CellWork
from matrix.runs.interface import CellRequest
from matrix.runs.setup import JobFactory, RunOptions, cell_limits, job_seconds, run_context
from matrix.runs.workers import Workers

CELL = "cp39-linux_x86_64-flask2.2.3-ddtrace1.9.0"
IN_POD = f"{CELL}-in-kubernetes"
NAMESPACE = RunNamespace(CONTEXT, "compat-matrix-1", 1, (("compat-matrix.run", "1"),))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubernetes]:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    with running_kubernetes() as server:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", server.url)))
        yield server


@pytest.fixture
def here() -> Iterator[RunBackend]:
    with open_backend("local") as backend:
        yield backend


def request(cell: str) -> CellRequest:
    return CellRequest(0, planned(cell), FakeEnvironments(ready=True)._make(planned(cell)), "key")


def factory(folder: Path, here: RunBackend, namespace: RunNamespace | None) -> JobFactory:
    return JobFactory({}, folder, here, *cell_limits(here), cluster=namespace, load=lambda: 0.0)


def test_a_cell_in_a_pod_is_given_the_namespace_and_time_to_start(
    tmp_path: Path, here: RunBackend
) -> None:
    jobs = factory(tmp_path, here, NAMESPACE)
    job = pickle.loads(pickle.dumps(jobs.make(request(IN_POD))))  # noqa: S301 - our own
    assert (job.cluster, job.image) == (NAMESPACE, None)
    # One process after the other: they share the agent's address.
    assert job.limits.cell == 3 * Limits().cell
    assert dataclasses.replace(job.limits, cell=Limits().cell) == Limits()
    start = find_place("kubernetes").options["start_seconds"]
    assert job_seconds(job) > start + 2 * job.limits.cell
    other = jobs.make(request(CELL))
    assert other.cluster is None
    assert job_seconds(other) < job_seconds(job) - start


def test_a_cell_of_a_place_never_runs_on_this_machine_instead(
    tmp_path: Path, here: RunBackend
) -> None:
    capture = run_cell(factory(tmp_path, here, None).make(request(IN_POD)))
    assert capture.failed is Reason.DEPLOYMENT_NOT_HERE
    assert "--context NAME" in capture.detail
    assert capture.processes == ()


def test_a_run_has_a_namespace_of_its_own(
    tmp_path: Path, here: RunBackend, server: FakeKubernetes
) -> None:
    with run_context(tmp_path, RunOptions(jobs=1, cluster=CONTEXT), {}, here):
        (name,) = server.names("namespaces")
        assert server.names("configmaps")
        with run_context(tmp_path / "other", RunOptions(jobs=1), {}, here):
            assert server.names("namespaces") == [name]
    assert server.objects == {}


def test_a_run_without_rights_does_not_begin(
    tmp_path: Path, here: RunBackend, server: FakeKubernetes
) -> None:
    server.rights = lambda verb, resource: resource != "pods/log"
    options = RunOptions(jobs=1, cluster=CONTEXT)
    with (
        pytest.raises(ClusterUnavailableError, match="no right to get pods/log"),
        run_context(tmp_path, options, {}, here),
    ):
        pass
    assert server.objects == {}


def test_a_pod_ends_with_a_run_that_is_stopped(
    tmp_path: Path, here: RunBackend, server: FakeKubernetes
) -> None:
    server.kubelet = playing({"phase": "Running", "containerStatuses": [running("recorder")]})
    server.create("namespaces", "", {"metadata": {"name": NAMESPACE.name}})
    jobs = factory(tmp_path, here, NAMESPACE)
    workers = Workers(CellWork(contained=True), jobs.make, 1, job_seconds)
    future = workers.submit(request(IN_POD), lambda _text: None)
    assert wait_until(lambda: server.names("pods"), 60)
    workers.kill()
    capture = future.result(30).capture
    assert capture is not None
    assert capture.failed is Reason.INTERRUPTED
    assert server.names("pods") == []


def test_a_misspelt_context_is_wrong_usage(
    server: FakeKubernetes, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--place", "kubernetes", "--context", "kind-tset", "--claim", "*kubernetes*"]
    assert main(["verify", "--engine", "local", *arguments]) == ExitCode.USAGE
    assert "did you mean 'kind-test'?" in capsys.readouterr().err
