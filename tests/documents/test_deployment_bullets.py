"""Bullets that name deployments, under a heading of deployments."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.documents.document import ReadDocument, read_document
from matrix.model.claim import ClaimKind, Status


def read(folder: Path, text: str) -> ReadDocument:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return read_document(page)


@pytest.mark.parametrize(
    ("bullet", "deployment", "status", "specifier"),
    [
        ("Docker", "docker", Status.SUPPORTED, ""),
        ("**AWS Lambda** (not supported)", "aws-lambda", Status.NOT_SUPPORTED, ""),
        ("AWS Fargate: preview", "aws-fargate", Status.PREVIEW, ""),
        ("Amazon EKS 2.0+", "amazon-eks", Status.SUPPORTED, ">=2.0"),
    ],
)
def test_a_bullet_is_a_claim_of_the_capability_above(
    tmp_path: Path, bullet: str, deployment: str, status: Status, specifier: str
) -> None:
    reading = read(
        tmp_path, f"## Threat Detection\n\n### Supported deployment types\n\n- {bullet}\n"
    )
    (claim,) = reading.claims
    assert (reading.problems, reading.notices, claim.line) == ((), (), 5)
    assert (claim.kind, claim.subject) == (ClaimKind.DEPLOYMENT, "threat-detection")
    assert (claim.get("deployment"), claim.status, claim.specifier) == (
        deployment,
        status,
        specifier,
    )


def test_without_a_capability_it_is_a_note_and_another_name_is_a_problem(tmp_path: Path) -> None:
    reading = read(tmp_path, "## Deployment types\n\n- Kubernetes\n- Docker\n- Somewhere else\n")
    assert [(one.kind, one.subject, one.get("deployment")) for one in reading.claims] == [
        (ClaimKind.NOTE, "deployment-type", "kubernetes"),
        (ClaimKind.NOTE, "deployment-type", "docker"),
    ]
    assert [problem.line for problem in reading.problems] == [5]
