"""A stub of providers of language models, whose only answer is one title: `models.py ADDRESS`.

It speaks the HTTP of five providers, whole and as a stream. It knows any model but
"lost", and uses plain HTTP, while the products are available over TLS only.
https://platform.openai.com/docs/api-reference (also what Mistral has)
https://docs.anthropic.com/en/api/messages
https://ai.google.dev/api/generate-content
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.server_base import StubRequest, StubResponse, serve_http
else:  # a module beside this program
    from server_base import StubRequest, StubResponse, serve_http

_ANSWER = "Emma"
_LOST = "lost"
_CREATED = 1_700_000_000
_USAGE = {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}
_EVENTS = (("Content-Type", "text/event-stream"),)


def respond(request: StubRequest) -> StubResponse:
    """Respond as the provider that has this path does."""
    parts = request.path[1:] if request.path[:1] in (("v1",), ("v1beta",)) else request.path
    body = request.json()
    match request.method, parts:
        case "POST", ("models", name_and_method):
            model, _, method = name_and_method.rpartition(":")
            return _gemini(model, method)
        case "POST", ("projects", _, "locations", _, "publishers", "google", "models", place):
            model, _, method = place.rpartition(":")
            # A stream of Vertex AI is a list of objects, unless a client asks for events.
            response = _gemini(model, method.replace("streamG", "g"))
            streamed = method == "streamGenerateContent" and response.status == HTTPStatus.OK
            return dataclasses.replace(response, body=[response.body]) if streamed else response
        case "POST", ("messages",):
            return _anthropic(_model(body), stream=body.get("stream") is True)
        case "POST", (
            ("chat", "completions") | ("completions",) | ("embeddings",) | ("responses",)
        ):
            return _openai(parts, body)
        case _:
            return StubResponse({"error": {"message": "no such path", "type": "not_found"}}, 404)


def _model(body: dict[str, object]) -> str:
    return str(body.get("model", ""))


def _event_stream(
    events: Iterable[object], *, named: bool = False, end: bytes = b""
) -> StubResponse:
    """Return server-sent events with these objects, `named` by their types."""
    text = b""
    for event in events:
        if named and isinstance(event, dict):
            text += f"event: {event['type']}\n".encode()
        text += b"data: " + json.dumps(event).encode() + b"\n\n"
    return StubResponse(text + end, headers=_EVENTS)


def _openai(parts: tuple[str, ...], body: dict[str, object]) -> StubResponse:
    model = _model(body)
    if model == _LOST:
        error = {"message": "no such model", "type": "invalid_request_error"}
        return StubResponse({"error": {**error, "param": None, "code": "model_not_found"}}, 404)
    stream = body.get("stream") is True
    match parts:
        case ("embeddings",):
            data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
            usage = {"prompt_tokens": 2, "total_tokens": 2}
            return StubResponse({"object": "list", "data": data, "model": model, "usage": usage})
        case ("responses",):
            return _openai_response(model, stream=stream)
        case ("completions",):
            choice = {"text": _ANSWER, "index": 0, "logprobs": None, "finish_reason": "stop"}
            head: dict[str, object] = {"id": "cmpl-1", "object": "text_completion"}
            whole = {**head, "created": _CREATED, "model": model, "choices": [choice]}
        case _:
            return _chat(model, stream=stream)
    if stream:
        return _event_stream([whole], end=b"data: [DONE]\n\n")
    return StubResponse({**whole, "usage": _USAGE})


def _chat(model: str, *, stream: bool) -> StubResponse:
    head: dict[str, object] = {"id": "chatcmpl-1", "created": _CREATED, "model": model}
    if not stream:
        message = {"role": "assistant", "content": _ANSWER}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head |= {"object": "chat.completion", "choices": [choice], "usage": _USAGE}
        return StubResponse(head)
    deltas = [{"role": "assistant", "content": ""}, {"content": _ANSWER[:2]}]
    deltas.append({"content": _ANSWER[2:]})
    choices: list[dict[str, object]]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    head["object"] = "chat.completion.chunk"
    chunks = [{**head, "choices": [choice]} for choice in choices]
    chunks[-1]["usage"] = _USAGE
    return _event_stream(chunks, end=b"data: [DONE]\n\n")


def _openai_response(model: str, *, stream: bool) -> StubResponse:
    text = {"type": "output_text", "text": _ANSWER, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": _CREATED,
        "status": "completed",
        "model": model,
        "output": [{**item, "content": [text]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 2,
            "output_tokens": 1,
            "total_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
    if not stream:
        return StubResponse(whole)
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events: list[object] = [
        {"type": "response.created", "sequence_number": 0, "response": {**whole, "output": []}},
        {"type": "response.output_text.delta", "sequence_number": 1, "delta": _ANSWER, **place},
        {"type": "response.completed", "sequence_number": 2, "response": whole},
    ]
    return _event_stream(events, named=True)


def _anthropic(model: str, *, stream: bool) -> StubResponse:
    if model == _LOST:
        error = {"type": "not_found_error", "message": "no such model"}
        return StubResponse({"type": "error", "error": error}, 404)
    head: dict[str, object] = {"id": "msg_1", "type": "message", "role": "assistant"}
    head |= {"model": model, "stop_sequence": None}
    usage = {"input_tokens": 2, "output_tokens": 1}
    if not stream:
        content = [{"type": "text", "text": _ANSWER}]
        return StubResponse({**head, "content": content, "stop_reason": "end_turn", "usage": usage})
    delta = {"type": "content_block_delta", "index": 0}
    events: list[object] = [
        {
            "type": "message_start",
            "message": {**head, "content": [], "stop_reason": None, "usage": usage},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {**delta, "delta": {"type": "text_delta", "text": _ANSWER[:2]}},
        {**delta, "delta": {"type": "text_delta", "text": _ANSWER[2:]}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 1},
        },
        {"type": "message_stop"},
    ]
    return _event_stream(events, named=True)


def _gemini(model: str, method: str) -> StubResponse:
    if model == _LOST:
        error = {"code": 404, "message": "no such model", "status": "NOT_FOUND"}
        return StubResponse({"error": error}, 404)
    content = {"role": "model", "parts": [{"text": _ANSWER}]}
    usage = {"promptTokenCount": 2, "candidatesTokenCount": 1, "totalTokenCount": 3}
    whole = {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": usage,
        "modelVersion": model,
    }
    if method == "streamGenerateContent":
        return _event_stream([whole])
    return StubResponse(whole)


if __name__ == "__main__":
    serve_http(sys.argv[1], "models-stub/1", respond)
