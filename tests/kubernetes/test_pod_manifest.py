"""Tests of the pod of a cell: valid, without rights, and only one container in the place."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from kubernetes.client import V1ConfigMap, V1Namespace, V1Pod

from matrix.kubernetes.archive import config_map, locked_lines, project_files
from matrix.kubernetes.interface import RunNamespace
from matrix.kubernetes.pod_manifest import (
    AGENT_FOLDER,
    APP,
    OUTSIDE,
    RECORDER,
    TRACER_FOLDER,
    CellPod,
    PodOptions,
    pod_manifest,
)
from matrix.probes.places import find_place
from matrix.system.paths import project_root

OPTIONS = PodOptions.of(find_place("kubernetes").options)
POD = CellPod(
    name="cell-1",
    cell="py39-linux_x86_64-flask_1.0-ddtrace_1.0.0-in-kubernetes",
    python="3.9",
    target="linux_x86_64",
    namespace=RunNamespace("kind", "compat-matrix-1", 2, (("compat-matrix.run", "1"),)),
    options=OPTIONS,
    memory=1 << 30,
    cpus=2.0,
    seconds=900,
)
# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
RESTRICTED_VOLUMES = {"configMap", "emptyDir", "projected"}


def with_options(**changes: str | int | bool) -> dict[str, Any]:
    options = PodOptions.of({**vars(OPTIONS), **changes})
    return pod_manifest(dataclasses.replace(POD, options=options))


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        one["name"]: one for part in ("initContainers", "containers") for one in pod["spec"][part]
    }


def mounts(container: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Return volume and whether it is read-only, by path."""
    return {m["mountPath"]: (m["name"], m["readOnly"]) for m in container["volumeMounts"]}


@pytest.mark.parametrize("agent", ["socket", "host"])
@pytest.mark.parametrize("injection", [True, False])
def test_it_is_valid_by_the_models_of_the_api(agent: str, injection: bool) -> None:
    pod = with_options(agent=agent, injection=injection, index="https://index.example/simple")
    model = V1Pod.model_validate(pod)
    assert model.to_dict()["spec"]["restart_policy"] == "Never"
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    for container in containers(pod).values():
        used = [mount["name"] for mount in container["volumeMounts"]]
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert set(used) <= volumes
        assert len(set(paths)) == len(paths)


def test_the_models_refuse_what_is_misspelt() -> None:
    pod = pod_manifest(POD)
    pod["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(ValueError, match="volumeMount"):
        V1Pod.model_validate(pod)


def test_it_is_admitted_where_only_restricted_pods_are() -> None:
    pod = pod_manifest(POD)
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    for volume in spec["volumes"]:
        assert volume.keys() - {"name"} <= RESTRICTED_VOLUMES
    for container in containers(pod).values():
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in rights
        # A quota for a namespace demands both.
        assert container["resources"].keys() == {"requests", "limits"}
        assert not [port for port in container.get("ports", ()) if "hostPort" in port]


def test_only_one_container_of_the_app_is_in_the_place() -> None:
    by_name = containers(pod_manifest(POD))
    inside, outside = mounts(by_name[APP]), mounts(by_name[OUTSIDE])
    # Read-only: the app may connect to the socket, and not replace it.
    assert inside[AGENT_FOLDER] == ("agent", True)
    assert AGENT_FOLDER not in outside
    assert mounts(by_name[RECORDER])[AGENT_FOLDER] == ("agent", False)
    tmp = "/tmp"  # noqa: S108 - inside
    assert {path: mount for path, mount in inside.items() if path not in (AGENT_FOLDER, tmp)} == {
        path: mount for path, mount in outside.items() if path != tmp
    }
    for name in ("image", "env", "securityContext", "resources", "workingDir"):
        assert by_name[APP][name] == by_name[OUTSIDE][name]


def test_the_tracer_comes_from_a_volume_that_an_init_container_fills() -> None:
    by_name = containers(pod_manifest(POD))
    assert mounts(by_name["tracer"])["/cell/tracer"] == ("tracer", False)
    assert mounts(by_name[APP])[TRACER_FOLDER] == ("tracer", True)
    site = "/usr/local/lib/python3.9/site-packages"
    assert mounts(by_name[APP])[site] == ("environment", True)
    without = containers(with_options(injection=False))
    assert mounts(without["tracer"])["/cell/tracer"] == ("environment", False)
    assert TRACER_FOLDER not in mounts(without[APP])


def test_the_agent_of_the_node_has_a_port_of_the_node() -> None:
    by_name = containers(with_options(agent="host", host_port=18126))
    recorder = by_name[RECORDER]
    assert recorder["ports"] == [{"containerPort": 18126, "hostPort": 18126, "protocol": "TCP"}]
    fields = {
        item["name"]: item["valueFrom"]["fieldRef"]["fieldPath"]
        for item in recorder["env"]
        if "valueFrom" in item
    }
    assert fields == {"NODE_IP": "status.hostIP", "POD_IP": "status.podIP"}
    assert all(AGENT_FOLDER not in mounts(container) for container in by_name.values())


def test_images_are_those_of_the_options() -> None:
    by_name = containers(with_options(image="registry.example/python:{python}"))
    assert by_name[APP]["image"] == by_name["environment"]["image"] == "registry.example/python:3.9"
    assert by_name[RECORDER]["image"] == by_name["unpack"]["image"] == OPTIONS.recorder_image


@pytest.mark.parametrize(
    ("target", "architecture"), [("linux_x86_64", "amd64"), ("linux_aarch64", "arm64")]
)
def test_it_runs_on_nodes_of_its_cpu_only(target: str, architecture: str) -> None:
    pod = pod_manifest(dataclasses.replace(POD, target=target))
    assert pod["spec"]["nodeSelector"]["kubernetes.io/arch"] == architecture


def test_other_objects_are_valid_too() -> None:
    V1ConfigMap.model_validate(
        config_map("a", texts={"b": "c"}, files={"d": b"e"}, labels={"compat-matrix.run": "1"})
    )
    with pytest.raises(ValueError, match="labelz"):
        V1Namespace.model_validate({"metadata": {"name": "a", "labelz": {}}})


def test_the_recorders_distributions_are_those_of_our_own_lock() -> None:
    lock = (project_root() / "requirements" / "run.txt").read_text(encoding="utf-8")
    lines = locked_lines(lock, OPTIONS.recorder)
    names = [line.partition("==")[0] for line in lines.splitlines() if "==" in line]
    assert names == list(OPTIONS.recorder)
    assert lines.count("--hash=sha256:") >= len(names)
    with pytest.raises(KeyError):
        locked_lines(lock, ["no-such-distribution"])


def test_the_archive_has_what_a_recorder_runs() -> None:
    names = set(project_files())
    assert {
        "matrix/cells/places/pod_recorder.py",
        "matrix/data/places/kubernetes.toml",
        "apps/serve.py",
        "fixtures/cell/relay.py",
        "fixtures/places/kubernetes/socket_relay.py",
    } <= names
    assert not any(name.startswith("matrix/facts/") for name in names)
