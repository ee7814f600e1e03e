"""What the index alone says of runtime claims: evidence for verdicts, on any machine.

The decision table. *None* means neither a wheel that the runtime installs nor a source distribution
that admits its CPython.

=============================================  ==================================================
releases in the promised range                 answer
=============================================  ==================================================
there is none                                  no evidence: nothing to compare with
none of them offers anything, and the index    refuted: the index answers fully for the same
lists wheels of them for other runtimes        releases, and has nothing for this runtime
none of them offers anything, and no wheels    said only: an index without any wheel for them may
of them are listed for any runtime             be half an index
only yanked, early or vanished ones offer      said only: something did fulfil it
some offer nothing                             said only: which do
each has a wheel or a source distribution      no evidence (a source distribution may build)
=============================================  ==================================================

A claim about several CPythons or platforms at once (`3.7+`) is refuted only where all of them are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from matrix.features.audit.index_offer import (
    OfferAnswer,
    OfferLookup,
    ProjectReleases,
    TargetOffer,
    promised,
    questions,
    shelves_of,
)
from matrix.features.audit.versions import in_words
from matrix.model.claim import Claim
from matrix.model.plan import StaticEvidence
from matrix.pypi.index import Index

__all__ = ["evidence_of", "refutes", "static_findings"]

# How many CPythons or platforms an answer names.
_NAMED = 4


def static_findings(claims: Iterable[Claim], index: Index) -> Mapping[str, StaticEvidence]:
    """Return the evidence by claim id, for those claims that there is any of.

    Raises `IndexUnavailableError` where neither the index nor a cache answers.
    """
    runtimes = list(promised(claims))
    if not runtimes:
        return {}
    asked = OfferLookup(shelves_of(index.project("ddtrace")))
    found = (evidence_of(claim, asked) for claim in runtimes)
    return {one.claim: one for one in found if one is not None}


def evidence_of(claim: Claim, asked: OfferLookup) -> StaticEvidence | None:
    """Return what the index says of one runtime claim, by the table above."""
    answers = [asked.answer(question) for question in questions(claim, asked.shelves)]
    lacking = [one for one in answers if one.nowhere]
    if not lacking:
        return None
    refuted = all(refutes(one) for one in answers)
    shown = lacking[:_NAMED]
    more = len(lacking) - len(shown)
    said = "; ".join(_sentence(one, asked.shelves) for one in shown)
    tail = f"; and {more} more such runtimes" if more else ""
    return StaticEvidence(claim.id, refuted, f"{said}{tail}.")


def refutes(answer: OfferAnswer) -> bool:
    """Return whether no artifact in the range can fulfil it, while the index answers fully."""
    return (
        bool(answer.releases)
        and len(answer.nowhere) == len(answer.releases)
        and not answer.apart
        and answer.elsewhere > 0
    )


def _sentence(answer: OfferAnswer, shelves: ProjectReleases) -> str:
    question, releases = answer.question, answer.releases
    runtime = f"CPython {question.python} on {question.target.title}"
    count = f"{len(releases)} releases" if len(releases) > 1 else "one release"
    if len(answer.nowhere) < len(releases):
        without = in_words(releases, answer.nowhere)
        return f"{runtime}: {_why(answer)} in ddtrace {without} ({_usable(answer)})"
    head = (
        f"{runtime}: {_why(answer)} in any of the {count} of ddtrace {question.specifier}".strip()
    )
    if answer.apart:
        return f"{head}; only in {', '.join(answer.apart[:_NAMED])}, which are no final releases"
    if not answer.elsewhere:
        return f"{head}; the index lists no wheel of them for any other runtime either"
    control = f"the same index lists wheels of {answer.elsewhere} of them for other runtimes"
    return f"{head}; {control}{_example(answer, shelves)}"


def _why(answer: OfferAnswer) -> str:
    if not answer.offers.get(TargetOffer.NOTHING):
        return "Requires-Python excludes it"
    return "neither a wheel nor an admitted source distribution"


def _usable(answer: OfferAnswer) -> str:
    parts = []
    for offer, word in (
        (TargetOffer.WHEEL, "wheels"),
        (TargetOffer.SOURCE, "only source distributions"),
    ):
        if found := answer.of(offer):
            parts.append(f"{word} {in_words(answer.releases, found)}")
    return "; ".join(parts)


def _example(answer: OfferAnswer, shelves: ProjectReleases) -> str:
    """Return an example of what the index does list for the newest of the releases."""
    wanted = set(answer.releases)
    listed = [each for each in shelves.final if each.text in wanted and each.files.wheels]
    example: Sequence[tuple[str, str, str, str]] = sorted(listed[-1].files.wheels) if listed else ()
    return f", such as {'-'.join(example[-1][:3])} of {listed[-1].text}" if example else ""
