"""The processes that are counted after a first crash. Pure.

Where a signal killed some processes of a channel, or a soak, as many with the feature as with it
off are run, with the same requests. Where all died, nothing is counted: they already agree. At
another release (the planned cell says so) only those with the feature are run.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

from matrix.agent.answers import LEAST_PROCESSES
from matrix.agent.crashes import (
    channel_subject,
    counted,
    crash_policy,
    crash_subject,
    is_killed,
    soak_subject,
    start_subject,
)
from matrix.cells.schedule import ProcessTasks, Task
from matrix.model.capture import BARE, ProcessCapture
from matrix.model.plan import CrashSubject

_OFF = "off"


def crash_subjects(
    tasks: Sequence[Task], captures: Sequence[ProcessCapture], *, soak: bool
) -> Iterator[CrashSubject]:
    """Yield what has to be counted: that of which a process died and that did not always die."""
    first = crash_policy().first
    died = Counter(map(crash_subject, captures))
    features = [task for task in tasks if not task.control]
    for task in features:
        name = channel_subject(task.probe, task.channel.name)
        if died[name] and not _agree(task, captures):
            yield CrashSubject(name, task.channel.setting, first)
    for setting in dict.fromkeys(task.channel.setting for task in features):
        name = start_subject(setting)
        own = [item for item in captures if _is_probe(item, setting)]
        if died[name] and not (len(own) >= LEAST_PROCESSES and all(map(is_killed, own))):
            yield CrashSubject(name, setting, first)
    for setting in dict.fromkeys(item.setting for item in captures if item.purpose == "soak"):
        if soak and died[soak_subject(setting)]:
            yield CrashSubject(soak_subject(setting), setting, first)


def count_processes(
    subject: CrashSubject, tasks: Sequence[Task], *, off_too: bool = True
) -> tuple[ProcessTasks, ...]:
    """Return the processes of a subject: with the feature and with it off (`off_too`), in turn.

    `tasks` are all of the cell.
    """
    features = [task for task in tasks if task.channel.setting == subject.setting]
    own = [t for t in features if channel_subject(t.probe, t.channel.name) == subject.name]
    on = tuple(task for task in own if not task.control)
    controls = tuple(task for task in own if task.control) or tuple(
        dataclasses.replace(task, control=True) for task in on
    )
    off = _off_setting(subject, own or features) if off_too else ""
    soak = subject.name == soak_subject(subject.setting)
    kinds = ((subject.setting, on), (off, controls)) if off else ((subject.setting, on),)
    return tuple(
        ProcessTasks(setting, requests, repeat=number, soak=soak, counted=subject.name)
        for number in range(subject.processes)
        for setting, requests in kinds
    )


def further_count(subject: CrashSubject, captures: Sequence[ProcessCapture]) -> CrashSubject | None:
    """Return the subject with the number of processes to run further, None where it is decided.

    It is decided where the feature's are known to die more often, or no more are allowed.
    """
    more = crash_policy().most - subject.processes
    tallies = counted(captures, subject.name, subject.setting)
    if more <= 0 or tallies is None:
        return None
    on, off = tallies
    decided = on.exceeds(off) if off.count else not on.died
    return None if decided else dataclasses.replace(subject, processes=more)


def _agree(task: Task, captures: Sequence[ProcessCapture]) -> bool:
    """Return whether all processes of a channel died at its requests, or before them."""
    name = (task.probe, task.channel.name)
    own = [
        item
        for item in captures
        if _is_probe(item, task.channel.setting)
        and (
            crash_subject(item) == start_subject(task.channel.setting)
            or any((sent.probe, sent.channel) == name for sent in item.exchanges)
        )
    ]
    return len(own) >= LEAST_PROCESSES and all(map(is_killed, own))


def _is_probe(capture: ProcessCapture, setting: str) -> bool:
    return capture.purpose == "probe" and capture.setting == setting


def _off_setting(subject: CrashSubject, tasks: Sequence[Task]) -> str:
    """Return the setting of the negative control that most channels have: bare without any."""
    if not tasks:
        return _OFF if subject.setting != _OFF else ""
    controls = Counter(task.channel.control or BARE for task in tasks if not task.control)
    del controls[subject.setting]
    return controls.most_common(1)[0][0] if controls else BARE
