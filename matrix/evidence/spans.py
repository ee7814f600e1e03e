"""Evidence in spans: tags and metrics of the request's root span, and spans below it."""

from __future__ import annotations

import dataclasses
import re

from matrix.model.probe import Match, Sighting, Span

__all__ = [
    "ContinuesTrace",
    "HasRootSpan",
    "MetricEquals",
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

    def look(self, sighting: Sighting) -> Match:
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

    def look(self, sighting: Sighting) -> Match:
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

    def look(self, sighting: Sighting) -> Match:
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

    def look(self, sighting: Sighting) -> Match:
        """Return whether the tag is there."""
        if sighting.root is None:
            return _NO_ROOT
        found = _value(sighting.root, self.tag)
        return Match(found is not None, _told(self.tag, found))


@dataclasses.dataclass(frozen=True)
class TagMatches:
    """The root span has a tag whose whole name matches the regular expression."""

    pattern: str

    def look(self, sighting: Sighting) -> Match:
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

    def look(self, sighting: Sighting) -> Match:
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

    def look(self, sighting: Sighting) -> Match:
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

    def look(self, sighting: Sighting) -> Match:
        """Return whether trace id and parent id are those of the request."""
        if sighting.root is None:
            return _NO_ROOT
        headers = {name.lower(): text for name, text in sighting.exchange.request_headers.items()}
        wanted = (headers.get("x-datadog-trace-id"), headers.get("x-datadog-parent-id"))
        # Spans carry the lower 64 bits of a longer trace id.
        found = (str(sighting.root.trace_id % 2**64), str(sighting.root.parent_id))
        said = f"trace {found[0]} under {found[1]}"
        return Match(found == wanted, said if found == wanted else f"{said}, not {wanted}")
