"""Probes: their requirements, their requests, and their evidence.

A probe is data. `matrix.cells` sends its requests and `matrix.judging` applies its evidence;
neither knows any capability. Paths are templates: `{shop}` becomes a segment that no other request
of the cell has, which identifies its spans.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from matrix.model.capture import Exchange


@dataclasses.dataclass(frozen=True)
class Span:
    """One span as the tracer sent it; `meta_struct` values are decoded from msgpack."""

    name: str
    service: str
    resource: str
    type: str
    trace_id: int
    span_id: int
    parent_id: int
    error: int
    start: int
    duration: int
    meta: Mapping[str, str]
    metrics: Mapping[str, float]
    meta_struct: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Observation:
    """Everything that one request caused: the exchange, its trace, and the telemetry so far.

    `root` is the web span of the request (the top span of the trace within the app), None where the
    request has no span. `spans` are all spans of that trace. `telemetry` are the telemetry
    payloads of the process. `elsewhere` are spans of other traces that name the request in their
    resource.
    """

    exchange: Exchange
    root: Span | None
    spans: Sequence[Span]
    telemetry: Sequence[Mapping[str, Any]]
    elsewhere: Sequence[Span] = ()

    @property
    def entries(self) -> tuple[Span, ...]:
        """The spans that stand for the request: the root, and in a function those below it, too.

        There the root is the gateway's, inferred from the event, with that of the function and that
        of the web framework below; which of them gets the tags of a request changed with releases.
        """
        if self.root is None:
            return ()
        kinds = {span.type for span in self.spans}
        if "serverless" not in kinds:
            return (self.root,)
        below = (span for span in self.spans if span is not self.root)
        return (self.root, *(span for span in below if span.type in {"web", "serverless"}))


@dataclasses.dataclass(frozen=True)
class Match:
    """The result of applying evidence, and a clause that says what was or was not observed.

    `clauses` are the parts of the text where it has several, each of which can stand alone.
    """

    holds: bool
    text: str
    clauses: tuple[str, ...] = ()


class Evidence(Protocol):
    """A pure predicate over an observation."""

    def match(self, observation: Observation) -> Match:
        """Return whether `observation` has the evidence."""
        ...


@dataclasses.dataclass(frozen=True, init=False)
class AllOf:
    """Every part holds; the text has the parts that do not, or else all of them."""

    parts: tuple[Evidence, ...]

    def __init__(self, *parts: Evidence) -> None:
        object.__setattr__(self, "parts", parts)

    def match(self, observation: Observation) -> Match:
        """Return whether all parts hold."""
        matches = [part.match(observation) for part in self.parts]
        missing = [match for match in matches if not match.holds]
        clauses: list[str] = []
        for match in missing or matches:
            clauses += match.clauses or (match.text,)
        return Match(holds=not missing, text="; ".join(clauses), clauses=tuple(clauses))


@dataclasses.dataclass(frozen=True)
class NoEvidence:
    """The evidence of a request whose answer alone is compared."""

    def match(self, observation: Observation) -> Match:  # noqa: ARG002 - the protocol's parameter
        """Return a match, whatever was observed."""
        return Match(holds=True, text="no evidence is required")


NO_EVIDENCE = NoEvidence()


class Compared(str, enum.Enum):
    """The part of an answer that must be the same as that of the app without the tracer.

    STATUS is for answers whose body tells what the tracer does, by design.
    """

    NOTHING = "nothing"
    STATUS = "status"
    ANSWER = "answer"


@dataclasses.dataclass(frozen=True)
class Stimulus:
    """One HTTP request. `attempts` is how often it is sent, at most, until its evidence shows.

    `path`, `headers` and `body` are templates: `{shop}` is the unique segment, `{number}` a unique
    decimal number below 2**63. `follow_up` is the path of a GET that is sent after the answer, for
    effects that only a second request shows; its answer is a part of the exchange. `patience` is
    how many seconds to wait for evidence that comes later (telemetry). `plain` is the status of the
    app's own answer, which a control must have; None is for requests with several possible answers
    while the capability is off: then any answer but a server error (5xx) is accepted. `compared` is
    what the tracer must not change in any answer, whatever it observes.
    """

    name: str
    evidence: Evidence
    path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    attempts: int = 3
    decisive: bool = True
    follow_up: str = ""
    patience: float = 0.0
    plain: int | None = None
    compared: Compared = Compared.NOTHING

    @property
    def is_compared(self) -> bool:
        """Return whether any part of an answer must be as it is without the tracer."""
        return self.compared is not Compared.NOTHING


@dataclasses.dataclass(frozen=True)
class RemoteConfig:
    """One remote-configuration file; `content` is its JSON document.

    `undo` is the content that reverts the effect, served before the file is removed: in some
    releases removing it does not revert the effect.
    """

    product: str
    config_id: str
    content: Mapping[str, Any]
    undo: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Channel:
    """One way to enable the capability, and the stimuli that show it.

    The app runs under `setting` (see `data/settings.toml`); the same stimuli go to an app under
    `control`, without `configs`, and must show nothing there. A control that is the setting itself
    is sent before the configs are pushed; None is for a channel that cannot be disabled. `configs`
    are pushed by remote configuration and acknowledged before the stimuli are sent, and withdrawn
    after them. The channel shows the capability when every decisive stimulus shows its evidence.
    Without `documented`, its switches are experimental, or force what a release has off: it is a
    remark. Without `claimed`, no claim is about it: it runs where `minimum` asks for it, and one
    that is not documented beside a claimed one that shows nothing. Without `soaked`, a crash in the
    soak of its setting does not count against it, because it is about something else than the
    feature that the setting enables.
    """

    name: str
    setting: str
    stimuli: tuple[Stimulus, ...]
    control: str | None = "off"
    configs: tuple[RemoteConfig, ...] = ()
    documented: bool = True
    claimed: bool = True
    soaked: bool = True


@dataclasses.dataclass(frozen=True)
class Probe:
    """The experiment of a capability. It runs in `frameworks`, or without any in all sample apps.

    `services` are the back ends that its app needs, by name (`data/services/`).
    """

    name: str
    title: str
    channels: tuple[Channel, ...]
    frameworks: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def runs_in(self, framework: str) -> bool:
        """Return whether it can run in the app of a framework."""
        return not self.frameworks or framework in self.frameworks


def fill_template(template: str, shop: str) -> str:
    """Return a template of a stimulus for a request with the unique segment `shop`."""
    return template.replace("{shop}", shop).replace("{number}", str(int(shop[1:], 16) + 1))
