"""The documents against the package index: what they promise and no release can give."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.version import Version

from matrix.features.audit.findings import (
    AuditFinding,
    DocumentLine,
    FindingKind,
    in_order,
    place_of,
)
from matrix.features.audit.index_evidence import refutes
from matrix.features.audit.index_offer import (
    MUSL,
    OfferAnswer,
    OfferLookup,
    OfferQuestion,
    ProjectReleases,
    TargetOffer,
    promised,
    questions,
    shelves_of,
)
from matrix.features.audit.pages import named
from matrix.features.audit.versions import contains, in_words, lowest_named
from matrix.model.claim import Claim, ClaimKind
from matrix.model.index import Project
from matrix.pypi.releases import specifier_allows
from matrix.pypi.tags import supports_python

__all__ = ["IndexReport", "IndexRow", "compare_with_index"]

_ON_THE_LIBRARY = (ClaimKind.CAPABILITY, ClaimKind.NOTE)
_NAMED = 5


@dataclasses.dataclass(frozen=True)
class IndexRow:
    """A line of the table: CPythons and platforms that are offered the same, in words.

    `promised` is False for what no page promises (musl) and is shown beside it.
    """

    specifier: str
    pythons: tuple[str, ...]
    targets: tuple[str, ...]
    offers: str
    promised: bool


@dataclasses.dataclass(frozen=True)
class IndexReport:
    """Everything that the index says of the claims. `releases` counts final releases.

    `early`, `yanked` and `vanished` are the releases that are set apart.
    """

    releases: int
    early: int
    yanked: tuple[str, ...]
    vanished: tuple[str, ...]
    rows: tuple[IndexRow, ...]
    findings: tuple[AuditFinding, ...]


def compare_with_index(claims: Iterable[Claim], project: Project) -> IndexReport:
    """Return what each promised runtime is offered, and where that is less than promised."""
    claims = tuple(claims)
    shelves = shelves_of(project)
    asked = OfferLookup(shelves)
    findings = [
        *_runtimes(claims, asked),
        *_minimums(claims, shelves),
        *_vanished(shelves),
        *_disagreeing(shelves),
        *_excluding(shelves),
    ]
    return IndexReport(
        releases=len(shelves.final),
        early=len(shelves.early),
        yanked=tuple(each.text for each in shelves.yanked),
        vanished=tuple(each.text for each in shelves.vanished),
        rows=tuple(_rows(claims, asked)),
        findings=in_order(findings),
    )


def _runtimes(claims: Sequence[Claim], asked: OfferLookup) -> Iterator[AuditFinding]:
    """Yield a finding for each thing that runtimes lack, those that lack the same together."""
    asked_by: dict[OfferQuestion, list[Claim]] = {}
    for claim in promised(claims):
        for question in questions(claim, asked.shelves):
            asked_by.setdefault(question, []).append(claim)
    # CPython by CPython first, so that only those with the same platforms are told together.
    alike: dict[tuple[FindingKind, str, str, str], list[OfferQuestion]] = {}
    for question in asked_by:
        answer = asked.answer(question)
        kind = _kind(answer)
        if kind is not None:
            key = (kind, question.specifier, answer.words(), question.python)
            alike.setdefault(key, []).append(question)
    grouped: dict[object, list[OfferQuestion]] = {}
    for (*what, _), same in alike.items():
        titles = tuple(question.target.title for question in same)
        grouped.setdefault((*what, titles), []).extend(same)
    for same in grouped.values():
        yield _lacking(asked.answer(same[0]), same, asked_by)


def _lacking(
    answer: OfferAnswer,
    same: Sequence[OfferQuestion],
    asked_by: Mapping[OfferQuestion, Sequence[Claim]],
) -> AuditFinding:
    pythons = ", ".join(dict.fromkeys(question.python for question in same))
    targets = ", ".join(dict.fromkeys(question.target.title for question in same))
    kind = _kind(answer)
    if kind is None:  # pragma: no cover - only answers of a kind are grouped
        raise ValueError(f"nothing is lacking: {answer.words()}")
    return AuditFinding(
        kind,
        f"runtime/cpython {pythons} on {targets}",
        f"ddtrace {answer.question.specifier or '(any)'}: {answer.words()}",
        _first_of_each_line(claim for question in same for claim in asked_by[question]),
        reason=(
            f"the index lists wheels of {answer.elsewhere} of these {len(answer.releases)} releases"
            " for some runtime, so it answers"
        ),
    )


def _kind(answer: OfferAnswer) -> FindingKind | None:
    if not answer.releases:
        return None
    if refutes(answer):
        return FindingKind.RUNTIME_WITHOUT_ARTIFACT
    if answer.nowhere:
        return FindingKind.RUNTIME_PARTLY_WITHOUT_ARTIFACT
    if not answer.of(TargetOffer.WHEEL):
        return FindingKind.RUNTIME_FROM_SOURCE_ONLY
    return None


def _minimums(claims: Sequence[Claim], shelves: ProjectReleases) -> Iterator[AuditFinding]:
    """Yield a finding for each documented minimum that is no release, or was withdrawn."""
    found: dict[tuple[FindingKind, str], list[Claim]] = {}
    for claim in claims:
        minimum = lowest_named(claim.specifier)
        if claim.kind not in _ON_THE_LIBRARY or minimum is None:
            continue
        kind = None
        if any(each.version == minimum for each in shelves.yanked):
            kind = FindingKind.MINIMUM_YANKED
        elif not _released(minimum, claim.specifier, shelves):
            kind = FindingKind.MINIMUM_NOT_RELEASED
        if kind is not None:
            found.setdefault((kind, str(minimum)), []).append(claim)
    for (what, text), lacking in found.items():
        later = [
            each.text for each in shelves.final if contains(lacking[0].specifier, each.version)
        ]
        yield AuditFinding(
            what,
            ", ".join(dict.fromkeys(f"{claim.kind.value}/{claim.subject}" for claim in lacking)),
            f"ddtrace {text}; the least release that fits is {later[0] if later else 'none'}",
            _first_of_each_line(lacking),
            reason=f"the index lists {len(shelves.final)} final releases",
        )


def _released(minimum: Version, specifier: str, shelves: ProjectReleases) -> bool:
    """Return whether there is such a release; `2.6` is one where 2.6.0 is, `==2.6.*` any 2.6."""
    if f"=={minimum}.*" in specifier:
        return any(contains(specifier, each.version) for each in shelves.final)
    return any(each.version == minimum for each in (*shelves.final, *shelves.early))


def _vanished(shelves: ProjectReleases) -> Iterator[AuditFinding]:
    listed = {each.version for each in (*shelves.final, *shelves.early, *shelves.yanked)}
    for each in shelves.vanished:
        files = [file.filename for file in each.release.files]
        shown = ", ".join(files[:_NAMED]) + (" ..." if len(files) > _NAMED else "")
        what = "some files of it" if each.version in listed else "the whole release"
        yield AuditFinding(
            FindingKind.RELEASE_VANISHED,
            f"ddtrace {each.text}",
            f"{what} ({len(files)} files: {shown})",
            reason="it is kept as known, and counts as not installable",
        )


def _disagreeing(shelves: ProjectReleases) -> Iterator[AuditFinding]:
    for each in shelves.final:
        says = sorted(each.files.says())
        if len(says) > 1:
            yield AuditFinding(
                FindingKind.REQUIRES_PYTHON_DIFFERS,
                f"ddtrace {each.text}",
                "; ".join(value or "(nothing)" for value in says),
                reason="installers go by the file, and show the release's own",
            )


def _excluding(shelves: ProjectReleases) -> Iterator[AuditFinding]:
    """Yield a finding for each CPython that wheels are tagged for and exclude by their metadata."""
    releases = [each.text for each in shelves.final]
    for python in shelves.pythons:
        found = {
            each.text
            for each in shelves.final
            for interpreters, abis, _, says in each.files.wheels
            if f"cp{python.replace('.', '')}" in interpreters.split(".")
            and supports_python(interpreters, abis, python)
            and not specifier_allows(says, f"{python}.99")
        }
        if found:
            yield AuditFinding(
                FindingKind.WHEEL_EXCLUDED,
                f"ddtrace wheels for CPython {python}",
                in_words(releases, found),
                reason="installers compare Requires-Python before they look at a wheel's tags",
            )


def _rows(claims: Sequence[Claim], asked: OfferLookup) -> Iterator[IndexRow]:
    """Yield the table: for each range, CPython by CPython, platforms with the same offer joined."""
    wanted: dict[str, dict[str, dict[tuple[str, bool], list[str]]]] = {}
    for claim in promised(claims):
        for question in questions(claim, asked.shelves, musl=True):
            answer = asked.answer(question)
            of_python = wanted.setdefault(question.specifier, {}).setdefault(question.python, {})
            told = of_python.setdefault((answer.words(), question.target.libc != MUSL), [])
            if question.target.title not in told:
                told.append(question.target.title)
    for specifier, pythons in wanted.items():
        joined: dict[tuple[str, bool, tuple[str, ...]], list[str]] = {}
        for python, offers in pythons.items():
            for (words, is_promised), titles in offers.items():
                joined.setdefault((words, is_promised, tuple(titles)), []).append(python)
        for (words, is_promised, targets), same in joined.items():
            yield IndexRow(specifier, tuple(same), targets, words, is_promised)


def _first_of_each_line(claims: Iterable[Claim]) -> tuple[DocumentLine, ...]:
    first: dict[tuple[str, int], DocumentLine] = {}
    for claim in claims:
        first.setdefault((claim.document, claim.line), place_of(claim, _as_written(claim)))
    return tuple(first.values())


def _as_written(claim: Claim) -> str:
    return f"{claim.as_written}: {named(claim)}" if claim.as_written else named(claim)
