"""The interface of package indexes, and an index that replaces one release of another index."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix.model.index import Project, ReleaseFiles


class Index(Protocol):
    """A source of projects with their releases; tests replace it."""

    def project(self, name: str) -> Project:
        """Return all releases of `name`, yanked ones and pre-releases included.

        Raises `IndexUnavailableError` without an answer of the index or a cache.
        """
        ...


@dataclasses.dataclass(frozen=True)
class ReplacingIndex:
    """The releases of `index`, with `release` instead of, or added to, those of project `name`."""

    index: Index
    name: str
    release: ReleaseFiles

    def project(self, name: str) -> Project:
        """Return all releases of `name`; raise what `index` raises."""
        project = self.index.project(name)
        if canonicalize_name(name) != canonicalize_name(self.name):
            return project
        own = Version(self.release.version)
        others = [item for item in project.releases if Version(item.version) != own]
        releases = sorted([*others, self.release], key=lambda item: Version(item.version))
        return dataclasses.replace(project, releases=tuple(releases))
