"""unittest: a run of tests in a child process, as ddtrace-run starts it.

A test has its own trace, whose resource is the test's name; the shop is that of its class.
"""

from __future__ import absolute_import

DISTRIBUTION = ""
INTEGRATION = "unittest"
SPAN = {
    "name": "unittest.test",
    "component": "unittest",
    "type": "test",
    "trace": "own",
    "tags": {"test.status": "pass", "test.framework": "unittest", "span.kind": "test"},
}
SERVICE = ""
TESTS = """
import unittest


class %s(unittest.TestCase):
    def test_shop(self):
        assert "Emma"

    @unittest.expectedFailure
    def test_of_an_expected_failure(self):
        assert not "expected"

    def test_that_is_skipped(self):
        self.skipTest("closed")
"""
FAILING = """
    def test_that_fails(self):
        self.assertEqual(["Emma"], ["Kokoro"])
"""


def run(source):
    """Return the exit code and the output of unittest for this file."""
    import os
    import shutil
    import subprocess
    import sys
    import tempfile

    folder = tempfile.mkdtemp(prefix="bookshop-")
    try:
        with open(os.path.join(folder, "test_shop.py"), "w") as file:
            file.write(source)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        command = [sys.executable, "-m", "unittest", "test_shop"]
        process = subprocess.Popen(command, cwd=folder, **pipes)
        output = process.communicate()[0].decode("utf-8", "replace")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return process.returncode, output.strip().splitlines()


def call(context):
    code, lines = run(TESTS % context.shop)
    if code != 0:
        raise RuntimeError("\n".join(lines))
    return next(line for line in reversed(lines) if line.startswith("OK"))


def fail(context):
    code, lines = run(TESTS % context.shop + FAILING)
    shown = [line for line in lines if line.startswith(("FAILED", "FAIL:", "AssertionError"))]
    raise RuntimeError("exit code %d: %s" % (code, "; ".join(shown)))
