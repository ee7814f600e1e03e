"""Claims compared with the package index: artifacts for each runtime, and static evidence."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from helpers.planning_fixture import FakeIndex, claim, runtime
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import IndexUnavailableError
from matrix.features.audit.findings import AuditFinding, FindingKind
from matrix.features.audit.index import IndexRow, compare_with_index, static_evidence
from matrix.features.audit.index_offer import TARGETS, OfferTarget, ProjectReleases, TargetOffer
from matrix.model.claim import Claim, ClaimKind
from matrix.model.index import File, Project, ReleaseFiles
from matrix.model.plan import StaticEvidence
from matrix.pypi.client import CachedIndex
from matrix.pypi.tags import supports_python, wheel_tags

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.timezone.utc)
WHEEL = "cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64"
WINDOWS = "cp39-cp39-win_amd64"


def release(version: str, *tags: str, requires: str = "", yanked: bool = False) -> ReleaseFiles:
    """Return a release with wheels of these tags; the tag `sdist` is a source distribution."""
    names = [
        f"ddtrace-{version}.tar.gz" if tag == "sdist" else f"ddtrace-{version}-{tag}.whl"
        for tag in tags
    ]
    files = tuple(
        File(name, f"https://a.example/{name}", "0", NOW, requires, yanked, wheel_tags(name))
        for name in names
    )
    return ReleaseFiles(version, NOW, yanked, requires, files)


def project(*releases: ReleaseFiles, vanished: tuple[ReleaseFiles, ...] = ()) -> Project:
    return Project("ddtrace", NOW, releases, vanished)


@pytest.mark.parametrize(
    ("tags", "python", "target", "libc", "offer"),
    [
        (WHEEL, "3.9", "linux_x86_64", "glibc", TargetOffer.WHEEL),
        (WHEEL, "3.10", "linux_x86_64", "glibc", TargetOffer.NOTHING),
        (WHEEL, "3.9", "linux_x86_64", "musl", TargetOffer.NOTHING),
        (WHEEL, "3.9", "linux_i686", "glibc", TargetOffer.NOTHING),
        ("cp39-cp39-musllinux_1_1_x86_64", "3.9", "linux_x86_64", "musl", TargetOffer.WHEEL),
        ("cp39-cp39-musllinux_1_1_x86_64", "3.9", "linux_x86_64", "glibc", TargetOffer.NOTHING),
        ("cp39-cp39-manylinux1_i686", "3.9", "linux_i686", "glibc", TargetOffer.WHEEL),
        ("cp39-cp39-macosx_10_9_universal2", "3.9", "macosx_arm64", "", TargetOffer.WHEEL),
        ("cp39-cp39-macosx_10_9_universal2", "3.9", "macosx_x86_64", "", TargetOffer.WHEEL),
        ("cp39-cp39-macosx_11_0_x86_64", "3.9", "macosx_arm64", "", TargetOffer.NOTHING),
        ("cp39-cp39-win32", "3.9", "win_amd64", "", TargetOffer.NOTHING),
        ("cp39-cp39-win32", "3.9", "win32", "", TargetOffer.WHEEL),
        ("cp27-cp27m-manylinux1_x86_64", "2.7", "linux_x86_64", "glibc", TargetOffer.WHEEL),
        ("cp37-abi3-win32", "3.12", "win32", "", TargetOffer.WHEEL),
        ("cp37-abi3-win32", "3.6", "win32", "", TargetOffer.NOTHING),
        ("py2.py3-none-any", "2.7", "macosx_arm64", "", TargetOffer.WHEEL),
        ("py3-none-any", "2.7", "win32", "", TargetOffer.NOTHING),
        ("sdist", "2.7", "win32", "", TargetOffer.SOURCE),
    ],
)
def test_runtimes_of_a_file(
    tags: str, python: str, target: str, libc: str, offer: TargetOffer
) -> None:
    (offer_target,) = [item for item in TARGETS if (item.name, item.libc) == (target, libc)]
    releases = ProjectReleases(project(release("1.0", tags)))
    assert releases.offer(releases.final[0], python, offer_target) is offer


@pytest.mark.parametrize(
    ("requires", "python", "offer"),
    [
        (">=3.7", "2.7", TargetOffer.EXCLUDED),
        (">=3.7", "3.9", TargetOffer.SOURCE),
        ("<3.9", "3.9", TargetOffer.EXCLUDED),
        (">=3.9.2", "3.9", TargetOffer.SOURCE),
        ("nonsense", "3.9", TargetOffer.SOURCE),
    ],
)
def test_requires_python_of_files_counts(requires: str, python: str, offer: TargetOffer) -> None:
    releases = ProjectReleases(project(release("1.0", "sdist", requires=requires)))
    assert releases.offer(releases.final[0], python, OfferTarget("win32", "")) is offer


def test_a_yanked_file_offers_nothing() -> None:
    original = release("1.0", WHEEL, "sdist")
    files = tuple(dataclasses.replace(file, yanked=bool(file.tags)) for file in original.files)
    releases = ProjectReleases(project(dataclasses.replace(original, files=files)))
    assert releases.offer(releases.final[0], "3.9", TARGETS[0]) is TargetOffer.SOURCE


def rows(claims: list[Claim], *releases: ReleaseFiles) -> list[IndexRow]:
    all_rows = compare_with_index(claims, project(*releases)).rows
    return [row for row in all_rows if "musl" not in " ".join(row.targets)]


def test_the_table_has_ranges_and_gaps() -> None:
    offers = [
        release(f"1.{minor}", "sdist", *([WHEEL] if minor > 3 and minor != 7 else []))
        for minor in range(12)
    ]
    (row,) = rows([runtime("==3.9.*")], *offers)
    assert row.pythons == ("3.9",)
    assert row.targets == ("Linux x86-64",)
    assert row.offers == "wheel from 1.4 on but not 1.7; source up to 1.3, 1.7"


def test_runtimes_with_equal_offers_share_a_row() -> None:
    claims = [runtime(f"==3.{minor}.*", os="windows") for minor in (8, 9)]
    claims += [runtime("==3.9.*", os="windows", cpu="x86")]
    index_rows = rows(claims, release("1.0", "sdist"), release("1.1", "sdist", WINDOWS))
    assert [(row.pythons, row.targets, row.offers) for row in index_rows] == [
        (("3.8",), ("Windows 64 bit",), "wheel never; source always"),
        (("3.9",), ("Windows 64 bit",), "wheel from 1.1 on; source up to 1.0"),
        (("3.9",), ("Windows 32 bit",), "wheel never; source always"),
    ]


@given(st.lists(st.sets(st.sampled_from([WHEEL, WINDOWS, "sdist"]), min_size=1), min_size=1))
def test_every_release_has_one_offer(shapes: list[set[str]]) -> None:
    releases = ProjectReleases(
        project(*(release(f"1.{minor}", *tags) for minor, tags in enumerate(shapes)))
    )
    for target in TARGETS:
        kinds = [releases.offer(item, "3.9", target) for item in releases.final]
        assert [kind is TargetOffer.NOTHING for kind in kinds] == [
            "sdist" not in tags
            and not (WHEEL in tags and target == TARGETS[0])
            and not (WINDOWS in tags and target.name == "win_amd64")
            for tags in shapes
        ]


def findings(claims: list[Claim], index: Project) -> list[AuditFinding]:
    return list(compare_with_index(claims, index).findings)


def evidence(claims: list[Claim], index: Project) -> list[StaticEvidence]:
    return list(static_evidence(claims, FakeIndex({"ddtrace": index})).values())


def test_a_runtime_without_artifacts_is_refuted_with_a_control() -> None:
    claims = [runtime("==2.7.*", "<2", os="windows")]
    index = project(release("1.0", WHEEL, "sdist", requires=">=3.7"), release("1.1", WHEEL))
    (finding,) = findings(claims, index)
    assert finding.kind is FindingKind.RUNTIME_WITHOUT_ARTIFACT
    assert finding.contradicts
    assert finding.places[0].claim == claims[0].id
    (result,) = evidence(claims, index)
    assert result.claim == claims[0].id
    assert result.refutes
    assert "CPython 2.7 on Windows 64 bit" in result.evidence
    assert "lists wheels of 2 of them for other runtimes" in result.evidence
    assert WHEEL in result.evidence


def test_without_a_control_nothing_is_refuted() -> None:
    claims = [runtime("==2.7.*", "<2", os="windows")]
    index = project(release("1.0", "sdist", requires=">=3.7"))
    (result,) = evidence(claims, index)
    assert not result.refutes
    assert "for any other runtime either" in result.evidence


def test_a_source_distribution_may_build_and_refutes_nothing() -> None:
    claims = [runtime("==2.7.*", "<2", os="windows")]
    index = project(release("1.0", WHEEL, "sdist"))
    assert evidence(claims, index) == []
    (finding,) = findings(claims, index)
    assert finding.kind is FindingKind.RUNTIME_FROM_SOURCE_ONLY
    assert not finding.contradicts


def test_a_runtime_with_artifacts_of_some_releases_is_not_refuted() -> None:
    claims = [runtime("==3.9.*", "<2")]
    index = project(release("1.0", WHEEL), release("1.1", WINDOWS), release("1.2", WHEEL))
    (result,) = evidence(claims, index)
    assert not result.refutes
    assert "in ddtrace only 1.1" in result.evidence
    (finding,) = findings(claims, index)
    assert finding.kind is FindingKind.RUNTIME_PARTLY_WITHOUT_ARTIFACT


@pytest.mark.parametrize(
    "index",
    [
        project(release("1.0", WINDOWS), release("1.1", WHEEL, yanked=True)),
        project(release("1.0", WINDOWS), release("1.1rc1", WHEEL)),
        project(release("1.0", WINDOWS), vanished=(release("1.1", WHEEL),)),
    ],
)
def test_withdrawn_and_early_releases_prevent_a_refutation(index: Project) -> None:
    (result,) = evidence([runtime("==3.9.*", "<2")], index)
    assert not result.refutes
    assert "1.1" in result.evidence


def test_a_range_without_releases_has_no_evidence() -> None:
    assert evidence([runtime("==3.9.*", ">=9")], project(release("1.0", WHEEL))) == []
    assert findings([runtime("==3.9.*", ">=9")], project(release("1.0", WHEEL))) == []


def test_an_open_range_is_refuted_only_as_a_whole() -> None:
    windows = "cp310-cp310-win_amd64"
    index = project(release("1.0", WHEEL, windows))
    (result,) = evidence([runtime(">=3.7", "<2", os="windows")], index)
    assert not result.refutes
    assert "3.9" in result.evidence
    (result,) = evidence([runtime(">=3.7", "<2", os="macos", cpu="arm64")], index)
    assert result.refutes


def test_no_runtime_claims_need_no_index() -> None:
    assert static_evidence([claim(ClaimKind.CAPABILITY, "sca", ">=1.5")], FakeIndex({})) == {}
    with pytest.raises(IndexUnavailableError):
        static_evidence([runtime("==3.9.*")], FakeIndex({}))


@pytest.mark.parametrize(
    ("specifier", "kind"),
    [
        (">=1.0", None),
        (">=1.0.0", None),
        (">=1.1", FindingKind.MINIMUM_YANKED),
        (">=1.2", FindingKind.MINIMUM_NOT_RELEASED),
        (">=9.0", FindingKind.MINIMUM_NOT_RELEASED),
        ("==1.*", None),
        ("", None),
    ],
)
def test_a_minimum_must_be_a_release(specifier: str, kind: FindingKind | None) -> None:
    index = project(
        release("1.0", WHEEL), release("1.1", WHEEL, yanked=True), release("1.3", WHEEL)
    )
    all_findings = findings([claim(ClaimKind.CAPABILITY, "sca", specifier)], index)
    assert [finding.kind for finding in all_findings] == ([kind] if kind else [])


def test_yanked_and_vanished_releases_are_named() -> None:
    report = compare_with_index(
        [runtime("==3.9.*")],
        project(
            release("1.0", WHEEL),
            release("1.1rc1", WHEEL),
            release("1.2", WHEEL, yanked=True),
            vanished=(release("0.9", WHEEL, "sdist"),),
        ),
    )
    assert (report.releases, report.early, report.yanked) == (1, 1, ("1.2",))
    (finding,) = report.findings
    assert finding.kind is FindingKind.RELEASE_VANISHED
    assert "the whole release (2 files" in finding.says


def test_files_that_contradict_their_release_are_found() -> None:
    mixed = release("1.0", WHEEL, "sdist", requires=">=3.7")
    files = (mixed.files[0], dataclasses.replace(mixed.files[1], requires_python=""))
    shut = release("1.1", WHEEL, requires="<3.9")
    all_findings = findings([], project(dataclasses.replace(mixed, files=files), shut))
    assert [finding.kind for finding in all_findings] == [
        FindingKind.WHEEL_EXCLUDED,
        FindingKind.REQUIRES_PYTHON_DIFFERS,
    ]
    assert "3.9" in all_findings[0].subject
    assert "1.1" in all_findings[0].says


@pytest.mark.index
def test_offers_of_the_real_index_for_old_releases(tmp_path: Path) -> None:
    claims = [runtime("==3.11.*"), runtime("==2.7.*", os="windows")]
    report = compare_with_index(claims, CachedIndex(tmp_path).project("ddtrace"))
    offers = {row.targets: row.offers for row in report.rows}
    assert offers["Linux x86-64",] == "wheel from 1.6.0 on; source up to 1.5.5"
    assert offers["Windows 64 bit",] == "wheel never; source always"


@pytest.mark.parametrize(
    ("interpreters", "abis", "supported"),
    [
        ("cp313", "cp313", True),
        ("cp313", "cp313t", False),
        ("cp313", "cp313.cp313t", True),
        ("py37", "none", True),
        ("py314", "none", False),
        ("py2.py3", "none", True),
        ("py27", "none", False),
        ("cp39", "abi3", True),
        ("cp39", "cp39", False),
        ("py3x", "none", False),
        ("cp3x", "abi3", False),
    ],
)
def test_interpreters_that_a_wheel_supports(interpreters: str, abis: str, supported: bool) -> None:
    assert supports_python(interpreters, abis, "3.13") is supported
