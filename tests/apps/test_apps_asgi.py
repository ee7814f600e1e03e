"""Tests of the carrier's ASGI client: its events are those of a server, and errors are reported."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from matrix.system.paths import apps_dir

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@pytest.fixture(scope="module")
def carrier() -> ModuleType:
    spec = importlib.util.spec_from_file_location("carrier_here", apps_dir() / "carrier.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    events = [(await receive())["type"] for _ in range(3)]
    headers = {name.decode(): text.decode() for name, text in scope["headers"]}
    await send({"type": "http.response.start", "status": 201, "headers": []})
    body = f"{scope['path']} {headers['x-shop']} {events[0]} {events[1:]}"
    await send({"type": "http.response.body", "body": body.encode(), "more_body": True})
    await send({"type": "http.response.body"})


async def torn(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    raise ValueError("torn")


def test_an_application_gets_a_request_and_then_a_disconnect(carrier: ModuleType) -> None:
    status, body = carrier.call_asgi(echo, "/books/emma", [("x-shop", "s1")])
    assert status == 201
    assert body == "/books/emma s1 http.request ['http.disconnect', 'http.disconnect']"


def test_an_error_of_an_application_is_a_500(
    carrier: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert carrier.call_asgi(torn, "/") == (500, "")
    assert "ValueError: torn" in capsys.readouterr().err


def test_a_response_with_another_status_is_an_error(carrier: ModuleType) -> None:
    assert carrier.page_body((200, "fine")) == "fine"
    with pytest.raises(OSError, match="status 500: torn"):
        carrier.page_body((500, "torn"))


def test_a_server_that_does_not_listen_is_an_error(carrier: ModuleType) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # without listening
        port = bound.getsockname()[1]
        with pytest.raises(OSError, match="refused"):
            carrier.get_page(port, "/")
