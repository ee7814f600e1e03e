"""What a least release is looked for: a word, and what documents and probes say of it."""

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

__all__ = ["SearchSubject", "checks_about", "parse_subject", "select_channels"]

# In the order in which a bare word is looked up.
_KINDS = (
    ClaimKind.CAPABILITY,
    ClaimKind.INTEGRATION,
    ClaimKind.NOTE,
    ClaimKind.AUTHENTICATION,
)
_LIBRARY = "framework"


@dataclasses.dataclass(frozen=True)
class SearchSubject:
    """`claims` are all that promise it. `of_library` is set where the releases that are searched
    are those of the framework or library `name`, under one release of the tracer.
    """

    kind: ClaimKind
    name: str
    rule: CoverageRule
    claims: tuple[Claim, ...]
    of_library: bool = False

    def __str__(self) -> str:
        return f"{_LIBRARY if self.of_library else self.kind.value} {self.name}"


def parse_subject(word: str, claims: Sequence[Claim], coverage: Coverage) -> SearchSubject:
    """Return what `word` means: a capability, an integration, a note, or `framework:<name>`.

    `<kind>:<name>` says which is meant where several are called so. Raises UsageError.
    """
    kind, _, name = word.rpartition(":")
    kinds = [each for each in _KINDS if each.value == kind] if kind else list(_KINDS)
    if kind == _LIBRARY:
        kinds = [ClaimKind.INTEGRATION]
    for each in kinds:
        rule = coverage.rules.get((each.value, name))
        if rule is None:
            continue
        of_library = kind == _LIBRARY
        if of_library and rule.app:
            raise UsageError(f"no app of ours is made with {name}", _there_is(coverage))
        found = tuple(one for one in claims if one.kind is each and one.subject == name)
        return SearchSubject(each, name, rule, found, of_library)
    _refuse(word, kind, name, claims, coverage)
    raise AssertionError


def checks_about(
    subject: SearchSubject, claims: Sequence[Claim], tracer: Releases, coverage: Coverage
) -> list[tuple[Check, ClaimPage]]:
    """Return what the claims about a subject ask for, the least minimum first."""
    pages = pages_by_document(claims)
    found = [
        (ask, page)
        for claim in subject.claims
        for page in [pages[claim.document, claim.sha256]]
        for ask in checks_for(claim, subject.rule, page, tracer, coverage)
        if isinstance(ask, Check)
    ]
    # What a page denies is asked of its newest releases; what another one promises comes first.
    return sorted(
        found,
        key=lambda item: (
            item[0].claim.status is Status.NOT_SUPPORTED,
            item[0].boundary.minimum.version,
        ),
    )


def select_channels(rule: CoverageRule, names: Sequence[str]) -> tuple[str, ...]:
    """Return the channels of those names, all that the promise is about for none.

    Raises UsageError for one that the probe does not have.
    """
    if not names:
        return rule.channels
    known = [channel.name for channel in load_probes()[rule.probe].channels]
    for name in names:
        if name not in known:
            raise UsageError(
                f"{rule.probe} has no channel {name!r}{did_you_mean(name, known)}",
                f"Channels: {', '.join(known)}.",
            )
    return tuple(name for name in known if name in names)


def _refuse(word: str, kind: str, name: str, claims: Sequence[Claim], coverage: Coverage) -> None:
    """Raise UsageError: there is no probe for it, or no such thing at all."""
    kinds = {each.value for each in _KINDS}
    if kind and kind not in {*kinds, _LIBRARY}:
        raise UsageError(
            f"unknown kind of subject {kind!r}{did_you_mean(kind, [*kinds, _LIBRARY])}",
            f"Kinds: {', '.join([*(each.value for each in _KINDS), _LIBRARY])}.",
        )
    known = sorted({subject for each, subject in coverage.rules if each in kinds})
    promised = {one.subject: one for one in claims if one.kind in _KINDS}
    if name in promised:
        rule = coverage.rule(promised[name])
        why = f" ({rule.value})" if isinstance(rule, Reason) else ""
        raise UsageError(
            f"there is no experiment for {name!r}{why}, so no release can be asked",
            _there_is(coverage),
        )
    raise UsageError(
        f"{word!r} is no capability, integration or note{did_you_mean(name, [*known, *promised])}",
        _there_is(coverage),
    )


def _there_is(coverage: Coverage) -> str:
    names = dict.fromkeys(
        subject for each in _KINDS for kind, subject in coverage.rules if kind == each.value
    )
    return f"There is: {', '.join(names)}; and framework:NAME for the releases of a framework."
