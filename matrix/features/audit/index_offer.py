"""Artifacts that a project's releases offer to each CPython and platform of a runtime claim.

Wheels are matched by their tags, source distributions by `Requires-Python`. Results are cached for
equal sets of files.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from packaging.version import Version

from matrix.features.audit.versions import canonical, contains, describe_releases
from matrix.interpreters.targets import covers_target
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import Project, ReleaseFiles
from matrix.pypi.releases import python_key, specifier_allows
from matrix.pypi.tags import supported_platforms, supports_python


@dataclasses.dataclass(frozen=True, order=True)
class OfferTarget:
    """A platform as in wheel tags (`linux_x86_64`), and its C library on Linux."""

    name: str
    title: str
    libc: str = ""


GLIBC, MUSL = "glibc", "musl"
TARGETS = (
    OfferTarget("linux_x86_64", "Linux x86-64", GLIBC),
    OfferTarget("linux_x86_64", "Linux x86-64 (musl)", MUSL),
    OfferTarget("linux_i686", "Linux i686", GLIBC),
    OfferTarget("linux_i686", "Linux i686 (musl)", MUSL),
    OfferTarget("linux_aarch64", "Linux AArch64", GLIBC),
    OfferTarget("linux_aarch64", "Linux AArch64 (musl)", MUSL),
    OfferTarget("macosx_x86_64", "macOS Intel"),
    OfferTarget("macosx_arm64", "macOS Apple Silicon"),
    OfferTarget("win_amd64", "Windows 64 bit"),
    OfferTarget("win32", "Windows 32 bit"),
)


class TargetOffer(str, enum.Enum):
    """The best artifact of a release for a CPython on a platform, in words.

    EXCLUDED: there are suitable files, but their `Requires-Python` excludes the CPython.
    """

    WHEEL = "wheel"
    SOURCE = "source"
    EXCLUDED = "excluded by Requires-Python"
    NOTHING = "nothing"


@dataclasses.dataclass(frozen=True, eq=False)
class OfferedFiles:
    """The tags and `Requires-Python` of a release's usable files; shared by many releases.

    `wheels` are (interpreters, abis, platforms, Requires-Python), `sources` the Requires-Python
    values of source distributions.
    """

    wheels: frozenset[tuple[str, str, str, str]]
    sources: frozenset[str]

    def requires_python(self) -> frozenset[str]:
        """Return the different values of `Requires-Python`."""
        return self.sources.union(wheel[3] for wheel in self.wheels)


@dataclasses.dataclass(frozen=True, eq=False)
class OfferedRelease:
    """A release with its usable files."""

    release: ReleaseFiles
    version: Version
    files: OfferedFiles

    @property
    def text(self) -> str:
        """Return the index's spelling of the version."""
        return self.release.version


@dataclasses.dataclass(frozen=True, order=True)
class OfferQuery:
    """A CPython on a platform, for the releases of a canonical specifier."""

    specifier: str
    python: str
    target: OfferTarget


@dataclasses.dataclass(frozen=True)
class OfferResult:
    """The offers of the final releases in the range (`releases`, ascending).

    `with_wheels` is the number of those with a wheel for any runtime. `withdrawn` are yanked, early
    or vanished releases with an artifact for the runtime, if no final release has one.
    """

    query: OfferQuery
    releases: tuple[str, ...]
    offers: Mapping[TargetOffer, tuple[str, ...]]
    with_wheels: int
    withdrawn: tuple[str, ...]

    def releases_with(self, *offers: TargetOffer) -> tuple[str, ...]:
        """Return the releases with one of these offers, ascending."""
        matching = {release for offer in offers for release in self.offers.get(offer, ())}
        return tuple(release for release in self.releases if release in matching)

    @property
    def without_artifact(self) -> tuple[str, ...]:
        """Return the releases that have neither a wheel nor an admitted source distribution."""
        return self.releases_with(TargetOffer.EXCLUDED, TargetOffer.NOTHING)

    def describe(self) -> str:
        """Return the offers as ranges: `wheel from 1.6.0 on; source up to 1.5.5`.

        `source` are releases without a wheel.
        """
        if not self.releases:
            return "no release in the range"
        return "; ".join(
            f"{offer.value} {describe_releases(self.releases, releases)}"
            for offer in TargetOffer
            if (releases := self.offers.get(offer, ())) or offer is TargetOffer.WHEEL
        )


_FinalAndWithdrawn: TypeAlias = tuple[tuple[OfferedRelease, ...], tuple[OfferedRelease, ...]]


class ProjectReleases:
    """A project's releases, ascending, and what they offer for each runtime.

    `final` are those that installers use; the others are `early`, `yanked` or `vanished`.
    """

    def __init__(self, project: Project) -> None:
        shared: dict[object, OfferedFiles] = {}
        offered = [_offered(release, shared) for release in project.releases]
        usable = [release for release in offered if not release.release.yanked]
        self.final = tuple(release for release in usable if not release.version.is_prerelease)
        self.early = tuple(release for release in usable if release.version.is_prerelease)
        self.yanked = tuple(release for release in offered if release.release.yanked)
        self.vanished = tuple(_offered(release, shared) for release in project.vanished)
        self._withdrawn = (*self.early, *self.yanked, *self.vanished)
        self._offers = functools.cache(_offer)
        self._within: Callable[[str], _FinalAndWithdrawn] = functools.cache(self._split)
        self.find: Callable[[OfferQuery], OfferResult] = functools.cache(self._find)

    @functools.cached_property
    def pythons(self) -> tuple[str, ...]:
        """Return every CPython (`3.9`) in the tags of some wheel, ascending."""
        pythons = {
            f"{tag[2]}.{tag[3:]}"
            for release in self.final
            for wheel in release.files.wheels
            for tag in wheel[0].split(".")
            if tag.startswith("cp") and tag[3:].isdigit()
        }
        return tuple(sorted(pythons, key=python_key))

    def offer(self, release: OfferedRelease, python: str, target: OfferTarget) -> TargetOffer:
        """Return the best artifact of a release for a CPython on a platform."""
        return self._offers(release.files, python, target)

    def queries(self, claim: Claim, *, musl: bool = False) -> tuple[OfferQuery, ...]:
        """Return a query for each CPython on each platform of a runtime claim.

        A claim without a system, processor or CPython is about all known ones. Linux means glibc;
        `musl` adds musl.
        """
        pythons = _matching_pythons(claim.get("python") or "", self.pythons)
        return tuple(
            OfferQuery(canonical(claim.specifier), python, target)
            for target in TARGETS
            if (musl or target.libc != MUSL) and covers_target(claim, target.name)
            for python in pythons
        )

    def _find(self, query: OfferQuery) -> OfferResult:
        final, withdrawn = self._within(query.specifier)
        usable = {TargetOffer.WHEEL, TargetOffer.SOURCE}
        offers: dict[TargetOffer, list[str]] = defaultdict(list)
        for release in final:
            offers[self.offer(release, query.python, query.target)].append(release.text)
        # Withdrawn releases only matter if no final release has an artifact.
        if offers.keys() & usable:
            withdrawn = ()
        return OfferResult(
            query,
            tuple(release.text for release in final),
            {offer: tuple(releases) for offer, releases in offers.items()},
            sum(bool(release.files.wheels) for release in final),
            tuple(
                release.text
                for release in withdrawn
                if self.offer(release, query.python, query.target) in usable
            ),
        )

    def _split(self, specifier: str) -> _FinalAndWithdrawn:
        """Return the final releases in the range, and the withdrawn ones."""
        final, withdrawn = (
            tuple(release for release in releases if contains(specifier, release.version))
            for releases in (self.final, self._withdrawn)
        )
        return final, withdrawn


def _matching_pythons(specifier: str, pythons: Sequence[str]) -> tuple[str, ...]:
    """Return the `pythons` that match `>=3.7`; `==3.9.*` always matches 3.9."""
    minor = specifier.removeprefix("==").removesuffix(".*")
    if specifier.startswith("==") and specifier.endswith(".*") and minor.count(".") == 1:
        return (minor,)
    return tuple(python for python in pythons if specifier_allows(specifier, f"{python}.99"))


def _offered(release: ReleaseFiles, shared: dict[object, OfferedFiles]) -> OfferedRelease:
    wheels: set[tuple[str, str, str, str]] = set()
    sources: set[str] = set()
    for file in release.files:
        if file.yanked and not release.yanked:
            continue
        if file.tags:
            interpreters, abis, platforms = file.tags.split("-")
            wheels.add((interpreters, abis, platforms, file.requires_python))
        else:
            sources.add(file.requires_python)
    key = (frozenset(wheels), frozenset(sources))
    files = shared.setdefault(key, OfferedFiles(*key))
    return OfferedRelease(release, Version(release.version), files)


def _offer(files: OfferedFiles, python: str, target: OfferTarget) -> TargetOffer:
    # Some specifiers name patches (`>=3.6.2`, `!=3.5.0`); the newest patch is compared.
    patch = f"{python}.99"
    excluded = False
    for interpreters, abis, platforms, requires_python in files.wheels:
        if supports_python(interpreters, abis, python) and _installs(platforms, target):
            if specifier_allows(requires_python, patch):
                return TargetOffer.WHEEL
            excluded = True
    for requires_python in files.sources:
        if specifier_allows(requires_python, patch):
            return TargetOffer.SOURCE
        excluded = True
    return TargetOffer.EXCLUDED if excluded else TargetOffer.NOTHING


@functools.lru_cache(maxsize=4096)
def _installs(platforms: str, target: OfferTarget) -> bool:
    supported = _platforms(target)
    return any(tag == "any" or tag in supported for tag in platforms.split("."))


@functools.cache
def _platforms(target: OfferTarget) -> frozenset[str]:
    return frozenset(supported_platforms(target.name, target.libc))


def cpython_claims(claims: Iterable[Claim]) -> Iterator[Claim]:
    """Yield the claims that promise support of a CPython."""
    for claim in claims:
        runtime = claim.kind is ClaimKind.RUNTIME and claim.subject == "cpython"
        if runtime and claim.status not in (Status.NOT_SUPPORTED, Status.END_OF_LIFE):
            yield claim
