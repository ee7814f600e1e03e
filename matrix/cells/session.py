"""One process of the app under one setting, from start to stop, as a capture."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping, Sequence

from matrix.agent.observations import liveness
from matrix.agent.server import Agent, Upstream
from matrix.cells.env_vars import process_environment
from matrix.cells.interface import App, Slot
from matrix.cells.job import CellJob, Deadline
from matrix.cells.process import describe_crash, describe_survivor
from matrix.cells.remote_config import Configurator
from matrix.cells.requests import ProbeClient, ProbeRequest, soak
from matrix.cells.schedule import ProcessTasks, Task
from matrix.cells.services import redact_passwords
from matrix.model.capture import BARE, AgentRequest, ProcessCapture, Soak
from matrix.model.reason import Reason
from matrix.probes.settings import load_settings

# In some releases `python -m ddtrace.commands.ddtrace_run` does nothing, with exit code 0, and a
# console script that was made elsewhere starts the interpreter of that machine.
TRACER_LAUNCH = "from ddtrace.commands.ddtrace_run import main; main()"
_EXIT_SECONDS = 0.5
# A process whose first request is reset may still be writing a core: whether it dies is waited for.
_RESET_SECONDS = 3.0


@dataclasses.dataclass
class _Progress:
    """The capture of a process so far, which is kept whatever error follows."""

    tasks: ProcessTasks
    began: float
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    traced: bool = True
    boot_seconds: float | None = None
    client: ProbeClient | None = None
    configurator: Configurator | None = None
    agent: Agent | None = None
    soak: Soak | None = None
    log: str = ""
    exit_code: int | None = None
    failed: Reason | None = None
    detail: str = ""

    def fail(self, reason: Reason, detail: str) -> None:
        """Record a failure, unless there was one before."""
        if self.failed is None:
            self.failed, self.detail = reason, detail


def run_process(
    job: CellJob, tasks: ProcessTasks, slot: Slot, deadline: Deadline, services: Mapping[str, str]
) -> ProcessCapture:
    """Run one process and return its capture; never raises.

    `services` are the variables that tell it how to reach back ends.
    """
    progress = _Progress(tasks, time.monotonic(), dict(services))
    try:
        _run(job, tasks, slot, deadline, progress)
    except OSError as error:
        progress.fail(Reason.AGENT_FAILED, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - an error of one cell must not end the run
        progress.fail(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
    return _capture(job, progress)


def _run(
    job: CellJob, tasks: ProcessTasks, slot: Slot, deadline: Deadline, progress: _Progress
) -> None:
    with (
        Agent(origin=progress.began) as agent,
        Upstream() as upstream,
        contextlib.closing(slot),
        contextlib.ExitStack() as stack,
    ):
        progress.agent = agent
        sandbox = slot.sandbox
        setting = load_settings().get(tasks.setting)
        progress.traced = setting.traced
        progress.environment |= process_environment(
            slot.scratch,
            setting=load_settings().render(tasks.setting, data=sandbox.fixtures),
            agent_port=slot.forward_port(agent.port) if setting.loaded else None,
            upstream_port=slot.forward_port(upstream.server_port),
        )
        command = [str(sandbox.python), str(sandbox.apps / "serve.py"), job.app or job.framework]
        if setting.loaded:
            command[1:1] = ["-c", TRACER_LAUNCH, str(sandbox.python)]
        try:
            # In the folder of the app, as code security only looks at code below the current one.
            app = slot.start(command, progress.environment, stop=job.limits.stop)
        except TimeoutError as error:
            # The sandbox is slow; this says nothing about the interpreter.
            progress.fail(Reason.TIMED_OUT, f"the app was not started in time: {error}")
            return
        except OSError as error:
            progress.fail(Reason.BROKEN_START, f"the interpreter does not start: {error}")
            return
        stack.callback(_stop, app, progress)
        _use_app(job, tasks, deadline, progress, app=app, agent=agent)
    if agent.failed is not None:
        progress.fail(Reason.AGENT_FAILED, f"the recording agent: {agent.failed}")


def _use_app(  # noqa: PLR0913 - the parts of a session
    job: CellJob,
    tasks: ProcessTasks,
    deadline: Deadline,
    progress: _Progress,
    *,
    app: App,
    agent: Agent,
) -> None:
    endpoint = app.wait_ready(deadline.remaining(job.limits.start))
    if endpoint is None:
        _record_failed_start(progress, app, deadline)
        return
    progress.boot_seconds = agent.now()
    limits = job.limits if progress.traced else job.limits.for_untraced()
    if tasks.setting == BARE:
        limits = dataclasses.replace(limits, span=0.0)
    client = progress.client = ProbeClient(
        endpoint, agent, limits, deadline, alive=lambda: app.alive
    )
    client.warm_up()
    tracer = liveness(_capture(job, progress), job.planned.cell.ddtrace)
    if not tracer.alive:
        reason = Reason.TIMED_OUT if deadline.passed else tracer.reason or Reason.BROKEN_START
        if not _record_crash(progress, app, seconds=_RESET_SECONDS):
            progress.fail(reason, tracer.detail)
        return
    if tasks.soak:
        progress.soak = soak(
            endpoint,
            job.soak_requests,
            job.limits,
            deadline,
            alive=lambda: app.wait_exit(0.05) is None,
        )
    else:
        configurator = progress.configurator = Configurator(agent, client, job.limits)
        _send_stimuli(tasks, client, configurator)
    if _record_crash(progress, app):
        return
    if deadline.passed:
        progress.fail(Reason.TIMED_OUT, f"the cell took longer than {job.limits.cell:g} s")


def _send_stimuli(tasks: ProcessTasks, client: ProbeClient, configurator: Configurator) -> None:
    """Send everything, in an order in which nothing spoils what follows.

    Decisive stimuli go channel by channel, as one that kills the process also loses the unsent
    spans of the others. The other stimuli follow, then controls, which expect no effect, then
    channels with remote configuration, which change the app, and last the wait for late evidence.
    """
    if tasks.setting == BARE:
        # Twice, to see what differs by itself.
        for _ in range(2):
            client.send_all(_requests_of(tasks.tasks))
        return
    missing = []
    features = [task for task in tasks.plain if not task.control]
    for task in features:
        missing += client.send_all([r for r in _requests_of([task]) if r.stimulus.decisive])
    missing += client.send_all([r for r in _requests_of(features) if not r.stimulus.decisive])
    client.send_all(_requests_of([task for task in tasks.plain if task.control]))
    for task in tasks.configured:
        configurator.run(task)
    client.wait_evidence(missing)


def _requests_of(tasks: Sequence[Task]) -> list[ProbeRequest]:
    return [ProbeRequest(task, stimulus) for task in tasks for stimulus in task.channel.stimuli]


def _record_failed_start(progress: _Progress, app: App, deadline: Deadline) -> None:
    code = app.wait_exit(_EXIT_SECONDS)
    if code is None:
        late = "the cell's time was over" if deadline.passed else "the app did not get ready"
        progress.fail(Reason.TIMED_OUT, late)
    elif crash := describe_crash(code):
        progress.fail(Reason.CRASHED, f"{crash} before it was ready")
    else:
        progress.fail(Reason.BROKEN_START, f"ended with exit code {code} before it was ready")


def _record_crash(progress: _Progress, app: App, *, seconds: float = _EXIT_SECONDS) -> bool:
    """Return whether the app ended by itself, and record it."""
    last = progress.client.exchanges[-1] if progress.client else None
    # A connection is refused or broken a moment before the end of the process can be observed.
    code = app.wait_exit(seconds if last is not None and last.status is None else 0.0)
    if code is None:
        return False
    crash = describe_crash(code)
    progress.fail(Reason.CRASHED, crash or f"ended by itself with exit code {code}")
    return True


def _stop(app: App, progress: _Progress) -> None:
    app.stop()
    progress.exit_code = app.exit_code
    progress.log = app.log.text
    first = progress.client.exchanges[0] if progress.client and progress.client.exchanges else None
    if progress.failed is Reason.BROKEN_START and first is not None and first.status is None:
        progress.detail = f"{progress.detail}; {describe_survivor(progress.log)}"


def _capture(job: CellJob, progress: _Progress) -> ProcessCapture:
    # The requests of a soak are counted, not kept.
    requests = progress.agent.requests if progress.agent and progress.soak is None else ()
    exchanges = progress.client.exchanges if progress.client and progress.soak is None else ()
    return ProcessCapture(
        setting=progress.tasks.setting,
        purpose="soak" if progress.tasks.soak else "probe",
        repeat=progress.tasks.repeat,
        environment=redact_passwords(progress.environment, job.services),
        boot_seconds=progress.boot_seconds,
        seconds=time.monotonic() - progress.began,
        exit_code=progress.exit_code,
        exchanges=tuple(exchanges),
        agent=_limit_bodies(requests, job.limits.agent_bytes),
        log=progress.log,
        failed=progress.failed,
        detail=progress.detail,
        pushes=tuple(progress.configurator.pushes) if progress.configurator else (),
        soak=progress.soak,
        traced=progress.traced,
    )


def _limit_bodies(requests: Sequence[AgentRequest], limit: int) -> tuple[AgentRequest, ...]:
    """Return the requests with a note in place of each body beyond `limit` bytes in all."""
    limited = []
    total = 0
    for request in requests:
        total += int(request.headers.get("content-length") or 0)
        note = {"left_out": f"beyond {limit} bytes"}
        limited.append(request if total <= limit else dataclasses.replace(request, body=note))
    return tuple(limited)
