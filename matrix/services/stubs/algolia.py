"""A stub of Algolia's search, with one index of books: `algolia.py WHERE`.

Over plain HTTP: the real one is had by TLS only.
https://www.algolia.com/doc/rest-api/search/search-single-index
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode

if TYPE_CHECKING:
    from matrix.services.stubs.serving import Answer, Request, serve_http
else:  # beside this program
    from serving import Answer, Request, serve_http

__all__: list[str] = []

_INDICES = {
    "books": [{"objectID": "emma", "title": "Emma"}, {"objectID": "sanditon", "title": "Sanditon"}]
}


def answer(request: Request) -> Answer:
    """Answer as the service does."""
    match request.method, request.path:
        case "POST", ("1", "indexes", name, "query"):
            return _search(name, _query(request.json()))
        case _:
            return Answer({"message": "Path not supported by API", "status": 404}, 404)


def _query(body: dict[str, object]) -> str:
    """Return the words that are looked for: clients before 4.0 send them as those of a URL."""
    params = parse_qs(str(body.get("params", "")))
    return str(body.get("query", params.get("query", [""])[0]))


def _search(name: str, query: str) -> Answer:
    if name not in _INDICES:
        return Answer({"message": f"Index {name} does not exist", "status": 404}, 404)
    hits = [book for book in _INDICES[name] if query.lower() in book["title"].lower()]
    # Clients of 4.x refuse an answer that lacks one of these.
    pages = {"page": 0, "nbPages": 1, "hitsPerPage": 20, "nbHits": len(hits)}
    asked = {"query": query, "params": urlencode({"query": query})}
    return Answer({"hits": hits, "processingTimeMS": 1, **pages, **asked})


if __name__ == "__main__":
    serve_http(sys.argv[1], "algolia-stub/1", answer)
