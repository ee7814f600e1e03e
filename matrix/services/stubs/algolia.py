"""A stub of Algolia's search, with one index of books: `algolia.py ADDRESS`.

It uses plain HTTP, while the product is available over TLS only.
https://www.algolia.com/doc/rest-api/search/search-single-index
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

if TYPE_CHECKING:
    from matrix.services.stubs.server_base import StubRequest, StubResponse, serve_http
else:  # a module beside this program
    from server_base import StubRequest, StubResponse, serve_http


_INDICES = {
    "books": [{"objectID": "emma", "title": "Emma"}, {"objectID": "sanditon", "title": "Sanditon"}]
}


def respond(request: StubRequest) -> StubResponse:
    """Respond as the service does."""
    match request.method, request.path:
        case "POST", ("1", "indexes", name, "query"):
            return _search(name, _query_text(request.json()))
        case _:
            return StubResponse({"message": "Path not supported by API", "status": 404}, 404)


def _query_text(body: dict[str, object]) -> str:
    """Return the query; clients before 4.0 send it as the parameters of a URL."""
    params = parse_qs(str(body.get("params", "")))
    return str(body.get("query", params.get("query", [""])[0]))


def _search(name: str, query: str) -> StubResponse:
    if name not in _INDICES:
        return StubResponse({"message": f"Index {name} does not exist", "status": 404}, 404)
    hits = [book for book in _INDICES[name] if query.lower() in book["title"].lower()]
    # Clients of 4.x require every one of these fields.
    pages = {"page": 0, "nbPages": 1, "hitsPerPage": 20, "nbHits": len(hits)}
    echo = {"query": query, "params": urlencode({"query": query})}
    return StubResponse({"hits": hits, "processingTimeMS": 1, **pages, **echo})


if __name__ == "__main__":
    serve_http(sys.argv[1], "algolia-stub/1", respond)
