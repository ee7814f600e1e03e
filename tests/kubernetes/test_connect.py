"""Tests of what keeps cells from running on a cluster, as users are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.fake_kubernetes import CONTEXT, running_kubernetes, write_kubeconfig

from matrix.errors import ClusterUnavailableError, UsageError
from matrix.kubernetes.connect import cluster_obstacle, find_contexts, open_cluster


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))

    def write(url: str, *names: str) -> Path:
        return write_kubeconfig(path, url, *names)

    return write


def test_a_cluster_with_all_rights_has_no_obstacle(kubeconfig: Callable[..., Path]) -> None:
    with running_kubernetes() as server:
        kubeconfig(server.url)
        assert find_contexts() == (CONTEXT,)
        assert cluster_obstacle(CONTEXT) == ""


def test_without_a_context_the_command_that_lists_them_is_named() -> None:
    assert "kubectl config get-contexts" in cluster_obstacle("")


def test_a_misspelt_context_is_corrected(kubeconfig: Callable[..., Path]) -> None:
    kubeconfig("http://127.0.0.1:9", "kind-matrix", "production")
    with pytest.raises(UsageError) as caught:
        open_cluster("kind-matrx")
    assert "did you mean 'kind-matrix'?" in caught.value.message
    assert "production" in caught.value.hint
    assert "did you mean 'kind-matrix'?" in cluster_obstacle("kind-matrx")


def test_without_a_kubeconfig_a_way_to_get_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(ClusterUnavailableError, match="no usable kubeconfig") as caught:
        open_cluster("kind")
    assert "kind create cluster" in caught.value.hint
    assert "kind create cluster" in cluster_obstacle("kind")


@pytest.mark.parametrize("text", ["{", "- a list", "contexts: 5", ""])
def test_a_damaged_kubeconfig_is_no_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(ClusterUnavailableError, match="no usable kubeconfig"):
        open_cluster("kind")


def test_a_server_that_does_not_answer_is_named(kubeconfig: Callable[..., Path]) -> None:
    with running_kubernetes() as server:
        kubeconfig(server.url)
    obstacle = cluster_obstacle(CONTEXT)
    assert "does not answer" in obstacle
    assert f"kubectl --context {CONTEXT} get nodes" in obstacle


def test_missing_rights_are_named_with_the_command_that_shows_them(
    kubeconfig: Callable[..., Path],
) -> None:
    with running_kubernetes() as server:
        kubeconfig(server.url)
        server.rights = lambda verb, resource: resource not in {"namespaces", "pods/log"}
        obstacle = cluster_obstacle(CONTEXT)
    assert "no right to create namespaces, list namespaces, delete namespaces, get pods/log" in (
        obstacle
    )
    assert f"kubectl --context {CONTEXT} auth can-i create namespaces" in obstacle
