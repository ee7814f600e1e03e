"""pytest-asyncio: the tasks of a test belong to the trace of the code that created them.

The tests run in the thread of the request. A task creates a manual span, which shows the trace.
"""

from __future__ import absolute_import

DISTRIBUTION = "pytest-asyncio"
INTEGRATION = "asyncio"
SPAN = {"name": "bookshop.in-task"}
SERVICE = ""
PYTHON = ">=3.7"
TEST = """
import asyncio

import carrier
import pytest


async def count():
    await asyncio.sleep(0)
    with carrier.span("bookshop.in-task"):
        return 1


@pytest.mark.asyncio
async def test_task():
    tasks = [asyncio.ensure_future(count()), asyncio.get_event_loop().create_task(count())]
    assert await asyncio.gather(*tasks) == [1, %d]
"""


def prepare(context):
    import os

    import pytest_asyncio  # noqa: F401

    # Neither the tracer's plugin nor any other is part of the experiment.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"


class Outcomes(object):
    """A plugin that keeps the outcome of each test."""

    def __init__(self):
        self.texts = []

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.texts.append("%s %s" % (report.nodeid.rpartition("::")[2], report.outcome))


def run(count):
    import os
    import shutil
    import tempfile

    import pytest

    outcomes = Outcomes()
    folder = tempfile.mkdtemp(prefix="bookshop-")
    try:
        # A name of its own, as modules are imported once.
        path = os.path.join(folder, "test_%s.py" % os.path.basename(folder).replace("-", "_"))
        with open(path, "w") as file:
            file.write(TEST % count)
        options = ["-q", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin"]
        code = int(pytest.main(options + ["--rootdir", folder, path], plugins=[outcomes]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return code, ", ".join(outcomes.texts)


def call(context):
    code, text = run(1)
    if code != 0:
        raise RuntimeError("exit code %d, %s" % (code, text))
    return text


def fail(context):
    raise RuntimeError("exit code %d, %s" % run(2))
