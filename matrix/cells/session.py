"""One process of the app under one setting, from start to stop, as a capture."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence

from matrix.agent.observations import liveness
from matrix.agent.server import Agent, Upstream
from matrix.cells.env_vars import process_environment
from matrix.cells.job import CellJob, Deadline
from matrix.cells.process import how_it_crashed
from matrix.cells.remote_config import Configurator
from matrix.cells.requests import ProbeClient, ProbeRequest
from matrix.cells.sandbox import App, Slot
from matrix.cells.schedule import ProcessTasks, Task
from matrix.cells.services import hidden
from matrix.cells.soak import soak
from matrix.model.capture import AgentRequest, ProcessCapture, Soak
from matrix.model.reason import Reason
from matrix.probes.settings import load_settings

__all__ = ["run_process"]

# `python -m ddtrace.commands.ddtrace_run` does nothing, with exit code 0, in some releases, and a
# console script made elsewhere names another machine's interpreter.
_RUN = "from ddtrace.commands.ddtrace_run import main; main()"
_DIED_SECONDS = 0.5


@dataclasses.dataclass
class _Progress:
    """What is known of a process so far: whatever goes wrong, this much is kept."""

    tasks: ProcessTasks
    began: float
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    traced: bool = True
    boot_seconds: float | None = None
    customer: ProbeClient | None = None
    configurator: Configurator | None = None
    agent: Agent | None = None
    soak: Soak | None = None
    log: str = ""
    exit_code: int | None = None
    failed: Reason | None = None
    detail: str = ""

    def fail(self, reason: Reason, detail: str) -> None:
        """Keep the first reason."""
        if self.failed is None:
            self.failed, self.detail = reason, detail


def run_process(
    job: CellJob, tasks: ProcessTasks, room: Slot, deadline: Deadline, services: Mapping[str, str]
) -> ProcessCapture:
    """Run one process and return its capture; never raises.

    `services` are the variables that tell it of back ends.
    """
    progress = _Progress(tasks, time.monotonic(), dict(services))
    try:
        _run(job, tasks, room, deadline, progress)
    except OSError as error:
        progress.fail(Reason.AGENT_FAILED, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - one cell's surprise must not end the run
        progress.fail(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
    return _capture(job, progress)


def _run(
    job: CellJob, tasks: ProcessTasks, room: Slot, deadline: Deadline, progress: _Progress
) -> None:
    with (
        Agent(origin=progress.began) as agent,
        Upstream() as upstream,
        contextlib.closing(room),
        contextlib.ExitStack() as stack,
    ):
        progress.agent = agent
        place = room.place
        progress.traced = load_settings().get(tasks.setting).traced
        progress.environment |= process_environment(
            room.scratch,
            setting=load_settings().render(tasks.setting, data=place.fixtures),
            agent_port=room.reach_out(agent.port),
            upstream_port=room.reach_out(upstream.server_port),
        )
        command = [str(place.python), "-c", _RUN, str(place.python)]
        command += [str(place.apps / "serve.py"), job.app or job.framework]
        try:
            # From where a user would start it: code security looks at code below that folder only.
            app = room.start(command, progress.environment, stop=job.limits.stop)
        except TimeoutError as error:
            # It is the place that is slow: of the interpreter nothing is known.
            progress.fail(Reason.TIMED_OUT, f"the app was not started in time: {error}")
            return
        except OSError as error:
            progress.fail(Reason.BROKEN_START, f"the interpreter does not start: {error}")
            return
        stack.callback(_stopped, app, progress)
        _attend(job, tasks, deadline, progress, app=app, agent=agent)
    if agent.failed is not None:
        progress.fail(Reason.AGENT_FAILED, f"the recording agent: {agent.failed}")


def _attend(  # noqa: PLR0913 - the parts of a session
    job: CellJob,
    tasks: ProcessTasks,
    deadline: Deadline,
    progress: _Progress,
    *,
    app: App,
    agent: Agent,
) -> None:
    door = app.wait_ready(deadline.left(job.limits.start))
    if door is None:
        _not_ready(progress, app, deadline)
        return
    progress.boot_seconds = agent.now()
    limits = job.limits if progress.traced else job.limits.where_untraced()
    customer = progress.customer = ProbeClient(
        door, agent, limits, deadline, alive=lambda: app.alive
    )
    customer.warm_up()
    alive = liveness(_capture(job, progress), job.planned.cell.ddtrace)
    if not alive.alive:
        reason = Reason.TIMED_OUT if deadline.passed else alive.reason or Reason.BROKEN_START
        if not _crashed(progress, app):
            progress.fail(reason, alive.detail)
        return
    if tasks.soak:
        progress.soak = soak(
            door, job.soak_requests, job.limits, deadline, alive=lambda: app.died(0.05) is None
        )
    else:
        configurator = progress.configurator = Configurator(agent, customer, job.limits)
        _serve(tasks, customer, configurator)
    if _crashed(progress, app):
        return
    if deadline.passed:
        progress.fail(Reason.TIMED_OUT, f"the cell's {job.limits.cell:g} s were over")


def _serve(tasks: ProcessTasks, customer: ProbeClient, configurator: Configurator) -> None:
    """Send everything, so that nothing spoils what comes after it.

    Channel by channel, as one that kills the process takes the unsent spans of the others along.
    Then what does not decide; then controls, where nothing is expected to happen; then what changes
    the app by remote configuration; last what takes its time.
    """
    missing = []
    features = [task for task in tasks.plain if not task.control]
    for task in features:
        missing += customer.serve([v for v in _visits([task]) if v.stimulus.decisive])
    missing += customer.serve([v for v in _visits(features) if not v.stimulus.decisive])
    customer.serve(_visits([task for task in tasks.plain if task.control]))
    for task in tasks.configured:
        configurator.serve(task)
    customer.wait_evidence(missing)


def _visits(tasks: Sequence[Task]) -> list[ProbeRequest]:
    return [ProbeRequest(task, stimulus) for task in tasks for stimulus in task.channel.stimuli]


def _not_ready(progress: _Progress, app: App, deadline: Deadline) -> None:
    code = app.died(_DIED_SECONDS)
    if code is None:
        late = "the cell's time was over" if deadline.passed else "the app did not get ready"
        progress.fail(Reason.TIMED_OUT, late)
    elif crash := how_it_crashed(code):
        progress.fail(Reason.CRASHED, f"{crash} before it was ready")
    else:
        progress.fail(Reason.BROKEN_START, f"ended with exit code {code} before it was ready")


def _crashed(progress: _Progress, app: App) -> bool:
    """Return whether the app ended by itself, and note it."""
    last = progress.customer.exchanges[-1] if progress.customer else None
    # A refused or broken connection comes a moment before the end of the process can be seen.
    code = app.died(_DIED_SECONDS if last is not None and last.status is None else 0.0)
    if code is None:
        return False
    crash = how_it_crashed(code)
    progress.fail(Reason.CRASHED, crash or f"ended by itself with exit code {code}")
    return True


def _stopped(app: App, progress: _Progress) -> None:
    app.stop()
    progress.exit_code = app.exit_code
    progress.log = app.log.text


def _capture(job: CellJob, progress: _Progress) -> ProcessCapture:
    # What a soak caused is counted, not kept.
    requests = progress.agent.requests if progress.agent and progress.soak is None else ()
    exchanges = progress.customer.exchanges if progress.customer and progress.soak is None else ()
    return ProcessCapture(
        setting=progress.tasks.setting,
        purpose="soak" if progress.tasks.soak else "probe",
        repeat=progress.tasks.repeat,
        environment=hidden(progress.environment, job.services),
        boot_seconds=progress.boot_seconds,
        seconds=time.monotonic() - progress.began,
        exit_code=progress.exit_code,
        exchanges=tuple(exchanges),
        agent=_bounded(requests, job.limits.agent_bytes),
        log=progress.log,
        failed=progress.failed,
        detail=progress.detail,
        pushes=tuple(progress.configurator.pushes) if progress.configurator else (),
        soak=progress.soak,
        traced=progress.traced,
    )


def _bounded(requests: Sequence[AgentRequest], most: int) -> tuple[AgentRequest, ...]:
    """Return the requests, those beyond `most` bytes in all with nothing but a note for a body."""
    kept = []
    total = 0
    for request in requests:
        total += int(request.headers.get("content-length") or 0)
        note = {"left_out": f"beyond {most} bytes"}
        kept.append(request if total <= most else dataclasses.replace(request, body=note))
    return tuple(kept)
