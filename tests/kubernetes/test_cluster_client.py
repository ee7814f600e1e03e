"""Tests of the client of a cluster: the real one, and a small API server of ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.fake_kubelet import playing, running
from helpers.fake_kubernetes import (
    CONTEXT,
    Denial,
    FakeKubernetes,
    running_kubernetes,
    write_kubeconfig,
)

from matrix.kubernetes.client import Cluster
from matrix.kubernetes.connect import opened
from matrix.kubernetes.interface import KubernetesError, KubernetesLostError

SPACE = "space"


@pytest.fixture
def server() -> Iterator[FakeKubernetes]:
    with running_kubernetes() as server:
        yield server


@pytest.fixture
def cluster(
    server: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "config", server.url)))
    with opened(CONTEXT, patience=3) as cluster:
        cluster.create_namespace({"metadata": {"name": SPACE, "labels": {"made": "here"}}})
        yield cluster


def pod(name: str = "pod") -> dict[str, object]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "app"}]}}


def test_it_creates_lists_and_deletes(cluster: Cluster, server: FakeKubernetes) -> None:
    assert cluster.version() == "v1.34.1"
    cluster.create_config_map(SPACE, {"metadata": {"name": "map"}, "data": {"a": "b"}})
    cluster.create_pod(SPACE, pod())
    assert server.objects["configmaps", SPACE, "map"]["data"] == {"a": "b"}
    assert [found["metadata"]["name"] for found in cluster.namespaces("made=here")] == [SPACE]
    assert cluster.namespaces("made=elsewhere") == []
    cluster.delete_pod(SPACE, "pod")
    assert cluster.find_pod(SPACE, "pod") is None
    cluster.delete_config_map(SPACE, "map")
    cluster.delete_namespace(SPACE)
    assert server.objects == {}


def test_what_exists_is_not_created_again_and_what_is_gone_not_deleted(cluster: Cluster) -> None:
    cluster.create_pod(SPACE, pod())
    cluster.create_pod(SPACE, pod())
    cluster.delete_pod(SPACE, "another")
    with pytest.raises(KubernetesError, match="elsewhere"):
        cluster.create_pod("elsewhere", pod())


@pytest.mark.parametrize(
    "denial",
    [
        Denial("create", "pods", 429, "too many requests", 2, {"Retry-After": "0.1"}),
        Denial("create", "pods", 503, "etcd is away", 2),
        Denial("create", "pods", 0, "no answer", 2),
    ],
    ids=["busy", "failing", "silent"],
)
def test_a_call_to_a_busy_server_is_repeated(
    cluster: Cluster, server: FakeKubernetes, denial: Denial
) -> None:
    server.denials.append(denial)
    cluster.create_pod(SPACE, pod())
    assert server.calls.count("create pods") == 3
    assert server.names("pods") == ["pod"]


def test_a_server_that_stays_busy_is_lost(cluster: Cluster, server: FakeKubernetes) -> None:
    server.denials.append(Denial("get", "pods", 429, "too many", headers={"Retry-After": "1"}))
    with pytest.raises(KubernetesLostError, match="pod pod: too many"):
        cluster.find_pod(SPACE, "pod")


def test_a_refusal_is_not_repeated(cluster: Cluster, server: FakeKubernetes) -> None:
    server.denials.append(Denial("create", "pods", 403, "exceeded quota: few, used: pods=3"))
    with pytest.raises(KubernetesError, match="exceeded quota: few") as caught:
        cluster.create_pod(SPACE, pod())
    assert caught.value.is_forbidden
    assert server.calls.count("create pods") == 1


def test_a_misspelt_field_never_leaves_this_process(
    cluster: Cluster, server: FakeKubernetes
) -> None:
    with pytest.raises(ValueError, match="imagee"):
        cluster.create_pod(
            SPACE,
            {"metadata": {"name": "pod"}, "spec": {"containers": [{"name": "a", "imagee": "b"}]}},
        )
    assert "create pods" not in server.calls


def test_a_pod_is_seen_at_each_change_until_it_is_gone(
    cluster: Cluster, server: FakeKubernetes
) -> None:
    cluster.create_pod(SPACE, pod())
    phases = []
    for state in cluster.watch_pod(SPACE, "pod", 20):
        if state is None:
            break
        phases.append(state["status"]["phase"])
        if phases == ["Pending"]:
            server.set_status(SPACE, "pod", {"phase": "Running"})
        elif phases[-1] == "Running":
            server.delete(("pods", SPACE, "pod"))
    assert phases == ["Pending", "Running"]
    assert state is None


def test_a_watch_that_breaks_is_begun_again(cluster: Cluster, server: FakeKubernetes) -> None:
    cluster.create_pod(SPACE, pod())
    server.denials += [
        Denial("watch", "pods", 410, "too old resource version", 1),
        Denial("watch", "pods", 0, "no answer", 1),
    ]
    states = cluster.watch_pod(SPACE, "pod", 20)
    # Each begins with the state of now.
    assert [next(states) for _ in range(2)][1] is not None
    server.set_status(SPACE, "pod", {"phase": "Running"})
    assert any(state and state["status"]["phase"] == "Running" for state in states)
    assert server.calls.count("watch pods") >= 2


def test_a_watch_ends_in_time(cluster: Cluster) -> None:
    cluster.create_pod(SPACE, pod())
    assert len(list(cluster.watch_pod(SPACE, "pod", 1))) in (1, 2)


def test_the_output_of_a_container_is_read(cluster: Cluster, server: FakeKubernetes) -> None:
    cluster.create_pod(SPACE, pod())
    server.logs["pod", "app"] = b"one\ntwo\nthree\n"
    assert cluster.log(SPACE, "pod", "app") == b"one\ntwo\nthree\n"
    assert cluster.log(SPACE, "pod", "app", lines=2) == b"two\nthree\n"


def test_kubectl_understands_the_server(tmp_path: Path) -> None:
    """Otherwise the tests here would only show that two of our own programs agree."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl on PATH")
    kubelet = playing({"phase": "Running", "containerStatuses": [running("app")]})
    with running_kubernetes(kubelet) as server:
        config = write_kubeconfig(tmp_path / "config", server.url)

        def call(*arguments: str) -> str:
            run = subprocess.run(
                [kubectl, "--kubeconfig", str(config), "--cache-dir", str(tmp_path), *arguments],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            return run.stdout

        server.create("namespaces", "", {"metadata": {"name": SPACE}})
        server.create("pods", SPACE, pod())
        server.logs["pod", "app"] = b"hello\n"
        assert "v1.34.1" in call("version")
        assert SPACE in call("get", "namespaces", "-o", "name")
        assert call("-n", SPACE, "logs", "pod", "-c", "app") == "hello\n"
        call("delete", "namespace", SPACE, "--wait=false")
        assert server.objects == {}
