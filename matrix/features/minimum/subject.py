"""Subjects of a search: a word of the user, with the claims and the probe that are about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from matrix.errors import UsageError, did_you_mean
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.reason import Reason
from matrix.planning.coverage import Coverage, CoverageRule
from matrix.planning.expectations import Check, checks_for
from matrix.planning.page import ClaimPage, pages_by_document
from matrix.probes.registry import load_probes
from matrix.pypi.releases import Releases

# In the order in which a word without a kind is looked up.
_KINDS = (ClaimKind.CAPABILITY, ClaimKind.INTEGRATION, ClaimKind.NOTE, ClaimKind.AUTHENTICATION)
_LIBRARY = "framework"


@dataclasses.dataclass(frozen=True)
class SearchSubject:
    """The subject of a search; `claims` are all that promise it.

    `of_library` is set where the releases that are searched are those of the framework or library
    `name`, under one release of the tracer.
    """

    kind: ClaimKind
    name: str
    rule: CoverageRule
    claims: tuple[Claim, ...]
    of_library: bool = False

    def __str__(self) -> str:
        return f"{_LIBRARY if self.of_library else self.kind.value} {self.name}"


def parse_subject(word: str, claims: Sequence[Claim], coverage: Coverage) -> SearchSubject:
    """Return the subject of a word: a capability, an integration, a note, or `framework:<name>`.

    `<kind>:<name>` selects a kind where several subjects have one name. Raises UsageError.
    """
    prefix, _, name = word.rpartition(":")
    of_library = prefix == _LIBRARY
    kinds = [kind for kind in _KINDS if prefix in ("", kind.value)]
    for kind in [ClaimKind.INTEGRATION] if of_library else kinds:
        rule = coverage.rules.get((kind.value, name))
        if rule is None:
            continue
        if of_library and rule.app:
            raise UsageError(f"there is no sample app for {name}", _list_subjects(coverage))
        about = tuple(claim for claim in claims if claim.kind is kind and claim.subject == name)
        return SearchSubject(kind, name, rule, about, of_library)
    raise _unknown_subject(word, prefix, name, claims, coverage)


def checks_about(
    subject: SearchSubject, claims: Sequence[Claim], tracer: Releases, coverage: Coverage
) -> list[tuple[Check, ClaimPage]]:
    """Return the checks of the claims about a subject with their pages, lowest minimum first."""
    pages = pages_by_document(claims)
    checks = [
        (check, page)
        for claim in subject.claims
        for page in [pages[claim.document, claim.sha256]]
        for check in checks_for(claim, subject.rule, page, tracer, coverage)
        if isinstance(check, Check)
    ]
    # A denial is checked on the page's newest releases; promises of other pages come first.
    return sorted(
        checks,
        key=lambda item: (
            item[0].claim.status is Status.NOT_SUPPORTED,
            item[0].boundary.minimum.version,
        ),
    )


def select_channels(rule: CoverageRule, names: Sequence[str]) -> tuple[str, ...]:
    """Return the channels with these names, without names all that the promise is about.

    Raises UsageError for one that the probe does not have.
    """
    if not names:
        return rule.channels
    channels = [channel.name for channel in load_probes()[rule.probe].channels]
    for name in names:
        if name not in channels:
            raise UsageError(
                f"{rule.probe} has no channel {name!r}{did_you_mean(name, channels)}",
                f"Channels: {', '.join(channels)}.",
            )
    return tuple(name for name in channels if name in names)


def _unknown_subject(
    word: str, prefix: str, name: str, claims: Sequence[Claim], coverage: Coverage
) -> UsageError:
    """Return the error for a subject without a probe, or one that does not exist."""
    kinds = [kind.value for kind in _KINDS]
    if prefix and prefix not in {*kinds, _LIBRARY}:
        return UsageError(
            f"unknown kind of subject {prefix!r}{did_you_mean(prefix, [*kinds, _LIBRARY])}",
            f"Kinds: {', '.join([*kinds, _LIBRARY])}.",
        )
    subjects = sorted({subject for kind, subject in coverage.rules if kind in kinds})
    promised = {claim.subject: claim for claim in claims if claim.kind in _KINDS}
    if name in promised:
        rule = coverage.rule(promised[name])
        reason = f" ({rule.value})" if isinstance(rule, Reason) else ""
        return UsageError(
            f"there is no experiment for {name!r}{reason}, so no release can be tested",
            _list_subjects(coverage),
        )
    return UsageError(
        f"unknown subject {word!r}: no capability, integration or note has this name"
        f"{did_you_mean(name, [*subjects, *promised])}",
        _list_subjects(coverage),
    )


def _list_subjects(coverage: Coverage) -> str:
    names = dict.fromkeys(
        subject for each in _KINDS for kind, subject in coverage.rules if kind == each.value
    )
    return f"There is: {', '.join(names)}; and framework:NAME for the releases of a framework."
