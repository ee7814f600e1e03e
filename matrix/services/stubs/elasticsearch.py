"""A stub of Elasticsearch, or of its fork OpenSearch: `elasticsearch.py ADDRESS [opensearch]`.

It creates indices, stores documents, and finds them by a word in a field; all in memory. A search
in an unknown index fails as on the server, and clients that verify the product accept it.
https://www.elastic.co/guide/en/elasticsearch/reference/current/rest-apis.html
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.server_base import StubRequest, StubResponse, serve_http
else:  # a module beside this program
    from server_base import StubRequest, StubResponse, serve_http


# Clients of 7.14 and later verify the header, those of OpenSearch and of 7.13 the body.
# https://www.elastic.co/guide/en/elasticsearch/client/python-api/7.17/release-notes.html
_ELASTIC_HEADERS = (("X-Elastic-Product", "Elasticsearch"),)
_PRODUCTS: dict[str, dict[str, object]] = {
    "elasticsearch": {
        "version": {"number": "8.17.0", "build_flavor": "default"},
        "tagline": "You Know, for Search",
    },
    "opensearch": {
        "version": {"number": "2.19.0", "distribution": "opensearch"},
        "tagline": "The OpenSearch Project: https://opensearch.org/",
    },
}


class SearchIndices:
    """All indices: documents by the name of their index and their own id."""

    def __init__(self, product: str) -> None:
        self.product = product
        self._indices: dict[str, dict[str, object]] = {}

    def respond(self, request: StubRequest) -> StubResponse:
        """Respond as the product does."""
        match request.method, request.path:
            case "GET" | "HEAD", ():
                about = {"name": "stub", "cluster_name": "stub", **_PRODUCTS[self.product]}
                response = StubResponse(about)
            case "HEAD", (name,):
                response = StubResponse(None, 200 if name in self._indices else 404)
            case "PUT", (name,):
                response = self._create(name)
            case "GET" | "POST", (name, "_search"):
                response = self._search(name, _match_words(request.json()))
            # The middle part was the document's type until 7.0.
            case "PUT" | "POST", (name, _, key):
                self._indices.setdefault(name, {})[key] = request.json()
                response = StubResponse({"_index": name, "_id": key, "result": "created"}, 201)
            case _:
                message = f"no handler found for uri [{'/'.join(request.path)}]"
                response = StubResponse({"error": message, "status": 400}, 400)
        headers = _ELASTIC_HEADERS if self.product == "elasticsearch" else ()
        return StubResponse(response.body, response.status, headers)

    def _create(self, name: str) -> StubResponse:
        if name in self._indices:
            return _error("resource_already_exists_exception", f"index [{name}] is there", 400)
        self._indices[name] = {}
        return StubResponse({"acknowledged": True, "shards_acknowledged": True, "index": name})

    def _search(self, name: str, words: dict[str, str]) -> StubResponse:
        if name not in self._indices:
            return _error("index_not_found_exception", f"no such index [{name}]", 404)
        hits = [
            {"_index": name, "_id": key, "_score": 1.0, "_source": source}
            for key, source in sorted(self._indices[name].items())
            if isinstance(source, dict)
            and all(word in str(source.get(field, "")) for field, word in words.items())
        ]
        total = {"value": len(hits), "relation": "eq"}
        result = {"total": total, "max_score": 1.0, "hits": hits}
        return StubResponse({"took": 1, "timed_out": False, "hits": result})


def _match_words(body: dict[str, object]) -> dict[str, str]:
    """Return the words of a `match` query by their field."""
    match body:
        case {"query": {"match": dict() as words}}:
            return {str(field): str(word) for field, word in words.items()}
        case _:
            return {}


def _error(kind: str, reason: str, status: int) -> StubResponse:
    cause = {"type": kind, "reason": reason}
    return StubResponse({"error": {"root_cause": [cause], **cause}, "status": status}, status)


if __name__ == "__main__":
    indices = SearchIndices((*sys.argv[2:], "elasticsearch")[0])
    serve_http(sys.argv[1], f"{indices.product}-stub/1", indices.respond)
