"""Answers of an app, with and without the tracer: what must be equal, and what differs by nature.

The unique segment of a request, addresses in memory, ports, dates and ids differ between any two
answers, and are left out. Where two answers of the app without the tracer still differ, only their
status and the type of their exception are compared.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from matrix.agent.observations import status_problem
from matrix.model.capture import BARE, Exchange, ProcessCapture
from matrix.model.probe import Compared, Stimulus, fill_template

LEAST_PROCESSES = 3
"""So many processes of an app that all fail are enough to say that it always does."""
_LONGEST = 120
_BY_NATURE = (
    (re.compile(r"\b0x[0-9a-fA-F]{4,}"), "0x"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?)?"), "<date>"),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b"), "<time>"),
    (re.compile(r"\b(127\.0\.0\.1|localhost)(:|', )\d+"), r"\1\2<port>"),
)
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*(?:Error|Exception|Exit|Warning|Interrupt))\b")


@dataclasses.dataclass(frozen=True)
class Answer:
    """The answer to one request: `status` is None without one, and `body` is then the error."""

    status: int | None
    body: str

    @property
    def exception(self) -> str:
        """Return the type of the exception that a server error begins with, "" without one."""
        match = _EXCEPTION.match(self.body)
        return match[1] if match else ""

    def __str__(self) -> str:
        lines = [line.strip() for line in self.body.splitlines() if line.strip()]
        text = " ".join(lines)
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        if self.status is None:
            return f"no answer ({text or 'the connection was closed'})"
        return f"{self.status} {text}".rstrip()


def answer_of(exchange: Exchange) -> Answer:
    """Return the answer to an exchange, without what differs by nature."""
    if exchange.status is None:
        return Answer(None, _normalise(exchange.error or "", exchange.shop))
    body = exchange.body
    if exchange.follow_up is not None:
        body = f"{body}\n{exchange.follow_up.status} {exchange.follow_up.body}"
    return Answer(exchange.status, _normalise(body, exchange.shop))


def _normalise(text: str, shop: str) -> str:
    text = text.replace(shop, "{shop}") if shop else text
    for pattern, replacement in _BY_NATURE:
        text = pattern.sub(replacement, text)
    return text


def bare_answers(
    processes: Iterable[ProcessCapture], probe: str, stimulus: Stimulus
) -> tuple[Answer, ...]:
    """Return the answers to a stimulus in the processes without the tracer."""
    return tuple(
        answer_of(exchange)
        for process in processes
        if process.setting == BARE
        for exchange in process.exchanges
        if exchange.probe == probe and is_sent(stimulus, exchange)
    )


def is_sent(stimulus: Stimulus, exchange: Exchange) -> bool:
    """Return whether an exchange has the stimulus, of whichever channel of its probe."""
    if (exchange.stimulus, exchange.method) != (stimulus.name, stimulus.method):
        return False
    return exchange.path == fill_template(stimulus.path, exchange.shop)


def works(stimulus: Stimulus, answers: Sequence[Answer]) -> bool:
    """Return whether all answers of the app without the tracer are those that it should give."""
    return bool(answers) and all(
        status_problem(stimulus, answer.status) is None for answer in answers
    )


def differs(stimulus: Stimulus, answer: Answer, bare: Sequence[Answer]) -> bool:
    """Return whether the answer is none that the app gives without the tracer."""
    if not stimulus.is_compared or not bare:
        return False
    statuses = {each.status for each in bare}
    if stimulus.compared is Compared.STATUS:
        return answer.status not in statuses
    if len(set(bare)) == 1:
        return answer != bare[0]
    exceptions = {(each.status, each.exception) for each in bare}
    return (answer.status, answer.exception) not in exceptions
