"""What a container is made with: from our words to the engine's. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matrix.containers.seam import ContainerSpec

__all__ = ["Bind", "create_body"]

Bind = Mapping[str, object]
"""One of `HostConfig.Mounts`."""


def create_body(
    spec: ContainerSpec,
    binds: Sequence[Bind],
    labels: Mapping[str, str],
    cpus: int,
    network: str = "",
) -> dict[str, Any]:
    """Return the body of the engine's `create`, as its API spells it; `network` is its private one.

    https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerCreate
    """
    held = spec.confinement
    return {
        "Image": spec.image,
        "Entrypoint": [spec.argv[0]],
        "Cmd": list(spec.argv[1:]),
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "WorkingDir": spec.folder,
        "User": held.user,
        "Hostname": "cell",
        "Labels": dict(labels),
        "Healthcheck": {"Test": ["NONE"]},
        "Tty": False,
        # Once: the first process reads the end of its input when we let go, or are killed.
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "NetworkDisabled": False,
        "HostConfig": {
            # The engine removes it when its first process ends, whether or not we still live.
            "AutoRemove": True,
            "Mounts": list(binds),
            "NetworkMode": network or ("default" if held.network else "none"),
            "ReadonlyRootfs": not held.writable,
            "Tmpfs": {
                # `exec`: what is under test unpacks and loads shared libraries there.
                "/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={held.tmp_bytes}"  # noqa: S108
            },
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "IpcMode": "private",
            "Memory": held.memory,
            "MemorySwap": held.memory,  # the sum of both: no swap
            "PidsLimit": held.pids,
            "NanoCpus": int(min(held.cpus, cpus) * 1_000_000_000),
            # A core dump goes where the host's core_pattern says, outside of all limits.
            "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
            "LogConfig": {"Type": "none", "Config": {}},
            "Init": False,
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        },
    }
