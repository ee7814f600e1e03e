"""Connect to a cluster of the user's kubeconfig, and find what keeps cells from running there.

https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from matrix.errors import ClusterUnavailableError, UsageError, did_you_mean
from matrix.kubernetes.interface import KubernetesError, KubernetesLostError
from matrix.system.paths import home_dir

if TYPE_CHECKING:
    from matrix.kubernetes.client import Cluster

INSTALL_HINT = (
    "It is an optional extra: pip install 'compat-matrix[kubernetes]'. nox installs it by itself."
)
_CREATE_HINT = (
    "Name a file in KUBECONFIG, or make a cluster on this machine: kind create cluster"
    " (https://kind.sigs.k8s.io), whose context is kind-kind."
)
_UNNAMED = (
    "no cluster was named: run with --context NAME, of those that this lists: kubectl config"
    " get-contexts"
)
_FIRST_PATIENCE = 6.0
NEEDED_RIGHTS = (
    ("create", "namespaces"),
    ("list", "namespaces"),
    ("delete", "namespaces"),
    ("create", "configmaps"),
    ("create", "pods"),
    ("get", "pods"),
    ("watch", "pods"),
    ("delete", "pods"),
    ("get", "pods/log"),
)
"""Rights of the user that a run needs, as verb and resource."""


def find_contexts() -> tuple[str, ...]:
    """Return the contexts of the user's kubeconfig; raise ClusterUnavailableError without one."""
    try:
        from kubernetes.config import list_kube_config_contexts  # noqa: PLC0415 - optional, slow
    except ImportError as error:
        raise ClusterUnavailableError(
            "the client of Kubernetes is not installed", INSTALL_HINT
        ) from error
    try:
        contexts = list_kube_config_contexts(_config_files())[0]
        return tuple(str(context["name"]) for context in contexts)
    except Exception as error:  # of its parsers, too
        message = f"no usable kubeconfig: {' '.join(str(error).split())}"
        raise ClusterUnavailableError(message, _CREATE_HINT) from error


def open_cluster(context: str, patience: float = 30.0) -> Cluster:
    """Return the cluster that a context of the kubeconfig names; nothing is sent to it yet.

    `patience` is that of `Cluster`. Raises UsageError for a context that does not exist,
    ClusterUnavailableError without kubeconfig, client or credentials.
    """
    contexts = find_contexts()
    if context not in contexts:
        raise UsageError(
            f"the kubeconfig has no context {context!r}{did_you_mean(context, contexts)}",
            f"Contexts: {', '.join(contexts) or 'none'}. List them: kubectl config get-contexts",
        )
    from kubernetes.client import ApiClient, Configuration  # noqa: PLC0415 - as above
    from kubernetes.config import load_kube_config  # noqa: PLC0415

    from matrix.kubernetes.client import Cluster  # noqa: PLC0415 - imports the client

    configuration = Configuration()
    configuration.retries = False  # `Cluster` does that
    try:
        load_kube_config(_config_files(), context, configuration, persist_config=False)
        return Cluster(ApiClient(configuration), context, patience)
    except Exception as error:
        message = f"cannot use the context {context}: {' '.join(str(error).split())}"
        raise ClusterUnavailableError(
            message, f"Try: kubectl --context {context} get nodes"
        ) from error


def _config_files() -> str:
    """Return the path of the kubeconfig, or several as in a search path."""
    return os.environ.get("KUBECONFIG") or str(home_dir() / ".kube" / "config")


@contextlib.contextmanager
def opened(context: str, patience: float = 30.0) -> Iterator[Cluster]:
    """Yield the cluster of a context as `open_cluster` does, and close its connections."""
    cluster = open_cluster(context, patience)
    try:
        yield cluster
    finally:
        cluster.close()


def cluster_obstacle(context: str) -> str:
    """Return what keeps cells from running on the cluster of a context, "" where nothing does.

    The text has the command that shows or provides what is missing.
    """
    try:
        if not context:
            return _UNNAMED
        check_cluster(context)
    except (ClusterUnavailableError, UsageError) as error:
        return f"{error.message}{'' if error.message.endswith('?') else '.'} {error.hint}"
    return ""


def check_cluster(context: str) -> None:
    """Raise UsageError or ClusterUnavailableError for what keeps cells from running on a cluster.

    One that does not answer is not waited for as long as during a run.
    """
    with opened(context, _FIRST_PATIENCE) as cluster:
        _check_rights(cluster)


def _check_rights(cluster: Cluster) -> None:
    context = cluster.context
    try:
        cluster.version()
        missing = [
            (verb, resource) for verb, resource in NEEDED_RIGHTS if not cluster.may(verb, resource)
        ]
    except KubernetesLostError as error:
        message = f"the cluster of {context} does not answer: {error}"
        hint = f"Try: kubectl --context {context} get nodes"
        raise ClusterUnavailableError(message, hint) from error
    except KubernetesError as error:
        message = f"the cluster of {context} refuses: {error}"
        raise ClusterUnavailableError(message, "Log in again, as its provider says.") from error
    if missing:
        texts = ", ".join(f"{verb} {resource}" for verb, resource in missing)
        verb, resource = missing[0]
        raise ClusterUnavailableError(
            f"the user of {context} has no right to {texts}",
            "An administrator can grant it; see:"
            f" kubectl --context {context} auth can-i {verb} {resource}",
        )
