"""Payloads of requests to the agent, and of remote configuration in its responses.

Formats: https://github.com/DataDog/datadog-agent/blob/main/pkg/trace/api/version.go
Remote configuration is as clients of all releases accept it, in JSON (messages
ClientGetConfigsRequest and ClientGetConfigsResponse):
https://github.com/DataDog/datadog-agent/blob/main/pkg/proto/datadog/remoteconfig/remoteconfig.proto
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]

from matrix.model.probe import RemoteConfig

MAX_BYTES = 64 * 1024 * 1024
"""The largest body in bytes, both before and after decompression."""

MAX_DEPTH = 100
SPAN_FIELDS = (
    "service", "name", "resource", "trace_id", "span_id", "parent_id", "start", "duration",
    "error", "meta", "metrics", "type",
)  # fmt: skip
STRING_FIELDS = frozenset({"service", "name", "resource", "type"})
_WINDOW_BITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
TRACE_PATHS = ("/v0.3/traces", "/v0.4/traces", "/v0.5/traces")
TEST_PATH = "/api/v2/citestcycle"
"""The end of the path of requests with test events, which agents pass on."""


def decode(
    path: str, headers: Mapping[str, str], body: bytes, *, max_bytes: int = MAX_BYTES
) -> Any:  # noqa: ANN401
    """Return the payload as JSON values; `headers` have lower-case names.

    In every version of the format, traces become a list of traces, each a list of spans, each a
    mapping.
    """
    if not body:
        return None
    try:
        return to_json(_parse(path, headers, _decompress(headers, body, max_bytes)))
    except RecursionError:
        return undecodable("nested too deeply", body)
    except MemoryError:
        return undecodable("too large in memory", b"")
    except (
        *(ValueError, TypeError, LookupError, EOFError, OSError, zlib.error),
        msgpack.UnpackException,
    ) as error:
        return undecodable(f"{type(error).__name__}: {error}", body)


def undecodable(reason: str, body: bytes) -> dict[str, str]:
    """Return the entry in a capture for a body that could not be decoded."""
    return {"undecodable": reason, "base64": base64.b64encode(body).decode("ascii")}


def to_json(value: Any, depth: int = 0) -> Any:  # noqa: ANN401
    """Return a msgpack or JSON value as JSON, with bytes as `{"base64": ...}` and keys as text."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        return {_key_text(key): to_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, msgpack.ExtType):
        return [to_json(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"no JSON for {type(value).__name__}")


def json_length(value: Any) -> int:  # noqa: ANN401
    """Return about how many characters a JSON value takes, which may repeat what it holds once."""
    if isinstance(value, dict):
        return sum(len(key) + 4 + json_length(item) for key, item in value.items())
    if isinstance(value, list):
        return 2 * len(value) + sum(map(json_length, value))
    return len(value) if isinstance(value, str) else 8


def unpack(body: bytes) -> Any:  # noqa: ANN401
    """Return one msgpack value; text that is not UTF-8 keeps its bytes as escapes."""
    return msgpack.unpackb(body, raw=False, strict_map_key=False, unicode_errors="backslashreplace")


def _key_text(key: Any) -> str:  # noqa: ANN401
    return key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)


def _decompress(headers: Mapping[str, str], body: bytes, max_bytes: int) -> bytes:
    encoding = headers.get("content-encoding", "").lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOW_BITS:
        raise ValueError(f"unknown content encoding {encoding!r}")
    decompressor = zlib.decompressobj(_WINDOW_BITS[encoding])
    data = decompressor.decompress(body, max_bytes)
    if decompressor.unconsumed_tail:
        raise ValueError(f"larger than {max_bytes} bytes when decompressed")
    if not decompressor.eof:
        raise ValueError("compressed body ends early")
    return data


def _parse(path: str, headers: Mapping[str, str], body: bytes) -> Any:  # noqa: ANN401
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if path in TRACE_PATHS:
        content = json.loads(body) if kind.endswith("json") else unpack(body)
        return _parse_v05(content) if path == "/v0.5/traces" else _check_traces(content)
    if kind.endswith("msgpack"):
        return unpack(body)
    if kind.startswith("multipart/") or kind == "application/octet-stream":
        return body
    return json.loads(body)


def _check_traces(content: Any) -> Any:  # noqa: ANN401
    valid = isinstance(content, list) and all(
        isinstance(trace, list) and all(isinstance(span, Mapping) for span in trace)
        for trace in content
    )
    if not valid:
        raise ValueError("not a list of traces")
    return content


def _parse_v05(content: Any) -> Any:  # noqa: ANN401
    strings, traces = content
    if any(isinstance(text, list | dict) for text in strings):
        raise ValueError("a string table of other values")  # which many spans could repeat
    return [[_parse_span_v05(strings, span) for span in trace] for trace in traces]


def _parse_span_v05(strings: list[str], values: list[Any]) -> dict[str, Any]:
    if len(values) != len(SPAN_FIELDS):
        raise ValueError(f"a v0.5 span of {len(values)} values")
    span = dict(zip(SPAN_FIELDS, values, strict=True))
    for field in STRING_FIELDS:
        span[field] = strings[span[field]]
    span["meta"] = {strings[key]: strings[value] for key, value in span["meta"].items()}
    span["metrics"] = {strings[key]: value for key, value in span["metrics"].items()}
    return span


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
