"""Evidence in what the client got.

Evidence in telemetry: the dependencies that the software composition analysis reports.
"""

from __future__ import annotations

import dataclasses
import json
import re

from matrix.model.probe import Match, Observation

__all__ = [
    "BodyContains",
    "DependencyReported",
    "FollowUpSays",
    "HeaderContains",
    "StatusIs",
    "UpstreamReceived",
]

_SHORT = 60


@dataclasses.dataclass(frozen=True)
class StatusIs:
    """The answer has this HTTP status."""

    status: int

    def look(self, sighting: Observation) -> Match:
        """Return whether the status is the one."""
        found = sighting.exchange.status
        said = f"no answer ({sighting.exchange.error})" if found is None else f"status {found}"
        return Match(found == self.status, said)


@dataclasses.dataclass(frozen=True)
class BodyContains:
    """The answer's body contains the text."""

    text: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the text is in the body."""
        holds = self.text in sighting.exchange.body
        start = " ".join(sighting.exchange.body[:_SHORT].split())
        if holds:
            return Match(holds, f"body with {self.text!r}")
        return Match(holds, f"body without {self.text!r}: {start!r}")


@dataclasses.dataclass(frozen=True)
class HeaderContains:
    """The answer has the header (any case), and the text (any case) in it."""

    name: str
    text: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the header contains the text."""
        headers = {name.lower(): value for name, value in sighting.exchange.headers.items()}
        found = headers.get(self.name.lower())
        if found is None:
            return Match(holds=False, said=f"no header {self.name}")
        return Match(self.text.lower() in found.lower(), f"{self.name}: {found}")


@dataclasses.dataclass(frozen=True)
class FollowUpSays:
    """The second look was answered 200 with a JSON object whose `key` has the value.

    `meaning` is the clause that says what that means (`no order was taken`).
    """

    key: str
    value: object
    meaning: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the follow-up says so."""
        after = sighting.exchange.follow_up
        if after is None or after.status != 200:  # noqa: PLR2004 - HTTP's OK
            status = "nothing" if after is None else str(after.status)
            return Match(holds=False, said=f"the second look was answered {status}")
        try:
            answer = json.loads(after.body)
        except ValueError:
            answer = None
        found = answer.get(self.key) if isinstance(answer, dict) else None
        if found == self.value:
            return Match(holds=True, said=self.meaning)
        return Match(holds=False, said=f"{self.key} is {found!r} afterwards")


@dataclasses.dataclass(frozen=True)
class UpstreamReceived:
    """The call that the app made for the request carried the header.

    The upstream server answers with the headers that it got, and the app passes the answer on.
    """

    header: str

    def look(self, sighting: Observation) -> Match:
        """Return whether the upstream server saw the header."""
        try:
            answer = json.loads(sighting.exchange.body)
        except ValueError:
            answer = None
        headers = answer.get("headers") if isinstance(answer, dict) else None
        if not isinstance(headers, dict):
            return Match(holds=False, said="no answer of the upstream server")
        if self.header.lower() not in headers:
            return Match(holds=False, said=f"outgoing call without {self.header}")
        value = headers[self.header.lower()]
        return Match(holds=True, said=f"outgoing call with {self.header}: {value}")


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclasses.dataclass(frozen=True)
class DependencyReported:
    """Telemetry lists the distribution, with a version."""

    name: str

    def look(self, sighting: Observation) -> Match:
        """Return whether any telemetry payload of the process lists it."""
        count = 0
        for message in sighting.telemetry:
            payload = message.get("payload")
            if not isinstance(payload, dict):
                continue
            for item in payload.get("dependencies") or ():
                if not isinstance(item, dict):
                    continue
                count += 1
                if _normalised(str(item.get("name"))) == _normalised(self.name):
                    version = item.get("version")
                    if version:
                        kind = message.get("request_type")
                        return Match(holds=True, said=f"{kind} lists {self.name} {version}")
        what = f"{count} dependencies, not {self.name}" if count else "no dependencies"
        return Match(holds=False, said=f"{len(sighting.telemetry)} telemetry messages list {what}")
