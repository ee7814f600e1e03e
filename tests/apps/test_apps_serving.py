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

from matrix.agent.server import Upstream
from matrix.cells.env_vars import interpreter_environment
from matrix.environments.requirements import requirements_for
from matrix.environments.store import EnvironmentStore
from matrix.interpreters.discovery import find_interpreters
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.system.paths import apps_dir, cache_dir

pytestmark = [pytest.mark.cells, pytest.mark.timeout(300)]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CORNERS = [
    ("2.7", "flask", "0.10", "2020-06-01"),
    ("2.7", "django", "1.8", "2020-06-01"),
    ("3.6", "flask", "1.0", "2021-06-01"),
    ("3.6", "django", "1.11", "2021-06-01"),
    ("3.8", "django", "2.2", "2023-06-01"),
    ("3.11", "flask", "0.10", "2023-06-01"),
    ("3.12", "django", "4.2", "2024-06-01"),
    ("3.13", "flask", "3.1.1", "2025-11-01"),
    ("3.13", "django", "5.2.7", "2025-11-01"),
    ("3.8", "fastapi", "0.64.0", "2021-06-01"),
    ("3.11", "fastapi", "0.95.0", "2023-06-01"),
    ("3.13", "fastapi", "0.118.0", "2025-11-01"),
]
PYTHON_3_SHOPS = {"fastapi_shop"}


@dataclasses.dataclass(frozen=True)
class Shop:
    process: subprocess.Popen[str]
    port: int

    def send(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body or None, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def headers(self, path: str) -> http.client.HTTPMessage:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().headers


@pytest.fixture(scope="module", params=CORNERS, ids="-".join)
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    python, framework, version, as_of = request.param
    interpreter = {item.python: item for item in find_interpreters()}.get(python)
    if interpreter is None:
        pytest.skip(f"CPython {python} is not installed")
    cell = Cell(python, "linux_x86_64", framework, version, ddtrace="1.20.19")
    planned = PlannedCell(cell, dt.date.fromisoformat(as_of), probes=())
    # Without the tracer, as these are tests of the app itself.
    requirements = dataclasses.replace(
        requirements_for(planned), pins=(f"{framework}=={version}",), only_binary=()
    )
    environment = EnvironmentStore(cache_dir()).ensure(interpreter, requirements)
    with Upstream() as upstream:
        variables = {"BOOKSHOP_CATALOGUE_URL": upstream.url}
        with serving(environment.python, framework, tmp_path_factory, variables) as shop:
            yield shop


@contextlib.contextmanager
def serving(
    python: Path, framework: str, folders: pytest.TempPathFactory, variables: dict[str, str]
) -> Iterator[Shop]:
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
            yield Shop(process, int(line.rpartition(":")[2]))
        finally:
            process.kill()


def test_pages(started: Shop) -> None:
    assert started.send("GET", "/s1/") == (200, "Welcome to s1")
    assert started.send("GET", "/s1/books/the-tale-of-genji") == (200, "The Tale Of Genji, at s1")
    headers = {"Cookie": "name=Ada", "Accept-Language": "xx,ja-JP;q=0.8"}
    assert started.send("GET", "/s1/greeting", headers=headers) == (200, "Konnichiwa, Ada")
    assert started.send("GET", "/s1/greeting") == (200, "Hello, stranger")
    assert started.send("GET", "/s1/nowhere")[0] == 404


def test_search_escapes_the_query(started: Shop) -> None:
    status, body = started.send("GET", "/s1/search?q=%3Cb%3E")
    assert status == 200
    assert "<b>" not in body
    assert "&lt;b&gt;" in body
    assert "Emma, Middlemarch" in started.send("GET", "/s1/search?q=m")[1].replace("Kokoro, ", "")


def test_orders_are_counted_by_shop(started: Shop) -> None:
    order = json.dumps({"book": "Emma", "copies": 2})
    status, body = started.send("POST", "/s2/orders", order, {"Content-Type": "application/json"})
    assert (status, json.loads(body)) == (201, {"book": "Emma", "copies": 2, "orders": 1})
    assert json.loads(started.send("GET", "/s2/orders")[1]) == {"shop": "s2", "orders": 1}
    assert json.loads(started.send("GET", "/s3/orders")[1]) == {"shop": "s3", "orders": 0}
    assert started.send("POST", "/s1/reviews", "book=Emma&text=good", FORM) == (201, "Thank you")


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("username=alice&password=wonderland", 200),
        ("username=alice&password=wrong", 401),
        ("username=nobody&password=wonderland", 401),
        ("", 401),
    ],
)
def test_only_the_user_with_the_right_password_can_log_in(
    started: Shop, form: str, status: int
) -> None:
    assert started.send("POST", "/s1/login", form, FORM)[0] == status


def test_stock_comes_from_the_database(started: Shop) -> None:
    assert json.loads(started.send("GET", "/s1/stock/Emma")[1]) == {"title": "Emma", "copies": 3}
    assert json.loads(started.send("GET", "/s1/stock/Unknown")[1])["copies"] == 0


@pytest.mark.parametrize("page", ["stock-error", "broken"])
def test_errors_are_500_and_the_shop_stays_open(started: Shop, page: str) -> None:
    assert started.send("GET", f"/s1/{page}")[0] == 500
    assert started.send("GET", "/s1/")[0] == 200


def test_recommendations_come_from_the_catalogue(started: Shop) -> None:
    status, body = started.send("GET", "/s1/recommendations")
    assert (status, json.loads(body)["path"]) == (200, "/recommendations/s1")


def test_the_vulnerable_pages_are_vulnerable(started: Shop) -> None:
    assert started.send("GET", "/s1/checksum?text=Emma")[1] == "4535367f2f39b5a2ebaee0092f184a79"
    everything = "/s1/find?title=x%25%27%20OR%20%27%25%27%3D%27"
    assert len(json.loads(started.send("GET", everything)[1])["titles"]) == 3
    assert "Woodhouse" in started.send("GET", "/s1/preview?file=../previews/emma.txt")[1]
    assert started.send("GET", "/s1/convert?name=Emma%3B%20echo%20Kokoro")[1] == "Emma\nKokoro"
    assert started.send("GET", "/s1/label?program=/bin/echo")[1] == "Emma"
    assert json.loads(started.send("GET", "/s1/supplier?host=127.0.0.1")[1])["path"] == "/offers"
    assert started.send("GET", "/s1/cover?url=http://127.0.0.1:9/") == (200, "no picture")
    assert started.send("GET", "/s1/receipt?name=Emma") == (200, "0")
    assert started.send("GET", "/s1/receipt?name=Emma%3B%20false") != (200, "0")
    assert int(started.send("GET", "/s1/raffle")[1]) > 0
    assert started.send("GET", "/s1/price?of=2*7")[1] == "14"
    assert started.send("GET", "/s1/unpack?basket=I7%0A.")[1] == "7"
    assert "jammed" in started.send("GET", "/s1/trouble")[1]
    assert started.send("GET", "/s1/note?text=%3Cb%3E") == (200, "<p><b></p>")


def test_headers_of_the_vulnerable_pages_are_what_the_request_says(started: Shop) -> None:
    assert started.headers("/s1/shelf?name=Emma")["X-Shelf"] == "Emma"
    assert started.headers("/s1/moved?to=https://books.example/")["Location"] == (
        "https://books.example/"
    )
    for lacks, other in (("secure", "HttpOnly"), ("httponly", "Secure")):
        cookie = started.headers(f"/s1/remember?name=Ada&lacks={lacks}")["Set-Cookie"]
        assert lacks not in cookie.lower()
        assert other.lower() in cookie.lower()


@pytest.fixture
def own_shop(started: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    arguments = started.process.args
    assert isinstance(arguments, list)
    with serving(Path(arguments[0]), arguments[2], tmp_path_factory, {}) as shop:
        yield shop


def test_an_app_ends_with_its_standard_input(own_shop: Shop) -> None:
    assert own_shop.process.stdin is not None
    own_shop.process.stdin.close()
    assert own_shop.process.wait(10) == 0


def test_an_app_ends_on_sigterm(own_shop: Shop) -> None:
    own_shop.process.send_signal(signal.SIGTERM)
    assert own_shop.process.wait(10) == 0


def test_every_installed_cpython_can_compile_the_source() -> None:
    check = "import sys\nfor name in sys.argv[1:]: compile(open(name).read(), name, 'exec')"
    # Libraries declare their CPythons: tests/probes/test_integrations.py compiles those.
    files = (path for path in apps_dir().rglob("*.py") if path.parent.name != "libraries")
    sources = sorted(files)
    for interpreter in find_interpreters():
        # Some frameworks are for CPython 3 only.
        old = interpreter.version.startswith("2.")
        own = [str(path) for path in sources if not (old and path.parent.name in PYTHON_3_SHOPS)]
        subprocess.run([interpreter.executable, "-c", check, *own], check=True, timeout=60)
