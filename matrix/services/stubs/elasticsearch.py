"""A stub of Elasticsearch, or of OpenSearch, its fork: `elasticsearch.py WHERE [opensearch]`.

Indices are made, documents kept, and found by a word of theirs; all in memory. What there is no
index for is refused as the server does, and clients that make sure of the product are content.
https://www.elastic.co/guide/en/elasticsearch/reference/current/rest-apis.html
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.serving import Answer, Request, serve_http
else:  # beside this program
    from serving import Answer, Request, serve_http

__all__: list[str] = []

# Clients of 7.14 and later look at the header, those of OpenSearch and of 7.13 at the rest.
# https://www.elastic.co/guide/en/elasticsearch/client/python-api/7.17/release-notes.html
_ELASTIC = (("X-Elastic-Product", "Elasticsearch"),)
_ABOUT: dict[str, dict[str, object]] = {
    "elasticsearch": {
        "version": {"number": "8.17.0", "build_flavor": "default"},
        "tagline": "You Know, for Search",
    },
    "opensearch": {
        "version": {"number": "2.19.0", "distribution": "opensearch"},
        "tagline": "The OpenSearch Project: https://opensearch.org/",
    },
}

Documents = dict[str, object]


class Engine:
    """All indices: documents by name of the index, and by their own."""

    def __init__(self, product: str) -> None:
        self.product = product
        self._indices: dict[str, Documents] = {}

    def answer(self, request: Request) -> Answer:
        """Answer as the product does."""
        match request.method, request.path:
            case "GET" | "HEAD", ():
                answer = Answer({"name": "stub", "cluster_name": "stub", **_ABOUT[self.product]})
            case "HEAD", (name,):
                answer = Answer(None, 200 if name in self._indices else 404)
            case "PUT", (name,):
                answer = self._make(name)
            case "GET" | "POST", (name, "_search"):
                answer = self._search(name, _wanted(request.json()))
            # What stands between was the document's type until 7.0.
            case "PUT" | "POST", (name, _, key):
                self._indices.setdefault(name, {})[key] = request.json()
                answer = Answer({"_index": name, "_id": key, "result": "created"}, 201)
            case _:
                said = f"no handler found for uri [{'/'.join(request.path)}]"
                answer = Answer({"error": said, "status": 400}, 400)
        headers = _ELASTIC if self.product == "elasticsearch" else ()
        return Answer(answer.body, answer.status, headers)

    def _make(self, name: str) -> Answer:
        if name in self._indices:
            return _refused("resource_already_exists_exception", f"index [{name}] is there", 400)
        self._indices[name] = {}
        return Answer({"acknowledged": True, "shards_acknowledged": True, "index": name})

    def _search(self, name: str, words: dict[str, str]) -> Answer:
        if name not in self._indices:
            return _refused("index_not_found_exception", f"no such index [{name}]", 404)
        found = [
            {"_index": name, "_id": key, "_score": 1.0, "_source": source}
            for key, source in sorted(self._indices[name].items())
            if isinstance(source, dict)
            and all(word in str(source.get(field, "")) for field, word in words.items())
        ]
        total = {"value": len(found), "relation": "eq"}
        hits = {"total": total, "max_score": 1.0, "hits": found}
        return Answer({"took": 1, "timed_out": False, "hits": hits})


def _wanted(body: dict[str, object]) -> dict[str, str]:
    """Return the words of a query that wants one to match in a field."""
    match body:
        case {"query": {"match": dict() as words}}:
            return {str(field): str(word) for field, word in words.items()}
        case _:
            return {}


def _refused(kind: str, reason: str, status: int) -> Answer:
    cause = {"type": kind, "reason": reason}
    return Answer({"error": {"root_cause": [cause], **cause}, "status": status}, status)


if __name__ == "__main__":
    engine = Engine((*sys.argv[2:], "elasticsearch")[0])
    serve_http(sys.argv[1], f"{engine.product}-stub/1", engine.answer)
