"""Evidence of the security library: triggers of rules, and schemas of requests.

Evidence of the runtime code analysis (IAST): vulnerabilities in its report.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from matrix.model.probe import Match, Observation, Span

__all__ = ["SchemaReported", "Triggered", "VulnerabilityReported"]


def _reports(span: Span) -> Iterator[Mapping[str, Any]]:
    """Yield the reports: JSON in a tag, from 3.0 on a structure beside the tags."""
    text = span.meta.get("_dd.appsec.json")
    if text is not None:
        try:
            report = json.loads(text)
        except ValueError:
            report = None
        if isinstance(report, dict):
            yield report
    structure = span.meta_struct.get("appsec")
    if isinstance(structure, dict):
        yield structure


def _matches(trigger: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the address and the value of each match of a trigger."""
    for match in trigger.get("rule_matches") or ():
        for parameter in match.get("parameters") or ():
            if "address" in parameter:
                yield str(parameter["address"]), str(parameter.get("value", ""))
            for part in parameter.values():
                if isinstance(part, dict) and "address" in part:
                    yield str(part["address"]), str(part.get("value", ""))


@dataclasses.dataclass(frozen=True)
class Triggered:
    """A rule triggered: its id starts with `rule`, at the address, on a value with the text."""

    rule: str = ""
    address: str = ""
    value: str = ""

    def look(self, sighting: Observation) -> Match:
        """Return whether such a trigger is reported anywhere in the trace."""
        seen: list[str] = []
        for span in sighting.spans:
            for report in _reports(span):
                for trigger in report.get("triggers") or ():
                    rule = str((trigger.get("rule") or {}).get("id", ""))
                    for address, value in _matches(trigger):
                        seen.append(f"{rule} at {address}")
                        if (
                            rule.startswith(self.rule)
                            and address.startswith(self.address)
                            and self.value in value
                        ):
                            return Match(holds=True, said=f"rule {rule} triggered at {address}")
        if seen:
            return Match(holds=False, said=f"only other rules triggered: {', '.join(seen)}")
        if sighting.root is None:
            return Match(holds=False, said="no root span for the request")
        return Match(holds=False, said="no rule triggered")


@dataclasses.dataclass(frozen=True)
class SchemaReported:
    """The schema of a part of the request is reported: `part` such as `req.body`."""

    part: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the tag `_dd.appsec.s.<part>` is there and not empty."""
        tag = f"_dd.appsec.s.{self.part}"
        for span in sighting.spans:
            if span.meta.get(tag):
                return Match(holds=True, said=f"schema of {self.part} reported")
        other = sorted(
            name
            for span in sighting.spans
            for name in span.meta
            if name.startswith("_dd.appsec.s.")
        )
        return Match(
            holds=False, said=f"no {tag}" + (f", only {', '.join(other)}" if other else "")
        )


def _vulnerabilities(span: Span) -> Iterator[dict[str, Any]]:
    """Yield them from the JSON tag, and from the structure that later releases use."""
    reports: list[Any] = [span.meta_struct.get("iast")]
    text = span.meta.get("_dd.iast.json")
    if text is not None:
        with contextlib.suppress(ValueError):
            reports.append(json.loads(text))
    for report in reports:
        if isinstance(report, dict):
            for item in report.get("vulnerabilities") or ():
                if isinstance(item, dict):
                    yield item


@dataclasses.dataclass(frozen=True)
class VulnerabilityReported:
    """A vulnerability of this type is reported for the request (`WEAK_HASH`)."""

    type: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the report has one."""
        found = sorted(
            {str(item.get("type")) for span in sighting.spans for item in _vulnerabilities(span)}
        )
        if self.type in found:
            return Match(holds=True, said=f"{self.type} reported")
        return Match(
            holds=False,
            said=f"no {self.type} reported" + (f", only {', '.join(found)}" if found else ""),
        )
