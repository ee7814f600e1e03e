"""pytest: a run of one test, in a process of its own, asked for its tracing by the plugin's option.

A test has a trace of its own, whose resource is the test's id; the parameter in there is the shop.
"""

from __future__ import absolute_import

import os

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
# What it makes of a test's syntax tree before it is compiled, later CPythons refuse.
PYTHON = [["<4.6", "<3.8"], ["<6.2.5", "<3.10"], ["<7", "<3.12"]]
ARGUMENTS = []
TEST = """
import pytest


@pytest.mark.parametrize("shop", ["%s"])
def test_shop(shop):
    assert shop
"""


def patch():
    ARGUMENTS.append("--ddtrace")


def prepare(place):
    import pytest  # noqa: F401


def call(place):
    import shutil
    import subprocess
    import sys
    import tempfile

    folder = tempfile.mkdtemp(prefix="bookshop-")
    try:
        with open(os.path.join(folder, "test_shop.py"), "w") as file:
            file.write(TEST % place.shop)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"] + ARGUMENTS
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command + ["test_shop.py"], cwd=folder, **pipes)
        said = process.communicate()[0].decode("utf-8", "replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if process.returncode != 0:
        raise RuntimeError(said)
    return said
