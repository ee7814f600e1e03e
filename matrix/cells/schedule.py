"""Which processes a cell needs, and what goes to each of them. Pure.

Which channels have to be tried again before their failure counts. Pure.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from matrix.agent.observations import liveness, observations_of, control_problem
from matrix.model.capture import ProcessCapture
from matrix.model.probe import Channel, Observation, Probe

__all__ = ["ProcessTasks", "Task", "failed_tasks", "schedule", "schedule_repeat", "tasks_of"]


@dataclasses.dataclass(frozen=True)
class Task:
    """A channel of a probe to be tried in a process, for real or as the negative control."""

    probe: str
    channel: Channel
    control: bool = False


@dataclasses.dataclass(frozen=True)
class ProcessTasks:
    """What one process under one setting is for: tasks, or a soak and nothing else.

    A soak has a process of its own, so that neither stains the other.
    """

    setting: str
    tasks: tuple[Task, ...]
    repeat: int = 0
    soak: bool = False

    @property
    def plain(self) -> tuple[Task, ...]:
        """Controls and channels without remote configuration: first, as nothing is changed yet."""
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
        by_setting.setdefault(_setting(task), []).append(task)
    processes = [ProcessTasks(setting, tuple(items)) for setting, items in by_setting.items()]
    return tuple(sorted(processes, key=_waiting, reverse=True))


def _waiting(process: ProcessTasks) -> tuple[float, int, int]:
    patience = [
        stimulus.patience
        for task in process.tasks
        if not task.control
        for stimulus in task.channel.stimuli
    ]
    return max(patience, default=0.0), len(process.configured), len(process.tasks)


def schedule_repeat(tasks: Sequence[Task], repeat: int, *, apart: bool) -> tuple[ProcessTasks, ...]:
    """Return the processes of a repeat; `apart` gives each task one of its own.

    That is for tasks of which one killed the process: the others have had no chance.
    """
    if apart:
        return tuple(ProcessTasks(_setting(task), (task,), repeat=repeat) for task in tasks)
    return tuple(dataclasses.replace(process, repeat=repeat) for process in schedule(tasks))


def _setting(task: Task) -> str:
    if task.control and task.channel.control is not None:
        return task.channel.control
    return task.channel.setting


def failed_tasks(
    tasks: Iterable[Task], captures: Sequence[ProcessCapture], version: str
) -> tuple[Task, ...]:
    """Return the channels that did not show their evidence, and the controls that did.

    A process that was not alive shows nothing; for a control that too is a failure, and so is a
    request that was not answered as the app answers by itself.
    """
    seen = [
        (capture, sighting)
        for capture in captures
        if capture.purpose == "probe" and liveness(capture, version).alive
        for sighting in observations_of(capture)
    ]
    return tuple(task for task in tasks if not _good(task, seen))


def _good(task: Task, seen: Sequence[tuple[ProcessCapture, Observation]]) -> bool:
    own = [
        (capture, item)
        for capture, item in seen
        if (item.exchange.probe, item.exchange.channel) == (task.probe, task.channel.name)
        and item.exchange.control == task.control
    ]
    shown, answered = [], []
    for stimulus in task.channel.stimuli:
        if stimulus.decisive:
            tried = [each for each in own if each[1].exchange.stimulus == stimulus.name]
            shown.append(any(stimulus.evidence.match(item).holds for _, item in tried))
            answered.append(any(control_problem(*each, stimulus) is None for each in tried))
    return all(answered) and not all(shown) if task.control else all(shown)
