"""Options that enable the slow, real-world tests, and settings of all tests."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator

import pytest
from helpers.leftovers import Leftovers, adopt_orphans, own_temporary_folder
from hypothesis import HealthCheck, settings

# The speed of generating examples depends on how busy the machine is, not on the code. CI generates
# as many as Hypothesis does by default, a run at the desk fewer.
BUSY = [HealthCheck.too_slow]
settings.register_profile("desk", deadline=None, suppress_health_check=BUSY, max_examples=40)
settings.register_profile("ci", deadline=None, suppress_health_check=BUSY, max_examples=100)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("real world")
    group.addoption("--cells", action="store_true", help="run real cells (interpreters, releases)")
    group.addoption("--engine", action="store_true", help="run real containers (an engine answers)")
    group.addoption("--emulation", action="store_true", help="run containers of foreign CPUs too")
    group.addoption("--services", action="store_true", help="start real servers (those installed)")
    group.addoption("--browser", action="store_true", help="open pages in headless Chromium")
    group.addoption("--cluster", action="store_true", help="start a real Dask cluster here")
    group.addoption("--workflows", action="store_true", help="run the commands of the workflows")
    group.addoption("--damage", action="store_true", help="damage files 22,000 times")
    group.addoption("--index", action="store_true", help="query the real package index")


def pytest_configure(config: pytest.Config) -> None:
    adopt_orphans()
    stack = contextlib.ExitStack()
    stack.enter_context(own_temporary_folder())
    config.add_cleanup(stack.close)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for flag in (
        "cells",
        "engine",
        "emulation",
        "services",
        "workflows",
        "index",
        "browser",
        "cluster",
    ):
        if config.getoption(f"--{flag}"):
            continue
        skip = pytest.mark.skip(reason=f"needs --{flag}")
        for item in items:
            # Not `flag in item.keywords`, which is also true in a folder of that name.
            if item.get_closest_marker(flag):
                item.add_marker(skip)


def pytest_collection() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    # What is loaded now stays for the whole session: no collection needs to look through it again.
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _nothing_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail where the session left a process, a temporary folder or a mount behind."""
    leftovers = Leftovers(tmp_path_factory.getbasetemp())
    yield
    assert not (left := leftovers.end()), "left behind:\n" + "\n".join(left)


@pytest.fixture(scope="module", autouse=True)
def _leftovers(
    _nothing_stays: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Leftovers]:
    """Fail where the tests of a module left something behind, with the names of these tests."""
    leftovers = Leftovers(tmp_path_factory.getbasetemp())
    yield leftovers
    assert not (left := leftovers.end()), "left behind:\n" + "\n".join(left)


@pytest.fixture(autouse=True)
def _note_leftovers(request: pytest.FixtureRequest, _leftovers: Leftovers) -> Iterator[None]:
    yield
    _leftovers.note(request.node.name)


@pytest.fixture(autouse=True)
def _no_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the engine of this machine from all tests but those with a real engine."""
    if request.node.get_closest_marker("engine") is None:
        monkeypatch.setenv("DOCKER_HOST", "unix:///there/is/none.sock")
