"""A stub of Consul's key-value store, in memory: `consul.py WHERE`.

https://developer.hashicorp.com/consul/api-docs/kv
"""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.serving import Answer, Request, serve_http
else:  # beside this program
    from serving import Answer, Request, serve_http

__all__: list[str] = []


class Store:
    """Values by key, of one data centre, with the index of their last change."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[bytes, int]] = {}
        self._index = 1

    def answer(self, request: Request) -> Answer:
        """Answer as an agent does."""
        if request.path[:2] != ("v1", "kv"):
            return Answer("Consul Agent") if not request.path else Answer(None, 404)
        if request.query.get("dc", "dc1") != "dc1":
            return Answer("No path to datacenter", 500)
        return self._about("/".join(request.path[2:]), request)

    def _about(self, key: str, request: Request) -> Answer:
        if request.method == "PUT":
            self._index += 1
            self._values[key] = request.content, self._index
            return Answer(body=True)
        if request.method == "DELETE":
            self._values.pop(key, None)
            return Answer(body=True)
        headers = (("X-Consul-Index", str(self._index)),)
        if key not in self._values:
            return Answer(None, 404, headers)
        content, index = self._values[key]
        value = base64.b64encode(content).decode()
        about = {"Key": key, "Value": value, "Flags": 0, "LockIndex": 0}
        return Answer([{**about, "CreateIndex": index, "ModifyIndex": index}], 200, headers)


if __name__ == "__main__":
    serve_http(sys.argv[1], "consul-stub/1", Store().answer)
