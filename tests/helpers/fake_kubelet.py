"""Kubelets for the fake cluster: one plays statuses, one runs a pod's containers as processes.

The latter translates paths of the pod's volumes to folders of this machine, in commands, variables
and links. In a mount namespace of its own, a container sees only the volumes that it mounts. The
`python` of an image is an interpreter without any distribution, whose `site-packages` is the volume
that is mounted there.
"""

from __future__ import annotations

import base64
import contextlib
import ensurepip
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.fake_kubernetes import FakeKubernetes, Kubelet, Object

__all__ = ["NO_NAMESPACES", "ProcessKubelet", "ended", "playing", "running", "waiting"]

_POLL_SECONDS = 0.05
# The pod has addresses of its own: neither is the loopback address that processes use by default.
_ADDRESSES = {"status.hostIP": "127.0.0.2", "status.podIP": "127.0.0.2"}
_IS_ROOT = sys.platform != "win32" and os.getuid() == 0
_UNSHARE = ("unshare", "--mount", *(() if _IS_ROOT else ("--user", "--map-root-user")))
_HIDE = 'for folder in $HIDDEN; do mount -t tmpfs none "$folder" || exit 90; done; exec "$@"'
_INIT, _MAIN = "initContainers", "containers"


def _cannot_hide() -> str:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return "there is no unshare on PATH"
    run = subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False)
    return "" if run.returncode == 0 else "this user cannot make mount namespaces"


NO_NAMESPACES = _cannot_hide()
"""Why a `ProcessKubelet` cannot run here, "" where it can."""


def waiting(name: str, reason: str, message: str = "") -> Object:
    """Return the status of a container that waits."""
    return {"name": name, "state": {"waiting": {"reason": reason, "message": message}}}


def running(name: str) -> Object:
    """Return the status of a container that runs."""
    return {"name": name, "state": {"running": {}}, "imageID": "docker.io/python@sha256:abc"}


def ended(name: str, code: int = 0, reason: str = "Completed") -> Object:
    """Return the status of a container that ended."""
    state = {"terminated": {"exitCode": code, "reason": reason}}
    return {"name": name, "state": state, "imageID": "docker.io/python@sha256:abc"}


def playing(
    *statuses: Object | Callable[[FakeKubernetes, Object], None],
    log: Mapping[str, bytes] | None = None,
    pause: float = 0.05,
) -> Kubelet:
    """Return a kubelet that gives a pod these statuses, one after the other, and these logs.

    A function among the statuses is called instead.
    """

    def play(cluster: FakeKubernetes, pod: Object) -> None:
        metadata = pod["metadata"]
        for container, text in (log or {}).items():
            cluster.logs[metadata["name"], container] = text
        for status in statuses:
            time.sleep(pause)
            if callable(status):
                status(cluster, pod)
            else:
                cluster.set_status(metadata["namespace"], metadata["name"], status)

    return play


class ProcessKubelet:
    """Runs the containers of pods as processes of this machine.

    pip in init containers finds distributions in the folder `wheels` only, or on the package index
    where that is None. What the recorder needs is there already: its container's `python` is the
    interpreter of the tests, as is that of an app's image, but for those in `pythons`.
    """

    def __init__(
        self, wheels: Path | None = None, pythons: Mapping[str, Path] | None = None
    ) -> None:
        self._wheels = wheels
        self._pythons = dict(pythons or {})

    def __call__(self, cluster: FakeKubernetes, pod: Object) -> None:
        """Run a pod to its end, or until it is deleted."""
        with tempfile.TemporaryDirectory(prefix="p-") as folder:
            _PodProcesses(cluster, pod, Path(folder), self._wheels, self._pythons).run()


class _PodProcesses:
    def __init__(
        self,
        cluster: FakeKubernetes,
        pod: Object,
        folder: Path,
        wheels: Path | None,
        pythons: Mapping[str, Path],
    ) -> None:
        self._pythons = pythons
        self._cluster = cluster
        self._pod = pod
        self._folder = folder
        self._wheels = wheels
        self._namespace = pod["metadata"]["namespace"]
        self._name = pod["metadata"]["name"]
        self._statuses: dict[str, dict[str, Object]] = {_INIT: {}, _MAIN: {}}
        self._volumes = {
            volume["name"]: self._make_volume(number, volume)
            for number, volume in enumerate(pod["spec"]["volumes"])
        }

    def run(self) -> None:
        for container in self._pod["spec"][_INIT]:
            code = self._wait({container["name"]: self._start(container)}, _INIT)
            if code:
                self._publish("Failed")
                return
        processes = {one["name"]: self._start(one) for one in self._pod["spec"][_MAIN]}
        code = self._wait(processes, _MAIN)
        self._publish("Failed" if code else "Succeeded")

    def _wait(self, processes: Mapping[str, subprocess.Popen[bytes]], part: str) -> int:
        """Publish the states until all have ended, or the pod is deleted; return a code."""
        codes: dict[str, int] = {}
        for name in processes:
            self._statuses[part][name] = running(name)
        self._publish("Pending" if part == _INIT else "Running")
        while len(codes) < len(processes):
            if not self._cluster.exists(("pods", self._namespace, self._name)):
                for process in processes.values():
                    if sys.platform != "win32":
                        with contextlib.suppress(OSError):
                            os.killpg(process.pid, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
            for name, process in processes.items():
                if name in codes or process.poll() is None:
                    continue
                codes[name] = process.returncode
                log = self._folder / f"{name}.log"
                self._cluster.logs[self._name, name] = log.read_bytes()
                reason = "Error" if process.returncode else "Completed"
                self._statuses[part][name] = ended(name, process.returncode, reason)
                self._publish("Pending" if part == _INIT else "Running")
        return max(codes.values(), key=abs)

    def _publish(self, phase: str) -> None:
        status = {
            "phase": phase,
            "initContainerStatuses": list(self._statuses[_INIT].values()),
            "containerStatuses": list(self._statuses[_MAIN].values()),
        }
        self._cluster.set_status(self._namespace, self._name, status)

    def _start(self, container: Object) -> subprocess.Popen[bytes]:
        mounts = self._mounts(container)
        command = [self._translate(word, mounts) for word in container["command"]]
        if container["name"] == "unpack":
            del command[command.index("--install") :]
        own = container["name"] in {"unpack", "recorder"}
        command[0] = sys.executable if own else str(self._image_python(container, mounts))
        variables = {"PATH": os.environ["PATH"]}
        if self._wheels is None:
            variables |= {k: v for k, v in os.environ.items() if k.startswith("PIP_")}
        else:
            variables |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self._wheels)}
            variables |= {"PIP_CONFIG_FILE": os.devnull}
        if container in self._pod["spec"][_INIT]:
            (pip,) = Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl")
            variables["PYTHONPATH"] = str(pip)
        for item in container["env"]:
            value = item.get("value")
            if value is None:
                value = _ADDRESSES[item["valueFrom"]["fieldRef"]["fieldPath"]]
            variables[item["name"]] = self._translate(value, mounts)
        own_volumes = {mount["name"] for mount in container["volumeMounts"]}
        hidden = [folder for name, folder in self._volumes.items() if name not in own_volumes]
        variables["HIDDEN"] = " ".join(map(str, hidden))
        with (self._folder / f"{container['name']}.log").open("wb") as log:
            return subprocess.Popen(
                [*_UNSHARE, "sh", "-c", _HIDE, "sh", *command],
                cwd=self._translate(container["workingDir"], mounts),
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _mounts(self, container: Object) -> dict[str, Path]:
        """Return the folders of all paths of volumes; those of the container itself count first."""
        every = [*self._pod["spec"][_INIT], *self._pod["spec"][_MAIN], container]
        return {
            mount["mountPath"]: self._volumes[mount["name"]]
            for one in every
            for mount in one["volumeMounts"]
        }

    def _translate(self, text: str, mounts: Mapping[str, Path]) -> str:
        paths = "|".join(re.escape(path) for path in sorted(mounts, key=len, reverse=True))
        return re.sub(
            rf"(?<![\w./-])({paths})(?=[/:]|$)", lambda match: str(mounts[match[1]]), text
        )

    def _image_python(self, container: Object, mounts: Mapping[str, Path]) -> Path:
        """Return the interpreter of the app's image, made for this pod at the first call."""
        home = self._folder / "image"
        python = home / "bin" / "python"
        if not python.exists():
            (home / "bin").mkdir(parents=True)
            real = Path(os.path.realpath(self._pythons.get(container["image"], sys.executable)))
            python.symlink_to(real)
            (home / "pyvenv.cfg").write_text(f"home = {real.parent}\n", encoding="utf-8")
            # Below the folder that holds bin/, as in the image: /usr/local/lib/python3.9/...
            ((path, volume),) = {
                (path, folder) for path, folder in mounts.items() if path.endswith("/site-packages")
            }
            site = home / Path(path).relative_to("/usr/local")
            site.parent.mkdir(parents=True)
            site.symlink_to(volume)
        return python

    def _make_volume(self, number: int, volume: Object) -> Path:
        folder = self._folder / str(number)  # short: sockets are in it
        folder.mkdir()
        sources: Sequence[Any] = volume.get("projected", {}).get("sources") or [volume]
        for source in sources:
            if name := source.get("configMap", {}).get("name"):
                content = self._cluster.objects["configmaps", self._namespace, name]
                for file, text in (content.get("data") or {}).items():
                    (folder / file).write_text(text, encoding="utf-8")
                for file, data in (content.get("binaryData") or {}).items():
                    (folder / file).write_bytes(base64.b64decode(data))
        return folder
