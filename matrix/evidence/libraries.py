"""Evidence that a library is traced: a span below the request's, or its trace in a log record."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from matrix.model.probe import Match, Sighting, Span

__all__ = ["RecordTellsTrace", "SpanBelow"]

_SHORT = 80
_HALF = 2**64


def _tag(span: Span, name: str) -> str | None:
    if name in span.meta:
        return span.meta[name]
    return f"{span.metrics[name]:g}" if name in span.metrics else None


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= _SHORT else f"{flat[: _SHORT - 3]}...")


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

    def look(self, sighting: Sighting) -> Match:
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

    def look(self, sighting: Sighting) -> Match:
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
