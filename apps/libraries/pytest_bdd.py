"""pytest-bdd: a scenario of two steps in a child process, traced by the option of pytest's plugin.

A test has its own trace; the shop is the name of its scenario.
"""

from __future__ import absolute_import

import os
import re

DISTRIBUTION = "pytest-bdd"
INTEGRATION = "pytest_bdd"
SPAN = {"name": "given", "component": "pytest_bdd", "resource": "*", "trace": "own"}
SERVICE = ""
PYTHON = ">=3.6"
# Later releases of pytest removed what they import.
ALSO = [["<6.1", "pytest<7.2"]]
ARGUMENTS = []
FEATURE = """
Feature: the shelf
    Scenario: %(shop)s
        Given a shelf of %(shop)s
        Then it has a book
"""
STEPS = """
import pytest_bdd

pytest_bdd.scenarios("shelf.feature")


@pytest_bdd.given("a shelf of %(shop)s")
def shelf():
    return ["Emma"]


@pytest_bdd.then("it has a book")
def has_book():
    assert %(holds)s
"""
OUTCOME = re.compile(r"\d+ (?:failed|passed|error)")


def patch():
    ARGUMENTS.append("--ddtrace")


def prepare(context):
    import pytest_bdd  # noqa: F401


def run(shop, holds):
    """Return the exit code and the outcomes of a run of pytest."""
    import shutil
    import subprocess
    import sys
    import tempfile

    # Without the tracer, its plugin must not be loaded either.
    bare = ["-p", "no:ddtrace"] if os.environ.get("BOOKSHOP_BARE") else []
    folder = tempfile.mkdtemp(prefix="bookshop-")
    try:
        for name, text in (("shelf.feature", FEATURE), ("test_shelf.py", STEPS)):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text % {"shop": shop, "holds": holds})
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"] + bare + ARGUMENTS
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command + ["test_shelf.py"], cwd=folder, **pipes)
        output = process.communicate()[0].decode("utf-8", "replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return process.returncode, ", ".join(OUTCOME.findall(output.strip().splitlines()[-1])), output


def call(context):
    code, outcomes, output = run(context.shop, True)
    if code != 0:
        raise RuntimeError(output)
    return outcomes


def fail(context):
    code, outcomes, _ = run(context.shop, False)
    raise RuntimeError("exit code %d: %s" % (code, outcomes))
