"""A stub of Azure Cosmos DB, whose databases all have the same items: `cosmos.py ADDRESS`.

It keeps items by their id, whatever their partition key, checks no credentials, and knows no
queries. https://learn.microsoft.com/en-us/rest/api/cosmos-db/
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.server_base import StubRequest, StubResponse, serve_http
else:  # a module beside this program
    from server_base import StubRequest, StubResponse, serve_http

_ACCOUNT = {
    "id": "bookshop",
    "writableLocations": [],
    "readableLocations": [],
    "enableMultipleWriteLocations": False,
    "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
}
_PARTITION_KEY = {"paths": ["/id"], "kind": "Hash", "version": 2}
_RANGE = {"id": "0", "minInclusive": "", "maxExclusive": "FF"}
_items: dict[str, dict[str, object]] = {}


def respond(request: StubRequest) -> StubResponse:
    """Respond to the requests for an account, a container and its items."""
    match request.method, request.path:
        case "GET", ():
            return StubResponse(_ACCOUNT)
        case "GET", ("dbs", _, "colls", name):
            return StubResponse({"id": name, "_rid": "books", "partitionKey": _PARTITION_KEY})
        case "GET", ("dbs", _, "colls", _, "pkranges"):
            return StubResponse({"PartitionKeyRanges": [_RANGE], "_count": 1})
        case "GET", ("dbs", _, "colls", _, "docs", item) if item in _items:
            return StubResponse(_items[item])
        case "POST", ("dbs", _, "colls", _, "docs"):
            return _keep(request)
        case _:
            error = {"code": "NotFound", "message": "no such resource"}
            return StubResponse(error, HTTPStatus.NOT_FOUND)


def _keep(request: StubRequest) -> StubResponse:
    item = request.json()
    name = item.get("id")
    if not isinstance(name, str) or "query" in item:
        error = {"code": "BadRequest", "message": "the stub of Cosmos DB keeps items with an id"}
        return StubResponse(error, HTTPStatus.BAD_REQUEST)
    _items[name] = {**item, "_rid": name, "_etag": "1"}
    return StubResponse(_items[name], HTTPStatus.CREATED)


if __name__ == "__main__":
    serve_http(sys.argv[1], "cosmos-stub/1", respond)
