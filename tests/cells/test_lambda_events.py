"""Events of AWS Lambda for HTTP requests and back, and results of functions as responses."""

from __future__ import annotations

import json
import string
import sys
from types import ModuleType
from urllib.parse import parse_qsl, quote

import pytest
from helpers.lambda_place import load_fixture
from hypothesis import given
from hypothesis import strategies as st

Request = tuple[str, str, list[tuple[str, str]], bytes]

events: ModuleType = load_fixture("lambda_events")
KINDS: tuple[str, ...] = events.KINDS
kinds = pytest.mark.parametrize("kind", KINDS)

NAMES = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12)
VALUES = st.text(string.ascii_letters + string.digits + " ;=/.<>()\"'", max_size=20).map(str.strip)
TEXTS = st.text(max_size=20)
# A load balancer keeps only the last value of a name.
REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.builds(
        lambda parts, pairs: (
            "/" + "/".join(quote(part, safe="") for part in parts) + "?"
            + "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in pairs.items())
        ).rstrip("?"),
        st.lists(TEXTS, max_size=4),
        st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=3),
    ),
    st.dictionaries(NAMES.map("x-own-".__add__), VALUES, max_size=3).map(
        lambda items: list(items.items())
    ),
    st.binary(max_size=40),
)  # fmt: skip


def arrived(kind: str, request: Request) -> Request:
    """Return a request as a function reads it from an event that went through JSON."""
    event = json.loads(json.dumps(events.to_event(kind, request)))
    assert events.kind_of(event) == kind
    found: Request = events.from_event(event)
    return found


@kinds
@given(request=REQUESTS)
def test_a_request_survives_its_event(kind: str, request: Request) -> None:
    method, target, headers, body = arrived(kind, request)
    path, _, query = target.partition("?")
    old_path, _, old_query = request[1].partition("?")
    assert (method, path, body) == (request[0], old_path, request[3])
    assert parse_qsl(query, keep_blank_values=True) == parse_qsl(old_query, keep_blank_values=True)
    own = {name.lower(): value for name, value in headers}
    assert {name: own[name] for name, _ in request[2]} == dict(request[2])


@kinds
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"book": "<script>", "copies": 1}'),
        ("application/x-www-form-urlencoded", b"book=emma&text=%3Cscript%3E"),
        ("application/octet-stream", bytes(range(256))),
        ("text/plain", b"\xff\xfe"),
    ],
)
def test_bodies_of_all_types_survive(kind: str, content_type: str, body: bytes) -> None:
    request = ("POST", "/s1/orders", [("Content-Type", content_type)], body)
    assert arrived(kind, request)[3] == body


@kinds
def test_what_a_proxy_sets_is_its_own(kind: str) -> None:
    given_headers = [
        ("Host", "127.0.0.1:1"),
        ("Content-Length", "0"),
        ("X-Forwarded-For", "198.51.100.7"),
        ("X-Forwarded-Proto", "http"),
        ("Cookie", "name=<script>; other=1"),
    ]
    environ = events.to_environ(arrived(kind, ("GET", "/a%20b/?q=1", given_headers, b"")))
    assert environ["HTTP_HOST"].endswith((".amazonaws.com", ".on.aws"))
    assert environ["HTTP_X_FORWARDED_FOR"].startswith("198.51.100.7, ")
    assert environ["HTTP_X_FORWARDED_PROTO"] == "https"
    assert environ["HTTP_COOKIE"] == "name=<script>; other=1"
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a b/", "q=1")
    assert (environ["CONTENT_LENGTH"], environ["wsgi.url_scheme"]) == ("0", "https")


def test_the_paths_of_wsgi_are_bytes_as_latin_1() -> None:
    environ = events.to_environ(("GET", "/%C3%A9", [], b""))
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/é"


def test_repeated_names_stay_where_the_event_has_them() -> None:
    request = ("GET", "/?a=1&a=2", [("X-Own", "1"), ("X-Own", "2")], b"")
    for kind in ("rest", "http", "url"):
        assert arrived(kind, request)[1] == "/?a=1&a=2"
    assert [v for n, v in arrived("rest", request)[2] if n == "X-Own"] == ["1", "2"]
    assert dict(arrived("http", request)[2])["x-own"] == "1,2"
    assert arrived("load-balancer", request)[1] == "/?a=2"


@kinds
@given(status=st.integers(100, 599), body=st.binary(max_size=40), value=VALUES)
def test_a_response_survives_its_result(kind: str, status: int, body: bytes, value: str) -> None:
    response = (status, [("x-own", value), ("set-cookie", "a=1")], body)
    result = json.loads(json.dumps(events.to_result(kind, response)))
    again, headers, content = events.from_result(kind, result)
    assert (again, content) == (status, body)
    assert {name.lower(): text for name, text in headers} == dict(response[1])


def test_every_cookie_survives_where_the_format_has_many() -> None:
    cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    for kind in ("rest", "http", "url"):
        assert events.from_result(kind, events.to_result(kind, (200, cookies, b"")))[1] == cookies


@kinds
@pytest.mark.parametrize(
    "result",
    [
        {"errorMessage": "no", "errorType": "RuntimeError"},
        {"statusCode": "many"},
        {"statusCode": 200, "body": 7},
        {"statusCode": 200, "headers": ["a"]},
        {"statusCode": 200, "body": "a", "isBase64Encoded": True},
    ],
)
def test_a_result_that_is_no_response_is_a_bad_gateway(kind: str, result: object) -> None:
    status, _, body = events.from_result(kind, result)
    assert status == 502
    assert json.loads(body) in (result, {"malformed": result})


@kinds
@pytest.mark.parametrize("result", [None, "text", [1], {"a": 1}, 7])
def test_any_other_result_is_a_body_of_version_2_only(kind: str, result: object) -> None:
    status, _, body = events.from_result(kind, result)
    assert status == (200 if kind in ("http", "url") else 502)
    assert json.loads(body) == result


def test_a_wsgi_application_answers_events(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    class Pieces(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def application(environ: dict[str, object], start_response: object) -> Pieces:
        write = start_response("201 Created", [("X-Path", environ["PATH_INFO"])])  # type: ignore[operator]
        write(b"first ")
        return Pieces([environ["wsgi.input"].read()])  # type: ignore[attr-defined]

    shop = ModuleType("some_shop")
    shop.application, shop.open_shops = application, lambda: None  # type: ignore[attr-defined]
    serve = ModuleType("serve")
    serve.APPS = {"flask": "some_shop"}  # type: ignore[attr-defined]
    lifecycle = ModuleType("lifecycle")
    lifecycle.forbid_tracer = lambda: None  # type: ignore[attr-defined]
    modules = {"some_shop": shop, "serve": serve, "lifecycle": lifecycle, "lambda_events": events}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("BOOKSHOP_APP", "flask")
    function = load_fixture("lambda_handler")
    for kind in KINDS:
        result = function.handler(events.to_event(kind, ("POST", "/a", [], b"last")), None)
        status, headers, body = events.from_result(kind, result)
        assert (status, body) == (201, b"first last")
        assert [value for name, value in headers if name.lower() == "x-path"] == ["/a"]
    assert len(closed) == len(KINDS)
