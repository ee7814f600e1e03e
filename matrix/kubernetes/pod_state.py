"""The end of a pod, read from its status, as a typed reason of its cell.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from matrix.kubernetes.pod_manifest import APP, ENVIRONMENT, OUTSIDE, RECORDER, TRACER, UNPACK
from matrix.model.reason import Reason

Pod = Mapping[str, Any]

# Of a waiting container. https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/images/types.go
_NO_IMAGE = {
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "ImageInspectError",
}
_REFUSED = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
    "ContainerCannotRun",
}
# Of a failed pod that no container ended.
_LOST = {"Evicted", "Preempting", "Preempted", "NodeLost", "NodeShutdown", "Shutdown", "Terminated"}
_OOM = "OOMKilled"
_KILLED_CODE = 137


@dataclasses.dataclass(frozen=True)
class PodEnd:
    """The end of a pod: a reason, or None where its recorder ended and has printed a result.

    `failed` is the container whose output tells more, "" for none.
    """

    reason: Reason | None
    detail: str = ""
    failed: str = ""


def find_end(pod: Pod | None) -> PodEnd | None:
    """Return the end of a pod as far as its status says, None while it may still give a result.

    `pod` is None where the cluster has none of its name any more.
    """
    if pod is None:
        return PodEnd(Reason.CONTAINER_LOST, "the pod was deleted by somebody else")
    status = pod.get("status", {})
    if end := _container_end(status):
        return end
    if pod.get("metadata", {}).get("deletionTimestamp"):
        return PodEnd(Reason.CONTAINER_LOST, f"the pod is being deleted{_disruption(status)}")
    if status.get("phase") == "Failed":
        return _failed_end(status)
    return _waiting_end(status)


def has_started(pod: Pod) -> bool:
    """Return whether the recorder of a pod runs, or has run."""
    state = _states(pod.get("status", {})).get(RECORDER, {})
    return bool(state.keys() & {"running", "terminated"})


def pending_end(pod: Pod | None) -> tuple[Reason, str]:
    """Return the end of a pod that has not started in time, with what the cluster says of it."""
    status = (pod or {}).get("status", {})
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            words = f"{condition.get('reason', '')}: {condition.get('message', '')}"
            return Reason.POD_REFUSED, words
    for name, state in _states(status).items():
        waiting = state.get("waiting") or {}
        words = ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
        if words or "running" in state:
            return Reason.TIMED_OUT, f"{name}: {words or 'running'}"
    return Reason.TIMED_OUT, f"phase {status.get('phase', 'unknown')}"


def killed_container(pod: Pod | None) -> str:
    """Return the container of the app that was killed for lack of memory, "" for none."""
    states = _states((pod or {}).get("status", {}))
    ended = {name: states.get(name, {}).get("terminated", {}) for name in (APP, OUTSIDE)}
    return next((name for name, state in ended.items() if state.get("reason") == _OOM), "")


def image_digest(pod: Pod | None) -> str:
    """Return the digest of the app's image (`sha256:...`), "" where the status has none."""
    for container in (pod or {}).get("status", {}).get("containerStatuses") or ():
        if container.get("name") == APP:
            return str(container.get("imageID", "")).rpartition("@")[2]
    return ""


def _container_end(status: Mapping[str, Any]) -> PodEnd | None:
    """Return the end that one of the containers made."""
    ended = {name: state.get("terminated") or {} for name, state in _states(status).items()}
    for name in (UNPACK, ENVIRONMENT, TRACER):
        if ended.get(name, {}).get("exitCode", 0) != 0:
            return _init_end(name, ended[name])
    for name in (APP, OUTSIDE):
        if (reason := ended.get(name, {}).get("reason")) in _REFUSED:
            message = ended[name].get("message", "")
            return PodEnd(Reason.POD_REFUSED, f"{name}: {reason}: {message}")
    return _recorder_end(status, ended[RECORDER]) if ended.get(RECORDER) else None


def _recorder_end(status: Mapping[str, Any], ended: Mapping[str, Any]) -> PodEnd:
    if ended.get("exitCode") == 0:
        return PodEnd(None)
    if ended.get("reason") == _OOM:
        return PodEnd(Reason.OUT_OF_MEMORY, "the recorder was killed for lack of memory")
    # Whoever evicts a pod, or its node, kills its containers first.
    if ended.get("exitCode") == _KILLED_CODE or status.get("reason"):
        return _failed_end(status)
    return PodEnd(Reason.INTERNAL_ERROR, f"the recorder {_exit(ended)}", RECORDER)


def _init_end(name: str, ended: Mapping[str, Any]) -> PodEnd:
    if ended.get("reason") == _OOM:
        return PodEnd(Reason.OUT_OF_MEMORY, f"the init container {name} was killed for it")
    # The first only installs what our own lock names.
    reason = Reason.INDEX_UNAVAILABLE if name == UNPACK else Reason.BUILD_FAILED
    return PodEnd(reason, f"the init container {name} {_exit(ended)}", name)


def _failed_end(status: Mapping[str, Any]) -> PodEnd:
    reason, message = str(status.get("reason", "")), str(status.get("message", ""))
    words = ": ".join(filter(None, (reason or "the pod failed", message)))
    if reason == "DeadlineExceeded":
        return PodEnd(Reason.TIMED_OUT, words)
    if not reason or reason in _LOST:
        return PodEnd(Reason.CONTAINER_LOST, f"{words}{_disruption(status)}")
    # The node's own admission: OutOfmemory, NodeAffinity, UnexpectedAdmissionError and others.
    return PodEnd(Reason.POD_REFUSED, words)


def _waiting_end(status: Mapping[str, Any]) -> PodEnd | None:
    for name, state in _states(status).items():
        waiting = state.get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _NO_IMAGE:
            return PodEnd(Reason.NO_IMAGE, f"{name}: {reason}: {message}")
        if reason in _REFUSED:
            return PodEnd(Reason.POD_REFUSED, f"{name}: {reason}: {message}")
    return None


def _states(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the state of each container by its name, those of init containers first."""
    return {
        str(container.get("name")): container.get("state") or {}
        for part in ("initContainerStatuses", "containerStatuses")
        for container in status.get(part) or ()
    }


def _exit(ended: Mapping[str, Any]) -> str:
    reason = f" ({ended['reason']})" if ended.get("reason") not in {None, "Error"} else ""
    return f"ended with exit code {ended.get('exitCode')}{reason}"


def _disruption(status: Mapping[str, Any]) -> str:
    """Return who ended the pod, where its condition says so."""
    return "".join(_disruptions(status))


def _disruptions(status: Mapping[str, Any]) -> Iterator[str]:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            yield f" ({condition.get('reason', '')}: {condition.get('message', '')})"
