"""Evidence of the security products: triggered rules, API schemas, IAST vulnerabilities."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from matrix.model.probe import Match, Observation, Span


def _reports(span: Span, tag: str, structure: str) -> list[Mapping[str, Any]]:
    """Return the reports in a JSON tag or (of triggered rules since 3.0) in `meta_struct`."""
    reports = [span.meta_struct.get(structure)]
    with contextlib.suppress(ValueError):
        reports.insert(0, json.loads(span.meta.get(tag) or "null"))
    return [report for report in reports if isinstance(report, dict)]


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
    """A rule with this prefix triggered at an address with this prefix.

    `value` is a part of the value that triggered it.
    """

    rule: str = ""
    address: str = ""
    value: str = ""

    def match(self, observation: Observation) -> Match:
        """Return whether such a trigger is reported anywhere in the trace."""
        triggers: list[str] = []
        for span in observation.spans:
            for report in _reports(span, "_dd.appsec.json", "appsec"):
                for trigger in report.get("triggers") or ():
                    rule = str((trigger.get("rule") or {}).get("id", ""))
                    for address, value in _matches(trigger):
                        triggers.append(f"{rule} at {address}")
                        if (
                            rule.startswith(self.rule)
                            and address.startswith(self.address)
                            and self.value in value
                        ):
                            return Match(holds=True, text=f"rule {rule} triggered at {address}")
        if triggers:
            return Match(holds=False, text=f"only other rules triggered: {', '.join(triggers)}")
        if observation.root is None:
            return Match(holds=False, text="no root span for the request")
        return Match(holds=False, text="no rule triggered")


@dataclasses.dataclass(frozen=True)
class SchemaReported:
    """The schema of a part of the request is reported: `part` such as `req.body`."""

    part: str

    def match(self, observation: Observation) -> Match:
        """Return whether the tag `_dd.appsec.s.<part>` exists and is not empty."""
        tag = f"_dd.appsec.s.{self.part}"
        for span in observation.spans:
            if span.meta.get(tag):
                return Match(holds=True, text=f"schema of {self.part} reported")
        other = sorted(
            name
            for span in observation.spans
            for name in span.meta
            if name.startswith("_dd.appsec.s.")
        )
        return Match(
            holds=False, text=f"no {tag}" + (f", only {', '.join(other)}" if other else "")
        )


@dataclasses.dataclass(frozen=True)
class VulnerabilityReported:
    """A vulnerability of this type is reported for the request (`WEAK_HASH`)."""

    type: str

    def match(self, observation: Observation) -> Match:
        """Return whether a report has a vulnerability of the type."""
        types = sorted(
            {
                str(item.get("type"))
                for span in observation.spans
                for report in _reports(span, "_dd.iast.json", "iast")
                for item in report.get("vulnerabilities") or ()
                if isinstance(item, dict)
            }
        )
        if self.type in types:
            return Match(holds=True, text=f"{self.type} reported")
        return Match(
            holds=False,
            text=f"no {self.type} reported" + (f", only {', '.join(types)}" if types else ""),
        )
