"""Tests of what a pod's status means for its cell, with statuses as kubelets write them."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.fake_kubelet import ended, running, waiting

from matrix.kubernetes.pod_state import (
    find_end,
    has_started,
    image_digest,
    killed_container,
    pending_end,
)
from matrix.model.reason import Reason

UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient memory.",
}
TAINTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "DeletionByTaintManager",
    "message": "Taint manager: deleting due to NoExecute taint",
}


def pod(
    phase: str = "Pending",
    *containers: dict[str, Any],
    init: tuple[dict[str, Any], ...] = (),
    deleted: bool = False,
    **status: str | list[dict[str, str]],
) -> dict[str, Any]:
    metadata = {"name": "pod", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    parts = {"initContainerStatuses": list(init), "containerStatuses": list(containers)}
    return {"metadata": metadata, "status": {"phase": phase, **parts, **status}}


@pytest.mark.parametrize(
    "state",
    [
        pod(),
        pod(conditions=[UNSCHEDULABLE]),
        pod(init=(running("unpack"),)),
        pod(init=(ended("unpack"), running("environment"))),
        pod(init=(waiting("unpack", "ContainerCreating"),)),
        pod(init=(waiting("unpack", "ErrImagePull", "i/o timeout"),)),
        pod("Running", running("recorder"), running("app"), running("outside")),
        pod("Running", running("recorder"), ended("app", 137, "OOMKilled"), running("outside")),
    ],
)
def test_a_pod_that_may_still_give_a_result_has_no_end(state: dict[str, Any]) -> None:
    assert find_end(state) is None


@pytest.mark.parametrize(
    ("state", "reason", "text"),
    [
        (None, Reason.CONTAINER_LOST, "deleted by somebody else"),
        (pod("Running", deleted=True), Reason.CONTAINER_LOST, "is being deleted"),
        (
            pod("Running", running("recorder"), deleted=True, conditions=[TAINTED]),
            Reason.CONTAINER_LOST,
            "DeletionByTaintManager",
        ),
        (
            pod("Failed", reason="Evicted", message="The node was low on resource: memory."),
            Reason.CONTAINER_LOST,
            "Evicted: The node was low on resource: memory.",
        ),
        (
            pod("Failed", ended("recorder", 137, "Error"), reason="Evicted", message="low"),
            Reason.CONTAINER_LOST,
            "Evicted: low",
        ),
        (pod("Failed", reason="NodeLost"), Reason.CONTAINER_LOST, "NodeLost"),
        (pod("Failed", reason="DeadlineExceeded"), Reason.TIMED_OUT, "DeadlineExceeded"),
        (
            pod("Failed", reason="OutOfmemory", message="Node didn't have enough resource"),
            Reason.POD_REFUSED,
            "OutOfmemory: Node didn't",
        ),
        (
            pod(init=(waiting("unpack", "ImagePullBackOff", "back-off pulling python:9"),)),
            Reason.NO_IMAGE,
            "ImagePullBackOff: back-off pulling python:9",
        ),
        (pod(init=(waiting("unpack", "InvalidImageName"),)), Reason.NO_IMAGE, "InvalidImageName"),
        (
            pod("Pending", waiting("app", "CreateContainerConfigError", "runAsNonRoot")),
            Reason.POD_REFUSED,
            "CreateContainerConfigError: runAsNonRoot",
        ),
        (
            pod("Running", running("recorder"), ended("app", 128, "StartError")),
            Reason.POD_REFUSED,
            "StartError",
        ),
        (pod(init=(ended("unpack", 1, "Error"),)), Reason.INDEX_UNAVAILABLE, "exit code 1"),
        (
            pod(init=(ended("unpack"), ended("environment", 1, "Error"))),
            Reason.BUILD_FAILED,
            "environment ended with exit code 1",
        ),
        (
            pod(init=(ended("unpack"), ended("tracer", 137, "OOMKilled"))),
            Reason.OUT_OF_MEMORY,
            "tracer",
        ),
        (pod("Running", ended("recorder", 137, "OOMKilled")), Reason.OUT_OF_MEMORY, "recorder"),
        (pod("Running", ended("recorder", 1, "Error")), Reason.INTERNAL_ERROR, "exit code 1"),
    ],
)
def test_every_other_end_has_a_reason(
    state: dict[str, Any] | None, reason: Reason, text: str
) -> None:
    end = find_end(state)
    assert end is not None
    assert end.reason is reason
    assert text in end.detail


def test_a_recorder_that_ended_has_a_result_whatever_follows() -> None:
    for deleted in (False, True):
        state = pod("Running", ended("recorder"), running("app"), deleted=deleted)
        end = find_end(state)
        assert end is not None
        assert end.reason is None


def test_a_pod_has_started_when_its_recorder_has() -> None:
    assert not has_started(pod(init=(running("unpack"),)))
    assert not has_started(pod("Running", waiting("recorder", "ContainerCreating")))
    assert has_started(pod("Running", running("recorder")))
    assert has_started(pod("Failed", ended("recorder", 1)))


@pytest.mark.parametrize(
    ("state", "reason", "text"),
    [
        (pod(conditions=[UNSCHEDULABLE]), Reason.POD_REFUSED, "Insufficient memory"),
        (pod(init=(waiting("unpack", "ErrImagePull", "i/o timeout"),)), Reason.TIMED_OUT, "i/o"),
        (pod(init=(running("unpack"),)), Reason.TIMED_OUT, "unpack: running"),
        (pod(), Reason.TIMED_OUT, "phase Pending"),
        (None, Reason.TIMED_OUT, "phase unknown"),
    ],
)
def test_a_pod_that_does_not_start_in_time_says_why(
    state: dict[str, Any] | None, reason: Reason, text: str
) -> None:
    found, detail = pending_end(state)
    assert found is reason
    assert text in detail


def test_memory_and_image_are_those_of_the_app() -> None:
    state = pod("Succeeded", ended("recorder"), ended("app", 137, "OOMKilled"))
    assert killed_container(state) == "app"
    assert killed_container(pod("Succeeded", ended("recorder"), ended("app"))) == ""
    assert image_digest(state) == "sha256:abc"
    assert image_digest(None) == ""
