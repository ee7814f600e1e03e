"""Evidence in spans: tags and metrics of the request's root span, and spans below it.

Evidence that a library is traced: a span below the request's, or its trace in a log record.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from matrix.model.probe import Match, Observation, Span

__all__ = [
    "ContinuesTrace",
    "HasRootSpan",
    "MetricEquals",
    "RecordTellsTrace",
    "SpanBelow",
    "SpanSeen",
    "TagContains",
    "TagEquals",
    "TagExists",
    "TagMatches",
]

_NO_ROOT = Match(holds=False, said="no root span for the request")
_SHORT = 80


def _value(span: Span, tag: str) -> str | None:
    """Return a tag as text. Some releases send the status code as a metric."""
    if tag in span.meta:
        return span.meta[tag]
    if tag in span.metrics:
        return f"{span.metrics[tag]:g}"
    return None


def _quote(value: str) -> str:
    return repr(value if len(value) <= _SHORT else value[: _SHORT - 3] + "...")


def _told(tag: str, found: str | None) -> str:
    return f"no tag {tag}" if found is None else f"{tag}={_quote(found)}"


@dataclasses.dataclass(frozen=True)
class HasRootSpan:
    """The request has a web root span, marked as an error or not where `error` says so."""

    error: bool | None = None

    def look(self, sighting: Observation) -> Match:
        """Return whether the root span is there."""
        root = sighting.root
        if root is None:
            return _NO_ROOT
        said = f"root span {root.name}" + (" with error" if root.error else "")
        return Match(self.error is None or bool(root.error) == self.error, said)


@dataclasses.dataclass(frozen=True)
class TagEquals:
    """The root span has the tag, with exactly this value."""

    tag: str
    value: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the tag has the value."""
        if sighting.root is None:
            return _NO_ROOT
        found = _value(sighting.root, self.tag)
        return Match(found == self.value, _told(self.tag, found))


@dataclasses.dataclass(frozen=True)
class TagContains:
    """The root span has the tag, and the text in it."""

    tag: str
    text: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the tag contains the text."""
        if sighting.root is None:
            return _NO_ROOT
        found = _value(sighting.root, self.tag)
        if found is None:
            return Match(holds=False, said=_told(self.tag, found))
        holds = self.text in found
        tail = "" if holds else f", without {self.text!r}"
        return Match(holds, _told(self.tag, found) + tail)


@dataclasses.dataclass(frozen=True)
class TagExists:
    """The root span has the tag."""

    tag: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the tag is there."""
        if sighting.root is None:
            return _NO_ROOT
        found = _value(sighting.root, self.tag)
        return Match(found is not None, _told(self.tag, found))


@dataclasses.dataclass(frozen=True)
class TagMatches:
    """The root span has a tag whose whole name matches the regular expression."""

    pattern: str

    def look(self, sighting: Observation) -> Match:
        """Return whether such a tag is there."""
        if sighting.root is None:
            return _NO_ROOT
        names = (*sighting.root.meta, *sighting.root.metrics)
        found = sorted(name for name in names if re.fullmatch(self.pattern, name))
        return Match(bool(found), ", ".join(found) or f"no tag like {self.pattern}")


@dataclasses.dataclass(frozen=True)
class MetricEquals:
    """The root span has the metric, with this value."""

    metric: str
    value: float

    def look(self, sighting: Observation) -> Match:
        """Return whether the metric has the value."""
        if sighting.root is None:
            return _NO_ROOT
        found = sighting.root.metrics.get(self.metric)
        said = f"no metric {self.metric}" if found is None else f"{self.metric}={found:g}"
        return Match(found == self.value, said)


@dataclasses.dataclass(frozen=True)
class SpanSeen:
    """The trace has a span of this type, name (regular expressions) and resource text.

    `error` asks for the span's error mark, and with it for `error.type` and a stack trace. Timing
    is always asked for: a duration above zero.
    """

    type: str = ".*"
    name: str = ".*"
    resource: str = ""
    error: bool = False

    def look(self, sighting: Observation) -> Match:
        """Return whether such a span is in the trace."""
        wanted = " ".join(
            [
                f"type {self.type}",
                f"name {self.name}",
                *([f"on {self.resource!r}"] * bool(self.resource)),
            ]
        )
        for span in sighting.spans:
            if not (re.fullmatch(self.type, span.type) and re.fullmatch(self.name, span.name)):
                continue
            if self.resource.lower() not in span.resource.lower() or span.duration <= 0:
                continue
            if self.error and not (span.error and _has_stack(span)):
                continue
            kind = span.meta.get("error.type", "")
            tail = f", {kind} with stack trace" if self.error else ""
            return Match(holds=True, said=f"span {span.name} {_quote(span.resource)}{tail}")
        seen = sorted({f"{span.name} ({span.type or '-'})" for span in sighting.spans})
        error = " with an error" if self.error else ""
        return Match(
            holds=False, said=f"no span of {wanted}{error} among {', '.join(seen) or 'no spans'}"
        )


def _has_stack(span: Span) -> bool:
    return "error.type" in span.meta and "error.stack" in span.meta


@dataclasses.dataclass(frozen=True)
class ContinuesTrace:
    """The root span takes up the trace that the request's `x-datadog-*` headers name."""

    def look(self, sighting: Observation) -> Match:
        """Return whether trace id and parent id are those of the request."""
        if sighting.root is None:
            return _NO_ROOT
        headers = {name.lower(): text for name, text in sighting.exchange.request_headers.items()}
        wanted = (headers.get("x-datadog-trace-id"), headers.get("x-datadog-parent-id"))
        # Spans carry the lower 64 bits of a longer trace id.
        found = (str(sighting.root.trace_id % 2**64), str(sighting.root.parent_id))
        said = f"trace {found[0]} under {found[1]}"
        return Match(found == wanted, said if found == wanted else f"{said}, not {wanted}")


_LIBRARIES_SHORT = 80
_HALF = 2**64


def _tag(span: Span, name: str) -> str | None:
    if name in span.meta:
        return span.meta[name]
    return f"{span.metrics[name]:g}" if name in span.metrics else None


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= _LIBRARIES_SHORT else f"{flat[: _LIBRARIES_SHORT - 3]}...")


@dataclasses.dataclass(frozen=True)
class SpanBelow:
    """Below the request's root span there is one of the library, with a duration above zero.

    All but `component` and `error` are shell globs: any of `names` (none for any name), and all of
    the rest. A span's component is looked at where it has one: the tag came with 1.8. `error` asks
    for the error mark, its type and a stack trace. `own` is for a span in a trace of its own, whose
    resource names the request.
    """

    names: tuple[str, ...] = ()
    component: str = ""
    resource: str = "*"
    type: str = "*"
    tags: tuple[tuple[str, str], ...] = ()
    error: bool = False
    own: bool = False

    def look(self, sighting: Observation) -> Match:
        """Return whether such a span is in the trace."""
        if sighting.root is None:
            return Match(holds=False, said="no root span for the request")
        below = [span for span in sighting.spans if span is not sighting.root]
        if self.own:
            below = [span for span in sighting.elsewhere if self._is_mine(span)]
        mine = [span for span in below if self._is_mine(span)]
        for span in mine:
            if not (lacks := self._lacks(span)):
                told = "".join(
                    f", {name}={_short(_tag(span, name) or '')}" for name, _ in self.tags
                )
                return Match(holds=True, said=f"span {span.name} {_short(span.resource)}{told}")
        if mine:
            return Match(holds=False, said=f"span {mine[0].name} {', '.join(lacks)}")
        seen = ", ".join(sorted({_called(span) for span in below})) or "nothing"
        return Match(holds=False, said=f"no span {self._wanted()} below the request's, only {seen}")

    def _wanted(self) -> str:
        named = " or ".join(self.names)
        return " ".join(filter(None, (named, self.component and f"of {self.component}")))

    def _is_mine(self, span: Span) -> bool:
        named = not self.names or any(fnmatchcase(span.name, name) for name in self.names)
        component = span.meta.get("component")
        return named and (not self.component or component in (None, self.component))

    def _lacks(self, span: Span) -> list[str]:
        found = []
        if span.duration <= 0:
            found.append("has no duration")
        if not fnmatchcase(span.resource, self.resource):
            found.append(f"is on {_short(span.resource)}, not {self.resource}")
        if not fnmatchcase(span.type, self.type):
            found.append(f"is of type {span.type or '-'}, not {self.type}")
        for name, wanted in self.tags:
            value = _tag(span, name)
            if value is None:
                found.append(f"has no tag {name}")
            elif not fnmatchcase(value, wanted):
                found.append(f"has {name}={_short(value)}, not {wanted}")
        if self.error:
            found += _no_error(span)
        return found


def _called(span: Span) -> str:
    """Return a span's name, and whose it is: two integrations may call theirs alike."""
    component = span.meta.get("component")
    return f"{span.name} of {component}" if component else span.name


def _no_error(span: Span) -> Iterable[str]:
    if not span.error:
        yield "has no error mark"
    for name in ("error.type", "error.stack"):
        if not span.meta.get(name):
            yield f"has no {name}"


@dataclasses.dataclass(frozen=True)
class RecordTellsTrace:
    """The answer is a JSON object, the log record, which names the request's trace under `key`.

    As a decimal number of its lower 64 bits, or as 32 hexadecimal digits of all.
    """

    key: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the record names the trace."""
        try:
            record = json.loads(sighting.exchange.body)
        except ValueError:
            record = None
        told = record.get(self.key) if isinstance(record, dict) else None
        if not told:
            return Match(holds=False, said=f"a log record without {self.key}")
        if sighting.root is None:
            return Match(holds=False, said=f"a log record with {self.key}={told}, and no root span")
        holds = _number(str(told)) == sighting.root.trace_id % _HALF
        said = f"a log record with {self.key}={told}"
        return Match(holds, said if holds else f"{said}, not {sighting.root.trace_id % _HALF}")


def _number(text: str) -> int | None:
    if re.fullmatch(r"[0-9a-f]{32}", text):
        return int(text, 16) % _HALF
    return int(text) % _HALF if re.fullmatch(r"\d{1,40}", text) else None
