"""A wheel's requirements against the package index: pins that nothing on it fulfils."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from packaging.tags import Tag, parse_tag

from matrix.artifacts.metadata import Required, required_on
from matrix.audit.artifacts_platforms import Platform
from matrix.audit.artifacts_seen import Looked, Seen
from matrix.audit.finding import FindingKind
from matrix.errors import IndexUnavailableError
from matrix.index.protocol import Index
from matrix.index.tags import tags_of
from matrix.model.index import Project
from matrix.planning.shelf import Shelf, Title

__all__ = ["Checker"]


class Checker:
    """Asks the index of each required project once. `silent` are those it gave no answer for."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.silent: dict[str, str] = {}
        self._shelf: Callable[[str], Shelf | None] = functools.cache(self._ask)
        self._answers: dict[tuple[str, str, str, str], str] = {}

    def unmet(self, looked: Looked) -> Iterator[Seen]:
        """Yield the requirements of a wheel that cannot be fulfilled or understood."""
        platform, python = looked.platform, looked.python
        for line in looked.contents.metadata.odd:
            said = f"requires {line!r}, which today's installers do not understand"
            yield Seen(FindingKind.REQUIREMENT_UNREADABLE, f"requirement/{line}", said, "METADATA")
        if platform is None or not python:
            return
        for each in required_on(looked.contents.metadata, platform.markers(python)):
            key = (each.project, each.specifier, python, platform.text)
            if key not in self._answers:
                self._answers[key] = self._why_not(each, python, platform)
            if self._answers[key]:
                said = f"requires {each.as_written}: {self._answers[key]}"
                subject = f"requirement/{each.project}"
                yield Seen(FindingKind.REQUIREMENT_UNMET, subject, said, "METADATA")

    def _ask(self, project: str) -> Shelf | None:
        try:
            found: Project = self._index.project(project)
        except IndexUnavailableError as error:
            self.silent[project] = error.message
            return None
        return Shelf(found)

    def _why_not(self, each: Required, python: str, platform: Platform) -> str:
        """Return why nothing on the index fulfils a requirement, "" where something does."""
        shelf = self._shelf(each.project)
        if shelf is None:
            return ""
        titles = shelf.within(each.specifier)
        if not titles:
            return "the index has no such release"
        for machine in platform.machines:
            tags = _tags(python, platform, machine)
            if not any(_installs(title, python, tags) for title in titles):
                return f"no release of it installs on CPython {python} on {platform.text}"
        return ""


@functools.cache
def _tags(python: str, platform: Platform, machine: str) -> frozenset[Tag]:
    if platform.format == "mach-o":
        cpu = "arm64" if machine == "aarch64" else machine
        return frozenset(tags_of(python, f"macosx_{cpu}"))
    target = platform.text.partition(" ")[0]
    return frozenset(tags_of(python, target, platform.libc))


def _installs(title: Title, python: str, tags: frozenset[Tag]) -> bool:
    """Return whether a release has a wheel for these tags, or a source distribution."""
    if not title.requires(python):
        return False
    return any(
        not file.tags or not tags.isdisjoint(parse_tag(file.tags))
        for file in title.release.files
        if not file.yanked
    )
