"""What would have to be written for claims without an experiment."""

from __future__ import annotations

from matrix.model.claim import Claim, ClaimKind, Status
from matrix.planning.missing_experiments import missing_experiments


def claim(kind: ClaimKind, subject: str, **scope: str) -> Claim:
    claim_id = f"page/{kind.value}/{subject}"
    place = ("page", "en", "0" * 64, "Heading", 1)
    return Claim(
        claim_id, kind, subject, "", "", Status.SUPPORTED, *place, scope=tuple(scope.items())
    )


def test_libraries_are_one_line_with_the_most_named_first() -> None:
    claims = [claim(ClaimKind.INTEGRATION, "openai")]
    claims += [claim(ClaimKind.INTEGRATION, "aiohttp-jinja2")] * 2
    assert list(missing_experiments(claims)) == [
        (
            "no experiment: write apps/libraries/aiohttp_jinja2.py, apps/libraries/openai.py,"
            " 20 lines each, see apps/libraries/README.md"
        )
    ]


def test_each_kind_has_its_own_line() -> None:
    claims = [
        claim(ClaimKind.INTEGRATION, "valkey"),
        claim(ClaimKind.CAPABILITY, "carrot-peeling"),
        claim(ClaimKind.FRAMEWORK, "quart", capability="sca"),
        claim(ClaimKind.NOTE, "extra"),
    ]
    assert list(missing_experiments(claims)) == [
        "no experiment: write apps/libraries/valkey.py, 20 lines, see apps/libraries/README.md",
        (
            "no experiment: write matrix/probes/capabilities/carrot_peeling.py, and the line of"
            " each in matrix/data/coverage.toml"
        ),
        "no experiment: write apps/quart_shop/shop.py, see apps/README.md",
        "no experiment: note extra, see matrix/data/coverage.toml",
    ]


def test_many_are_counted() -> None:
    claims = [claim(ClaimKind.INTEGRATION, f"library{number}") for number in range(15)]
    (line,) = missing_experiments(claims)
    assert "library11.py and 3 more, 20 lines each" in line
    assert list(missing_experiments([])) == []
