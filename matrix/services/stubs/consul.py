"""A stub of Consul's key-value store, in memory: `consul.py ADDRESS`.

https://developer.hashicorp.com/consul/api-docs/kv
"""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.server_base import StubRequest, StubResponse, serve_http
else:  # a module beside this program
    from server_base import StubRequest, StubResponse, serve_http


class KeyValueStore:
    """The values of one data centre by key, with the index of their last change."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[bytes, int]] = {}
        self._index = 1

    def respond(self, request: StubRequest) -> StubResponse:
        """Respond as an agent does."""
        if request.path[:2] != ("v1", "kv"):
            return StubResponse(None, 404) if request.path else StubResponse("Consul Agent")
        if request.query.get("dc", "dc1") != "dc1":
            return StubResponse("No path to datacenter", 500)
        return self._respond_for("/".join(request.path[2:]), request)

    def _respond_for(self, key: str, request: StubRequest) -> StubResponse:
        if request.method == "PUT":
            self._index += 1
            self._values[key] = request.content, self._index
            return StubResponse(body=True)
        if request.method == "DELETE":
            self._values.pop(key, None)
            return StubResponse(body=True)
        headers = (("X-Consul-Index", str(self._index)),)
        if key not in self._values:
            return StubResponse(None, 404, headers)
        content, index = self._values[key]
        entry = {
            "Key": key,
            "Value": base64.b64encode(content).decode(),
            "Flags": 0,
            "LockIndex": 0,
            "CreateIndex": index,
            "ModifyIndex": index,
        }
        return StubResponse([entry], 200, headers)


if __name__ == "__main__":
    serve_http(sys.argv[1], "consul-stub/1", KeyValueStore().respond)
