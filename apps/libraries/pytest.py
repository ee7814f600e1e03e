"""pytest: a run of one test in a child process, traced by the option of the plugin.

A test has its own trace, whose resource is the test's id; the parameter in the id is the shop.
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
# Later CPythons reject the syntax tree of a rewritten test.
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


def prepare(context):
    import pytest  # noqa: F401


def call(context):
    import shutil
    import subprocess
    import sys
    import tempfile

    # Without the tracer, its plugin must not be loaded either.
    bare = ["-p", "no:ddtrace"] if os.environ.get("BOOKSHOP_BARE") else []
    folder = tempfile.mkdtemp(prefix="bookshop-")
    try:
        with open(os.path.join(folder, "test_shop.py"), "w") as file:
            file.write(TEST % context.shop)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"] + bare + ARGUMENTS
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command + ["test_shop.py"], cwd=folder, **pipes)
        output = process.communicate()[0].decode("utf-8", "replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if process.returncode != 0:
        raise RuntimeError(output)
    return "passed"
