"""Requests to an app: stimuli with the wait for their evidence and further attempts, and a soak.

Also the remote configuration of a channel: push it, wait until it takes effect, undo it.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

from matrix.agent.observations import Traces, observe, telemetry_messages
from matrix.agent.server import Agent
from matrix.cells.client import Endpoint, HttpResponse, send_request
from matrix.cells.job import Deadline, Limits
from matrix.cells.schedule import Task
from matrix.model.capture import AgentRequest, Exchange, FollowUp, Push, Soak
from matrix.model.probe import NO_EVIDENCE, RemoteConfig, Stimulus, fill_template

USER_AGENT = "bookshop-customer/1.0"
ATTACK_AGENT = "Arachni/v1"
ATTACK_QUERY = quote("<script>alert(1)</script>")
SOAK_THREADS = 4
ALIVE_CHECK_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class ProbeRequest:
    """A stimulus to be sent for a task."""

    task: Task
    stimulus: Stimulus

    @property
    def attempts(self) -> int:
        """The number of attempts allowed; a control has one."""
        return 1 if self.task.control else self.stimulus.attempts


class ProbeClient:
    """Sends stimuli to one app and keeps every exchange, in order."""

    def __init__(
        self,
        endpoint: Endpoint,
        agent: Agent,
        limits: Limits,
        deadline: Deadline,
        *,
        alive: Callable[[], bool],
    ) -> None:
        """Send to the app at `endpoint` while it is `alive`; `agent` receives its spans."""
        self._endpoint = endpoint
        self._alive = alive
        self._agent = agent
        self._limits = limits
        self._deadline = deadline
        self._traces = Traces()
        self.exchanges: list[Exchange] = []

    def warm_up(self) -> Exchange:
        """Send the first plain request and wait for its span; some start their work only then."""
        exchange = self._exchange(Stimulus("warm-up", NO_EVIDENCE, "/{shop}/"), ("", "", ""))
        self.wait_spans([exchange], self._limits.first_span)
        return exchange

    def send_all(self, requests: Sequence[ProbeRequest]) -> list[ProbeRequest]:
        """Send all, wait for their spans, and send again those without evidence, up to `attempts`.

        All requests of a round are sent before the wait. Returns the requests without evidence.
        """
        pending = list(requests)
        attempt = 0
        while due := [request for request in pending if request.attempts > attempt]:
            if self._deadline.passed or not self._alive():
                break
            sent = [(request, self.send(request, attempt)) for request in due]
            self.wait_spans([exchange for _, exchange in sent], self._limits.span)
            shown = {id(request) for request, exchange in sent if self.shows(request, exchange)}
            pending = [request for request in pending if id(request) not in shown]
            attempt += 1
        return pending

    def wait_evidence(self, requests: Iterable[ProbeRequest]) -> None:
        """Wait for evidence that comes late, up to the `patience` of each stimulus."""
        for request in requests:
            task, stimulus = request.task, request.stimulus
            sent = (item for item in reversed(self.exchanges) if task.has_sent(item, stimulus))
            last = next(sent, None)
            if last is not None and request.stimulus.patience and self._alive():
                self.wait(self._shown_by(request, last), request.stimulus.patience)

    def _shown_by(
        self, request: ProbeRequest, exchange: Exchange
    ) -> Callable[[Sequence[AgentRequest]], bool]:
        return lambda _: self.shows(request, exchange)

    def send(self, request: ProbeRequest, attempt: int) -> Exchange:
        """Send the stimulus once."""
        task = request.task
        labels = (task.probe, task.channel.name, request.stimulus.name)
        return self._exchange(request.stimulus, labels, attempt=attempt, control=task.control)

    def shows(self, request: ProbeRequest, exchange: Exchange) -> bool:
        """Return whether the exchange shows the evidence of its stimulus by now."""
        recorded = self._agent.requests
        self._traces.update(recorded)
        observation = observe(exchange, self._traces, telemetry_messages(recorded))
        return request.stimulus.evidence.match(observation).holds

    def wait_spans(self, exchanges: Sequence[Exchange], timeout: float) -> None:
        """Wait for the root spans of those exchanges that have a response."""
        waiting = [exchange for exchange in exchanges if exchange.status is not None]

        def complete(requests: Sequence[AgentRequest]) -> bool:
            self._traces.update(requests)
            waiting[:] = [item for item in waiting if self._traces.root_of(item) is None]
            return not waiting

        self.wait(complete, timeout)

    def wait(self, condition: Callable[[Sequence[AgentRequest]], bool], timeout: float) -> bool:
        """Return whether the condition came true in time, and before the app ended."""
        wait = Deadline(self._deadline.remaining(timeout))
        while not self._agent.wait_for(condition, wait.remaining(ALIVE_CHECK_SECONDS)):
            if wait.passed or not self._alive() or self._agent.failed is not None:
                return False
        return True

    def _exchange(
        self,
        stimulus: Stimulus,
        labels: tuple[str, str, str],
        *,
        attempt: int = 0,
        control: bool = False,
    ) -> Exchange:
        shop = new_shop()
        path = fill_template(stimulus.path, shop)
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        headers |= {name: fill_template(value, shop) for name, value in stimulus.headers}
        body = fill_template(stimulus.body, shop)
        sent_at = self._agent.now()
        response = self._send(stimulus.method, path, headers, body)
        follow_up = None
        if stimulus.follow_up:
            second = fill_template(stimulus.follow_up, shop)
            after = self._send("GET", second, {"User-Agent": USER_AGENT}, "")
            follow_up = FollowUp(second, after.status, after.body)
        probe, channel, name = labels
        exchange = Exchange(
            probe=probe,
            channel=channel,
            stimulus=name,
            attempt=attempt,
            shop=shop,
            at=sent_at,
            method=stimulus.method,
            path=path,
            request_headers=headers,
            request_body=body,
            status=response.status,
            headers=response.headers,
            body=response.body,
            error=response.error,
            control=control,
            follow_up=follow_up,
        )
        self.exchanges.append(exchange)
        return exchange

    def _send(self, method: str, path: str, headers: dict[str, str], body: str) -> HttpResponse:
        timeout = self._deadline.remaining(self._limits.request)
        return send_request(
            self._endpoint, method, path, headers=headers, body=body, timeout=timeout
        )


def soak(
    endpoint: Endpoint,
    requests: int,
    limits: Limits,
    deadline: Deadline,
    *,
    alive: Callable[[int | None], bool],
) -> Soak:
    """Send plain and attack requests in turn over a few threads, then one plain request more.

    Some releases crash now and then, also after their first request succeeded. `alive` returns
    whether the process still runs after a last request with that status. Spans are not waited for.
    """
    remaining = deadline.remaining()
    with ThreadPoolExecutor(SOAK_THREADS, thread_name_prefix="soak") as pool:
        responses = list(
            pool.map(lambda n: _send_soak(endpoint, n, limits, deadline), range(requests))
        )
    last = _send_soak(endpoint, 0, limits, deadline)
    statuses = (str(r.status) for r in responses if r.status is not None)
    errors = ((r.error or "").split(":")[0] for r in responses if r.status is None)
    return Soak(
        sent=requests,
        statuses=dict(Counter(statuses)),
        errors=dict(Counter(errors)),
        benign=last.status,
        alive=alive(last.status),
        seconds=remaining - deadline.remaining(),
    )


def _send_soak(endpoint: Endpoint, number: int, limits: Limits, deadline: Deadline) -> HttpResponse:
    attack = number % 2 == 1
    query = f"?q={ATTACK_QUERY}" if attack else "?q=Emma"
    return send_request(
        endpoint,
        "GET",
        f"/{new_shop()}/search{query}",
        headers={"User-Agent": ATTACK_AGENT if attack else USER_AGENT},
        timeout=deadline.remaining(limits.request),
    )


def new_shop() -> str:
    """Return a path segment that no other request has: a `SHOP_SEGMENT`."""
    return "s" + uuid.uuid4().hex[:15]


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
        if self._push(task, task.channel.configs):
            self._active = task
            self._send_until_effect(task)
        else:
            once = [dataclasses.replace(item, attempts=1) for item in task.channel.stimuli]
            self._client.send_all([ProbeRequest(task, stimulus) for stimulus in once])

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
        first_poll = max(self._started + self._limits.first_poll - pushed_at, 0.0)
        acknowledged = self._wait_polls(0, first_poll) and self._client.wait(
            lambda _: self._agent.wait_acknowledged(version, 0.0), self._limits.acknowledge
        )
        seconds = self._agent.now() - pushed_at
        name = task.channel.name
        self.pushes.append(Push(task.probe, name, version, acknowledged, pushed_at, seconds, undo))
        return acknowledged

    def _send_until_effect(self, task: Task) -> None:
        """Send the stimuli, and again after each further poll, until all show or time is up.

        A tracer acknowledges a configuration that it has received, and applies it a little later.
        """
        effect = Deadline(self._limits.effect)
        pending = [ProbeRequest(task, stimulus) for stimulus in task.channel.stimuli]
        attempt = 0
        while pending and (attempt == 0 or not effect.passed):
            sent = [(request, self._client.send(request, attempt)) for request in pending]
            self._client.wait_spans([exchange for _, exchange in sent], self._limits.span)
            pending = [
                request for request, exchange in sent if not self._client.shows(request, exchange)
            ]
            attempt += 1
            polls = _count_polls(self._agent.requests)
            if pending and not self._wait_polls(polls, effect.remaining()):
                break

    def _wait_polls(self, polls: int, timeout: float) -> bool:
        """Return whether the tracer polls more than so many times for remote configuration."""
        return self._client.wait(lambda requests: _count_polls(requests) > polls, timeout)


def _count_polls(requests: Sequence[AgentRequest]) -> int:
    return sum(request.path == CONFIG_PATH for request in requests)
