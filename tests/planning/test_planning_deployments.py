"""Promises about deployments: tested where cells run in such a deployment, else left out."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.planning_fixture import claim, left_out_of, page, parts_of, planned, reasons
from helpers.target_fixture import DOCKER

from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.plan import Part, Plan
from matrix.model.reason import Reason
from matrix.planning.locations import (
    all_engine_targets,
    all_targets,
    engine_targets,
    local_targets,
    place_names,
    select_targets,
)
from matrix.probes.places import load_places, outside_channel

IN_DOCKER = "deployment/threat-detection/docker"


def in_docker(*more: Claim, profile: str = "documented") -> Plan:
    return planned([*page(), *more], profile, places=("docker",))


def deployment(subject: str, specifier: str = "", status: Status = Status.SUPPORTED) -> Claim:
    return claim(ClaimKind.DEPLOYMENT, subject, specifier, status=status, deployment="docker")


def without_claims(parts: list[Part]) -> list[Part]:
    return [dataclasses.replace(part, claim="", contained=False) for part in parts]


def test_a_deployment_has_the_parts_of_its_capability_in_containers() -> None:
    """But for the oldest releases of frameworks: a table of their own promises them."""
    plan = in_docker()
    parts = parts_of(plan, IN_DOCKER)
    of_capability = parts_of(plan, "capability/threat-detection")
    newest = {cell.framework: "" for part in of_capability for cell in [part.minimum]}
    assert {part.minimum.framework for part in parts} == set(newest)
    kept = without_claims(parts)
    assert kept == [part for part in without_claims(of_capability) if part in kept]
    oldest = {"1.8", "0.10"}
    assert {part.minimum.framework_version for part in of_capability} & oldest
    assert not {part.minimum.framework_version for part in parts} & oldest
    assert all(part.contained for part in parts)
    assert not any(part.contained for part in plan.parts if part not in parts)
    assert Reason.DEPLOYMENT_NOT_HERE not in reasons(plan, IN_DOCKER)


@pytest.mark.parametrize("profile", ["documented", "exhaustive"])
def test_nothing_is_run_twice_for_it(profile: str) -> None:
    on_machine = planned(page(), profile)
    in_containers = in_docker(profile=profile)
    assert {item.cell.id: item for item in in_containers.cells} == {
        item.cell.id: item for item in on_machine.cells
    }
    assert {item.cell.id for item in in_containers.fallbacks} == {
        item.cell.id for item in on_machine.fallbacks
    }


def test_on_this_machine_a_deployment_is_left_out_with_a_hint() -> None:
    plan = planned(page())
    (left,) = left_out_of(plan, IN_DOCKER)
    assert left.reason is Reason.DEPLOYMENT_NOT_HERE
    assert "--engine docker" in left.detail
    assert not parts_of(plan, IN_DOCKER)


@pytest.mark.parametrize("name", ["amazon-ecs", "kubernetes", "aws-fargate", "aws-lambda"])
def test_a_container_answers_for_no_other_deployment(name: str) -> None:
    plan = in_docker(claim(ClaimKind.DEPLOYMENT, "threat-detection", deployment=name))
    assert reasons(plan, f"deployment/threat-detection/{name}") == {Reason.DEPLOYMENT_NOT_HERE}
    assert not parts_of(plan, f"deployment/threat-detection/{name}")


def test_a_preview_without_a_version_is_tested_on_the_newest_branch_only() -> None:
    plan = in_docker(deployment("iast", status=Status.PREVIEW))
    parts = parts_of(plan, "deployment/iast/docker")
    assert without_claims(parts) == without_claims(parts_of(plan, "capability/iast"))
    assert {part.minimum.id.rpartition("ddtrace")[2] for part in parts} == {"1.20.19"}


def test_where_it_is_denied_nothing_may_show() -> None:
    plan = in_docker(deployment("api-security", status=Status.NOT_SUPPORTED))
    parts = parts_of(plan, "deployment/api-security/docker")
    assert parts
    assert all(part.expects_absent and part.contained for part in parts)
    newest = {part.minimum.id.rpartition("ddtrace")[2] for part in parts}
    assert newest == {"1.20.19"}, "as where a capability is denied: one release that has it refutes"


def test_a_version_of_its_own_is_its_minimum() -> None:
    plan = in_docker(deployment("api-security", ">=3.0"), deployment("iast", ">=2.6.0"))
    for subject, minimum in (("api-security", "3.0.0"), ("iast", "2.6.0")):
        minimums = {part.minimum for part in parts_of(plan, f"deployment/{subject}/docker")}
        assert {cell.ddtrace for cell in minimums} == {minimum}


def test_what_has_no_probe_has_none_in_a_container_either() -> None:
    plan = in_docker(deployment("profiling"))
    assert reasons(plan, "deployment/profiling/docker") == {Reason.NO_PROBE}
    here = planned([*page(), deployment("profiling")])
    assert reasons(here, "deployment/profiling/docker") == {Reason.NO_PROBE}


def test_an_engine_offers_all_that_needs_one_and_this_machine_offers_nothing() -> None:
    offered = place_names()
    assert {"docker", "fargate-shaped"} <= set(offered)
    assert "kubernetes" not in offered
    assert engine_targets(DOCKER).places == offered
    assert all_engine_targets().places == offered
    assert local_targets().places == ()
    # Cells of either may be judged together: the judge looks where each of them ran.
    assert select_targets(["linux_x86_64"]).places == offered
    assert all_targets().places == offered


def of(claim: Claim) -> str:
    return claim.id.removeprefix("page.md/")


def in_place(name: str, *more: Claim, subject: str = "threat-detection") -> list[Part]:
    deployed = claim(ClaimKind.DEPLOYMENT, subject, deployment=load_places()[name].deployment)
    plan = planned([*page(), deployed, *more], "documented", places=(name,))
    return parts_of(plan, of(deployed))


def test_all_cells_of_a_claim_about_a_deployment_are_in_its_place() -> None:
    parts = in_place("fargate-shaped")
    assert parts
    for part in parts:
        assert {cell.place for cell in part.required} == {"fargate-shaped"}
        # The same in an ordinary container tells whether the place is to blame.
        assert part.beside == (dataclasses.replace(part.minimum, place=""),)
    docker = parts_of(in_docker(), IN_DOCKER)
    minimums = [dataclasses.replace(part.minimum, place="") for part in parts]
    assert minimums == [part.minimum for part in docker]


def test_no_cell_in_a_place_serves_a_soak() -> None:
    deployed = claim(ClaimKind.DEPLOYMENT, "threat-detection", deployment="aws-fargate")
    plan = planned([*page(), deployed], "documented", places=("fargate-shaped",))
    soaked = {each.cell.place for each in plan.cells if each.soak}
    assert soaked == {""}


def test_what_a_place_denies_must_show_outside_of_it_in_the_same_cell() -> None:
    denied = claim(
        ClaimKind.DEPLOYMENT, "sca", status=Status.NOT_SUPPORTED, deployment="aws-lambda"
    )
    plan = planned([*page(), denied], "documented", places=("lambda-emulated",))
    parts = parts_of(plan, of(denied))
    assert parts
    for part in parts:
        assert part.expects_absent
        assert part.controls == (part.minimum,)
        assert part.control_channel == outside_channel(part.channel)


def test_a_cpython_without_the_libraries_of_a_place_is_omitted() -> None:
    deployed = claim(ClaimKind.DEPLOYMENT, "threat-detection", deployment="aws-lambda")
    plan = planned([*page(), deployed], "exhaustive", places=("lambda-emulated",))
    pythons = {part.minimum.python for part in parts_of(plan, of(deployed))}
    assert pythons
    assert "2.7" not in pythons
    omitted = [item for item in left_out_of(plan, of(deployed)) if "CPython 2.7" in item.subject]
    assert {item.reason for item in omitted} == {Reason.NO_WHEEL}


def test_a_deployment_without_a_place_here_says_what_provides_one() -> None:
    deployed = claim(ClaimKind.DEPLOYMENT, "threat-detection", deployment="kubernetes")
    plan = planned([*page(), deployed], "documented", places=())
    (omission,) = left_out_of(plan, of(deployed))
    assert omission.reason is Reason.DEPLOYMENT_NOT_HERE
    assert "--context" in omission.detail
    assert "--engine docker" in omission.detail
