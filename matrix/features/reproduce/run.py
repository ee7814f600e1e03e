"""Repeat one cell: print its commands for a person, or run it outside of a plan's run."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.cells.job import CellJob
from matrix.environments.errors import BuildError
from matrix.environments.store import EnvironmentStore
from matrix.errors import UsageError, storage_errors
from matrix.features.reproduce.bare import BareComparison, bare_requests
from matrix.features.reproduce.script import ManualSteps, setting_names
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.inspect import host_target
from matrix.interpreters.targets import compatible_targets
from matrix.judging.cells import findings_of
from matrix.judging.sentences import evidence_text
from matrix.model.capture import BARE, CellCapture, CellLocation
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.model.service import against
from matrix.model.verdict import Finding
from matrix.probes.registry import load_probes
from matrix.probes.settings import load_settings
from matrix.reporting.back_ends import count_needed_services
from matrix.reporting.json import finding_to_json
from matrix.runs.backend import RunBackend
from matrix.runs.environments import CellWork, LocalEnvironments
from matrix.runs.interface import CellRequest, Report, capture_not_run
from matrix.runs.result_store import CaptureStore
from matrix.runs.run import stopping
from matrix.runs.services import CellServices, ServedEnvironments, ServedRunner, run_services
from matrix.runs.setup import JobFactory, RunOptions, backend_environments, cell_limits, job_seconds
from matrix.runs.workers import Workers
from matrix.services.pool import Services
from matrix.system.paths import cache_dir, fixtures_dir, project_root, results_dir


@dataclasses.dataclass(frozen=True)
class SingleRun:
    """The result of one cell; `folder` has its logs and files where they were kept.

    `comparison` is what a run of the bare control alone has shown.
    """

    capture: CellCapture
    findings: tuple[Finding, ...]
    folder: Path | None
    comparison: BareComparison | None = None

    def lines(self) -> Iterator[str]:
        """Yield the lines of a report for people."""
        capture = self.capture
        yield f"{capture.cell}: {capture.seconds:.1f} s, {capture.isolation or 'not started'}"
        where = CellLocation.of(capture)
        if where is not None:
            yield f"  {where}"
        if sentence := against(capture.services):
            yield f"  {sentence}"
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
        if self.comparison is not None:
            yield from self.comparison.lines()
        if self.folder is not None:
            yield f"kept: {self.folder}"

    def to_json(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        reason = self.capture.failed
        where = CellLocation.of(self.capture)
        return {
            "where": where.to_json() if where else None,
            "findings": [finding_to_json(finding) for finding in self.findings],
            "answers": self.comparison.to_json() if self.comparison else None,
            "reason": reason.value if reason else None,
            "detail": self.capture.detail,
            "seconds": round(self.capture.seconds, 3),
            "kept": str(self.folder) if self.folder else None,
            "back_ends": [str(backend) for backend in self.capture.services],
        }


def describe_back_ends(planned: PlannedCell, services: Services) -> dict[str, str]:
    """Return descriptions of the back ends that the cell needs, by name, without starting them.

    A back end that is not available is described by the reason and the remedy.
    """
    states = [services.state(name) for name in count_needed_services([planned], load_probes())]
    return {
        state.recipe.name: str(state.identity or f"{state.reason}: {state.remedy}")
        for state in states
    }


def manual_commands(
    planned: PlannedCell,
    back_ends: Mapping[str, str],
    *,
    offline: bool,
    bare: bool = False,
    report: Report,
) -> Iterator[str]:
    """Yield the commands for the cell, and write the files that they need below the results.

    `back_ends` are descriptions of those that it needs, by name. The environment is resolved and
    built if necessary, as the commands install its lock. With `bare` they are those of the bare
    control alone.
    """
    if planned.cell.target not in (host_target(), *compatible_targets(host_target())):
        raise UsageError(
            f"cannot run {planned.cell.target} on this machine",
            "Run it in a container: reproduce CELL --run --engine docker",
        )
    probes = [probe for name, probe in load_probes().items() if name in planned.probes]
    data = fixtures_dir() / "cell"
    if bare:
        bare_requests(planned, load_probes())
    names = [BARE] if bare else setting_names(probes)
    steps = ManualSteps(
        planned=planned,
        probes=probes,
        settings={name: load_settings().render(name, data=data) for name in names},
        folder=results_dir() / "by-hand" / planned.cell.id,
        project=project_root(),
        python=Path(sys.executable),
        back_ends=back_ends,
    )
    store = EnvironmentStore(cache_dir(), offline=offline)
    environments = LocalEnvironments(store, find_interpreters(), load_probes())
    interpreter, requirements = environments.request(planned)
    environment = None
    try:
        environment = environments.ensure(planned, report)
    except BuildError as error:
        report(f"cannot make its environment: {error.reason.value}: {error.detail}")
    _write(steps.folder, steps.files(environment))
    yield f"# {planned.cell.id}, dependencies as of {planned.as_of}"
    if environment is None:
        yield from steps.unlocked_commands(interpreter, requirements)
    else:
        yield from steps.environment_commands(interpreter)
    yield from steps.back_end_commands()
    for name in steps.settings:
        yield ""
        yield f"### setting {name}: {load_settings().get(name).title}"
        yield from steps.session_commands(name)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    hint = "Set COMPAT_MATRIX_RESULTS to a folder that can be written."
    with storage_errors(f"cannot write {folder}", hint, brief=True):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")


def run_alone(
    planned: PlannedCell,
    backend: RunBackend,
    options: RunOptions,
    report: Report,
    *,
    bare: bool = False,
) -> SingleRun:
    """Run the cell once on `backend`, without the journal; with `bare` its bare control alone.

    The back ends that it needs are started for it, and ended with it. The answers of the bare
    control are compared with those of the newest capture of the cell that is kept.
    """
    probes = load_probes()
    if bare:
        bare_requests(planned, probes)
    with contextlib.ExitStack() as stack:
        services = stack.enter_context(
            run_services(options.external, offline=options.offline, engine=backend.engine)
        )
        cell_services = CellServices(services, probes)
        environments = ServedEnvironments(
            backend_environments(backend, probes, offline=options.offline), cell_services
        )
        if options.keep:
            scratch = Path(tempfile.mkdtemp(prefix="compat-matrix-"))
        else:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        limits = cell_limits(backend)
        jobs = JobFactory(
            probes, scratch, backend, *limits, keep=options.keep, services=cell_services.ensure
        )

        def make(request: CellRequest) -> CellJob:
            return dataclasses.replace(jobs.make(request), bare=bare)

        work = CellWork(contained=backend.engine is not None)
        workers = Workers(work, make, 1, job_seconds)
        stack.callback(workers.close)
        runner = ServedRunner(workers, cell_services)
        stack.enter_context(stopping(runner.kill))
        try:
            environment = environments.ensure(planned, report)
            request = CellRequest(0, planned, environment, "")
            capture = runner.submit(request, report).result().capture
        except BuildError as error:
            report(error.log or error.detail)
            capture = capture_not_run(planned, "", error.reason, error.detail)
    if capture is None:
        capture = capture_not_run(planned, "", Reason.INTERNAL_ERROR, "the cell has no capture")
    capture = dataclasses.replace(capture, engine=backend.where.engine)
    folder = scratch if options.keep else None
    if bare:
        captures = CaptureStore(results_dir() / "captures")
        traced = captures.newest(capture.cell)
        for notice in captures.notices:
            report(notice)
        return SingleRun(capture, (), folder, BareComparison(capture, traced))
    return SingleRun(capture, findings_of(capture, planned.probes, probes), folder)
