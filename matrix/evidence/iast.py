"""Evidence of the runtime code analysis (IAST): vulnerabilities in its report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from matrix.model.probe import Match, Sighting, Span

__all__ = ["VulnerabilityReported"]


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

    def look(self, sighting: Sighting) -> Match:
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
