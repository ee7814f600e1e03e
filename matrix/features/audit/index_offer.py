"""What a project's releases offer to each CPython, system and processor.

Wheels are matched by their tags, source distributions by `Requires-Python`. Everything is worked
out once for all releases; a question is then a look at sets.

A runtime claim spelled out: which CPythons on which platforms, for which releases.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.version import Version

from matrix.features.audit.versions import canonical, contains, in_words
from matrix.interpreters.targets import covers_target
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import Project, ReleaseFiles
from matrix.pypi.releases import specifier_allows, python_key
from matrix.pypi.tags import supported_platforms, supports_python

__all__ = [
    "GLIBC",
    "MUSL",
    "TARGETS",
    "OfferAnswer",
    "OfferLookup",
    "OfferQuestion",
    "OfferTarget",
    "OfferedFiles",
    "OfferedRelease",
    "ProjectReleases",
    "TargetOffer",
    "promised",
    "pythons_of",
    "questions",
    "shelves_of",
]


@dataclasses.dataclass(frozen=True, order=True)
class OfferTarget:
    """A platform: in wheel-tag words (`linux_x86_64`), its C library where it has several."""

    name: str
    title: str
    libc: str = ""

    @property
    def text(self) -> str:
        """Return a short name that tells the C libraries apart."""
        return f"{self.name} musl" if self.libc == MUSL else self.name


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
    """What a release has for a CPython on a platform, the best that there is.

    EXCLUDED: there are files that would do, and all say by `Requires-Python` that they will not.
    """

    WHEEL = "wheel"
    SOURCE = "source"
    EXCLUDED = "excluded"
    NOTHING = "nothing"


@dataclasses.dataclass(frozen=True, eq=False)
class OfferedFiles:
    """The usable files of a release by what they are for; many releases share one of these.

    `wheels` are (interpreters, abis, platforms, Requires-Python), `sources` the Requires-Python
    values of source distributions.
    """

    wheels: frozenset[tuple[str, str, str, str]]
    sources: frozenset[str]

    def says(self) -> frozenset[str]:
        """Return the different values of `Requires-Python`."""
        return self.sources.union(wheel[3] for wheel in self.wheels)


@dataclasses.dataclass(frozen=True, eq=False)
class OfferedRelease:
    """One release with its usable files."""

    release: ReleaseFiles
    version: Version
    files: OfferedFiles

    @property
    def text(self) -> str:
        """Return the index's spelling of the version."""
        return self.release.version


@dataclasses.dataclass(frozen=True, eq=False)
class ProjectReleases:
    """A project's releases, ascending: those that installers take, and those set apart."""

    project: Project
    final: tuple[OfferedRelease, ...]
    early: tuple[OfferedRelease, ...]
    yanked: tuple[OfferedRelease, ...]
    vanished: tuple[OfferedRelease, ...]
    _known: dict[tuple[OfferedFiles, str, OfferTarget], TargetOffer] = dataclasses.field(
        default_factory=dict
    )

    @functools.cached_property
    def pythons(self) -> tuple[str, ...]:
        """Return every CPython (`3.9`) that some release has a wheel of its own for, ascending."""
        named = {
            f"{tag[2]}.{tag[3:]}"
            for listed in self.final
            for wheel in listed.files.wheels
            for tag in wheel[0].split(".")
            if tag.startswith("cp") and tag[3:].isdigit()
        }
        return tuple(sorted(named, key=python_key))

    def offer(self, listed: OfferedRelease, python: str, target: OfferTarget) -> TargetOffer:
        """Return the best that a release has for a CPython on a platform."""
        key = (listed.files, python, target)
        if key not in self._known:
            self._known[key] = _offer(listed.files, python, target)
        return self._known[key]


def shelves_of(project: Project) -> ProjectReleases:
    """Sort a project's releases and files."""
    final: list[OfferedRelease] = []
    early: list[OfferedRelease] = []
    yanked: list[OfferedRelease] = []
    shared: dict[object, OfferedFiles] = {}
    for release in project.releases:
        listed = _listed(release, shared)
        if release.yanked:
            yanked.append(listed)
        else:
            (early if listed.version.is_prerelease else final).append(listed)
    vanished = tuple(_listed(release, shared) for release in project.vanished)
    return ProjectReleases(project, tuple(final), tuple(early), tuple(yanked), vanished)


def pythons_of(specifier: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the CPythons that `==3.9.*` or `>=3.7` means: those known, and one named alone."""
    named = specifier.removeprefix("==").removesuffix(".*")
    if specifier.startswith("==") and specifier.endswith(".*") and named.count(".") == 1:
        return (named,)
    return tuple(python for python in known if specifier_allows(specifier, f"{python}.99"))


def _listed(release: ReleaseFiles, shared: dict[object, OfferedFiles]) -> OfferedRelease:
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
    # `>=3.6.2` and `!=3.5.0` are about patches; the newest patch of the minor is what is meant.
    patch = f"{python}.99"
    excluded = False
    for interpreters, abis, platforms, says in files.wheels:
        if supports_python(interpreters, abis, python) and _installs(platforms, target):
            if specifier_allows(says, patch):
                return TargetOffer.WHEEL
            excluded = True
    for says in files.sources:
        if specifier_allows(says, patch):
            return TargetOffer.SOURCE
        excluded = True
    return TargetOffer.EXCLUDED if excluded else TargetOffer.NOTHING


@functools.lru_cache(maxsize=4096)
def _installs(platforms: str, target: OfferTarget) -> bool:
    taken = _platforms(target)
    return any(tag == "any" or tag in taken for tag in platforms.split("."))


@functools.cache
def _platforms(target: OfferTarget) -> frozenset[str]:
    return frozenset(supported_platforms(target.name, target.libc))


@dataclasses.dataclass(frozen=True, order=True)
class OfferQuestion:
    """One CPython on one platform, for the releases of a specifier (in canonical spelling)."""

    specifier: str
    python: str
    target: OfferTarget


@dataclasses.dataclass(frozen=True)
class OfferAnswer:
    """Which of the final releases in the range (`releases`, ascending) offer what.

    `elsewhere` counts those that have a wheel for anything. `apart` are releases that are yanked,
    not final or no longer listed and do offer something, looked for where none of `releases` does.
    """

    question: OfferQuestion
    releases: tuple[str, ...]
    offers: Mapping[TargetOffer, tuple[str, ...]]
    elsewhere: int
    apart: tuple[str, ...]

    def of(self, *offers: TargetOffer) -> tuple[str, ...]:
        """Return the releases with one of these offers, ascending."""
        found = {release for offer in offers for release in self.offers.get(offer, ())}
        return tuple(release for release in self.releases if release in found)

    @property
    def nowhere(self) -> tuple[str, ...]:
        """Return the releases that have neither a wheel nor an admitted source distribution."""
        return self.of(TargetOffer.EXCLUDED, TargetOffer.NOTHING)

    def words(self) -> str:
        """Return the offers as ranges: `wheel from 1.6.0 on; source up to 1.5.5`.

        `source` are the releases that have no wheel for it.
        """
        if not self.releases:
            return "no release in the range"
        named = (
            f"{_TITLES[offer]} {in_words(self.releases, of)}"
            for offer in TargetOffer
            if (of := self.offers.get(offer, ())) or offer is TargetOffer.WHEEL
        )
        return "; ".join(named)


_TITLES = {
    TargetOffer.WHEEL: "wheel",
    TargetOffer.SOURCE: "source",
    TargetOffer.EXCLUDED: "excluded by Requires-Python",
    TargetOffer.NOTHING: "nothing",
}


def promised(claims: Iterable[Claim]) -> Iterator[Claim]:
    """Yield the claims that promise a CPython."""
    for claim in claims:
        runtime = claim.kind is ClaimKind.RUNTIME and claim.subject == "cpython"
        if runtime and claim.status not in (Status.NOT_SUPPORTED, Status.END_OF_LIFE):
            yield claim


def questions(
    claim: Claim, shelves: ProjectReleases, *, musl: bool = False
) -> tuple[OfferQuestion, ...]:
    """Return what a runtime claim promises, one by one.

    A claim that names no system, processor or CPython means all of them that are known. Linux
    means glibc; `musl` asks for what the page does not promise beside it.
    """
    pythons = pythons_of(claim.get("python") or "", shelves.pythons)
    targets = (
        target for target in TARGETS if (musl or target.libc != MUSL) and covers_target(claim, target.name)
    )
    return tuple(
        OfferQuestion(canonical(claim.specifier), python, target)
        for target in targets
        for python in pythons
    )


class OfferLookup:
    """Answers questions about one project, each range of releases looked up once."""

    def __init__(self, shelves: ProjectReleases) -> None:
        self.shelves = shelves
        self._ranges: dict[str, tuple[tuple[OfferedRelease, ...], tuple[OfferedRelease, ...]]] = {}
        self._answers: dict[OfferQuestion, OfferAnswer] = {}

    def answer(self, question: OfferQuestion) -> OfferAnswer:
        """Return what the releases in the range offer."""
        if question not in self._answers:
            self._answers[question] = self._answer(question)
        return self._answers[question]

    def _answer(self, question: OfferQuestion) -> OfferAnswer:
        listed, apart = self._within(question.specifier)
        usable = (TargetOffer.WHEEL, TargetOffer.SOURCE)
        offers: dict[TargetOffer, list[str]] = {}
        for each in listed:
            offers.setdefault(self._offer(each, question), []).append(each.text)
        # Only a runtime that is offered nothing at all raises the question what others did offer.
        if offers.keys() & set(usable):
            apart = ()
        return OfferAnswer(
            question,
            tuple(each.text for each in listed),
            {offer: tuple(releases) for offer, releases in offers.items()},
            sum(bool(each.files.wheels) for each in listed),
            tuple(each.text for each in apart if self._offer(each, question) in usable),
        )

    def _offer(self, listed: OfferedRelease, question: OfferQuestion) -> TargetOffer:
        return self.shelves.offer(listed, question.python, question.target)

    def _within(
        self, specifier: str
    ) -> tuple[tuple[OfferedRelease, ...], tuple[OfferedRelease, ...]]:
        """Return the final releases in the range, and those that are set apart."""
        if specifier not in self._ranges:
            shelves = self.shelves
            apart = (*shelves.early, *shelves.yanked, *shelves.vanished)
            self._ranges[specifier] = (
                tuple(one for one in shelves.final if contains(specifier, one.version)),
                tuple(one for one in apart if contains(specifier, one.version)),
            )
        return self._ranges[specifier]
