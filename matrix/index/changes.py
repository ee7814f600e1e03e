"""What an index listed earlier and no longer lists: kept beside what it lists now.

Indexes do delete releases (a withdrawn upload, a mirror that lags). A release that is gone cannot
be installed, so it is no release of the project any more; that it was there is still known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from packaging.version import Version

from matrix.model.index import File, Project, Release

__all__ = ["Change", "carried_over"]

# How many names a sentence holds.
_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Change:
    """What is different from the answer before: names of files.

    `gone` releases have no file left, `files` are gone from releases that still have others,
    `replaced` files have another hash than before.
    """

    gone: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    def sentences(self, name: str) -> tuple[str, ...]:
        """Return what a user should know of it."""
        said = (
            (self.gone, f"the index no longer lists these releases of {name}"),
            (self.files, f"the index no longer lists these files of {name}"),
            (self.replaced, f"these files of {name} have another hash than before"),
        )
        return tuple(f"{text}: {_listed(names)}" for names, text in said if names)


def carried_over(old: Project | None, new: Project) -> tuple[Project, Change]:
    """Return the new answer with what has vanished since the old one, and what changed.

    What had vanished before and is listed again counts as listed.
    """
    if old is None:
        return new, Change()
    listed = {file.filename: file for release in new.releases for file in release.files}
    versions = {Version(release.version) for release in new.releases}
    vanished: dict[Version, Release] = {}
    for release in (*old.vanished, *old.releases):
        missing = [file for file in release.files if file.filename not in listed]
        if missing:
            version = Version(release.version)
            before = vanished[version].files if version in vanished else ()
            vanished[version] = dataclasses.replace(release, files=_once((*before, *missing)))
    gone, files, replaced = [], [], []
    for release in old.releases:
        if Version(release.version) not in versions:
            gone.append(release.version)
        else:
            files += [one.filename for one in release.files if one.filename not in listed]
        replaced += [one.filename for one in release.files if _differs(one, listed)]
    kept = tuple(vanished[version] for version in sorted(vanished))
    return (
        dataclasses.replace(new, vanished=kept),
        Change(tuple(gone), tuple(files), tuple(replaced)),
    )


def _once(files: Iterable[File]) -> tuple[File, ...]:
    return tuple({file.filename: file for file in files}.values())


def _differs(old: File, listed: dict[str, File]) -> bool:
    new = listed.get(old.filename)
    return new is not None and bool(old.sha256 and new.sha256) and old.sha256 != new.sha256


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
