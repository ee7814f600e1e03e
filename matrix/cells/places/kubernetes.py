"""The place `kubernetes`: a pod for each cell, on a cluster that the user's kubeconfig names.

A worker sends the job as a ConfigMap, waits for the pod, and reads what its recorder has printed.
Inside of the pod, the recorder runs the cell as any other, in the sandbox of `new_sandbox`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.cells.interface import Sandbox, SandboxError
from matrix.cells.job import CellJob, Deadline
from matrix.cells.places.pod_job import PodJob
from matrix.cells.places.pod_sandbox import PodSandbox, RelayEngine
from matrix.docker.interface import ContainerEngine
from matrix.errors import UserError
from matrix.kubernetes.archive import config_map, locked_lines
from matrix.kubernetes.connect import opened
from matrix.kubernetes.interface import KubernetesError, KubernetesLostError, Manifest, RunNamespace
from matrix.kubernetes.pod_manifest import (
    ARCHITECTURES,
    RECORDER,
    CellPod,
    PodOptions,
    pod_manifest,
)
from matrix.kubernetes.pod_state import (
    PodEnd,
    find_end,
    has_started,
    image_digest,
    killed_container,
    pending_end,
)
from matrix.kubernetes.printed import CutShortError, read_log
from matrix.model.capture import CellCapture
from matrix.model.environment import Image
from matrix.model.reason import Reason
from matrix.probes.places import find_place
from matrix.system.paths import project_root
from matrix.system.processes import CHILDREN

if TYPE_CHECKING:
    from matrix.kubernetes.client import Cluster

_TRACER = "ddtrace=="
_PREPARE = Path("fixtures/places/kubernetes/prepare.py")
_TAIL_LINES = 20
_TAIL_CHARACTERS = 600
# After the recorder's end its output may take a moment to be readable as a whole.
_READS = 3
_READ_SECONDS = 1.0
# A kill must not wait for a cluster that is away: the whole namespace is deleted later.
_KILL_PATIENCE = 2.0


def new_sandbox(job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline) -> Sandbox:
    """Return the sandbox of a cell in its pod; raise SandboxError where this is none."""
    if not isinstance(engine, RelayEngine):
        remedy = find_place(job.planned.cell.place).remedy
        raise SandboxError(Reason.DEPLOYMENT_NOT_HERE, remedy)
    return PodSandbox(job, image, engine.paths, deadline)


def seconds_to_start(job: CellJob) -> float:
    """Return how long the pod of a job may take until its recorder runs."""
    return _options(job).start_seconds


def run_elsewhere(job: CellJob, namespace: RunNamespace) -> CellCapture:
    """Run a cell in a pod of its own, and return its capture.

    Raises SandboxError where the pod is refused, is lost, or gives no whole result.
    """
    with _as_sandbox_errors(), opened(namespace.context) as cluster:
        engine = f"Kubernetes {cluster.version()} ({namespace.context})"
        pod = _cell_pod(job, namespace)
        with _running_pod(cluster, pod, job):
            last = _wait(cluster, pod)
            capture = _read_capture(cluster, pod, job)
            last = cluster.find_pod(namespace.name, pod.name) or last
    if name := killed_container(last):
        # To the recorder it was a container that ended.
        detail = f"the container {name} was killed: {pod.memory >> 20} MiB were not enough"
        capture = dataclasses.replace(capture, failed=Reason.OUT_OF_MEMORY, detail=detail)
    return dataclasses.replace(capture, engine=engine, image=image_digest(last) or capture.image)


def _options(job: CellJob) -> PodOptions:
    return PodOptions.of(find_place(job.planned.cell.place).options)


def _cell_pod(job: CellJob, namespace: RunNamespace) -> CellPod:
    cell = job.planned.cell
    if job.services:
        names = ", ".join(service.identity.name for service in job.services)
        raise SandboxError(Reason.NO_BACK_END, f"a pod cannot reach {names} of this machine")
    if cell.target not in ARCHITECTURES:
        raise SandboxError(Reason.PLATFORM_NOT_HERE, f"no node of Kubernetes is {cell.target}")
    options = _options(job)
    seconds = job.limits.cell * (job.planned.repeats + 1) + options.start_seconds
    name = hashlib.sha256(f"{cell.id} {job.key}".encode()).hexdigest()[:16]
    return CellPod(
        name=f"cell-{name}",
        cell=cell.id,
        python=cell.python,
        target=cell.target,
        namespace=namespace,
        options=options,
        memory=job.confinement.memory,
        cpus=job.confinement.cpus,
        seconds=int(seconds),
    )


@contextlib.contextmanager
def _running_pod(cluster: Cluster, pod: CellPod, job: CellJob) -> Iterator[None]:
    """Create the pod with its job, and delete both at the end, also where this process ends."""
    namespace = pod.namespace.name
    with contextlib.ExitStack() as stack:
        CHILDREN.add(pod, _killer(pod))
        stack.callback(CHILDREN.remove, pod)
        for delete in (cluster.delete_config_map, cluster.delete_pod):
            stack.callback(_quietly, delete, namespace, pod.name)
        cluster.create_config_map(namespace, _job_map(pod, job))
        cluster.create_pod(namespace, pod_manifest(pod))
        yield


def _killer(pod: CellPod) -> Callable[[], None]:
    def kill() -> None:
        with (
            contextlib.suppress(KubernetesError, UserError),
            opened(pod.namespace.context, _KILL_PATIENCE) as cluster,
        ):
            cluster.delete_pod(pod.namespace.name, pod.name)

    return kill


def _quietly(delete: Callable[[str, str], None], namespace: str, name: str) -> None:
    # What is not deleted now goes with the namespace.
    with contextlib.suppress(KubernetesError):
        delete(namespace, name)


def _job_map(pod: CellPod, job: CellJob) -> Manifest:
    """Return the ConfigMap with the job, the locks, and the program of the init containers."""
    tracer = [line for line in job.lock if line.startswith(_TRACER)]
    others = [line for line in job.lock if not line.startswith(_TRACER)]
    own_lock = (project_root() / "requirements" / "run.txt").read_text(encoding="utf-8")
    texts = {
        "prepare.py": (project_root() / _PREPARE).read_text(encoding="utf-8"),
        "recorder.txt": locked_lines(own_lock, pod.options.recorder),
        "app.txt": "".join(f"{line}\n" for line in others),
        "tracer.txt": "".join(f"{line}\n" for line in tracer),
    }
    image = pod.options.image.format(python=pod.python)
    files = {"job.pickle": pickle.dumps(PodJob.of(job, image))}
    return config_map(pod.name, texts=texts, files=files, labels=dict(pod.namespace.labels))


def _wait(cluster: Cluster, pod: CellPod) -> Manifest:
    """Return the pod when its recorder has ended; raise SandboxError for any other end."""
    seconds = pod.options.start_seconds
    last: Manifest | None = None
    for last in _states(cluster, pod, seconds):
        if has_started(last):
            break
    else:
        reason, detail = pending_end(last)
        raise SandboxError(reason, f"not started within {seconds:g} s: {detail}")
    for last in _states(cluster, pod, pod.seconds):
        if find_end(last):
            return last
    raise SandboxError(Reason.TIMED_OUT, f"the pod took longer than {pod.seconds} s")


def _states(cluster: Cluster, pod: CellPod, seconds: float) -> Iterator[Manifest]:
    """Yield a pod at each of its changes; raise SandboxError where it can give no result."""
    for state in cluster.watch_pod(pod.namespace.name, pod.name, seconds):
        end = find_end(state)
        if end and end.reason is not None:
            raise SandboxError(end.reason, _detail(cluster, pod, end))
        if state is not None:
            yield state


def _detail(cluster: Cluster, pod: CellPod, end: PodEnd) -> str:
    """Return the detail of an end, with the last lines of the container that failed."""
    if not end.failed:
        return end.detail
    with contextlib.suppress(KubernetesError):
        log = cluster.log(pod.namespace.name, pod.name, end.failed, lines=_TAIL_LINES)
        tail = " ".join(log.decode("utf-8", "replace").split())[-_TAIL_CHARACTERS:]
        return f"{end.detail}: {tail}" if tail else end.detail
    return end.detail


def _read_capture(cluster: Cluster, pod: CellPod, job: CellJob) -> CellCapture:
    """Return what the recorder has printed; raise SandboxError where that is not all."""
    for reads in range(1, _READS + 1):
        log = cluster.log(pod.namespace.name, pod.name, RECORDER)
        try:
            capture = CellCapture.from_json(read_log(log))
        except CutShortError as error:
            if reads == _READS:
                detail = f"the log of the recorder was cut short: {error}"
                raise SandboxError(Reason.CONTAINER_LOST, detail) from error
            time.sleep(_READ_SECONDS)
        else:
            break
    if (capture.cell, capture.key) != (job.planned.cell.id, job.key):
        raise SandboxError(Reason.INTERNAL_ERROR, f"the result is that of {capture.cell}")
    return capture


@contextlib.contextmanager
def _as_sandbox_errors() -> Iterator[None]:
    try:
        yield
    except KubernetesLostError as error:
        raise SandboxError(Reason.CLUSTER_LOST, str(error)) from error
    except KubernetesError as error:
        # A missing right, a quota, a policy, or a pod that the cluster does not understand.
        raise SandboxError(Reason.POD_REFUSED, str(error)) from error
    except UserError as error:
        raise SandboxError(Reason.CLUSTER_LOST, error.message) from error
