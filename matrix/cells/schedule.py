"""The processes of a cell, the tasks of each, and the repeats of failed tasks. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from matrix.agent.answers import answer_of, bare_answers, differs, works
from matrix.agent.observations import control_problem, liveness, observations_of
from matrix.model.capture import BARE, Exchange, ProcessCapture
from matrix.model.probe import NO_EVIDENCE, Channel, Observation, Probe, Stimulus
from matrix.probes.integrations import is_library_probe
from matrix.probes.settings import is_controlled_bare


@dataclasses.dataclass(frozen=True)
class Task:
    """A channel of a probe to be tried in a process, as it is or as the negative control."""

    probe: str
    channel: Channel
    control: bool = False

    def has_sent(self, exchange: Exchange, stimulus: Stimulus) -> bool:
        """Return whether an exchange is the stimulus, sent for this task."""
        return (exchange.probe, exchange.channel, exchange.control, exchange.stimulus) == (
            self.probe,
            self.channel.name,
            self.control,
            stimulus.name,
        )


@dataclasses.dataclass(frozen=True)
class ProcessTasks:
    """The tasks of one process under one setting, or a soak and nothing else.

    A soak has a process of its own, so that neither spoils the other. `counted` is the subject of a
    process that is only run to count crashes. One `outside` of the cell's place is its control.
    """

    setting: str
    tasks: tuple[Task, ...]
    repeat: int = 0
    soak: bool = False
    counted: str = ""
    outside: bool = False

    @property
    def library(self) -> bool:
        """True where they are of a library's own probe, not of a sample app."""
        return any(is_library_probe(task.probe) for task in self.tasks)

    @property
    def plain(self) -> tuple[Task, ...]:
        """Controls and channels without remote configuration; first, as they change nothing."""
        return tuple(task for task in self.tasks if task.control or not task.channel.configs)

    @property
    def configured(self) -> tuple[Task, ...]:
        """Channels that push remote configuration, one after the other."""
        return tuple(task for task in self.tasks if task.channel.configs and not task.control)


def tasks_of(probes: Iterable[Probe], framework: str) -> tuple[Task, ...]:
    """Return every channel of the probes that run in the framework, with its control."""
    return tuple(
        Task(probe.name, channel, control)
        for probe in probes
        if probe.runs_in(framework)
        for channel in probe.channels
        for control in ((False,) if channel.control is None else (False, True))
    )


def claimed_tasks(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Return the tasks of channels that a claim may be about, or that were asked for."""
    return tuple(task for task in tasks if task.channel.claimed)


def undocumented_tasks(tasks: Iterable[Task], failed: Iterable[Task]) -> tuple[Task, ...]:
    """Return the tasks of no claim that may tell why other channels of their probes `failed`.

    Their switches are not documented: what they show is a remark on a channel that shows nothing.
    """
    probes = {task.probe for task in failed if not task.control}
    return tuple(
        task
        for task in tasks
        if task.probe in probes and not (task.channel.claimed or task.channel.documented)
    )


def schedule(tasks: Sequence[Task]) -> tuple[ProcessTasks, ...]:
    """Return one process per setting and app, the one that has to wait longest first."""
    groups: dict[tuple[str, bool], list[Task]] = {}
    for task in tasks:
        groups.setdefault((_setting_of(task), is_library_probe(task.probe)), []).append(task)
    processes = [ProcessTasks(setting, tuple(group)) for (setting, _), group in groups.items()]
    return tuple(sorted(processes, key=_duration_key, reverse=True))


def outside_processes(tasks: Iterable[Task]) -> tuple[ProcessTasks, ...]:
    """Return the processes outside of the cell's place, for all tasks with the feature on."""
    features = [task for task in tasks if not task.control]
    return tuple(dataclasses.replace(process, outside=True) for process in schedule(features))


def _duration_key(process: ProcessTasks) -> tuple[float, int, int]:
    patience = [
        stimulus.patience
        for task in process.tasks
        if not task.control
        for stimulus in task.channel.stimuli
    ]
    return max(patience, default=0.0), len(process.configured), len(process.tasks)


def schedule_repeat(tasks: Sequence[Task], repeat: int, *, apart: bool) -> tuple[ProcessTasks, ...]:
    """Return the processes of a repeat; `apart` gives each task a process of its own.

    That is for tasks of which one killed the process before the others could run.
    """
    if apart:
        return tuple(ProcessTasks(_setting_of(task), (task,), repeat=repeat) for task in tasks)
    return tuple(dataclasses.replace(process, repeat=repeat) for process in schedule(tasks))


def bare_process(tasks: Iterable[Task], repeat: int = 0) -> tuple[ProcessTasks, ...]:
    """Return the process of each app without the tracer for all requests of the tasks, if any.

    Each request once, though several channels of a probe may have it.
    """
    scheduled: set[tuple[str, Stimulus]] = set()
    bare: dict[bool, list[Task]] = {}
    for task in tasks:
        requests = {
            (task.probe, dataclasses.replace(stimulus, evidence=NO_EVIDENCE)): stimulus
            for stimulus in task.channel.stimuli
        }
        stimuli = tuple(stimulus for key, stimulus in requests.items() if key not in scheduled)
        scheduled |= set(requests)
        if stimuli:
            channel = dataclasses.replace(task.channel, stimuli=stimuli, configs=())
            own = bare.setdefault(is_library_probe(task.probe), [])
            own.append(Task(task.probe, channel, control=True))
    return tuple(ProcessTasks(BARE, tuple(group), repeat=repeat) for group in bare.values())


def compared_tasks(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Return the tasks whose answers are compared with those of the app without the tracer."""
    return tuple(
        task for task in tasks if any(stimulus.is_compared for stimulus in task.channel.stimuli)
    )


def without_switched_off(tasks: Iterable[Task]) -> tuple[Task, ...]:
    """Return the tasks without the negative controls for which the bare process stands in."""
    return tuple(task for task in tasks if not (task.control and is_controlled_bare(task.channel)))


def switched_off(suspect: Iterable[Task]) -> tuple[Task, ...]:
    """Return the negative controls for which the bare process stands in until their channel fails.

    They tell whether the app fails with tracing switched off as well.
    """
    return tuple(
        dataclasses.replace(task, control=True)
        for task in suspect
        if not task.control and is_controlled_bare(task.channel)
    )


def suspect_tasks(
    tasks: Iterable[Task], captures: Sequence[ProcessCapture], version: str
) -> tuple[Task, ...]:
    """Return the tasks that failed in a way for which the tracer or the app may be at fault.

    Their process did not start or has died, or the app did not answer as it does by itself.
    """
    return tuple(task for task in tasks if _is_suspect(task, captures, version))


def _is_suspect(task: Task, captures: Sequence[ProcessCapture], version: str) -> bool:
    for capture in captures:
        if capture.setting != _setting_of(task) or capture.purpose != "probe":
            continue
        if capture.failed is not None or not liveness(capture, version).alive:
            return True
        for stimulus in task.channel.stimuli:
            answers = [
                answer_of(exchange)
                for exchange in capture.exchanges
                if task.has_sent(exchange, stimulus)
            ]
            bare = bare_answers(captures, task.probe, stimulus)
            if any(differs(stimulus, answer, bare) for answer in answers):
                return True
            if answers and not any(works(stimulus, [answer]) for answer in answers):
                return True
    return False


def _setting_of(task: Task) -> str:
    if task.control and task.channel.control is not None:
        return task.channel.control
    return task.channel.setting


def failed_tasks(
    tasks: Iterable[Task], captures: Sequence[ProcessCapture], version: str
) -> tuple[Task, ...]:
    """Return the channels that did not show their evidence, and the controls that did.

    A process that was not alive shows nothing, which for a control too is a failure; so is a
    request that got another response than the app alone would give, or gives without the tracer.
    """
    observations = [
        (capture, observation)
        for capture in captures
        if capture.purpose == "probe" and capture.setting != BARE
        if liveness(capture, version).alive
        for observation in observations_of(capture)
    ]
    return tuple(
        task
        for task in tasks
        if not _succeeded(task, observations) or _is_changed(task, observations, captures)
    )


def _is_changed(
    task: Task,
    observations: Sequence[tuple[ProcessCapture, Observation]],
    captures: Sequence[ProcessCapture],
) -> bool:
    """Return whether an answer under the tracer is not one of the app without it."""
    return any(
        differs(stimulus, answer_of(observation.exchange), bare)
        for stimulus in task.channel.stimuli
        if (bare := bare_answers(captures, task.probe, stimulus))
        for _, observation in observations
        if not task.control and task.has_sent(observation.exchange, stimulus)
    )


def _succeeded(task: Task, observations: Sequence[tuple[ProcessCapture, Observation]]) -> bool:
    shown, valid = [], []
    for stimulus in task.channel.stimuli:
        if stimulus.decisive:
            attempts = [pair for pair in observations if task.has_sent(pair[1].exchange, stimulus)]
            shown.append(any(stimulus.evidence.match(attempt).holds for _, attempt in attempts))
            valid.append(any(control_problem(*pair, stimulus) is None for pair in attempts))
    return all(valid) and not all(shown) if task.control else all(shown)
