"""Remote configuration of a channel: push it, wait until it takes effect, undo it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from matrix.agent.server import Agent
from matrix.cells.job import Deadline, Limits
from matrix.cells.requests import ProbeClient, ProbeRequest
from matrix.cells.schedule import Task
from matrix.model.capture import AgentRequest, Push
from matrix.model.probe import RemoteConfig

CONFIG_PATH = "/v0.7/config"


class Configurator:
    """Pushes configuration to one app by its agent, and keeps every push, in order."""

    def __init__(self, agent: Agent, client: ProbeClient, limits: Limits) -> None:
        """Push by `agent` to an app that has answered the client's first request."""
        self._agent = agent
        self._client = client
        self._limits = limits
        self._started = agent.now()
        self._active: Task | None = None
        self.pushes: list[Push] = []

    def run(self, task: Task) -> None:
        """Run a channel under its configuration, which stays until `undo` or the next channel.

        The stimuli are also sent if the configuration was not acknowledged: the observation then
        is a response, not the lack of one.
        """
        self.undo()
        requests = [ProbeRequest(task, stimulus) for stimulus in task.channel.stimuli]
        if self._push(task, task.channel.configs):
            self._active = task
            self._send_until_effect(requests)
        else:
            self._client.send_all([_single_attempt(request) for request in requests])

    def undo(self) -> None:
        """Undo the configuration of the last channel."""
        task, self._active = self._active, None
        if task is not None:
            undone = [dataclasses.replace(item, content=item.undo) for item in task.channel.configs]
            self._push(task, [item for item in undone if item.content], undo=True)
            # No wait: only the files of the next channel count, or none.
            self._agent.push(())

    def _push(self, task: Task, configs: Sequence[RemoteConfig], *, undo: bool = False) -> bool:
        pushed_at = self._agent.now()
        version = self._agent.push(configs)
        acknowledged = self._wait_first_poll() and self._wait_acknowledged(version)
        seconds = self._agent.now() - pushed_at
        name = task.channel.name
        self.pushes.append(Push(task.probe, name, version, acknowledged, pushed_at, seconds, undo))
        return acknowledged

    def _wait_first_poll(self) -> bool:
        """Return whether the tracer polls for remote configuration, waiting for it if need be."""
        timeout = max(self._started + self._limits.first_poll - self._agent.now(), 0.0)
        return self._client.wait(lambda requests: _count_polls(requests) > 0, timeout)

    def _wait_acknowledged(self, version: int) -> bool:
        return self._client.wait(
            lambda _: self._agent.wait_acknowledged(version, 0.0), self._limits.acknowledge
        )

    def _send_until_effect(self, requests: Sequence[ProbeRequest]) -> None:
        """Send the stimuli, and again after each further poll, until all show or time is up.

        A tracer acknowledges a configuration that it has received, and applies it a little later.
        """
        effect = Deadline(self._limits.effect)
        pending = list(requests)
        attempt = 0
        while pending and (attempt == 0 or not effect.passed):
            sent = [(request, self._client.send(request, attempt)) for request in pending]
            self._client.wait_spans([exchange for _, exchange in sent], self._limits.span)
            pending = [
                request for request, exchange in sent if not self._client.shows(request, exchange)
            ]
            attempt += 1
            polls = _count_polls(self._agent.requests)
            if pending and not self._wait_next_poll(polls, effect.remaining()):
                break

    def _wait_next_poll(self, polls: int, timeout: float) -> bool:
        return self._client.wait(lambda requests: _count_polls(requests) > polls, timeout)


def _count_polls(requests: Sequence[AgentRequest]) -> int:
    return sum(request.path == CONFIG_PATH for request in requests)


def _single_attempt(request: ProbeRequest) -> ProbeRequest:
    return dataclasses.replace(request, stimulus=dataclasses.replace(request.stimulus, attempts=1))
