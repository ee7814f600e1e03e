"""The verdicts that `verify --json` wrote, for documents that have not changed since."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matrix.errors import UnreadableInputError, did_you_mean
from matrix.features.corrections.page import PageText
from matrix.model.verdict import Finding, Verdict
from matrix.runs.record_store import read_record


@dataclasses.dataclass(frozen=True)
class VerdictsFile:
    """The content of a file of verdicts: verdicts by claim id, findings, profile and targets.

    `contained` are the findings of cells that ran in containers. `missing` are documents that the
    file has no claims of, such as those that a selection left out.
    """

    verdicts: Mapping[str, Verdict]
    findings: tuple[Finding, ...]
    profile: str
    targets: tuple[str, ...]
    contained: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()


def read_verdicts(path: Path, pages: Iterable[PageText]) -> VerdictsFile:
    """Return the verdicts on the documents.

    Raises `UnreadableInputError`, which names the file, where it is not such a file, has another
    schema, or is about other documents or another version of one.
    """
    pages = tuple(pages)
    record = read_record(path)
    digests: dict[str, set[str]] = {}
    for claim in record.claims:
        digests.setdefault(claim.document, set()).add(claim.sha256)
    _check(path, digests, pages)
    return VerdictsFile(
        record.verdict_by_claim,
        tuple(finding for cell in record.cells for finding in cell.findings),
        record.run.profile,
        record.run.targets,
        contained=tuple(
            finding for cell in record.cells if cell.contained for finding in cell.findings
        ),
        missing=tuple(page.name for page in pages if page.name not in digests),
    )


def _check(path: Path, digests: Mapping[str, set[str]], pages: Sequence[PageText]) -> None:
    problems = []
    covered = [page for page in pages if page.name in digests]
    for page in covered:
        digest = page.claims[0].sha256
        if digest not in digests[page.name]:
            recorded = ", ".join(sorted(other[:12] for other in digests[page.name]))
            problems.append(
                f"it is about another version of {page.name} (sha256 {recorded}..., {page.path}"
                f" now has {digest[:12]}...)"
            )
    if pages and not covered:
        names = ", ".join(page.name for page in pages)
        problems.append(f"it has no claims of {names}{did_you_mean(pages[0].name, digests)}")
    if problems:
        raise UnreadableInputError(
            f"{path} does not match the documents: {'; '.join(problems)}",
            "Verify these documents again: python -m matrix verify DOCUMENT... --json FILE",
        )
