"""Jobs for the fake app (real processes and agent, no ddtrace), and what their captures show."""

from __future__ import annotations

import dataclasses
import datetime as dt
import platform
import shutil
import struct
import sys
import sysconfig
from pathlib import Path

from matrix.agent.observations import observations_of
from matrix.cells.job import CellJob, Limits
from matrix.interpreters.inspect import target_name
from matrix.model.capture import CellCapture, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.model.probe import AllOf, Channel, Probe, Stimulus
from matrix.probes.evidence.security import Triggered
from matrix.probes.evidence.spans import HasRootSpan, TagEquals
from matrix.system.paths import fixtures_dir

TARGET = target_name(sysconfig.get_platform(), platform.machine(), struct.calcsize("P") * 8)
LIMITS = Limits(
    start=10, request=5, first_span=5, span=5, first_poll=0.2, acknowledge=0.2, effect=0.2, stop=0.3
)
SCANNER = Stimulus(
    name="scanner",
    path="/{shop}/search",
    headers=(("User-Agent", "Arachni/v1"),),
    evidence=AllOf(TagEquals("appsec.event", "true"), Triggered(rule="ua0-")),
)
VISIT = Stimulus(name="visit", path="/{shop}/books/emma", evidence=HasRootSpan(error=False))
DETECTION = Probe(
    name="detection", title="Detection", channels=(Channel("static", "appsec", (SCANNER,)),)
)
TRACING = Probe(
    name="tracing", title="Tracing", channels=(Channel("request", "off", (VISIT,), control=None),)
)
CONTROLLED = Probe(
    name="controlled",
    title="Tracing, with its control",
    channels=(
        Channel("request", "off", (dataclasses.replace(VISIT, plain=200),), control="untraced"),
    ),
)


def fake_job(
    folder: Path,
    mode: str,
    *,
    probes: tuple[Probe, ...] = (DETECTION, TRACING),
    decisive: tuple[str, ...] = (),
    soak: bool = False,
    limits: Limits = LIMITS,
    installed: str = "9.9.9",
) -> CellJob:
    apps = folder / "apps"
    shutil.copytree(Path(__file__).parent / "fake_app", apps)
    (apps / "mode").write_text(mode, encoding="ascii")
    fixtures = folder / "fixtures"
    fixtures.mkdir()
    for path in (fixtures_dir() / "cell").glob("*.py"):
        shutil.copy(path, fixtures)
    for name, version in (("ddtrace", installed), ("Flask", "1.0")):
        metadata = fixtures / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n")
    (folder / "scratch").mkdir()
    cell = Cell(
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        target=TARGET,
        framework="flask",
        framework_version="1.0",
        ddtrace="9.9.9",
    )
    names = tuple(probe.name for probe in probes)
    return CellJob(
        planned=PlannedCell(cell, dt.date(2020, 1, 1), names, decisive, soak),
        key="key",
        python=Path(sys.executable),
        lock=("ddtrace==9.9.9 --hash=sha256:0",),
        probes=probes,
        limits=limits,
        apps=apps,
        fixtures=fixtures,
        scratch=folder / "scratch",
        soak_requests=30,
    )


def process_of(capture: CellCapture, setting: str, purpose: str = "probe") -> ProcessCapture:
    """Return the first run of the process with the setting."""
    assert capture.failed is None, capture.detail
    (process,) = (
        item
        for item in capture.processes
        if (item.setting, item.purpose, item.repeat) == (setting, purpose, 0)
    )
    return process


def shown(capture: CellCapture, setting: str, *, control: bool = False) -> list[bool]:
    """Return whether each request of the probe `DETECTION` showed its evidence."""
    return [
        SCANNER.evidence.match(item).holds
        for item in observations_of(process_of(capture, setting))
        if item.exchange.probe == "detection" and item.exchange.control == control
    ]
