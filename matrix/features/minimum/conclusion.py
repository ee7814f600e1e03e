"""What the result of a search says of what documents promise. Pure."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable

from packaging.version import Version

from matrix.errors import ExitCode
from matrix.features.minimum.observations import ReleaseSearchResult, ReleaseState
from matrix.features.minimum.run import SearchResult
from matrix.features.minimum.search_plan import DocumentedMinimum, SearchPlan
from matrix.model.reason import Reason

__all__ = ["Agreement", "Conclusion", "conclude", "exit_code_of"]


class Agreement(str, enum.Enum):
    """How a documented minimum and the observed one go together. LATER refutes the document."""

    SAME = "same"
    EARLIER = "earlier"
    LATER = "later"
    OPEN = "open"


@dataclasses.dataclass(frozen=True)
class Conclusion:
    """The answer for one promise, with a clause that says why."""

    promise: DocumentedMinimum
    agreement: Agreement
    said: str


def conclude(
    quest: SearchPlan, result: ReleaseSearchResult, promise: DocumentedMinimum
) -> Conclusion:
    """Return whether a promise `from this release on` holds at its beginning.

    It is refuted only where the first release that can answer, from the documented one on, fails,
    and a later one works in the same environment.
    """
    agreement, said = _compared(quest, result, promise.least)
    return Conclusion(promise, agreement, said)


def exit_code_of(found: Iterable[SearchResult]) -> ExitCode:
    """Return what the searches come to: the worst answer of any channel."""
    code = ExitCode.OK
    for sought in found:
        if sought.interrupted:
            return ExitCode.INTERRUPTED
        if sought.lost:
            return ExitCode.ENGINE_UNAVAILABLE
        for result in sought.results.values():
            answers = {conclude(sought.quest, result, x).agreement for x in sought.quest.promises}
            if Agreement.LATER in answers:
                code = ExitCode.REFUTED
            elif (Agreement.OPEN in answers or result.observed is None) and not code:
                code = ExitCode.UNVERIFIED
    return code


def _compared(quest: SearchPlan, result: ReleaseSearchResult, least: str) -> tuple[Agreement, str]:
    documented, observed = Version(least), result.observed
    since = [each for each in result.tried if Version(each.release) >= documented]
    answered = [each for each in since if each.reply.answer is not ReleaseState.CANNOT_TELL]
    works = [each.release for each in answered if each.reply.answer is ReleaseState.WORKS]
    if observed is None:
        told = Agreement.OPEN, "none of the releases tried was seen to work"
    elif answered and answered[0].reply.answer is ReleaseState.FAILS:
        first = answered[0].release
        told = Agreement.OPEN, f"{first} fails, and no later release was seen to work"
        if works:
            told = Agreement.LATER, f"{first} fails, and {works[0]} works"
    elif since and not answered:
        # That an earlier one works says nothing of those that are promised.
        told = Agreement.OPEN, f"{observed} works, and none from {least} on can tell"
    elif Version(observed) < documented:
        told = Agreement.EARLIER, f"{observed} works already"
    elif observed == least:
        told = Agreement.SAME, _before(result)
    else:
        told = _not_asked(quest, least, observed)
    return told


def _not_asked(quest: SearchPlan, least: str, observed: str) -> tuple[Agreement, str]:
    """Return the answer where the documented release has none, and only later ones do."""
    if least in quest.cells:
        return Agreement.OPEN, f"{least} cannot tell"
    chosen = {
        release
        for each in quest.passed_over
        if each.reason is Reason.NOT_SELECTED
        for release in each.releases
    }
    between = [x for x in quest.cells if Version(least) < Version(x) < Version(observed)]
    if least in chosen or between:
        return Agreement.OPEN, f"{least} was not asked"
    return Agreement.SAME, f"{observed} is the first of them that can be installed here"


def _before(result: ReleaseSearchResult) -> str:
    if result.exact:
        return "the release before fails, or there is none"
    return "it works; of the release before it cannot be told"
