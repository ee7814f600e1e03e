"""Every server that is installed here: started for real, asked, lost and ended."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("services are started on POSIX systems only", allow_module_level=True)

from helpers.toy_services import wait_until

from matrix.runs.environments import service_interpreter
from matrix.services.pool import Services
from matrix.services.recipes import load_recipes
from matrix.services.supervised import servers_of

pytestmark = pytest.mark.services


@pytest.mark.parametrize("name", load_recipes().by_name)
def test_a_server_starts_identifies_itself_and_leaves_nothing(name: str) -> None:
    with Services(build=service_interpreter) as services:
        state = services.state(name)
        if state.identity is None:
            pytest.skip(f"{state.reason}: {state.remedy}")
        service = services.ensure(name)
        folder = Path(service.forwards[0].path).parent
        assert service.identity.kind is state.identity.kind
        assert any(digit.isdigit() for digit in service.identity.version)
        assert services.loss_reason(service) == ""
        assert servers_of(folder)
    assert not servers_of(folder)
    assert not folder.exists()


def test_a_database_that_is_killed_is_lost_and_started_again() -> None:
    with Services() as services:
        state = services.state("redis")
        if state.identity is None:
            pytest.skip(f"{state.reason}: {state.remedy}")
        before = services.ensure("redis")
        for pid in servers_of(Path(before.forwards[0].path).parent):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: services.loss_reason(before))
        assert "signal 9" in services.loss_reason(before)
        assert services.loss_reason(services.ensure("redis")) == ""
