"""The releases that the vendor's own tests cover, as claims and cells of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import pytest
from helpers.library_modules import PAPER_MODULE
from helpers.planning_fixture import LINUX, claim, planned, project, world

from matrix.errors import UsageError
from matrix.model.claim import Claim, ClaimKind
from matrix.model.reason import Reason
from matrix.model.vendor_tests import VendorTested
from matrix.planning.coverage import load_coverage
from matrix.planning.planner import make_plan
from matrix.planning.tested_versions import vendor_claims, vendor_tracer
from matrix.probes.declarations import parse
from matrix.pypi.releases import Releases
from matrix.system.files import read_data


def entry_of(
    claim_id: str, versions: Sequence[str], *, python: str = "", integration: str = "paper"
) -> VendorTested:
    ends = (versions[0], versions[-1])
    return VendorTested(
        claim_id, integration, "paper", python, *ends, tuple(versions), None, "page.md", 7
    )


def chosen(
    dependency: str,
    versions: Mapping[str, Sequence[str]],
    pythons: Collection[str] | None = None,
    automatic: str = "yes",
) -> tuple[Claim, ...]:
    """Return the claims of a dependency whose tested releases are given for each CPython."""
    rows, tested = [], []
    for number, (python, texts) in enumerate(versions.items()):
        row = claim(
            ClaimKind.INTEGRATION, dependency, ">=1", python=f"=={python}.*", automatic=automatic
        )
        rows.append(row)
        lines = tuple(100 * number + line for line in range(len(texts)))
        item = entry_of(row.id, texts, python=python)
        tested.append(dataclasses.replace(item, lines=lines))
    return vendor_claims(rows, tested, pythons)


def names(claims: Sequence[Claim]) -> list[str]:
    return [f"{each.get('python')} {each.specifier}" for each in claims]


def test_the_ends_and_one_between_on_the_oldest_and_the_newest_cpython() -> None:
    versions = ["1.0", "1.5", "2.0", "2.4", "3.0"]
    claims = chosen("paper", {"3.10": versions, "3.11": versions, "3.9": versions[:4]})
    assert names(claims) == [
        "==3.9.* ==1.0",
        "==3.11.* ==1.0",
        "==3.9.* ==2.0",
        "==3.11.* ==2.0",
        "==3.10.* ==3.0",
        "==3.11.* ==3.0",
    ]


def test_releases_are_ordered_as_versions() -> None:
    claims = chosen("paper", {"3.9": ["1.10", "1.2", "1.9"]})
    assert names(claims) == ["==3.9.* ==1.2", "==3.9.* ==1.9", "==3.9.* ==1.10"]


def test_cpythons_of_this_machine_count_where_there_is_one() -> None:
    everywhere = {"3.9": ["1.0"], "3.10": ["1.0"], "3.13": ["1.0", "3.0"], "3.14": ["1.0", "3.0"]}
    assert names(chosen("paper", everywhere, {"3.10", "3.13"})) == [
        "==3.10.* ==1.0",
        "==3.13.* ==1.0",
        "==3.13.* ==3.0",
    ]
    # Nothing is dropped for want of an interpreter.
    assert names(chosen("paper", {"3.14": ["1.0"]}, {"3.10"})) == ["==3.14.* ==1.0"]


def test_a_claim_keeps_its_entry_and_has_the_line_of_its_release() -> None:
    (first, second) = chosen("paper", {"3.9": ["1.0", "1.5"]})
    assert first.id == "page.md/integration/paper/==3.9.*/yes/1.0"
    assert (first.line, second.line) == (0, 1)
    assert (second.document, second.as_written) == ("page.md", "1.5")
    assert (second.get("automatic"), second.get("tested")) == ("yes", "yes")


def test_each_is_one_cell_with_no_release_beside_it() -> None:
    fake_index = world()
    releases = {"1.0": ("2015-01-01", ""), "1.5": ("2017-01-01", ""), "3.0": ("2024-12-01", "")}
    fake_index.projects["paper"] = project("paper", releases)
    coverage = load_coverage(read_data("coverage"), {"paper": parse("paper", PAPER_MODULE)})
    claims = chosen("paper", {"3.9": ["1.5", "3.0"]})
    plan = make_plan(claims, fake_index, targets=(LINUX,), coverage=coverage, candidate="2.21.12")
    # Also the release that is younger than the tracer.
    assert [item.cell.id for item in plan.cells] == [
        "cp39-linux_x86_64-paper1.5-ddtrace2.21.12",
        "cp39-linux_x86_64-paper3.0-ddtrace2.21.12",
    ]
    assert {part.pick for part in plan.parts} == {"tested"}
    assert all(part.before is None and part.above is None for part in plan.parts)
    # Controls of a refutation: the series before, and the newest of each earlier major.
    controls = [cell.ddtrace for cell in plan.parts[0].controls]
    assert controls == ["2.21.12", "2.6.0", "1.20.19", "0.61.5"]
    assert plan.omissions == ()


def test_a_framework_with_a_sample_app() -> None:
    versions = {"3.9": ["3.2.18", "4.2"], "3.12": ["4.2"]}
    plan = planned(list(chosen("django", versions)), candidate="2.21.12")
    # Also on a CPython that Django's own documentation does not name for 4.2.
    assert {item.cell.id for item in plan.cells} == {
        "cp39-linux_x86_64-django3.2.18-ddtrace2.21.12",
        "cp39-linux_x86_64-django4.2-ddtrace2.21.12",
        "cp312-linux_x86_64-django4.2-ddtrace2.21.12",
    }
    assert plan.omissions == ()


def test_what_cannot_be_installed_is_left_out() -> None:
    versions = {"3.9": ["5.0", "6.0"]}
    plan = planned(list(chosen("django", versions)), candidate="2.21.12")
    assert [(item.reason, item.detail) for item in plan.omissions] == [
        (Reason.FRAMEWORK_PYTHON, "django 5.0 requires Python >=3.10"),
        (Reason.NO_RELEASE, "no release of django is ==6.0"),
    ]


def test_a_registry_that_names_no_cpython() -> None:
    row = claim(ClaimKind.INTEGRATION, "paper", ">=1.0")
    claims = vendor_claims([row], [entry_of(row.id, ["1.0", "3.0"])], {"3.9"})
    assert [(each.specifier, each.get("python"), each.line) for each in claims] == [
        ("==1.0", None, 7),
        ("==3.0", None, 7),
    ]


def test_a_dependency_of_two_integrations_has_the_ends_of_each() -> None:
    ink, press = (
        claim(ClaimKind.INTEGRATION, "paper", integration=name) for name in ("ink", "press")
    )
    tested = [
        entry_of(ink.id, ["1", "2"], integration="ink"),
        entry_of(press.id, ["2", "3"], integration="press"),
    ]
    claims = vendor_claims([ink, press], tested)
    assert [(each.get("integration"), each.specifier) for each in claims] == [
        ("ink", "==1"),
        ("ink", "==2"),
        ("press", "==2"),
        ("press", "==3"),
    ]


def test_the_tracer_is_the_newest_release_that_matches() -> None:
    releases = Releases(world().projects["ddtrace"])
    assert vendor_tracer(releases, ["2.*"]).text == "2.21.12"
    assert vendor_tracer(releases, ["1.9.*", "1.8.3"]).text == "1.9.7"
    with pytest.raises(UsageError, match=r"no final release of ddtrace is 4\.\*"):
        vendor_tracer(releases)
