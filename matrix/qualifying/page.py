"""The sign-off as a page for people: one file, everything in it, everything escaped."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from jinja2 import Environment, StrictUndefined

from matrix.model.cell import Cell
from matrix.places import data_dir
from matrix.qualifying.expected import Expected
from matrix.qualifying.gate import Decision, Fate
from matrix.qualifying.lasting import evidence_of, lasts_until, oldest
from matrix.qualifying.policy import Policy
from matrix.qualifying.statement import About, Digest, result_of
from matrix.records import Record
from matrix.reporting.words import promise

__all__ = ["Signed", "page_of"]


@dataclasses.dataclass(frozen=True)
class Signed:
    """How it is signed: `by` (the key's id, or whoever the certificate names), and how to check."""

    by: str
    check: str


def page_of(  # noqa: PLR0913 - all that the sign-off rests on
    decision: Decision,
    *,
    expected: Expected,
    record: Record,
    policy: Policy,
    about: About,
    subjects: Sequence[Digest],
    signed: Signed,
) -> bytes:
    """Return the page as HTML."""
    template = _environment().from_string(
        (data_dir() / "page" / "signoff.html").read_text(encoding="utf-8")
    )
    claims = record.claim_by_id
    text = template.render(
        about=about,
        result=result_of(decision),
        passed=decision.of(Fate.PASSED),
        waived=decision.of(Fate.WAIVED),
        idle=decision.idle,
        promise=lambda claim_id: promise(claims[claim_id]) if claim_id in claims else claim_id,
        policy=policy,
        subjects=sorted(subjects),
        unvouched=[each for each in expected.artifacts if each.sha256 not in _digests(subjects)],
        documents=sorted({(each.claim.document, each.claim.sha256) for each in decision.judged}),
        environments=_environments(decision, record, policy),
        oldest=oldest(decision, record, policy),
        until=lasts_until(decision, record, policy),
        signed=signed,
    )
    return text.encode()


def _digests(subjects: Sequence[Digest]) -> set[str]:
    return {each.value for each in subjects}


def _environments(
    decision: Decision, record: Record, policy: Policy
) -> list[tuple[str, str, str, int]]:
    """Return the environments that the passing claims rest on: where, CPython, target, cells."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in evidence_of(decision, record, policy):
        cell = Cell.parse(line.id)
        place = "not known" if line.where is None else line.where.engine or "a machine"
        python = line.where.python if line.where else cell.python
        image = f", image {line.where.image[:19]}…" if line.where and line.where.image else ""
        counts[f"{place}{image}", python, cell.target] += 1
    return [(*key, count) for key, count in sorted(counts.items())]


def _environment() -> Environment:
    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
