"""Real cells: releases in which what a probe looks for is known to be there, and not to be."""

from __future__ import annotations

import datetime as dt

import pytest
from helpers.real_cells import run_real_cell

from matrix.agent.observations import Traces, liveness, observations_of
from matrix.judging.cells import findings_of
from matrix.model.capture import CellCapture
from matrix.model.cell import Cell
from matrix.model.verdict import Observed
from matrix.probes.registry import load_probes

pytestmark = pytest.mark.cells

# The newest release of a branch that has it all but for what is named here.
NEWEST = dt.date(2025, 11, 1)


def shown(capture: CellCapture, *, control: bool = False) -> dict[tuple[str, str], bool]:
    """Return, for each claimed channel, whether every decisive stimulus showed its evidence."""
    version = Cell.parse(capture.cell).ddtrace
    observations = [
        item
        for process in capture.processes
        if process.purpose == "probe" and liveness(process, version).alive
        for item in observations_of(process)
        if item.exchange.control == control
    ]
    return {
        (probe.name, channel.name): all(
            any(
                stimulus.evidence.match(item).holds
                for item in observations
                if (item.exchange.probe, item.exchange.channel, item.exchange.stimulus)
                == (probe.name, channel.name, stimulus.name)
            )
            for stimulus in channel.stimuli
            if stimulus.decisive
        )
        for probe in load_probes().values()
        for channel in probe.channels
        if channel.claimed and probe.runs_in(Cell.parse(capture.cell).framework)
    }


@pytest.mark.parametrize(("framework", "version"), [("django", "5.2.7"), ("flask", "3.1.2")])
def test_a_late_release_shows_everything_and_no_control_does(framework: str, version: str) -> None:
    capture = run_real_cell(
        Cell("3.11", "linux_x86_64", framework, version, "2.21.12"), NEWEST, soak=True
    )
    assert capture.failed is None, capture.detail
    assert [channel for channel, shows in shown(capture).items() if not shows] == []
    assert [channel for channel, shows in shown(capture, control=True).items() if shows] == []
    (soaked,) = (item.soak for item in capture.processes if item.purpose == "soak")
    assert soaked is not None
    assert soaked.alive
    assert soaked.statuses == {"200": soaked.sent}


def test_an_early_release_shows_tracing_and_no_protection() -> None:
    cell = Cell("3.8", "linux_x86_64", "django", "3.2.15", "1.5.0")
    capture = run_real_cell(cell, dt.date(2022, 10, 1))
    assert capture.failed is None, capture.detail
    channels = shown(capture)
    assert channels["web-tracing", "request"]
    assert channels["web-tracing", "error"]
    assert channels["web-tracing", "distributed"]
    assert channels["db-api", "query"]
    assert [channel for channel, shows in shown(capture, control=True).items() if shows] == []
    (untraced,) = (item for item in capture.processes if not item.traced)
    assert untraced.failed is None
    assert Traces(untraced.agent).root_of(untraced.exchanges[0]) is None
    assert {item.status for item in untraced.exchanges} == {200, 201, 500}
    found = findings_of(capture, ("web-tracing", "db-api"), load_probes())
    assert {item.shows for item in found if item.channel != "client-address"} == {Observed.PRESENT}
    assert not channels["threat-protection", "static"]
    assert not channels["threat-protection", "remote-config"]
    assert not channels["api-security", "environment"]
