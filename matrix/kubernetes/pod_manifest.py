"""The pod of a cell, and what its containers share.

Three init containers prepare it: `unpack` the project and what our recorder needs, `environment`
the app's environment by its hashed lock, `tracer` the tracer in a volume of its own, as Datadog's
injection of libraries does. Then three containers run: `recorder` runs the cell with our own code,
`app` and `outside` start the app's processes on its behalf. Only `app` has that which makes the
place: the agent's socket, or the address of its node.

The pod asks for no right, so that it is admitted where only restricted pods are:
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from matrix.kubernetes.archive import ARCHIVE
from matrix.kubernetes.interface import Manifest, RunNamespace

UNPACK, ENVIRONMENT, TRACER = "unpack", "environment", "tracer"
RECORDER, APP, OUTSIDE = "recorder", "app", "outside"

# Folders inside.
_ARCHIVE = "/cell/archive"
_JOB = "/cell/job"
_START = "/cell/start"
_RECORDER = "/cell/recorder"
_IMAGE = "/cell/image"
_RELAY = "/cell/relay"
_TMP = "/tmp"  # noqa: S108 - inside
PROJECT = "/cell/project"
# https://docs.datadoghq.com/tracing/trace_collection/library_injection_local/
TRACER_FOLDER = "/datadog-lib"
# https://docs.datadoghq.com/containers/kubernetes/apm/
AGENT_FOLDER = "/var/run/datadog"
AGENT_SOCKET = "apm.socket"
_FIXTURES = f"{PROJECT}/fixtures/places/kubernetes"

_USER = 1000
# https://kubernetes.io/docs/reference/node/node-labels/
ARCHITECTURES = {"linux_x86_64": "amd64", "linux_aarch64": "arm64"}
# Seconds that a pod stays on a node that does not answer; by default five minutes.
_LOST_SECONDS = 30
_REQUESTS = {"cpu": "50m", "memory": "96Mi", "ephemeral-storage": "64Mi"}
_NODE_IP = {"name": "NODE_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}
_POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


@dataclasses.dataclass(frozen=True)
class PodOptions:
    """Options of the place, from `data/places/kubernetes.toml`.

    `image` and `recorder_image` are those of the app and of our recorder, in which `{python}`
    stands for the cell's CPython, as in `site`, the folder of installed distributions; `python` is
    the interpreter there. `agent` is `socket` or `host`: how the tracer reaches the agent;
    `host_port` is the port of the node that the agent has for the latter. With `injection` the
    tracer comes from a volume of its own, by PYTHONPATH. `index` is the package index as pip in the
    cluster reaches it, "" for pip's own. `recorder` are the distributions that our recorder needs.
    `start_seconds` is how long a pod may take until its recorder runs.
    """

    image: str
    recorder_image: str
    recorder: tuple[str, ...]
    python: str = "python"
    site: str = "/usr/local/lib/python{python}/site-packages"
    agent: str = "socket"
    host_port: int = 18126
    injection: bool = True
    index: str = ""
    start_seconds: float = 600.0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> PodOptions:
        """Return the options of a place; raise TypeError or KeyError for others."""
        return cls(**{**options, "recorder": tuple(options["recorder"])})


@dataclasses.dataclass(frozen=True)
class CellPod:
    """The pod of one cell: its name, that of its job's ConfigMap, and what its containers get.

    `cell` is the cell's id, `python` its CPython (`3.9`). `memory` (bytes) and `cpus` limit the
    containers of the app, `seconds` all of the pod.
    """

    name: str
    cell: str
    python: str
    target: str
    namespace: RunNamespace
    options: PodOptions
    memory: int
    cpus: float
    seconds: int


def pod_manifest(pod: CellPod) -> Manifest:
    """Return the pod as JSON values; raise KeyError for a target that Kubernetes does not know."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod.name,
            "labels": dict(pod.namespace.labels),
            "annotations": {"compat-matrix.cell": pod.cell},
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": pod.seconds,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "nodeSelector": {
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": ARCHITECTURES[pod.target],
            },
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{state}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _LOST_SECONDS,
                }
                for state in ("not-ready", "unreachable")
            ],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumes": _volumes(pod),
            "initContainers": _init_containers(pod),
            "containers": [_recorder(pod), _relay(pod, APP), _relay(pod, OUTSIDE)],
        },
    }


def recorder_environment(pod: CellPod) -> dict[str, str]:
    """Return the variables that tell the recorder where everything is."""
    return {
        "PYTHONPATH": f"{PROJECT}:{_RECORDER}",
        "PYTHONUNBUFFERED": "1",
        "HOME": _TMP,
        "CELL_JOB": f"{_JOB}/job.pickle",
        "CELL_IMAGE": f"{_IMAGE}/image.json",
        "CELL_PROJECT": PROJECT,
        "CELL_RELAYS": _RELAY,
        "CELL_SCRATCH": _TMP,
        "CELL_AGENT": f"{AGENT_FOLDER}/{AGENT_SOCKET}" if pod.options.agent == "socket" else "",
        "CELL_AGENT_PORT": str(pod.options.host_port),
        "CELL_TRACER": TRACER_FOLDER if pod.options.injection else "",
    }


def _init_containers(pod: CellPod) -> list[Manifest]:
    prepare = (f"{_START}/prepare.py",)
    options = pod.options
    site = TRACER_FOLDER if options.injection else _site(pod)
    return [
        _container(
            pod,
            UNPACK,
            options.recorder_image,
            (
                *("python", *prepare, "--unpack", _ARCHIVE, PROJECT),
                *("--install", f"{_START}/recorder.txt", _RECORDER),
            ),
            {"archive": _ARCHIVE, "job": _START, "project": PROJECT, "recorder": _RECORDER},
            writable=("project", "recorder"),
            variables=_pip_variables(options),
        ),
        _container(
            pod,
            ENVIRONMENT,
            _image(pod),
            (
                *(options.python, *prepare, "--describe", f"{_IMAGE}/image.json"),
                *("--install", f"{_START}/app.txt", "/cell/environment"),
            ),
            {"job": _START, "image": _IMAGE, "environment": "/cell/environment"},
            writable=("image", "environment"),
            variables=_pip_variables(options),
        ),
        _container(
            pod,
            TRACER,
            _image(pod),
            (options.python, *prepare, "--install", f"{_START}/tracer.txt", "/cell/tracer"),
            {"job": _START, ("tracer" if site == TRACER_FOLDER else "environment"): "/cell/tracer"},
            writable=("tracer", "environment"),
            variables=_pip_variables(options),
        ),
    ]


def _recorder(pod: CellPod) -> Manifest:
    by_socket = pod.options.agent == "socket"
    container = _container(
        pod,
        RECORDER,
        pod.options.recorder_image,
        ("python", "-B", "-m", "matrix.cells.places.pod_recorder"),
        {
            "project": PROJECT,
            "recorder": _RECORDER,
            "job": _JOB,
            "image": _IMAGE,
            "relay": _RELAY,
            **({"agent": AGENT_FOLDER} if by_socket else {}),
        },
        writable=("relay", "agent"),
        variables=recorder_environment(pod),
    )
    if not by_socket:
        container["env"] += [_NODE_IP, _POD_IP]
        port = pod.options.host_port
        container["ports"] = [{"containerPort": port, "hostPort": port, "protocol": "TCP"}]
    return container


def _relay(pod: CellPod, name: str) -> Manifest:
    """Return a container for processes of the app; only that called APP is in the place."""
    inside = name == APP and pod.options.agent == "socket"
    # With the standard library only: neither the environment nor a variable may change it.
    relay = ("-S", "-E", "-s", "-B", "-u", f"{_FIXTURES}/socket_relay.py")
    return _container(
        pod,
        name,
        _image(pod),
        (pod.options.python, *relay, f"{_RELAY}/{name}.socket", f"{PROJECT}/fixtures/cell"),
        {
            "project": PROJECT,
            "relay": _RELAY,
            "environment": _site(pod),
            **({"tracer": TRACER_FOLDER} if pod.options.injection else {}),
            **({"agent": AGENT_FOLDER} if inside else {}),
        },
        writable=("relay",),
        variables={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
    )


def _container(  # noqa: PLR0913 - the parts of a container
    pod: CellPod,
    name: str,
    image: str,
    command: Sequence[str],
    mounts: Mapping[str, str],
    *,
    writable: Sequence[str],
    variables: Mapping[str, str],
) -> Manifest:
    return {
        "name": name,
        "image": image,
        "command": list(command),
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "workingDir": _TMP,
        "volumeMounts": [
            *(
                {"name": volume, "mountPath": path, "readOnly": volume not in writable}
                for volume, path in mounts.items()
            ),
            {"name": f"tmp-{name}", "mountPath": _TMP, "readOnly": False},
        ],
        "resources": {
            "requests": _REQUESTS,
            "limits": {
                "cpu": f"{round(pod.cpus * 1000)}m",
                "memory": str(pod.memory),
                "ephemeral-storage": "2Gi",
            },
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _volumes(pod: CellPod) -> list[Manifest]:
    pieces = [
        {"configMap": {"name": f"{ARCHIVE}-{number}"}} for number in range(pod.namespace.pieces)
    ]
    empty = ("project", "recorder", "environment", "tracer", "image", "relay", "agent")
    containers = (UNPACK, ENVIRONMENT, TRACER, RECORDER, APP, OUTSIDE)
    return [
        {"name": "archive", "projected": {"sources": pieces}},
        {"name": "job", "configMap": {"name": pod.name}},
        *({"name": name, "emptyDir": {}} for name in empty),
        *({"name": f"tmp-{name}", "emptyDir": {"sizeLimit": "1Gi"}} for name in containers),
    ]


def _pip_variables(options: PodOptions) -> dict[str, str]:
    variables = {"HOME": _TMP, "TMPDIR": _TMP, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    return {**variables, "PIP_INDEX_URL": options.index} if options.index else variables


def _image(pod: CellPod) -> str:
    return pod.options.image.format(python=pod.python)


def _site(pod: CellPod) -> str:
    return pod.options.site.format(python=pod.python)
