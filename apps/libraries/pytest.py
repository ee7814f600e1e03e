"""pytest: a run of tests in a child process, traced by the option of the plugin.

A test has its own trace, whose resource is the test's id; the parameter in the id is the shop.
"""

from __future__ import absolute_import

import os
import re

DISTRIBUTION = "pytest"
INTEGRATION = "pytest"
SPAN = {
    "name": "pytest.test",
    "component": "pytest",
    "type": "test",
    "trace": "own",
    "tags": {"test.status": "pass", "test.framework": "pytest", "span.kind": "test"},
}
SERVICE = ""
# Later CPythons reject the syntax tree of a rewritten test.
PYTHON = [["<4.6", "<3.8"], ["<6.2.5", "<3.10"], ["<7", "<3.12"]]
ARGUMENTS = []
TEST = """
import pytest


@pytest.fixture
def books():
    yield ["Emma"]


@pytest.mark.parametrize("shop", ["%s"])
def test_shop(shop, books):
    assert shop


@pytest.mark.xfail
def test_of_an_expected_failure():
    assert not "expected"


def test_that_is_skipped():
    pytest.skip("closed")
"""
FAILING = """

@pytest.fixture
def burnt():
    raise LookupError("no such book")


def test_of_a_failing_fixture(burnt):
    pass


def test_that_fails(books):
    assert books == ["Kokoro"]
"""
SUMMARY = re.compile(r"^.*\d.* in \d+\.\d+ ?s.*$", re.MULTILINE)
OUTCOME = re.compile(r"\d+ (?:failed|passed|skipped|xfailed|error)")


def patch():
    ARGUMENTS.append("--ddtrace")


def prepare(context):
    import pytest  # noqa: F401


def run(source):
    """Return the exit code and the output of pytest for this file."""
    import shutil
    import subprocess
    import sys
    import tempfile

    # Without the tracer, its plugin must not be loaded either.
    bare = ["-p", "no:ddtrace"] if os.environ.get("BOOKSHOP_BARE") else []
    folder = tempfile.mkdtemp(prefix="bookshop-")
    try:
        with open(os.path.join(folder, "test_shop.py"), "w") as file:
            file.write(source)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"] + bare + ARGUMENTS
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command + ["test_shop.py"], cwd=folder, **pipes)
        output = process.communicate()[0].decode("utf-8", "replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return process.returncode, output


def outcomes(output):
    """Return the counts of the summary, without the time."""
    return ", ".join(sorted(OUTCOME.findall(SUMMARY.findall(output)[-1])))


def call(context):
    code, output = run(TEST % context.shop)
    if code != 0:
        raise RuntimeError(output)
    return outcomes(output)


def fail(context):
    code, output = run(TEST % context.shop + FAILING)
    reasons = [line for line in output.splitlines() if line.startswith("E  ")]
    raise RuntimeError("exit code %d, %s\n%s" % (code, outcomes(output), "\n".join(reasons)))
