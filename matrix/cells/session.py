"""One process of the app under one setting, from start to stop, as a capture."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence

from matrix.agent.crashes import COUNT, describe_crash, is_killed
from matrix.agent.observations import liveness
from matrix.agent.server import Agent, Upstream
from matrix.cells.client import Endpoint
from matrix.cells.env_vars import process_environment, redact_passwords
from matrix.cells.interface import App, Slot
from matrix.cells.job import CellJob, Deadline
from matrix.cells.local import describe_survivor
from matrix.cells.requests import Configurator, ProbeClient, ProbeRequest, soak
from matrix.cells.schedule import ProcessTasks, Task
from matrix.model.capture import BARE, OUTSIDE, Cost, ProcessCapture, Soak
from matrix.model.reason import Reason
from matrix.probes.places import find_place
from matrix.probes.settings import load_settings
from matrix.system.timings import BOOT, REQUESTS, TIMINGS

# In some releases `python -m ddtrace.commands.ddtrace_run` does nothing, with exit code 0, and a
# console script that was made elsewhere starts the interpreter of that machine.
TRACER_LAUNCH = "from ddtrace.commands.ddtrace_run import main; main()"
_EXIT_SECONDS = 0.5
# A connection is refused or broken before the end of the process can be observed: long before where
# it writes a core, or the machine is busy.
_RESET_SECONDS = 3.0
_ANSWERED_SECONDS = 0.05


@dataclasses.dataclass
class _Session:
    """A process and its capture so far, which is kept whatever error follows."""

    job: CellJob
    tasks: ProcessTasks
    deadline: Deadline
    environment: dict[str, str]
    began: float = dataclasses.field(default_factory=time.monotonic)
    started: float = 0.0
    ready: float = 0.0
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

    def run(self, slot: Slot, release_cpu: Callable[[], None]) -> None:
        """Run the process in `slot`; raises OSError where the agent cannot be started.

        `release_cpu` is called once the app has booted, or has not.
        """
        job, limits = self.job, self.job.limits
        with (
            Agent(origin=self.began, max_bytes=limits.agent_bytes) as agent,
            Upstream() as upstream,
            contextlib.closing(slot),
            contextlib.ExitStack() as stack,
        ):
            self.agent = agent
            sandbox = slot.sandbox
            setting = load_settings().get(self.tasks.setting)
            silent = self.tasks.outside and not find_place(job.planned.cell.place).is_left
            self.traced = setting.traced and not silent
            self.environment |= process_environment(
                slot.scratch,
                setting=load_settings().render(self.tasks.setting, data=sandbox.fixtures),
                agent=slot.agent_variables(agent.port) if setting.loaded else {},
                upstream_port=slot.forward_port(upstream.port),
            )
            app_name = job.app(library=self.tasks.library) or job.framework
            command = [str(sandbox.python), str(sandbox.apps / "serve.py"), app_name]
            if setting.loaded and not sandbox.injects_tracer:
                command[1:1] = ["-c", TRACER_LAUNCH, str(sandbox.python)]
            self.started = time.monotonic()
            try:
                # In the app's folder, as code security only looks at code below the current one.
                app = slot.start(command, self.environment, stop=limits.stop)
            except TimeoutError as error:
                # The sandbox is slow; this says nothing about the interpreter.
                self.fail(Reason.TIMED_OUT, f"the app was not started in time: {error}")
                return
            except OSError as error:
                self.fail(Reason.BROKEN_START, f"the interpreter does not start: {error}")
                return
            stack.callback(self._stop, app)
            endpoint = app.wait_ready(self.deadline.remaining(limits.start))
            self.ready = time.monotonic()
            release_cpu()
            if endpoint is None:
                self._record_failed_start(app)
            else:
                self.boot_seconds = agent.now()
                self._use_app(app, endpoint, agent)
        if agent.failed is not None:
            self.fail(Reason.AGENT_FAILED, f"the recording agent: {agent.failed}")

    def _use_app(self, app: App, endpoint: Endpoint, agent: Agent) -> None:
        job, deadline = self.job, self.deadline
        limits = job.limits if self.traced else job.limits.for_untraced()
        if self.tasks.setting == BARE:
            limits = dataclasses.replace(limits, span=0.0)
        client = self.client = ProbeClient(
            endpoint, agent, limits, deadline, alive=lambda: app.alive
        )
        client.warm_up()
        tracer = liveness(self.capture(), job.planned.cell.ddtrace)
        if not tracer.alive:
            reason = Reason.TIMED_OUT if deadline.passed else tracer.reason or Reason.BROKEN_START
            if not self._record_crash(app, client):
                self.fail(reason, tracer.detail)
            return
        if self.tasks.soak:
            self.soak = soak(
                endpoint,
                job.soak_requests,
                job.limits,
                deadline,
                alive=lambda status: _exit_code(app, status) is None,
            )
        else:
            self.configurator = Configurator(agent, client, job.limits)
            _send_stimuli(self.tasks, client, self.configurator)
        if not self._record_crash(app, client) and deadline.passed:
            self.fail(Reason.TIMED_OUT, f"the cell took longer than {job.limits.cell:g} s")

    def _record_failed_start(self, app: App) -> None:
        code = app.wait_exit(_EXIT_SECONDS)
        if code is None:
            over = self.deadline.passed
            detail = "the cell's time was over" if over else "the app did not get ready"
            self.fail(Reason.TIMED_OUT, detail)
        elif crash := describe_crash(code):
            self.fail(Reason.CRASHED, f"{crash} before it was ready")
        else:
            self.fail(Reason.BROKEN_START, f"ended with exit code {code} before it was ready")

    def _record_crash(self, app: App, client: ProbeClient) -> bool:
        """Return whether the app ended by itself, and record it."""
        code = _exit_code(app, client.exchanges[-1].status)
        if code is None:
            return False
        crash = describe_crash(code)
        self.fail(Reason.CRASHED, crash or f"ended by itself with exit code {code}")
        return True

    def _stop(self, app: App) -> None:
        app.stop()
        self.exit_code = app.exit_code
        self.log = app.log.text
        self._add_costs(app)
        first = next(iter(self.client.exchanges), None) if self.client else None
        if self.failed is Reason.BROKEN_START and first is not None and first.status is None:
            self.detail = f"{self.detail}; {describe_survivor(self.log)}"

    def _add_costs(self, app: App) -> None:
        spent = app.cpu_seconds or 0.0
        # What the app says of itself is no more than it took.
        boot = spent if self.boot_seconds is None else min(app.log.boot_cpu_seconds or 0.0, spent)
        TIMINGS.add(
            (
                Cost(BOOT, 1, self.ready - self.started, boot),
                Cost(REQUESTS, 1, time.monotonic() - self.ready, spent - boot),
            )
        )

    def capture(self) -> ProcessCapture:
        """Return what was captured so far."""
        # The requests of a soak are counted, not kept.
        requests = self.agent.requests if self.agent and self.soak is None else ()
        exchanges = self.client.exchanges if self.client and self.soak is None else ()
        purpose = "soak" if self.tasks.soak else OUTSIDE if self.tasks.outside else "probe"
        return ProcessCapture(
            setting=self.tasks.setting,
            purpose=COUNT if self.tasks.counted else purpose,
            repeat=self.tasks.repeat,
            environment=redact_passwords(self.environment, self.job.services),
            boot_seconds=self.boot_seconds,
            seconds=time.monotonic() - self.began,
            exit_code=self.exit_code,
            exchanges=tuple(exchanges),
            agent=tuple(requests),
            log=self.log,
            failed=self.failed,
            detail=self.detail,
            pushes=tuple(self.configurator.pushes) if self.configurator else (),
            soak=self.soak,
            traced=self.traced,
            counted=self.tasks.counted,
        )


def _exit_code(app: App, status: int | None) -> int | None:
    """Return the exit code of an app that ended after a request with this status, else None."""
    return app.wait_exit(_RESET_SECONDS if status is None else _ANSWERED_SECONDS)


def run_process(
    job: CellJob, tasks: ProcessTasks, slot: Slot, deadline: Deadline, services: Mapping[str, str]
) -> ProcessCapture:
    """Run one process and return its capture; never raises.

    `services` are the variables that tell it how to reach back ends.
    """
    with contextlib.ExitStack() as cpu:
        deadline.extend(cpu.enter_context(job.hold_cpu()))
        session = _Session(job, tasks, deadline, dict(services))
        try:
            session.run(slot, cpu.close)
        except OSError as error:
            session.fail(Reason.AGENT_FAILED, f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - an error of one cell must not end the run
            session.fail(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
    capture = session.capture()
    if not tasks.counted:
        return capture
    log = capture.log if is_killed(capture) else ""
    return dataclasses.replace(capture, exchanges=(), agent=(), pushes=(), soak=None, log=log)


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
