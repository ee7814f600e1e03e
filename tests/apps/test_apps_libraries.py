"""Tests of the carrier on every CPython of this machine: responses, errors, termination."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.agent.server import Upstream
from matrix.cells.env_vars import interpreter_environment
from matrix.interpreters.discovery import find_interpreters
from matrix.system.paths import apps_dir

PAPER = """
from __future__ import absolute_import

SERVICE = "mill"


def patch():
    raise ImportError("this tracer does not support paper")


def prepare(context):
    return ["ready"]


def call(context):
    return "%s at %s for %s" % (context.ready[0], context.port, context.shop)


def fail(context):
    raise ValueError("torn")
"""
SIGTERM = 15
OTHERS = [
    pytest.param(interpreter.executable, id=interpreter.python, marks=pytest.mark.cells)
    for interpreter in find_interpreters()
]


@contextlib.contextmanager
def serving(
    python: Path, folder: Path, name: str, module: str = PAPER, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    shutil.copytree(apps_dir(), folder / "apps", dirs_exist_ok=True)
    (folder / "apps" / "libraries" / "paper.py").write_text(textwrap.dedent(module))
    process = subprocess.Popen(
        [str(python), "-B", str(folder / "apps" / "serve.py"), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**interpreter_environment(folder), **variables},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def get(process: subprocess.Popen[str], *paths: str) -> list[tuple[int, str]]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("bookshop ready 127.0.0.1:"), process.communicate()[1]
    responses = []
    for path in paths:
        connection = http.client.HTTPConnection("127.0.0.1", int(line.split(":")[1].split()[0]), timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            responses.append((response.status, response.read().decode()))
    return responses


@pytest.mark.parametrize("python", [pytest.param(Path(sys.executable), id="own"), *OTHERS])
def test_a_library_is_called_for_a_shop(python: Path, tmp_path: Path) -> None:
    with serving(python, tmp_path, "library:paper", BOOKSHOP_MILL_PORT="8081") as process:
        home, call, failed, missing = get(process, "/s1/", "/s1/call", "/s1/fail", "/s1/other")
        assert home == (200, "Welcome to s1")
        assert call == (200, "ready at 8081 for s1")
        assert failed[0] == 500
        assert "ValueError: torn" in failed[1]
        assert missing[0] == 404
        process.send_signal(SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize("python", [pytest.param(Path(sys.executable), id="own"), *OTHERS])
def test_the_client_of_the_standard_library_is_called(python: Path, tmp_path: Path) -> None:
    with (
        Upstream() as upstream,
        serving(
            python, tmp_path, "library:httplib", BOOKSHOP_CATALOGUE_URL=upstream.url
        ) as process,
    ):
        ((status, body),) = get(process, "/s1/call")
        assert status == 200
        assert "Kokoro, Middlemarch" in body
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def test_an_error_of_patch_leaves_the_library_untraced(tmp_path: Path) -> None:
    python = Path(sys.executable)
    with serving(python, tmp_path, "library:paper", BOOKSHOP_EXPLICIT="1") as process:
        assert get(process, "/s1/call") == [(200, "ready at 0 for s1")]
        process.kill()
        assert "this tracer does not support paper" in process.communicate()[1]


@pytest.mark.parametrize("name", ["library:glass", "glass", ""])
def test_a_library_without_a_module_is_not_served(name: str, tmp_path: Path) -> None:
    with serving(Path(sys.executable), tmp_path, name) as process:
        out, err = process.communicate(timeout=20)
        assert out == ""
        assert process.returncode != 0
        assert "usage: serve.py" in err or "glass" in err


def test_a_failed_first_call_does_not_prevent_the_start(tmp_path: Path) -> None:
    with serving(Path(sys.executable), tmp_path, "library:httplib") as process:
        home, call = get(process, "/s1/", "/s1/call")
        assert home == (200, "Welcome to s1")
        assert call[0] == 500
        process.kill()
        assert "Traceback" in process.communicate()[1]


TRACED = """
from __future__ import absolute_import

SERVICE = ""


def call(context):
    try:
        import ddtrace.trace
    except ImportError:
        return "no tracer"
    return "a tracer"
"""


@pytest.mark.parametrize("python", [pytest.param(Path(sys.executable), id="own"), *OTHERS])
@pytest.mark.parametrize(("bare", "answer"), [("", "a tracer"), ("1", "no tracer")])
def test_nothing_of_the_tracer_can_be_imported_by_a_bare_app(
    python: Path, bare: str, answer: str, tmp_path: Path
) -> None:
    package = tmp_path / "tracer" / "ddtrace"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "trace.py").write_text("tracer = None")
    variables = {"PYTHONPATH": str(package.parent), "BOOKSHOP_BARE": bare}
    with serving(python, tmp_path, "library:paper", TRACED, **variables) as process:
        assert get(process, "/s1/call") == [(200, answer)]
