"""Tests of cells in pods: what ends one without a result, and one from its job to its capture.

The client is the real one, and the API server ours. Its kubelet runs the containers of a pod as
processes of this machine, or plays the statuses of one that fails.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.fake_kubelet import NO_NAMESPACES, ProcessKubelet, ended, playing, running, waiting
from helpers.fake_kubernetes import (
    CONTEXT,
    Denial,
    FakeKubernetes,
    Kubelet,
    Object,
    running_kubernetes,
    write_kubeconfig,
)
from helpers.pod_jobs import pod_job

from matrix.cells.job import CellJob
from matrix.cells.places import kubernetes as mechanism
from matrix.cells.places import seconds_to_start
from matrix.cells.run import run_cell
from matrix.kubernetes.pod_manifest import PodOptions
from matrix.kubernetes.printed import print_lines
from matrix.model.capture import OUTSIDE, CellCapture
from matrix.model.reason import Reason
from matrix.probes.places import find_place
from matrix.system.processes import CHILDREN

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the containers are of Linux")

LOCK = ("ddtrace==9.9.9 --hash=sha256:0",)
INIT = [ended("unpack"), ended("environment"), ended("tracer")]
RUNNING = {
    "phase": "Running",
    "initContainerStatuses": INIT,
    "containerStatuses": [running("recorder"), running("app"), running("outside")],
}


def finished(*others: Object) -> Object:
    containers = [ended("recorder"), *(others or (ended("app"), ended("outside")))]
    return {"phase": "Succeeded", "initContainerStatuses": INIT, "containerStatuses": containers}


def result(
    job: CellJob, *, key: str | None = None, failed: Reason | None = None, detail: str = ""
) -> bytes:
    """Return what a recorder prints for a job."""
    capture = CellCapture(job.planned.cell.id, key or job.key, failed=failed, detail=detail)
    lines = print_lines(capture.to_json())
    return "".join(f"{line}\n" for line in lines).encode()


Run = Callable[..., tuple[CellCapture, FakeKubernetes]]
MakeKubelet = Callable[[CellJob], Kubelet]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs a cell on a cluster whose kubelet is made for its job, and that answers
    some calls by errors.
    """
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))

    def run(make_kubelet: MakeKubelet, *denials: Denial) -> tuple[CellCapture, FakeKubernetes]:
        with running_kubernetes() as server:
            write_kubeconfig(tmp_path / "config", server.url)
            with pod_job(tmp_path, lock=LOCK) as job:
                server.denials += denials
                server.kubelet = make_kubelet(job)
                capture = run_cell(job)
                # Nothing of the cell is left, and only the run's own things wait for its end.
                assert server.names("pods") == []
                assert all(name.startswith("project-") for name in server.names("configmaps"))
            assert server.objects == {}
        return capture, server

    return run


def set_options(patch: pytest.MonkeyPatch, **options: object) -> None:
    """Change options of the place."""
    changed = PodOptions.of({**find_place("kubernetes").options, **options})
    patch.setattr(mechanism, "_options", lambda _job: changed)


def evicted(cluster: FakeKubernetes, pod: Object) -> None:
    status = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
    cluster.set_status(pod["metadata"]["namespace"], pod["metadata"]["name"], status)


def deleted(cluster: FakeKubernetes, pod: Object) -> None:
    cluster.delete(("pods", pod["metadata"]["namespace"], pod["metadata"]["name"]))


@pytest.mark.parametrize(
    ("kubelet", "reason", "text"),
    [
        (
            playing(
                {
                    "phase": "Pending",
                    "initContainerStatuses": [
                        waiting("unpack", "ImagePullBackOff", "manifest unknown")
                    ],
                }
            ),
            Reason.NO_IMAGE,
            "manifest unknown",
        ),
        (
            playing(
                {
                    "phase": "Pending",
                    "initContainerStatuses": [ended("unpack"), ended("environment", 1, "Error")],
                },
                log={"environment": b"Collecting x\nERROR: no matching distribution\n"},
            ),
            Reason.BUILD_FAILED,
            "exit code 1: Collecting x ERROR: no matching distribution",
        ),
        (playing(RUNNING, evicted), Reason.CONTAINER_LOST, "Evicted: low on memory"),
        (playing(RUNNING, deleted), Reason.CONTAINER_LOST, "deleted by somebody else"),
        (
            playing(
                RUNNING,
                {**RUNNING, "containerStatuses": [ended("recorder", 1, "Error")]},
                log={"recorder": b"Traceback\nKeyError: 'CELL_JOB'\n"},
            ),
            Reason.INTERNAL_ERROR,
            "KeyError: 'CELL_JOB'",
        ),
        (
            playing(RUNNING, finished(), log={"recorder": b"nothing of a result\n"}),
            Reason.CONTAINER_LOST,
            "cut short: the log has no line of a result",
        ),
    ],
    ids=["image", "build", "evicted", "deleted", "recorder", "log"],
)
def test_a_pod_without_a_result_has_a_typed_reason(
    run: Run, kubelet: Kubelet, reason: Reason, text: str
) -> None:
    capture, _ = run(lambda _: kubelet)
    assert capture.failed is reason, capture.detail
    assert text in capture.detail
    assert capture.cell.endswith("-in-kubernetes")


@pytest.mark.parametrize(
    ("denial", "reason"),
    [
        (Denial("create", "pods", 403, "exceeded quota: pods, used 3 of 3"), Reason.POD_REFUSED),
        (Denial("create", "configmaps", 403, "me cannot create configmaps"), Reason.POD_REFUSED),
        (Denial("get", "pods/log", 403, "me cannot get pods/log"), Reason.POD_REFUSED),
        (Denial("create", "pods", 404, "namespaces not found"), Reason.POD_REFUSED),
    ],
    ids=["quota", "right", "log", "namespace"],
)
def test_a_refusal_of_the_cluster_has_its_own_words(
    run: Run, denial: Denial, reason: Reason
) -> None:
    capture, _ = run(lambda _: playing(RUNNING, finished()), denial)
    assert capture.failed is reason
    assert denial.message in capture.detail


def test_a_server_that_is_away_for_a_moment_ends_nothing(run: Run) -> None:
    def kubelet(job: CellJob) -> Kubelet:
        return playing(RUNNING, finished(), log={"recorder": result(job)})

    capture, server = run(
        kubelet,
        Denial("create", "pods", 429, "busy", 1, {"Retry-After": "0.1"}),
        Denial("get", "pods", 503, "etcd is away", 1),
        Denial("watch", "pods", 0, "no answer", 1),
        Denial("get", "pods/log", 0, "no answer", 1),
    )
    assert capture.failed is None, capture.detail
    assert capture.engine == f"Kubernetes v1.34.1 ({CONTEXT})"
    assert capture.image == "sha256:abc"
    assert server.calls.count("create pods") == 2


def test_a_container_that_was_killed_for_its_memory_is_told(run: Run) -> None:
    """To the recorder it was only a container that ended."""

    def kubelet(job: CellJob) -> Kubelet:
        killed = finished(ended("app", 137, "OOMKilled"), ended("outside"))
        printed = result(job, failed=Reason.CONTAINER_LOST, detail="the relay ended")
        return playing(RUNNING, killed, log={"recorder": printed})

    capture, _ = run(kubelet)
    assert capture.failed is Reason.OUT_OF_MEMORY
    assert "app was killed: 2048 MiB" in capture.detail


def test_the_result_of_another_cell_does_not_count(run: Run) -> None:
    def kubelet(job: CellJob) -> Kubelet:
        return playing(RUNNING, finished(), log={"recorder": result(job, key="another")})

    capture, _ = run(kubelet)
    assert capture.failed is Reason.INTERNAL_ERROR


def test_a_pod_that_no_node_can_run_fails_with_the_schedulers_words(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_options(monkeypatch, start_seconds=1)
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
    }
    capture, _ = run(lambda _: playing({"phase": "Pending", "conditions": [condition]}))
    assert capture.failed is Reason.POD_REFUSED
    assert "not started within 1 s: Unschedulable: 0/1 nodes" in capture.detail


def test_a_pod_is_deleted_where_its_worker_is_ended(run: Run) -> None:
    def end_worker(cluster: FakeKubernetes, pod: Object) -> None:
        CHILDREN.kill_all()
        assert cluster.names("pods") == []

    capture, _ = run(lambda _: playing(RUNNING, end_worker))
    assert capture.failed is Reason.CONTAINER_LOST


@pytest.mark.timeout(300)
@pytest.mark.skipif(bool(NO_NAMESPACES), reason=NO_NAMESPACES)
@pytest.mark.parametrize("agent", ["socket", "host"])
def test_a_cell_runs_from_its_job_to_its_capture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str
) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    set_options(monkeypatch, agent=agent)
    with running_kubernetes(ProcessKubelet(tmp_path / "wheels")) as server:
        write_kubeconfig(tmp_path / "config", server.url)
        with pod_job(tmp_path) as job:
            assert seconds_to_start(job) > 0
            capture = run_cell(job)
            logs = {name[1]: log.decode()[-2000:] for name, log in server.logs.items()}
            assert server.names("pods") == []
        assert server.objects == {}
    assert capture.failed is None, (capture.detail, logs)
    assert (capture.cell, capture.key, capture.lock) == (job.planned.cell.id, job.key, job.lock)
    assert capture.identity is not None
    assert capture.identity.installed["ddtrace"] == "9.9.9"
    assert capture.identity.installed["flask"] == "1.0"
    assert [(p.setting, p.failed, p.detail, p.log) for p in capture.processes if p.failed] == []
    by_purpose = {(process.setting, process.purpose): process for process in capture.processes}
    assert {("appsec", "probe"), ("appsec", OUTSIDE), ("bare", "probe")} <= by_purpose.keys()
    for (setting, purpose), process in by_purpose.items():
        pages = [json.loads(exchange.body) for exchange in process.exchanges]
        # The tracer is on the path of the bare process, too, and does nothing there.
        assert {page.get("INJECTED") for page in pages} == (
            {None} if setting == "bare" else {"yes"}
        ), setting
        # Outside, the same process finds no agent, although that listens.
        is_traced = purpose == "probe" and setting not in {"bare", "untraced"}
        assert bool(process.agent) is is_traced, (setting, purpose)
    told = by_purpose["appsec", "probe"].environment
    if agent == "socket":
        assert told["DD_TRACE_AGENT_URL"].startswith("unix:///")
        assert told["DD_TRACE_AGENT_URL"].endswith("/apm.socket")
        # Only the mount differs.
        outside = by_purpose["appsec", OUTSIDE].environment
        assert outside["DD_TRACE_AGENT_URL"] == told["DD_TRACE_AGENT_URL"]
    else:
        assert told["DD_AGENT_HOST"] == "127.0.0.2"
        assert "DD_AGENT_HOST" not in by_purpose["appsec", OUTSIDE].environment
