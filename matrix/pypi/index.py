"""The seam to the index: the only thing that planning knows of it.

An index that knows one release of a project by given files, and by no others.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol

from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix.model.index import Project, ReleaseFiles

__all__ = ["Index", "ReplacingIndex"]


class Index(Protocol):
    """Answers what releases a project has."""

    def project(self, name: str) -> Project:
        """Return all releases of `name`, yanked ones and pre-releases included.

        Raises `IndexUnavailableError` where neither the index nor a cache answers.
        """
        ...


@dataclasses.dataclass(frozen=True)
class ReplacingIndex:
    """What `index` says, but that `release` takes the place of the project's own of that version.

    The project may have none: the release is added then.
    """

    index: Index
    name: str
    release: ReleaseFiles

    def project(self, name: str) -> Project:
        """Return all releases of `name`; raise what `index` raises."""
        found = self.index.project(name)
        if canonicalize_name(name) != canonicalize_name(self.name):
            return found
        own = Version(self.release.version)
        others = [each for each in found.releases if Version(each.version) != own]
        releases = sorted([*others, self.release], key=lambda each: Version(each.version))
        return dataclasses.replace(found, releases=tuple(releases))
