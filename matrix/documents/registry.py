"""The tracer's own registry of integrations, in any of its three published forms.

They are told by their shape, not by their names: JSON (a list of objects with `dependency` and
`python_versions`), a CSV table (columns `dependency` and `integration`), and YAML (a list
`integrations` with `tested_versions_by_dependency`). Each range of a dependency is a claim, and
what was tested is kept beside it (`VendorTested`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from packaging.version import InvalidVersion, Version

from matrix.documents.claim_ids import claims_of
from matrix.documents.markup import PageProblem
from matrix.documents.registry_forms import RegistryRow, registry_rows
from matrix.documents.source import DocumentSource
from matrix.documents.table_reader import ClaimDraft
from matrix.documents.text import shortened, slug
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.vendor_tests import VendorTested

_STANDARD_LIBRARY = "stdlib."
"""What the registry writes before a module of the standard library, which has no versions."""


@dataclasses.dataclass(frozen=True)
class ReadRegistry:
    """The claims of a registry, what is tested, and the problems, all in the file's order."""

    claims: tuple[Claim, ...]
    tested: tuple[VendorTested, ...]
    problems: tuple[PageProblem, ...]


def read_registry(source: DocumentSource, document: str) -> ReadRegistry | None:
    """Return the content of a registry, None for a file of any other shape.

    Raises `UnreadableInputError` for a registry that is damaged.
    """
    rows = registry_rows(source)
    if rows is None:
        return None
    problems = []
    read: list[tuple[RegistryRow, ClaimDraft]] = []
    for row in rows:
        checked = _check(row)
        if isinstance(checked, PageProblem):
            problems.append(checked)
        else:
            read.append((row, checked))
    drafts = [(row.integration, draft) for row, draft in read]
    claims = claims_of(drafts, document, source, "en")
    tested = tuple(
        VendorTested(
            claim=claim.id,
            integration=row.integration,
            dependency=row.dependency,
            python=row.python,
            minimum=row.minimum,
            maximum=row.maximum,
            versions=tuple(filter(None, row.versions or dict.fromkeys((row.minimum, row.maximum)))),
            lines=row.lines,
            automatic=row.automatic,
            document=document,
            line=row.line,
        )
        for (row, _), claim in zip(read, claims, strict=True)
        if row.minimum or row.versions
    )
    return ReadRegistry(claims, tested, tuple(problems))


def _check(row: RegistryRow) -> ClaimDraft | PageProblem:
    """Return the claim of a row, or what is wrong with it."""
    named = row.dependency.removeprefix(_STANDARD_LIBRARY) or row.integration
    if row.problem or not slug(named) or not slug(row.integration):
        of = f" of {shortened(named)}" if named else ""
        return PageProblem(row.line, f"{row.problem or 'no name'} in the entry{of}")
    written = filter(None, (row.minimum, row.maximum, *row.versions))
    if invalid := next((version for version in written if not _is_version(version)), ""):
        message = f"invalid version {shortened(invalid)!r} of {named}"
        return PageProblem(row.line, message, written=invalid)
    if bool(row.minimum) != bool(row.maximum):
        return PageProblem(row.line, f"a range of {named} with one end only")
    if row.minimum and Version(row.minimum) > Version(row.maximum):
        message = f"the range of {named} is reversed: {row.minimum} to {row.maximum}"
        return PageProblem(row.line, message)
    return ClaimDraft(
        ClaimKind.INTEGRATION,
        slug(named),
        f">={row.minimum},<={row.maximum}" if row.minimum else "",
        f"{row.minimum} to {row.maximum}" if row.minimum else "",
        Status.SUPPORTED,
        row.line,
        tuple(_scope(row)),
    )


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _scope(row: RegistryRow) -> Iterator[tuple[str, str]]:
    yield "integration", row.integration
    if row.python:
        yield "python", f"=={row.python}.*"
    if row.automatic is not None:
        yield "automatic", "yes" if row.automatic else "no"
    if row.note:
        yield "note", row.note
