"""The namespace of a run: made with what all its pods share, and deleted with all that is in it.

A label and annotations say which run of which machine made it, so that a later run on that machine
deletes it where the run was killed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
from collections.abc import Iterator, Sequence

from matrix.docker.labels import (
    OWNER,
    PROJECT_FILTER,
    PROJECT_LABELS,
    RUN,
    RunLabels,
    RunLife,
    find_run_life,
    lock_run,
)
from matrix.errors import ClusterUnavailableError
from matrix.kubernetes.archive import ARCHIVE, config_map, pieces_of
from matrix.kubernetes.client import Cluster
from matrix.kubernetes.connect import check_cluster, opened
from matrix.kubernetes.interface import KubernetesError, Manifest, RunNamespace

HOST = "compat-matrix.host"
PID = "compat-matrix.pid"
STARTED = "compat-matrix.started"


@contextlib.contextmanager
def run_namespace(context: str, archive: bytes) -> Iterator[RunNamespace]:
    """Yield the namespace of a new run, with the archive in it; it is deleted at the end.

    Those of this machine's killed runs are deleted first. Raises UsageError, StorageError, and
    ClusterUnavailableError where the cluster does not answer or refuses.
    """
    check_cluster(context)
    with lock_run() as run, opened(context) as cluster:
        pieces = pieces_of(archive)
        labels = {**PROJECT_LABELS, RUN: run.id}
        name = f"compat-matrix-{run.id}"
        with _as_unavailable(context, "cannot make a namespace"):
            sweep(cluster)
            cluster.create_namespace(_manifest(name, labels, run))
        try:
            with _as_unavailable(context, "cannot store the project in ConfigMaps"):
                _store(cluster, name, pieces, labels)
            yield RunNamespace(context, name, len(pieces), tuple(labels.items()))
        finally:
            # What cannot be deleted now is deleted by a later run, and its pods end by themselves.
            with contextlib.suppress(KubernetesError):
                cluster.delete_namespace(name)


def sweep(cluster: Cluster) -> int:
    """Delete the namespaces of this machine's dead runs, and return how many; as `Cluster` raises.

    Whether a run of another machine lives cannot be seen from here: its namespace stays.
    """
    count = 0
    for namespace in cluster.namespaces(PROJECT_FILTER):
        metadata = namespace["metadata"]
        words = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
        if metadata.get("deletionTimestamp") or find_run_life(words) is not RunLife.DEAD:
            continue
        cluster.delete_namespace(metadata["name"])
        count += 1
    return count


def _manifest(name: str, labels: dict[str, str], run: RunLabels) -> Manifest:
    annotations = {
        OWNER: run.owner,
        HOST: socket.gethostname(),
        PID: str(os.getpid()),
        STARTED: dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
    }
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _store(
    cluster: Cluster, namespace: str, pieces: Sequence[bytes], labels: dict[str, str]
) -> None:
    for number, piece in enumerate(pieces):
        files = {f"piece-{number:03}": piece}
        name = f"{ARCHIVE}-{number}"
        cluster.create_config_map(namespace, config_map(name, files=files, labels=labels))


@contextlib.contextmanager
def _as_unavailable(context: str, action: str) -> Iterator[None]:
    try:
        yield
    except KubernetesError as error:
        hint = f"Rights: kubectl --context {context} auth can-i create namespaces"
        if not error.is_forbidden:
            hint = f"Try: kubectl --context {context} get namespaces"
        raise ClusterUnavailableError(
            f"{action} on the cluster of {context}: {error}", hint
        ) from error
