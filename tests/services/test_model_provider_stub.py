"""The stub of model providers: its answers, whole and as a stream of events."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.services.forwarder import Forwarder, tcp_listener, unix_dial
from matrix.services.pool import Services

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")

GEMINI = "/v1beta/models/gemini:"
VERTEX = "/v1/projects/bookshop/locations/any/publishers/google/models/"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with (
        tempfile.TemporaryDirectory(prefix="ts-") as folder,
        Services(below=Path(folder)) as services,
        contextlib.closing(
            Forwarder(tcp_listener(), unix_dial(services.ensure("models").forwards[0].path))
        ) as forwarder,
    ):
        yield forwarder.port


def post(port: int, path: str, **body: object) -> tuple[int, str, str]:
    """Return the status, the content type and the text of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        kind = response.getheader("Content-Type", "").partition(";")[0]
        return response.status, kind, response.read().decode()


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]
)
def test_the_same_title_is_the_answer_whole_and_as_a_stream(port: int, path: str) -> None:
    status, kind, text = post(port, path, model="any")
    assert (status, kind) == (200, "application/json")
    assert "Emma" in text
    assert json.loads(text)["model"] == "any"
    status, kind, text = post(port, path, model="any", stream=True)
    assert (status, kind) == (200, "text/event-stream")
    events = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    assert events
    assert "Em" in "".join(events)
    assert all(isinstance(json.loads(event), dict) for event in events)


def test_gemini_has_its_method_in_the_path(port: int) -> None:
    status, kind, text = post(port, GEMINI + "generateContent")
    assert (status, kind) == (200, "application/json")
    assert json.loads(text)["candidates"][0]["content"]["parts"] == [{"text": "Emma"}]
    status, kind, streamed = post(port, GEMINI + "streamGenerateContent?alt=sse")
    assert (status, kind) == (200, "text/event-stream")
    assert json.loads(streamed.removeprefix("data: ")) == json.loads(text)


def test_vertex_ai_answers_as_gemini_and_streams_a_list(port: int) -> None:
    _, _, of_gemini = post(port, GEMINI + "generateContent")
    status, kind, text = post(port, VERTEX + "gemini:generateContent")
    assert (status, kind) == (200, "application/json")
    assert json.loads(text) == json.loads(of_gemini)
    status, kind, streamed = post(port, VERTEX + "gemini:streamGenerateContent")
    assert (status, kind) == (200, "application/json")
    assert json.loads(streamed) == [json.loads(text)]


def test_an_embedding_is_a_list_of_numbers(port: int) -> None:
    _, _, text = post(port, "/v1/embeddings", model="any", input="Emma")
    assert json.loads(text)["data"][0]["embedding"] == [0.5, 0.25]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/chat/completions", '"code": "model_not_found"'),
        ("/v1/messages", '"type": "not_found_error"'),
        ("/v1beta/models/lost:generateContent", '"status": "NOT_FOUND"'),
        (VERTEX + "lost:streamGenerateContent", '"status": "NOT_FOUND"'),
        ("/v1/other", '"type": "not_found"'),
    ],
)
def test_what_does_not_exist_is_an_error_of_the_provider(port: int, path: str, found: str) -> None:
    status, _, text = post(port, path, model="lost")
    assert status == 404
    assert found in text
