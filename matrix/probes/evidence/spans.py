"""Evidence in spans: those of the request's trace, and the trace named by a log record."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

from matrix.model.probe import Match, Observation, Span

_NO_ROOT = Match(holds=False, text="no root span for the request")
_MAX_QUOTED = 80
_LOWER_64_BITS = 2**64
# In nanoseconds: some tracers take the start and the duration of a span from different clocks.
_CLOCK_STEP = 10_000_000


@dataclasses.dataclass(frozen=True)
class HasRootSpan:
    """The request has a web root span; `error` is its error mark, None for either."""

    error: bool | None = None

    def match(self, observation: Observation) -> Match:
        """Return whether there is such a root span."""
        root = observation.root
        if root is None:
            return _NO_ROOT
        text = f"root span {root.name}" + (" with error" if root.error else "")
        return Match(self.error is None or bool(root.error) == self.error, text)


@dataclasses.dataclass(frozen=True)
class TagEquals:
    """The root span has the tag with exactly this value; see `Observation.entries`."""

    tag: str
    value: str

    def match(self, observation: Observation) -> Match:
        """Return whether the tag has the value."""
        if observation.root is None:
            return _NO_ROOT
        value = _entry_value(observation, self.tag)
        return Match(value == self.value, _format_tag(self.tag, value))


@dataclasses.dataclass(frozen=True)
class TagContains:
    """The root span has the tag, and its value contains the text; see `Observation.entries`."""

    tag: str
    text: str

    def match(self, observation: Observation) -> Match:
        """Return whether the tag contains the text."""
        if observation.root is None:
            return _NO_ROOT
        value = _entry_value(observation, self.tag)
        formatted = _format_tag(self.tag, value)
        if value is None or self.text in value:
            return Match(value is not None, formatted)
        return Match(holds=False, text=f"{formatted}, without {self.text!r}")


@dataclasses.dataclass(frozen=True)
class TagExists:
    """The root span has the tag; see `Observation.entries`."""

    tag: str

    def match(self, observation: Observation) -> Match:
        """Return whether the tag exists."""
        if observation.root is None:
            return _NO_ROOT
        value = _entry_value(observation, self.tag)
        return Match(value is not None, _format_tag(self.tag, value))


@dataclasses.dataclass(frozen=True)
class SpanSeen:
    """The trace has a span of this type and name, with this text in its resource.

    `type` and `name` are regular expressions. `error` requires the span's error mark, its
    `error.type` and a stack trace. A duration above zero is always required.
    """

    type: str = ".*"
    name: str = ".*"
    resource: str = ""
    error: bool = False

    def match(self, observation: Observation) -> Match:
        """Return whether such a span is in the trace."""
        for span in observation.spans:
            if not (re.fullmatch(self.type, span.type) and re.fullmatch(self.name, span.name)):
                continue
            if self.resource.lower() not in span.resource.lower() or span.duration <= 0:
                continue
            if self.error and not (
                span.error and {"error.type", "error.stack"} <= span.meta.keys()
            ):
                continue
            kind = span.meta.get("error.type", "")
            suffix = f", {kind} with stack trace" if self.error else ""
            return Match(holds=True, text=f"span {span.name} {_quote(span.resource)}{suffix}")
        resource = f" on {self.resource!r}" if self.resource else ""
        error = " with an error" if self.error else ""
        others = sorted({f"{span.name} ({span.type or '-'})" for span in observation.spans})
        return Match(
            holds=False,
            text=f"no span of type {self.type} name {self.name}{resource}{error}"
            f" among {', '.join(others) or 'no spans'}",
        )


@dataclasses.dataclass(frozen=True)
class ContinuesTrace:
    """The root span continues the trace of the request's `x-datadog-*` headers."""

    def match(self, observation: Observation) -> Match:
        """Return whether trace id and parent id are those of the request."""
        if observation.root is None:
            return _NO_ROOT
        request_headers = observation.exchange.request_headers
        headers = {name.lower(): value for name, value in request_headers.items()}
        expected = (headers.get("x-datadog-trace-id"), headers.get("x-datadog-parent-id"))
        # Headers carry the lower 64 bits of a longer trace id.
        trace_id, parent_id = observation.root.trace_id % _LOWER_64_BITS, observation.root.parent_id
        text = f"trace {trace_id} under {parent_id}"
        holds = (str(trace_id), str(parent_id)) == expected
        return Match(holds, text if holds else f"{text}, not {expected}")


@dataclasses.dataclass(frozen=True)
class SpanBelow:
    """The trace has a span of a library below the request's, with a duration above zero.

    All fields but `component` and `error` are shell globs: any of `names` (any name where there are
    none), and all of the others. A span without a component may be of any: the tag came with
    1.8. `error` requires the error mark, its type and a stack trace. `own` is for a span in a trace
    of its own, whose resource names the request. `without` is a text that must be nowhere in
    resource and tags. `timed` requires a time within the request's, of `at_least` seconds.
    """

    names: tuple[str, ...] = ()
    component: str = ""
    resource: str = "*"
    type: str = "*"
    tags: tuple[tuple[str, str], ...] = ()
    error: bool = False
    own: bool = False
    without: str = ""
    timed: bool = False
    at_least: float = 0.0

    def match(self, observation: Observation) -> Match:
        """Return whether such a span is in the trace."""
        if observation.root is None:
            return _NO_ROOT
        below = [span for span in observation.spans if span is not observation.root]
        if self.own:
            below = [span for span in observation.elsewhere if self._is_of_library(span)]
        candidates = [span for span in below if self._is_of_library(span)]
        for span in candidates:
            if not (problems := self._problems(span, observation.root)):
                tags = "".join(
                    f", {name}={_quote_line(_tag_value(span, name) or '')}" for name, _ in self.tags
                )
                text = f"span {span.name} {_quote_line(span.resource)}{tags}{self._more()}"
                return Match(holds=True, text=text)
        if candidates:
            return Match(holds=False, text=f"span {candidates[0].name} {', '.join(problems)}")
        names = " or ".join(self.names)
        expected = " ".join(filter(None, (names, self.component and f"of {self.component}")))
        others = ", ".join(sorted({_name_with_component(span) for span in below})) or "nothing"
        return Match(holds=False, text=f"no span {expected} below the request's, only {others}")

    def _is_of_library(self, span: Span) -> bool:
        named = not self.names or any(fnmatchcase(span.name, name) for name in self.names)
        component = span.meta.get("component")
        return named and (not self.component or component in (None, self.component))

    def _more(self) -> str:
        """Return what is said of a span that has all that is required."""
        more = f", without {self.without!r}" if self.without else ""
        if self.timed:
            more += ", of a time within the request's"
        return more + (f" and at least {self.at_least:g} s" if self.at_least else "")

    def _problems(self, span: Span, root: Span) -> list[str]:
        problems = []
        if span.duration <= 0:
            problems.append("has no duration")
        if not fnmatchcase(span.resource, self.resource):
            problems.append(f"is on {_quote_line(span.resource)}, not {self.resource}")
        if not fnmatchcase(span.type, self.type):
            problems.append(f"is of type {span.type or '-'}, not {self.type}")
        for name, glob in self.tags:
            value = _tag_value(span, name)
            if value is None:
                problems.append(f"has no tag {name}")
            elif not fnmatchcase(value, glob):
                problems.append(f"has {name}={_quote_line(value)}, not {glob}")
        if self.error:
            problems += _missing_error(span)
        if self.without:
            problems += _leaks(span, self.without)
        if self.timed:
            problems += _wrong_times(span, root, self.at_least)
        return problems


@dataclasses.dataclass(frozen=True)
class RecordTellsTrace:
    """The response is a log record as a JSON object that names the request's trace under `key`.

    The trace id is a decimal number of its lower 64 bits, or 32 hexadecimal digits.
    """

    key: str

    def match(self, observation: Observation) -> Match:
        """Return whether the record names the trace."""
        try:
            record = json.loads(observation.exchange.body)
        except ValueError:
            record = None
        value = record.get(self.key) if isinstance(record, dict) else None
        if not value:
            return Match(holds=False, text=f"a log record without {self.key}")
        text = f"a log record with {self.key}={value}"
        if observation.root is None:
            return Match(holds=False, text=f"{text}, and no root span")
        trace_id = observation.root.trace_id % _LOWER_64_BITS
        holds = _parse_trace_id(str(value)) == trace_id
        return Match(holds, text if holds else f"{text}, not {trace_id}")


def _entry_value(observation: Observation, tag: str) -> str | None:
    """Return a tag of the first span that has it of those that stand for the request."""
    values = (_tag_value(span, tag) for span in observation.entries)
    return next((value for value in values if value is not None), None)


def _tag_value(span: Span, tag: str) -> str | None:
    """Return a tag as text; some releases send the status code as a metric."""
    if tag in span.meta:
        return span.meta[tag]
    return f"{span.metrics[tag]:g}" if tag in span.metrics else None


def _format_tag(tag: str, value: str | None) -> str:
    return f"no tag {tag}" if value is None else f"{tag}={_quote(value)}"


def _quote(value: str) -> str:
    return repr(value if len(value) <= _MAX_QUOTED else value[: _MAX_QUOTED - 3] + "...")


def _quote_line(text: str) -> str:
    return _quote(" ".join(text.split()))


def _name_with_component(span: Span) -> str:
    """Return a span's name with its component: two integrations may use one name."""
    component = span.meta.get("component")
    return f"{span.name} of {component}" if component else span.name


def _leaks(span: Span, text: str) -> Iterator[str]:
    for name, value in [("its resource", span.resource), *span.meta.items()]:
        if text.lower() in str(value).lower():
            yield f"has {text!r} in {name}: {_quote_line(str(value))}"


def _wrong_times(span: Span, root: Span, at_least: float) -> Iterator[str]:
    if span.start < root.start - _CLOCK_STEP:
        yield f"starts {(root.start - span.start) / 1e6:.1f} ms before the request"
    end, root_end = span.start + span.duration, root.start + root.duration
    if end > root_end + _CLOCK_STEP:
        yield f"ends {(end - root_end) / 1e6:.1f} ms after the request"
    if span.duration < at_least * 1e9:
        yield f"has a duration of {span.duration / 1e6:.1f} ms, not {at_least * 1e3:g} ms"


def _missing_error(span: Span) -> Iterator[str]:
    if not span.error:
        yield "has no error mark"
    for name in ("error.type", "error.stack"):
        if not span.meta.get(name):
            yield f"has no {name}"


def _parse_trace_id(text: str) -> int | None:
    if re.fullmatch(r"[0-9a-f]{32}", text):
        return int(text, 16) % _LOWER_64_BITS
    return int(text) % _LOWER_64_BITS if re.fullmatch(r"\d{1,40}", text) else None
