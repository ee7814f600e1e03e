"""Stimuli to exchanges: send, wait for the spans, look, try again where it may have been missed."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterable, Sequence

from matrix.agent.observations import observe, telemetry_messages
from matrix.agent.server import Agent
from matrix.agent.traces import Traces
from matrix.cells import client
from matrix.cells.client import Endpoint
from matrix.cells.job import Deadline, Limits
from matrix.cells.schedule import Task
from matrix.model.capture import AgentRequest, Exchange, FollowUp
from matrix.model.probe import Match, Stimulus

__all__ = ["ProbeClient", "ProbeRequest", "new_shop"]

USER_AGENT = "bookshop-customer/1.0"
LIFE_SIGN_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class ProbeRequest:
    """A stimulus to be sent for a task."""

    task: Task
    stimulus: Stimulus

    @property
    def attempts(self) -> int:
        """How often it may be sent; a control is sent once."""
        return 1 if self.task.control else self.stimulus.attempts


class ProbeClient:
    """Sends stimuli to one app and keeps every exchange, in order."""

    def __init__(
        self,
        door: Endpoint,
        agent: Agent,
        limits: Limits,
        deadline: Deadline,
        *,
        alive: Callable[[], bool],
    ) -> None:
        """Talk to the app behind `door` while it is `alive`, and look at what `agent` is told."""
        self._door = door
        self._alive = alive
        self._agent = agent
        self._limits = limits
        self._deadline = deadline
        self._traces = Traces()
        self.exchanges: list[Exchange] = []

    def warm_up(self) -> Exchange:
        """Send the first plain request and wait for its span; some start their work only then."""
        exchange = self._exchange(Stimulus("warm-up", _NOTHING, "/{shop}/"), ("", "", ""))
        self.wait_spans([exchange], self._limits.first_span)
        return exchange

    def serve(self, visits: Sequence[ProbeRequest]) -> list[ProbeRequest]:
        """Send all, wait for their spans, and send again those without evidence, up to `attempts`.

        All of a round are sent before any is waited for. Returns the visits without evidence.
        """
        pending = list(visits)
        attempt = 0
        while due := [visit for visit in pending if visit.attempts > attempt]:
            if self._deadline.passed or not self._alive():
                break
            sent = [(visit, self.visit(visit, attempt)) for visit in due]
            self.wait_spans([exchange for _, exchange in sent], self._limits.span)
            shown = {id(visit) for visit, exchange in sent if self.shows(visit, exchange)}
            pending = [visit for visit in pending if id(visit) not in shown]
            attempt += 1
        return pending

    def wait_evidence(self, visits: Iterable[ProbeRequest]) -> None:
        """Wait, as long as its patience, for evidence that comes on its own time."""
        for visit in visits:
            last = next((item for item in reversed(self.exchanges) if _is_of(item, visit)), None)
            if last is not None and visit.stimulus.patience and self._alive():
                self.wait(self._showing(visit, last), visit.stimulus.patience)

    def _showing(
        self, visit: ProbeRequest, exchange: Exchange
    ) -> Callable[[Sequence[AgentRequest]], bool]:
        return lambda _: self.shows(visit, exchange)

    def visit(self, visit: ProbeRequest, attempt: int) -> Exchange:
        """Send the stimulus once."""
        task = visit.task
        labels = (task.probe, task.channel.name, visit.stimulus.name)
        return self._exchange(visit.stimulus, labels, attempt=attempt, control=task.control)

    def shows(self, visit: ProbeRequest, exchange: Exchange) -> bool:
        """Return whether the evidence of the stimulus shows for the exchange by now."""
        requests = self._agent.requests
        self._traces.update(requests)
        sighting = observe(exchange, self._traces, telemetry_messages(requests))
        return visit.stimulus.evidence.match(sighting).holds

    def wait_spans(self, exchanges: Sequence[Exchange], timeout: float) -> None:
        """Wait for the root spans of those exchanges that were answered."""
        waiting = [exchange for exchange in exchanges if exchange.status is not None]

        def told(requests: Sequence[AgentRequest]) -> bool:
            self._traces.update(requests)
            waiting[:] = [item for item in waiting if self._traces.root_of(item) is None]
            return not waiting

        self.wait(told, timeout)

    def wait(self, condition: Callable[[Sequence[AgentRequest]], bool], timeout: float) -> bool:
        """Return whether the condition came true in time; the dead are not waited for."""
        wait = Deadline(self._deadline.left(timeout))
        while not self._agent.wait_for(condition, wait.left(LIFE_SIGN_SECONDS)):
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
        path = _filled(stimulus.path, shop)
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        headers |= {name: _filled(value, shop) for name, value in stimulus.headers}
        body = _filled(stimulus.body, shop)
        at = self._agent.now()
        answer = self._send(stimulus.method, path, headers, body)
        follow_up = None
        if stimulus.follow_up:
            second = _filled(stimulus.follow_up, shop)
            after = self._send("GET", second, {"User-Agent": USER_AGENT}, "")
            follow_up = FollowUp(second, after.status, after.body)
        probe, channel, name = labels
        exchange = Exchange(
            probe=probe,
            channel=channel,
            stimulus=name,
            attempt=attempt,
            shop=shop,
            at=at,
            method=stimulus.method,
            path=path,
            request_headers=headers,
            request_body=body,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            error=answer.error,
            control=control,
            follow_up=follow_up,
        )
        self.exchanges.append(exchange)
        return exchange

    def _send(
        self, method: str, path: str, headers: dict[str, str], body: str
    ) -> client.HttpResponse:
        timeout = self._deadline.left(self._limits.request)
        return client.send(self._door, method, path, headers=headers, body=body, timeout=timeout)


class _Nothing:
    def match(self, observation: object) -> Match:  # noqa: ARG002 - the protocol's parameter
        return Match(holds=True, text="nothing is asked for")


_NOTHING = _Nothing()


def new_shop() -> str:
    """Return a path segment that no other request has (see `matrix.observing.traces.SHOP`)."""
    return "s" + uuid.uuid4().hex[:15]


def _filled(template: str, shop: str) -> str:
    return template.replace("{shop}", shop).replace("{number}", str(int(shop[1:], 16) + 1))


def _is_of(exchange: Exchange, visit: ProbeRequest) -> bool:
    task = visit.task
    return (exchange.probe, exchange.channel, exchange.stimulus, exchange.control) == (
        task.probe,
        task.channel.name,
        visit.stimulus.name,
        task.control,
    )
