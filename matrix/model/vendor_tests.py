"""Releases that the vendor's own tests cover, as the tracer's registry of integrations says."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class VendorTested:
    """The releases of a dependency that the vendor tests, on one CPython.

    `claim` is the id of the claim that was read from the same entry, `python` is `major.minor`, ""
    where the registry does not say. `versions` are the tested releases in the registry's order; a
    registry that has ranges only names the two ends, and a part of the standard library has none.
    `automatic` is None where it does not say. `line` is that of the entry, `lines` are those of the
    versions, empty where these have no lines of their own.
    """

    claim: str
    integration: str
    dependency: str
    python: str
    minimum: str
    maximum: str
    versions: tuple[str, ...]
    automatic: bool | None
    document: str
    line: int
    lines: tuple[int, ...] = ()

    def line_of(self, version: str) -> int:
        """Return the line of a tested version, that of the entry where it has none of its own."""
        return dict(zip(self.versions, self.lines, strict=False)).get(version, self.line)
