"""Payloads of remote configuration that clients of all releases accept.

Protocol: https://github.com/DataDog/datadog-agent/blob/main/pkg/proto/datadog/remoteconfig/remoteconfig.proto
(messages ClientGetConfigsRequest and ClientGetConfigsResponse), in JSON.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from matrix.model.probe import RemoteConfig

EXPIRES = "2199-01-01T00:00:00Z"


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """One file of a set; `since` is the version in which this content was new."""

    path: str
    raw: bytes
    since: int


@dataclasses.dataclass(frozen=True)
class ConfigSet:
    """The files of all clients at `version`; version 0 is not published."""

    version: int
    files: tuple[ConfigFile, ...]

    def followed_by(self, configs: Sequence[RemoteConfig]) -> ConfigSet:
        """Return the next version, with `configs` as its only content.

        Raises ValueError where two of them have the same product and id.
        """
        version = self.version + 1
        previous = {file.path: file for file in self.files}
        files: dict[str, ConfigFile] = {}
        for config in configs:
            path = f"datadog/2/{config.product}/{config.config_id}/config"
            raw = json.dumps(config.content, separators=(",", ":")).encode()
            before = previous.get(path)
            if path in files:
                raise ValueError(f"two remote configurations have the path {path}")
            since = before.since if before is not None and before.raw == raw else version
            files[path] = ConfigFile(path, raw, since)
        return ConfigSet(version, tuple(files.values()))

    def answer(self, request: object) -> dict[str, Any]:
        """Return the response to a client's poll, empty where the client is up to date."""
        if self.version == 0 or acknowledged_version(request) == self.version:
            return {}
        targets = json.dumps(self._targets()).encode()
        return {
            "roots": [],
            "targets": base64.b64encode(targets).decode("ascii"),
            "target_files": [
                {"path": file.path, "raw": base64.b64encode(file.raw).decode("ascii")}
                for file in self.files
            ],
            "client_configs": [file.path for file in self.files],
        }

    def _targets(self) -> dict[str, Any]:
        # No release verifies the signature, but several require one.
        signed = {
            "_type": "targets",
            "custom": {"opaque_backend_state": base64.b64encode(b"{}").decode("ascii")},
            "expires": EXPIRES,
            "spec_version": "1.0.0",
            "targets": {
                file.path: {
                    "custom": {"v": file.since},
                    "hashes": {"sha256": hashlib.sha256(file.raw).hexdigest()},
                    "length": len(file.raw),
                }
                for file in self.files
            },
            "version": self.version,
        }
        return {"signatures": [{"keyid": "0" * 64, "sig": "0" * 128}], "signed": signed}


NO_CONFIGS = ConfigSet(0, ())


def acknowledged_version(request: object) -> int:
    """Return the version that a client's poll reports as applied, 0 where it reports none."""
    value = request
    for key in ("client", "state", "targets_version"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) else 0
