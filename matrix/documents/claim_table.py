"""Claims for people: a table per document and kind on a terminal, plain lines elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TextIO

from matrix.model.claim import Claim

__all__ = ["show_claims"]

_HEADERS = ("line", "subject", "versions", "as written", "status", "scope")


def show_claims(claims: Iterable[Claim], out: TextIO) -> None:
    """Write the claims by document and kind, and at the end how many there are."""
    runs = itertools.groupby(
        sorted(claims, key=lambda claim: (claim.document, claim.kind.value)),
        key=lambda claim: (claim.document, claim.language, claim.kind.value),
    )
    groups = [(f"{name} ({language}): {kind}", list(run)) for (name, language, kind), run in runs]
    if out.isatty():
        _tables(groups, out)
    else:
        for title, group in groups:
            out.write(f"{title}, {len(group)}\n")
            out.writelines(f"  {line}\n" for line in _lines(group))
    documents = {claim.document for _, group in groups for claim in group}
    count = sum(len(group) for _, group in groups)
    out.write(f"{_count(count, 'claim')} in {_count(len(documents), 'document')}\n")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _tables(groups: Iterable[tuple[str, list[Claim]]], out: TextIO) -> None:
    # Only a terminal needs it, and it is slow to import.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=out)
    for title, group in groups:
        table = Table(title=Text(f"{title}, {len(group)}"), title_justify="left")
        for header in _HEADERS:
            table.add_column(header, justify="right" if header == "line" else "left")
        for claim in group:
            table.add_row(*map(Text, _cells(claim)))
        console.print(table)


def _lines(group: list[Claim]) -> Iterator[str]:
    for claim in group:
        line, subject, versions, _, status, scope = _cells(claim)
        yield "  ".join(part for part in (f"{line:>4}", subject, versions, status, scope) if part)


def _cells(claim: Claim) -> tuple[str, str, str, str, str, str]:
    scope = " ".join(f"{key}={value}" for key, value in claim.scope)
    return (
        str(claim.line),
        claim.subject,
        claim.specifier,
        claim.as_written,
        claim.status.value,
        scope,
    )
