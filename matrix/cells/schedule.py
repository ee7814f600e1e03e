"""The processes of a cell, the tasks of each, and the repeats of failed tasks. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from matrix.agent.observations import control_problem, liveness, observations_of
from matrix.model.capture import ProcessCapture
from matrix.model.probe import Channel, Observation, Probe


@dataclasses.dataclass(frozen=True)
class Task:
    """A channel of a probe to be tried in a process, as it is or as the negative control."""

    probe: str
    channel: Channel
    control: bool = False


@dataclasses.dataclass(frozen=True)
class ProcessTasks:
    """The tasks of one process under one setting, or a soak and nothing else.

    A soak has a process of its own, so that neither spoils the other.
    """

    setting: str
    tasks: tuple[Task, ...]
    repeat: int = 0
    soak: bool = False

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
        if framework in probe.frameworks
        for channel in probe.channels
        for control in ((False,) if channel.control is None else (False, True))
    )


def schedule(tasks: Sequence[Task]) -> tuple[ProcessTasks, ...]:
    """Return one process per setting, the one that has to wait longest first."""
    by_setting: dict[str, list[Task]] = {}
    for task in tasks:
        by_setting.setdefault(_setting_of(task), []).append(task)
    processes = [ProcessTasks(setting, tuple(group)) for setting, group in by_setting.items()]
    return tuple(sorted(processes, key=_duration_key, reverse=True))


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


def _setting_of(task: Task) -> str:
    if task.control and task.channel.control is not None:
        return task.channel.control
    return task.channel.setting


def failed_tasks(
    tasks: Iterable[Task], captures: Sequence[ProcessCapture], version: str
) -> tuple[Task, ...]:
    """Return the channels that did not show their evidence, and the controls that did.

    A process that was not alive shows nothing, which for a control too is a failure; so is a
    request that got another response than the app alone would give.
    """
    observations = [
        (capture, observation)
        for capture in captures
        if capture.purpose == "probe" and liveness(capture, version).alive
        for observation in observations_of(capture)
    ]
    return tuple(task for task in tasks if not _succeeded(task, observations))


def _succeeded(task: Task, observations: Sequence[tuple[ProcessCapture, Observation]]) -> bool:
    own = [
        (capture, observation)
        for capture, observation in observations
        if (observation.exchange.probe, observation.exchange.channel)
        == (task.probe, task.channel.name)
        and observation.exchange.control == task.control
    ]
    shown, valid = [], []
    for stimulus in task.channel.stimuli:
        if stimulus.decisive:
            attempts = [pair for pair in own if pair[1].exchange.stimulus == stimulus.name]
            shown.append(any(stimulus.evidence.match(attempt).holds for _, attempt in attempts))
            valid.append(any(control_problem(*pair, stimulus) is None for pair in attempts))
    return all(valid) and not all(shown) if task.control else all(shown)
