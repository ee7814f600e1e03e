"""A search made ready: which releases can be asked, in which cells, and what documents say."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping

from packaging.version import Version

from matrix.model.claim import Claim
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.planning.shelf import Title

__all__ = ["PassedOver", "Promise", "Quest", "Wanted", "promises_of"]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the user settles; the rest follows from the documents.

    `framework` is a name or `name==version`; `since` and `until` are the ends of the releases that
    are searched; `ddtrace` is the tracer under which a framework's releases are searched.
    `at_hand` are the CPythons to choose from where `python` is not given; none are all.
    """

    target: str
    framework: str = ""
    python: str = ""
    channels: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    ddtrace: str = ""
    as_of: dt.date | None = None
    at_hand: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class Promise:
    """What one document says the least release is; `least` is the first that there is of those."""

    claim: str
    document: str
    line: int
    as_written: str
    specifier: str
    least: str


@dataclasses.dataclass(frozen=True)
class PassedOver:
    """Releases that are not asked, ascending, and why."""

    reason: Reason
    detail: str
    releases: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Quest:
    """The search for the least release of `project` that shows `subject`.

    All cells are of one CPython and one target. `framework` is `name version`, or where the
    framework's own releases are searched, `ddtrace` is the tracer that they are tried under.

    `cells` are by release, ascending; `releases` are all final ones there are. `denied` are the
    documents that say that it is not supported. `remarks` say what was settled beforehand.
    """

    subject: str
    project: str
    probe: str
    channels: tuple[str, ...]
    python: str
    target: str
    framework: str
    ddtrace: str
    snapshot: dt.datetime
    releases: tuple[str, ...]
    cells: Mapping[str, PlannedCell]
    passed_over: tuple[PassedOver, ...] = ()
    promises: tuple[Promise, ...] = ()
    denied: tuple[Claim, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return what is searched and where, in a few words."""
        under = f"on {self.framework}" if self.framework else f"under ddtrace {self.ddtrace}"
        return f"{self.subject} {under}, CPython {self.python}, {self.target}"

    @property
    def is_cut(self) -> bool:
        """Return whether releases before the first that is searched were not asked for."""
        first = Version(next(iter(self.cells)))
        return any(
            Version(release) < first
            for each in self.passed_over
            if each.reason is Reason.NOT_SELECTED
            for release in each.releases
        )

    @property
    def documented(self) -> str | None:
        """Return the least of the documented minimums."""
        found = sorted({each.least for each in self.promises}, key=Version)
        return found[0] if found else None


def promises_of(
    stated: Iterable[tuple[Claim, Claim]], titles: Mapping[str, tuple[Title, ...]]
) -> Iterator[Promise]:
    """Yield the documented minimums; `titles` are the releases in each specifier.

    `stated` are a claim and the one whose version is its minimum, which may be the same.
    """
    told = set()
    for claim, minimum in stated:
        within = titles[minimum.specifier]
        # Several claims of one page may have the same minimum.
        if minimum.specifier and within and minimum.id not in told:
            told.add(minimum.id)
            yield Promise(
                claim=claim.id,
                document=minimum.document,
                line=minimum.line,
                as_written=minimum.as_written,
                specifier=minimum.specifier,
                least=within[0].text,
            )
