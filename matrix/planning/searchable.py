"""Which releases of a project a search can ask, and why not the others. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from packaging.version import Version

from matrix.errors import NothingSelectedError, UsageError, nearest
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.planning.existence import Impossible
from matrix.planning.quests import PassedOver
from matrix.planning.shelf import Shelf, Title

__all__ = ["Ends", "release_of", "spread"]


@dataclasses.dataclass(frozen=True)
class Ends:
    """The first and the last release that are searched; None where there is no such end."""

    since: Version | None
    until: Version | None

    @classmethod
    def of(cls, since: str, until: str) -> Ends:
        """Return the ends as the user gives them; raise UsageError for what is no version."""
        first, last = _version_of(since, "--since"), _version_of(until, "--until")
        if first is not None and last is not None and first > last:
            raise UsageError(f"--since {since} is later than --until {until}", "Swap them.")
        return cls(first, last)

    def hold(self, title: Title) -> bool:
        """Return whether a release is between them; both ends are."""
        return (self.since is None or title.version >= self.since) and (
            self.until is None or title.version <= self.until
        )


def spread(
    shelf: Shelf,
    ends: Ends,
    why_not: Callable[[Title], Impossible | None],
    cell: Callable[[Title], PlannedCell],
) -> tuple[dict[str, PlannedCell], tuple[PassedOver, ...]]:
    """Return the cells of the releases that can be asked, and the others by reason.

    Raises NothingSelectedError where none can be.
    """
    cells: dict[str, PlannedCell] = {}
    passed: dict[Reason, list[tuple[str, str]]] = {}
    for title in shelf.titles:
        if not ends.hold(title):
            outside = (title.text, "outside of --since and --until")
            passed.setdefault(Reason.NOT_SELECTED, []).append(outside)
        elif (why := why_not(title)) is not None:
            said = why.detail.removeprefix(f"{shelf.name} {title.text} ")
            passed.setdefault(why.reason, []).append((title.text, said))
        else:
            cells[title.text] = cell(title)
    found = tuple(
        # One of them stands for all.
        PassedOver(reason, texts[-1][1], tuple(text for text, _ in texts))
        for reason, texts in passed.items()
    )
    if not cells:
        told = "; ".join(f"{each.detail} ({len(each.releases)})" for each in found)
        raise NothingSelectedError(
            f"no release of {shelf.name} can be asked: {told or 'there is none'}",
            "Name another CPython (--python), or other ends (--since, --until).",
        )
    return cells, found


def release_of(shelf: Shelf, version: str, option: str) -> Title:
    """Return a release by its version, the newest for none; raise UsageError."""
    wanted = _version_of(version, option)
    if wanted is None:
        return shelf.titles[-1]
    for title in shelf.titles:
        if title.version == wanted:
            return title
    near = nearest(version, [title.text for title in shelf.titles])
    raise UsageError(
        f"{option}: there is no final release {version} of {shelf.name}{shelf.said_until}"
        + (f"; did you mean {near}?" if near else ""),
        f"The newest is {shelf.titles[-1].text}." if shelf.titles else "There is none at all.",
    )


def _version_of(text: str, option: str) -> Version | None:
    if not text:
        return None
    try:
        return Version(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is no version", "Such as 1.10.0.") from None
