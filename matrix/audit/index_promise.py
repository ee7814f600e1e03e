"""A runtime claim spelled out: which CPythons on which platforms, for which releases."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from matrix.audit.index_offer import (
    MUSL,
    TARGETS,
    Listed,
    Offer,
    Shelves,
    Target,
    pythons_of,
)
from matrix.audit.ranges import in_words
from matrix.audit.specifiers import canonical, contains
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.planning.targets import admits

__all__ = ["Answer", "Asked", "Question", "promised", "questions"]


@dataclasses.dataclass(frozen=True, order=True)
class Question:
    """One CPython on one platform, for the releases of a specifier (in canonical spelling)."""

    specifier: str
    python: str
    target: Target


@dataclasses.dataclass(frozen=True)
class Answer:
    """Which of the final releases in the range (`releases`, ascending) offer what.

    `elsewhere` counts those that have a wheel for anything. `apart` are releases that are yanked,
    not final or no longer listed and do offer something, looked for where none of `releases` does.
    """

    question: Question
    releases: tuple[str, ...]
    offers: Mapping[Offer, tuple[str, ...]]
    elsewhere: int
    apart: tuple[str, ...]

    def of(self, *offers: Offer) -> tuple[str, ...]:
        """Return the releases with one of these offers, ascending."""
        found = {release for offer in offers for release in self.offers.get(offer, ())}
        return tuple(release for release in self.releases if release in found)

    @property
    def nowhere(self) -> tuple[str, ...]:
        """Return the releases that have neither a wheel nor an admitted source distribution."""
        return self.of(Offer.EXCLUDED, Offer.NOTHING)

    def words(self) -> str:
        """Return the offers as ranges: `wheel from 1.6.0 on; source up to 1.5.5`.

        `source` are the releases that have no wheel for it.
        """
        if not self.releases:
            return "no release in the range"
        named = (
            f"{_TITLES[offer]} {in_words(self.releases, of)}"
            for offer in Offer
            if (of := self.offers.get(offer, ())) or offer is Offer.WHEEL
        )
        return "; ".join(named)


_TITLES = {
    Offer.WHEEL: "wheel",
    Offer.SOURCE: "source",
    Offer.EXCLUDED: "excluded by Requires-Python",
    Offer.NOTHING: "nothing",
}


def promised(claims: Iterable[Claim]) -> Iterator[Claim]:
    """Yield the claims that promise a CPython."""
    for claim in claims:
        runtime = claim.kind is ClaimKind.RUNTIME and claim.subject == "cpython"
        if runtime and claim.status not in (Status.NOT_SUPPORTED, Status.END_OF_LIFE):
            yield claim


def questions(claim: Claim, shelves: Shelves, *, musl: bool = False) -> tuple[Question, ...]:
    """Return what a runtime claim promises, one by one.

    A claim that names no system, processor or CPython means all of them that are known. Linux
    means glibc; `musl` asks for what the page does not promise beside it.
    """
    pythons = pythons_of(claim.get("python") or "", shelves.pythons)
    targets = (
        target for target in TARGETS if (musl or target.libc != MUSL) and admits(claim, target.name)
    )
    return tuple(
        Question(canonical(claim.specifier), python, target)
        for target in targets
        for python in pythons
    )


class Asked:
    """Answers questions about one project, each range of releases looked up once."""

    def __init__(self, shelves: Shelves) -> None:
        self.shelves = shelves
        self._ranges: dict[str, tuple[tuple[Listed, ...], tuple[Listed, ...]]] = {}
        self._answers: dict[Question, Answer] = {}

    def answer(self, question: Question) -> Answer:
        """Return what the releases in the range offer."""
        if question not in self._answers:
            self._answers[question] = self._answer(question)
        return self._answers[question]

    def _answer(self, question: Question) -> Answer:
        listed, apart = self._within(question.specifier)
        usable = (Offer.WHEEL, Offer.SOURCE)
        offers: dict[Offer, list[str]] = {}
        for each in listed:
            offers.setdefault(self._offer(each, question), []).append(each.text)
        # Only a runtime that is offered nothing at all raises the question what others did offer.
        if offers.keys() & set(usable):
            apart = ()
        return Answer(
            question,
            tuple(each.text for each in listed),
            {offer: tuple(releases) for offer, releases in offers.items()},
            sum(bool(each.files.wheels) for each in listed),
            tuple(each.text for each in apart if self._offer(each, question) in usable),
        )

    def _offer(self, listed: Listed, question: Question) -> Offer:
        return self.shelves.offer(listed, question.python, question.target)

    def _within(self, specifier: str) -> tuple[tuple[Listed, ...], tuple[Listed, ...]]:
        """Return the final releases in the range, and those that are set apart."""
        if specifier not in self._ranges:
            shelves = self.shelves
            apart = (*shelves.early, *shelves.yanked, *shelves.vanished)
            self._ranges[specifier] = (
                tuple(one for one in shelves.final if contains(specifier, one.version)),
                tuple(one for one in apart if contains(specifier, one.version)),
            )
        return self._ranges[specifier]
