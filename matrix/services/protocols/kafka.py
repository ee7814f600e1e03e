"""Kafka: the id of the cluster, which tells brokers from each other; no request has a version.

https://kafka.apache.org/protocol.html
"""

from __future__ import annotations

import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

# Metadata of no topic, in version 2, which has the id of the cluster.
_METADATA = struct.pack("!hhihi", 3, 2, 1, -1, 0)
_MAX_BYTES = 1 << 16


def identify(connection: ServerConnection, login: Login) -> str:  # noqa: ARG001 - not needed
    """Return `Kafka` and the id of its cluster."""
    connection.send(struct.pack("!i", len(_METADATA)) + _METADATA)
    size, correlation = struct.unpack("!ii", connection.read(8))
    if correlation != 1 or not 4 < size <= _MAX_BYTES:  # noqa: PLR2004 - the correlation's size
        raise NoAnswerError("not a broker of Kafka's protocol")
    answer = connection.read(size - 4)
    try:
        (count,), at = struct.unpack_from("!i", answer), 4
        for _ in range(count):
            at += 4
            at = _skip_text(answer, at) + 4
            at = _skip_text(answer, at)
        cluster = answer[at + 2 : _skip_text(answer, at)].decode("utf-8", "replace")
    except struct.error:
        raise NoAnswerError("not a broker of Kafka's protocol") from None
    return f"Kafka, cluster {cluster}" if cluster else "Kafka"


def _skip_text(data: bytes, at: int) -> int:
    return at + 2 + max(int(struct.unpack_from("!h", data, at)[0]), 0)
