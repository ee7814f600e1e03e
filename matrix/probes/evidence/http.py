"""Evidence in the HTTP responses of a request, and in the telemetry of the process."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from packaging.utils import canonicalize_name

from matrix.model.probe import Match, Observation

_MAX_EXCERPT = 60


@dataclasses.dataclass(frozen=True)
class StatusIs:
    """The response has this HTTP status."""

    status: int

    def match(self, observation: Observation) -> Match:
        """Return whether the status is `self.status`."""
        exchange = observation.exchange
        status = exchange.status
        text = f"no answer ({exchange.error})" if status is None else f"status {status}"
        return Match(status == self.status, text)


@dataclasses.dataclass(frozen=True)
class BodyContains:
    """The response's body contains the text."""

    text: str

    def match(self, observation: Observation) -> Match:
        """Return whether the text is in the body."""
        holds = self.text in observation.exchange.body
        excerpt = " ".join(observation.exchange.body[:_MAX_EXCERPT].split())
        if holds:
            return Match(holds, f"body with {self.text!r}")
        return Match(holds, f"body without {self.text!r}: {excerpt!r}")


@dataclasses.dataclass(frozen=True)
class HeaderContains:
    """The response has the header with the text in its value; case does not matter."""

    name: str
    text: str

    def match(self, observation: Observation) -> Match:
        """Return whether the header contains the text."""
        headers = {name.lower(): value for name, value in observation.exchange.headers.items()}
        value = headers.get(self.name.lower())
        if value is None:
            return Match(holds=False, text=f"no header {self.name}")
        return Match(self.text.lower() in value.lower(), f"{self.name}: {value}")


@dataclasses.dataclass(frozen=True)
class FollowUpSays:
    """The follow-up request got status 200 and a JSON object with this value under `key`.

    `meaning` is the clause that explains the value (`no order was taken`).
    """

    key: str
    value: object
    meaning: str

    def match(self, observation: Observation) -> Match:
        """Return whether the follow-up response has the value."""
        response = observation.exchange.follow_up
        if response is None or response.status != 200:  # noqa: PLR2004 - HTTP's OK
            status = "nothing" if response is None else str(response.status)
            return Match(holds=False, text=f"the second look was answered {status}")
        value = _json_object(response.body).get(self.key)
        if value == self.value:
            return Match(holds=True, text=self.meaning)
        return Match(holds=False, text=f"{self.key} is {value!r} afterwards")


@dataclasses.dataclass(frozen=True)
class UpstreamReceived:
    """The upstream call that the app made for the request had the header.

    The upstream server responds with the headers it got, and the app returns that response.
    """

    header: str

    def match(self, observation: Observation) -> Match:
        """Return whether the upstream server got the header."""
        headers = _json_object(observation.exchange.body).get("headers")
        if not isinstance(headers, dict):
            return Match(holds=False, text="no answer of the upstream server")
        if self.header.lower() not in headers:
            return Match(holds=False, text=f"outgoing call without {self.header}")
        value = headers[self.header.lower()]
        return Match(holds=True, text=f"outgoing call with {self.header}: {value}")


@dataclasses.dataclass(frozen=True)
class DependencyReported:
    """Telemetry lists the distribution, with a version."""

    name: str

    def match(self, observation: Observation) -> Match:
        """Return whether any telemetry payload of the process lists it."""
        count = 0
        for message in observation.telemetry:
            payload = message.get("payload")
            if not isinstance(payload, dict):
                continue
            for item in payload.get("dependencies") or ():
                if not isinstance(item, dict):
                    continue
                count += 1
                if canonicalize_name(str(item.get("name"))) == canonicalize_name(self.name):
                    version = item.get("version")
                    if version:
                        kind = message.get("request_type")
                        return Match(holds=True, text=f"{kind} lists {self.name} {version}")
        dependencies = f"{count} dependencies, not {self.name}" if count else "no dependencies"
        messages = len(observation.telemetry)
        return Match(holds=False, text=f"{messages} telemetry messages list {dependencies}")


def _json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in the text, an empty one where there is none."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
