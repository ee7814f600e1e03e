"""Tests of the sample apps on real CPythons and frameworks, from the oldest to the newest."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import http.client
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.sample_apps import python_3_shops

from matrix.agent.server import Upstream
from matrix.cells.env_vars import interpreter_environment
from matrix.environments.requirements import requirements_for
from matrix.environments.store import EnvironmentStore
from matrix.interpreters.discovery import find_interpreters
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.probes.shops import load_shops
from matrix.system.paths import apps_dir, cache_dir

pytestmark = [pytest.mark.cells, pytest.mark.timeout(300)]

TEXT, HTML, JSON = "text/plain", "text/html", "application/json"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CONTENT = {"Content-Type": JSON}
RELEASES = [(shop.framework, release) for shop in load_shops().values() for release in shop.tried]


@dataclasses.dataclass(frozen=True)
class Answer:
    """A status and, but for errors, a media type and a body: text, or values that are sent as JSON."""

    status: int
    media_type: str = ""
    body: object = None


def text(body: str, status: int = 200) -> Answer:
    return Answer(status, TEXT, body)


def values(status: int = 200, **body: object) -> Answer:
    return Answer(status, JSON, body)


ORDER = json.dumps({"book": "Emma", "copies": 2})
REVIEW = "book=Emma&text=good"
EVERYTHING = "x%25%27%20OR%20%27%25%27%3D%27"

# Every request of the specification in apps/README.md, in this order, with the answer of every shop.
SPECIFICATION: list[tuple[str, str, dict[str, str], str, Answer]] = [
    ("GET", "/s1/", {}, "", text("Welcome to s1")),
    ("GET", "/s1/nowhere", {}, "", Answer(404)),
    ("GET", "/s1/search", {}, "", Answer(200, HTML, "<h1></h1><p>Emma, Kokoro, Middlemarch</p>")),
    ("GET", "/s1/search?q=m", {}, "", Answer(200, HTML, "<h1>m</h1><p>Emma, Middlemarch</p>")),
    (
        "GET",
        "/s1/search?q=%3Cb%3E",
        {},
        "",
        Answer(200, HTML, "<h1>&lt;b&gt;</h1><p>nothing found</p>"),
    ),
    ("GET", "/s1/books/the-tale-of-genji", {}, "", text("The Tale Of Genji, at s1")),
    ("GET", "/s1/greeting", {}, "", text("Hello, stranger")),
    (
        "GET",
        "/s1/greeting",
        {"Cookie": "name=Ada", "Accept-Language": "xx,ja-JP;q=0.8"},
        "",
        text("Konnichiwa, Ada"),
    ),
    ("POST", "/s2/orders", CONTENT, ORDER, values(201, book="Emma", copies=2, orders=1)),
    ("GET", "/s2/orders", {}, "", values(shop="s2", orders=1)),
    ("GET", "/s3/orders", {}, "", values(shop="s3", orders=0)),
    ("POST", "/s1/reviews", FORM, REVIEW, text("Thank you", 201)),
    ("POST", "/s1/login", FORM, "username=alice&password=wonderland", text("Welcome back, alice")),
    *(
        ("POST", "/s1/login", FORM, form, text("Wrong user name or password", 401))
        for form in ("username=alice&password=x", "username=bob&password=wonderland", "")
    ),
    ("GET", "/s1/stock/Emma", {}, "", values(title="Emma", copies=3)),
    ("GET", "/s1/stock/Old%20Emma", {}, "", values(title="Old Emma", copies=0)),
    ("GET", "/s1/stock-error", {}, "", Answer(500)),
    ("GET", "/s1/broken", {}, "", Answer(500)),
    ("GET", "/s1/checksum?text=Emma", {}, "", text("4535367f2f39b5a2ebaee0092f184a79")),
    ("GET", "/s1/find?title=Emm", {}, "", values(titles=["Emma"])),
    # The vulnerable pages are vulnerable.
    (
        "GET",
        f"/s1/find?title={EVERYTHING}",
        {},
        "",
        values(titles=["Emma", "Kokoro", "Middlemarch"]),
    ),
    ("GET", "/s1/convert?name=Emma%3B%20echo%20Kokoro", {}, "", text("Emma\nKokoro")),
    (
        "GET",
        "/s1/preview?file=../previews/emma.txt",
        {},
        "",
        text((apps_dir() / "previews" / "emma.txt").read_text("utf-8")),
    ),
]


@dataclasses.dataclass(frozen=True)
class StartedShop:
    process: subprocess.Popen[str]
    port: int

    def send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body or None, headers or {})
            response = connection.getresponse()
            content = response.read().decode()
            media_type = response.headers.get_content_type()
            is_json = media_type == JSON and response.status < 400
            return Answer(
                response.status, media_type, json.loads(content) if is_json else content
            )

    def body(self, path: str) -> str:
        return str(self.send("GET", path).body)

    def headers(self, path: str) -> http.client.HTTPMessage:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().headers


@pytest.fixture(
    scope="module",
    params=RELEASES,
    ids=[f"{release.python}-{name}-{release.version}" for name, release in RELEASES],
)
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartedShop]:
    framework, release = request.param
    interpreter = {item.python: item for item in find_interpreters()}.get(release.python)
    if interpreter is None:
        pytest.skip(f"CPython {release.python} is not installed")
    cell = Cell(release.python, "linux_x86_64", framework, release.version, ddtrace="1.20.19")
    planned = PlannedCell(cell, release.as_of, probes=("web-tracing",))
    # Without the tracer, as these are tests of the app itself.
    requirements = dataclasses.replace(
        requirements_for(planned), pins=(f"{framework}=={release.version}",), only_binary=()
    )
    environment = EnvironmentStore(cache_dir()).ensure(interpreter, requirements)
    with Upstream() as upstream:
        variables = {"BOOKSHOP_CATALOGUE_URL": upstream.url}
        with serving(environment.python, framework, tmp_path_factory, variables) as shop:
            yield shop


@contextlib.contextmanager
def serving(
    python: Path, framework: str, folders: pytest.TempPathFactory, variables: dict[str, str]
) -> Iterator[StartedShop]:
    scratch = folders.mktemp("shop")
    database = {"BOOKSHOP_DATABASE": str(scratch / "bookshop.sqlite3")}
    with (scratch / "log").open("w") as log:
        process = subprocess.Popen(
            [str(python), str(apps_dir() / "serve.py"), framework],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**interpreter_environment(scratch), **database, **variables},
        )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("bookshop ready 127.0.0.1:"), (scratch / "log").read_text()
            yield StartedShop(process, int(line.rpartition(":")[2].split()[0]))
        finally:
            process.kill()


def test_every_shop_answers_as_specified(started: StartedShop) -> None:
    exchanges = [
        (method, path, started.send(method, path, headers, body), specified)
        for method, path, headers, body, specified in SPECIFICATION
    ]
    assert [exchange for exchange in exchanges if not is_as_specified(*exchange[2:])] == []


def is_as_specified(answer: Answer, specified: Answer) -> bool:
    if not specified.media_type:
        return answer.status == specified.status
    return answer == specified


def test_recommendations_come_from_the_catalogue(started: StartedShop) -> None:
    answer = started.send("GET", "/s1/recommendations")
    assert (answer.status, answer.media_type) == (200, JSON)
    assert isinstance(answer.body, dict)
    assert answer.body["path"] == "/recommendations/s1"


def test_the_answers_of_other_vulnerable_pages(started: StartedShop) -> None:
    assert started.body("/s1/label?program=/bin/echo") == "Emma"
    assert json.loads(started.body("/s1/supplier?host=127.0.0.1"))["path"] == "/offers"
    assert started.body("/s1/cover?url=http://127.0.0.1:9/") == "no picture"
    assert started.body("/s1/receipt?name=Emma") == "0"
    assert started.body("/s1/receipt?name=Emma%3B%20false") != "0"
    assert int(started.body("/s1/raffle")) > 0
    assert started.body("/s1/price?of=2*7") == "14"
    assert started.body("/s1/unpack?basket=I7%0A.") == "7"
    assert "jammed" in started.body("/s1/trouble")
    assert started.body("/s1/note?text=%3Cb%3E") == "<p><b></p>"


def test_headers_of_the_vulnerable_pages_are_what_the_request_says(started: StartedShop) -> None:
    assert started.headers("/s1/shelf?name=Emma")["X-Shelf"] == "Emma"
    assert started.headers("/s1/moved?to=https://books.example/")["Location"] == (
        "https://books.example/"
    )
    for lacks, other in (("secure", "HttpOnly"), ("httponly", "Secure")):
        cookie = started.headers(f"/s1/remember?name=Ada&lacks={lacks}")["Set-Cookie"]
        assert lacks not in cookie.lower()
        assert other.lower() in cookie.lower()


@pytest.fixture
def own_shop(started: StartedShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedShop]:
    arguments = started.process.args
    assert isinstance(arguments, list)
    with serving(Path(arguments[0]), arguments[2], tmp_path_factory, {}) as shop:
        yield shop


def test_an_app_ends_with_its_standard_input(own_shop: StartedShop) -> None:
    assert own_shop.process.stdin is not None
    own_shop.process.stdin.close()
    assert own_shop.process.wait(10) == 0


def test_an_app_ends_on_sigterm(own_shop: StartedShop) -> None:
    own_shop.process.send_signal(signal.SIGTERM)
    assert own_shop.process.wait(10) == 0


def test_every_installed_cpython_can_compile_the_source() -> None:
    check = "import sys\nfor name in sys.argv[1:]: compile(open(name).read(), name, 'exec')"
    # Libraries declare their CPythons: tests/probes/test_integrations.py compiles those.
    files = (path for path in apps_dir().rglob("*.py") if path.parent.name != "libraries")
    sources = sorted(files)
    newer = python_3_shops()
    for interpreter in find_interpreters():
        # Some frameworks are for CPython 3 only.
        old = interpreter.version.startswith("2.")
        own = [str(path) for path in sources if not (old and path.parent in newer)]
        subprocess.run([interpreter.executable, "-c", check, *own], check=True, timeout=60)
