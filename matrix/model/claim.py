"""A claim: one promise of a document, with its place in the document."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

TESTED = "tested"
"""The key of a claim's scope that marks a release which the vendor's own tests cover."""


class ClaimKind(str, enum.Enum):
    """The kind of table or note that a claim was read from."""

    CAPABILITY = "capability"
    DEPLOYMENT = "deployment"
    BRANCH = "branch"
    RUNTIME = "runtime"
    FRAMEWORK = "framework"
    INTEGRATION = "integration"
    AUTHENTICATION = "authentication"
    NOTE = "note"


class Status(str, enum.Enum):
    """The status of a subject in a document."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not-supported"
    PREVIEW = "preview"
    PRIVATE_BETA = "private-beta"
    GENERAL_AVAILABILITY = "general-availability"
    MAINTENANCE = "maintenance"
    END_OF_LIFE = "end-of-life"


@dataclasses.dataclass(frozen=True)
class Claim:
    """One promise of a document.

    `id` is unique, stays the same when other parts of the document change, and starts with the
    document's name: `<document>/<kind>/<subject>[/<scope values>...]`.

    `subject` is the canonical slug of what is promised: a capability (`threat-detection`), a
    framework or library (`django`, `mysql-connector`), `ddtrace` for a branch, `cpython` for a
    runtime, a note's topic (`flask-query-string`).

    `specifier` is the PEP 440 specifier set of the promise as text, `""` where the document gives
    none: on ddtrace for capabilities, branches and runtimes, on the subject itself for
    frameworks, integrations and authentication.

    `scope` holds what narrows the promise, by key: `capability`, `deployment`, `os`, `cpu`,
    `runtime`, `python` (a specifier set such as `==3.9.*` or `>=3.7`), `automatic` (`yes`, `no`),
    `automatic_python` (a specifier set), `role` (`client`, `server`), `backend` (`redis`),
    `until` (a date), `integration` (the tracer's name of it), `tested` (`yes`: the specifier is one
    release that the vendor's tests cover), `partial` (`path:line` in a file that the document
    includes at `line`), `note` (anything else in the table cell).

    `line` is 1-based. `heading` is the nearest heading above, as written.
    """

    id: str
    kind: ClaimKind
    subject: str
    specifier: str
    as_written: str
    status: Status
    document: str
    language: str
    sha256: str
    heading: str
    line: int
    scope: tuple[tuple[str, str], ...] = ()

    def get(self, key: str) -> str | None:
        """Return the scope's value for `key`, or None."""
        for name, value in self.scope:
            if name == key:
                return value
        return None

    @property
    def fact(self) -> tuple[str, str, str, str, tuple[tuple[str, str], ...]]:
        """Return the promise without its place, equal for the same promise in two documents."""
        scope = tuple(pair for pair in self.scope if pair[0] != "partial")
        return (self.kind.value, self.subject, self.specifier, self.status.value, scope)

    def to_json(self) -> dict[str, Any]:
        """Return the claim as plain JSON values."""
        plain = {"kind": self.kind.value, "status": self.status.value, "scope": dict(self.scope)}
        return {**vars(self), **plain}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Claim:
        """Return the claim that `to_json` wrote."""
        return cls(
            **{
                **data,
                "kind": ClaimKind(data["kind"]),
                "status": Status(data["status"]),
                "scope": tuple(data["scope"].items()),
            }
        )
