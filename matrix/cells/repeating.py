"""Which channels have to be tried again before their failure counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matrix.cells.schedule import Task
from matrix.model.capture import ProcessCapture
from matrix.model.probe import Sighting
from matrix.observing import liveness, sightings, why_no_control

__all__ = ["failed_tasks"]


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
        for sighting in sightings(capture)
    ]
    return tuple(task for task in tasks if not _good(task, seen))


def _good(task: Task, seen: Sequence[tuple[ProcessCapture, Sighting]]) -> bool:
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
            shown.append(any(stimulus.evidence.look(item).holds for _, item in tried))
            answered.append(any(why_no_control(*each, stimulus) is None for each in tried))
    return all(answered) and not all(shown) if task.control else all(shown)
