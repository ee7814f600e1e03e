"""From the bytes of a request to JSON values. Pure, and total: no payload raises.

What cannot be decoded becomes `{"undecodable": why, "base64": bytes}`.
Formats: https://github.com/DataDog/datadog-agent/blob/main/pkg/trace/api/version.go
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]

__all__ = ["MAX_BYTES", "decode", "plain", "undecodable"]

MAX_BYTES = 64 * 1024 * 1024
"""The largest body, in bytes, that is taken; after decompression too."""

MAX_DEPTH = 100
SPAN_FIELDS = (
    "service", "name", "resource", "trace_id", "span_id", "parent_id", "start", "duration",
    "error", "meta", "metrics", "type",
)  # fmt: skip
STRING_FIELDS = frozenset({"service", "name", "resource", "type"})
TRACE_PATHS = ("/v0.3/traces", "/v0.4/traces", "/v0.5/traces")


def decode(path: str, headers: Mapping[str, str], body: bytes) -> Any:  # noqa: ANN401
    """Return the payload as JSON values; `headers` have lower-case names.

    Traces are a list of traces, each a list of spans, each a mapping, whatever their version.
    """
    if not body:
        return None
    try:
        return plain(_decoded(path, headers, _unzipped(headers, body)))
    except (ValueError, TypeError, LookupError, EOFError, OSError, zlib.error) as error:
        return undecodable(f"{type(error).__name__}: {error}", body)
    except RecursionError:
        return undecodable("nested too deeply", body)
    except msgpack.UnpackException as error:
        return undecodable(f"{type(error).__name__}: {error}", body)


def undecodable(why: str, body: bytes) -> dict[str, str]:
    """Return what stands in a capture for a body that could not be decoded."""
    return {"undecodable": why, "base64": base64.b64encode(body).decode("ascii")}


def plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401
    """Return a msgpack or JSON value as JSON: bytes as `{"base64": ...}`, keys as text."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        return {_key(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and not isinstance(value, msgpack.ExtType):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"no JSON for {type(value).__name__}")


def unpack(body: bytes) -> Any:  # noqa: ANN401
    """Return one msgpack value; text that is not UTF-8 keeps its bytes as escapes."""
    return msgpack.unpackb(body, raw=False, strict_map_key=False, unicode_errors="backslashreplace")


def _key(key: Any) -> str:  # noqa: ANN401
    return key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else str(key)


def _unzipped(headers: Mapping[str, str], body: bytes) -> bytes:
    encoding = headers.get("content-encoding", "").lower()
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        unzipper = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    elif encoding == "deflate":
        unzipper = zlib.decompressobj()
    else:
        raise ValueError(f"unknown content encoding {encoding!r}")
    data = unzipper.decompress(body, MAX_BYTES)
    if unzipper.unconsumed_tail:
        raise ValueError(f"larger than {MAX_BYTES} bytes when decompressed")
    if not unzipper.eof:
        raise ValueError("compressed body ends early")
    return data


def _decoded(path: str, headers: Mapping[str, str], body: bytes) -> Any:  # noqa: ANN401
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if path in TRACE_PATHS:
        content = json.loads(body) if kind.endswith("json") else unpack(body)
        return _traces_v05(content) if path == "/v0.5/traces" else _traces(content)
    if kind.endswith("msgpack"):
        return unpack(body)
    if kind.startswith("multipart/") or kind == "application/octet-stream":
        return body
    return json.loads(body)


def _traces(content: Any) -> Any:  # noqa: ANN401
    shaped = isinstance(content, list) and all(
        isinstance(trace, list) and all(isinstance(span, Mapping) for span in trace)
        for trace in content
    )
    if not shaped:
        raise ValueError("not a list of traces")
    return content


def _traces_v05(content: Any) -> Any:  # noqa: ANN401
    strings, traces = content
    return [[_span_v05(strings, span) for span in trace] for trace in traces]


def _span_v05(strings: list[str], values: list[Any]) -> dict[str, Any]:
    if len(values) != len(SPAN_FIELDS):
        raise ValueError(f"a v0.5 span of {len(values)} values")
    span = dict(zip(SPAN_FIELDS, values, strict=True))
    for field in STRING_FIELDS:
        span[field] = strings[span[field]]
    span["meta"] = {strings[key]: strings[value] for key, value in span["meta"].items()}
    span["metrics"] = {strings[key]: value for key, value in span["metrics"].items()}
    return span
