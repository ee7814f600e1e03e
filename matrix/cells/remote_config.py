"""Remote configuration of a channel: push it, wait until it is taken over and works, undo it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from matrix.agent.server import Agent
from matrix.cells.job import Deadline, Limits
from matrix.cells.requests import ProbeClient, ProbeRequest
from matrix.cells.schedule import Task
from matrix.model.capture import AgentRequest, Push
from matrix.model.probe import RemoteConfig

__all__ = ["Configurator"]

CONFIG_PATH = "/v0.7/config"


class Configurator:
    """Pushes to one app by its agent and keeps every push, in order."""

    def __init__(self, agent: Agent, customer: ProbeClient, limits: Limits) -> None:
        """Push by `agent`, to an app that has served the customer's first request."""
        self._agent = agent
        self._customer = customer
        self._limits = limits
        self._since = agent.now()
        self._standing: Task | None = None
        self.pushes: list[Push] = []

    def serve(self, task: Task) -> None:
        """Run a channel under its configuration, which stands until `undo` or the next channel.

        The stimuli are also sent where nothing was acknowledged: what the client gets is told by
        an answer, not by the want of one.
        """
        self.undo()
        visits = [ProbeRequest(task, stimulus) for stimulus in task.channel.stimuli]
        if self._push(task, task.channel.configs):
            self._standing = task
            self._until_effect(visits)
        else:
            self._customer.serve([_once(visit) for visit in visits])

    def undo(self) -> None:
        """Take back what stands."""
        task, self._standing = self._standing, None
        if task is not None:
            undone = [dataclasses.replace(item, content=item.undo) for item in task.channel.configs]
            self._push(task, [item for item in undone if item.content], undo=True)
            # No need to wait: the next channel's set of files, or none, is all that counts.
            self._agent.push(())

    def _push(self, task: Task, configs: Sequence[RemoteConfig], *, undo: bool = False) -> bool:
        at = self._agent.now()
        version = self._agent.push(configs)
        acknowledged = self._polls() and self._acknowledged(version)
        seconds = self._agent.now() - at
        name = task.channel.name
        self.pushes.append(Push(task.probe, name, version, acknowledged, at, seconds, undo))
        return acknowledged

    def _polls(self) -> bool:
        """Return whether the tracer asks for remote configuration, if need be after a while."""
        patience = max(self._since + self._limits.first_poll - self._agent.now(), 0.0)
        return self._customer.wait(lambda requests: _polls_in(requests) > 0, patience)

    def _acknowledged(self, version: int) -> bool:
        return self._customer.wait(
            lambda _: self._agent.wait_acknowledged(version, 0.0), self._limits.acknowledge
        )

    def _until_effect(self, visits: Sequence[ProbeRequest]) -> None:
        """Send the stimuli, and after each further poll again, until all show or time is up.

        A client acknowledges what it has received, and applies it a little later.
        """
        effect = Deadline(self._limits.effect)
        pending = list(visits)
        attempt = 0
        while pending and (attempt == 0 or not effect.passed):
            sent = [(visit, self._customer.visit(visit, attempt)) for visit in pending]
            self._customer.wait_spans([exchange for _, exchange in sent], self._limits.span)
            pending = [
                visit for visit, exchange in sent if not self._customer.shows(visit, exchange)
            ]
            attempt += 1
            before = _polls_in(self._agent.requests)
            if pending and not self._next_poll(before, effect.left()):
                break

    def _next_poll(self, before: int, timeout: float) -> bool:
        return self._customer.wait(lambda requests: _polls_in(requests) > before, timeout)


def _polls_in(requests: Sequence[AgentRequest]) -> int:
    return sum(request.path == CONFIG_PATH for request in requests)


def _once(visit: ProbeRequest) -> ProbeRequest:
    return dataclasses.replace(visit, stimulus=dataclasses.replace(visit.stimulus, attempts=1))
