"""One cell alone: its commands for a person, or a run of it, outside of any plan's run."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from matrix.environments.errors import BuildError
from matrix.environments.store import EnvironmentStore
from matrix.errors import StorageError, UsageError
from matrix.features.reproduce.by_hand import ManualSteps
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.inspect import host_target
from matrix.interpreters.targets import compatible_targets
from matrix.judging.cells import findings_of
from matrix.judging.sentences import evidence_text
from matrix.model.capture import CellCapture, CellLocation
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.service import against
from matrix.model.verdict import Finding
from matrix.probes.registry import load_probes
from matrix.probes.settings import load_settings
from matrix.reporting.json import finding_to_json
from matrix.reporting.services import count_needed_services
from matrix.runs.backend import RunBackend
from matrix.runs.environments import CellWork, LocalEnvironments
from matrix.runs.failures import capture_not_run
from matrix.runs.interface import CellRequest
from matrix.runs.run import stopping
from matrix.runs.services import CellServices, ServedEnvironments, ServedRunner
from matrix.runs.setup import (
    JobFactory,
    RunOptions,
    backend_environments,
    cell_limits,
    run_services,
)
from matrix.runs.workers import Workers
from matrix.services.pool import Services
from matrix.system.paths import cache_dir, fixtures_dir, project_root, results_dir

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class SingleRun:
    """What one cell showed; `folder` holds its logs and files where they were kept."""

    capture: CellCapture
    findings: tuple[Finding, ...]
    folder: Path | None

    def lines(self) -> Iterator[str]:
        """Yield it for a reader."""
        capture = self.capture
        yield f"{capture.cell}: {capture.seconds:.1f} s, {capture.isolation or 'not started'}"
        where = CellLocation.of(capture)
        if where is not None:
            yield f"  {where}"
        if said := against(capture.services):
            yield f"  {said}"
        if capture.failed is not None:
            yield f"  failed: {capture.failed.value}: {capture.detail}"
        for process in capture.processes:
            boot = "" if process.boot_seconds is None else f", boot {process.boot_seconds:.1f} s"
            state = f", {process.failed.value}: {process.detail}" if process.failed else ""
            yield f"  process {process.setting} {process.purpose} {process.repeat}{boot}{state}"
            if process.failed is not None:
                yield from (f"    | {line}" for line in process.log.splitlines()[-12:])
        for finding in self.findings:
            reason = f" ({finding.reason.value})" if finding.reason else ""
            yield f"  {finding.probe}/{finding.channel}: {finding.shows.value}{reason}"
            yield f"    {evidence_text(finding.facts)}"
            yield from (f"    note: {evidence_text([note])}" for note in finding.notes)
        if self.folder is not None:
            yield f"kept: {self.folder}"

    def to_json(self) -> dict[str, object]:
        """Return it as plain JSON values."""
        reason = self.capture.failed
        where = CellLocation.of(self.capture)
        return {
            "where": where.to_json() if where else None,
            "findings": [finding_to_json(finding) for finding in self.findings],
            "reason": reason.value if reason else None,
            "detail": self.capture.detail,
            "seconds": round(self.capture.seconds, 3),
            "kept": str(self.folder) if self.folder else None,
            "back_ends": [str(backend) for backend in self.capture.services],
        }


def back_ends_of(planned: PlannedCell, services: Services) -> dict[str, str]:
    """Return the back ends that the cell needs, by name: what would be used, or why none is here.

    Nothing is started.
    """
    states = [services.state(name) for name in count_needed_services([planned], load_probes())]
    return {
        state.recipe.name: str(state.identity or f"{state.reason}: {state.remedy}")
        for state in states
    }


def commands(
    planned: PlannedCell, back_ends: Mapping[str, str], *, offline: bool, say: Say
) -> Iterator[str]:
    """Yield the commands for the cell, and write the files that they need below the results.

    `back_ends` are those that it needs, in words by name. The environment is resolved, and built,
    if need be: its lock is what the commands install.
    """
    if planned.cell.target not in (host_target(), *compatible_targets(host_target())):
        raise UsageError(
            f"{planned.cell.target} is not this machine, so there is nothing to type here",
            "Run it in a container: reproduce CELL --run --engine docker",
        )
    probes = [probe for name, probe in load_probes().items() if name in planned.probes]
    by_hand = ManualSteps(
        planned=planned,
        probes=probes,
        settings=_settings(probes),
        folder=results_dir() / "by-hand" / planned.cell.id,
        project=project_root(),
        python=Path(sys.executable),
        back_ends=back_ends,
    )
    environments = _environments(offline=offline)
    interpreter, requirements = environments.request(planned)
    environment = None
    try:
        environment = environments.ensure(planned, say)
    except BuildError as error:
        say(f"its environment cannot be made: {error.reason.value}: {error.detail}")
    _write(by_hand.folder, by_hand.files(environment))
    yield f"# {planned.cell.id}, dependencies as of {planned.as_of}"
    if environment is None:
        yield from by_hand.unlocked(interpreter, requirements)
    else:
        yield from by_hand.environment(interpreter)
    yield from by_hand.beside()
    for name in by_hand.settings:
        yield ""
        yield f"### setting {name}: {load_settings().get(name).title}"
        yield from by_hand.session(name)


def _settings(probes: Iterable[Probe]) -> dict[str, dict[str, str]]:
    channels = [channel for probe in probes for channel in probe.channels]
    names = {name for item in channels for name in (item.setting, item.control) if name is not None}
    data = fixtures_dir() / "cell"
    return {name: load_settings().render(name, data=data) for name in sorted(names)}


def _write(folder: Path, files: Mapping[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror}",
            "Name a writable folder in COMPAT_MATRIX_RESULTS.",
        ) from error


def run_alone(planned: PlannedCell, runs: RunBackend, how: RunOptions, say: Say) -> SingleRun:
    """Run the cell once, now; nothing of it is written to the journal. `runs` is what runs it.

    The back ends that it needs are started, and ended with it.
    """
    probes = load_probes()
    with contextlib.ExitStack() as stack:
        needs = CellServices(
            stack.enter_context(
                run_services(how.external, offline=how.offline, engine=runs.engine)
            ),
            probes,
        )
        environments = ServedEnvironments(
            backend_environments(runs, probes, offline=how.offline), needs
        )
        if how.keep:
            scratch = Path(tempfile.mkdtemp(prefix="compat-matrix-"))
        else:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        limits = cell_limits(runs)
        jobs = JobFactory(probes, scratch, runs, *limits, keep=how.keep, services=needs.ensure)
        workers = Workers(
            CellWork(contained=runs.engine is not None),
            jobs.make,
            1,
            max(each.cell for each in limits) * 2,
        )
        stack.callback(workers.close)
        runner = ServedRunner(workers, needs)
        stack.enter_context(stopping(runner.kill))
        try:
            environment = environments.ensure(planned, say)
            request = CellRequest(0, planned, environment, "")
            capture = runner.submit(request, say).result().capture
        except BuildError as error:
            say(error.log or error.detail)
            capture = capture_not_run(planned, "", error.reason, error.detail)
    if capture is None:
        capture = capture_not_run(planned, "", Reason.INTERNAL_ERROR, "the cell has no capture")
    capture = dataclasses.replace(capture, engine=runs.where.engine)
    found = findings_of(capture, planned.probes, probes)
    return SingleRun(capture, found, scratch if how.keep else None)


def _environments(*, offline: bool) -> LocalEnvironments:
    store = EnvironmentStore(cache_dir(), offline=offline)
    return LocalEnvironments(store, find_interpreters(), load_probes())
