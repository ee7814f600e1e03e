"""Corrections end to end on fakes: refuted claims, a diff, and no refuted claim after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import pytest
from helpers.claim_lines import DOCUMENTS
from helpers.corrections_fixture import applied, changes_of, decided, diff_of, since, verified
from helpers.run_fakes import MINIMUM

from matrix.features.corrections.change import Action
from matrix.features.corrections.suggest import Suggestion
from matrix.features.corrections.summary import SuggestionSummary, as_markdown
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import StaticEvidence
from matrix.model.verdict import Observed, Outcome
from matrix.pypi.client import Index

WRONG = DOCUMENTS / "wrong.md"
JAPANESE = DOCUMENTS / "wrong-ja.md"
LATE = since(threat_detection="1.10.0", threat_protection="1.10.3")


def page(folder: Path, text: str, name: str = "page.md") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def no_windows_27(claims: Iterable[Claim], _index: Index) -> dict[str, StaticEvidence]:
    """Return evidence that the index has no wheel for CPython 2.7 on Windows."""
    return {
        claim.id: StaticEvidence(claim.id, refutes=True, evidence="No wheel at all.")
        for claim in claims
        if claim.kind is ClaimKind.RUNTIME
        and (claim.get("os"), claim.get("python")) == ("windows", "==2.7.*")
    }


def test_a_diff_corrects_refuted_claims_and_nothing_else(tmp_path: Path) -> None:
    world = verified([WRONG], LATE, static=no_windows_27)
    assert world.refuted()
    (suggestion,) = world.suggest()
    assert changes_of(suggestion) == [
        ("-", "| Threat Detection  | 1.8.3                         |"),
        ("-", "| Threat Protection | `1.10.0`                      |"),
        ("+", "| Threat Detection  | 1.10.3                        |"),
        ("+", "| Threat Protection | `1.10.3`                      |"),
        (
            "-",
            "| Windows | 64bit, 32bit | CPython | 2.7, 3.5-3.9    | `<2`                       |",
        ),
        (
            "+",
            "| Windows | 64bit, 32bit | CPython | 3.5-3.9         | `<2`                       |",
        ),
        ("-", "| Flask       | 0.10+    | yes              | no                |"),
        ("+", "| Flask       | 0.10+    | yes              | yes               |"),
        ("-", "- Query strings do not work here: there is no support for query strings in Flask"),
    ]
    assert applied(suggestion, tmp_path / "a").read_bytes() == suggestion.data


def test_verified_again_the_changed_document_has_no_refuted_claim(tmp_path: Path) -> None:
    world = verified([WRONG], LATE, static=no_windows_27)
    changed = applied(world.suggest()[0], tmp_path)
    again = verified([changed], LATE, static=no_windows_27)
    assert again.refuted() == set()
    # What was changed is not merely unverified: the same cells confirm it.
    kinds = {claim.id: claim.kind for claim in again.case.claims}
    confirmed = {
        name for name, one in again.case.verdicts.items() if one.outcome is Outcome.CONFIRMED
    }
    assert "wrong/capability/threat-detection" in confirmed
    assert any(kinds[name] is ClaimKind.FRAMEWORK for name in confirmed)
    assert diff_of(again.suggest()[0]) == b""


def test_judged_by_recorded_findings_the_changed_document_has_no_refuted_claim() -> None:
    world = verified([WRONG], LATE, static=no_windows_27)
    assert world.still_refuted(world.suggest()) == ()


def test_claims_about_docker_depend_on_the_minimum(tmp_path: Path) -> None:
    world = verified([WRONG], LATE, static=no_windows_27, contained=True)
    in_docker = "wrong/deployment/threat-detection/docker"
    assert in_docker in world.refuted()
    (suggestion,) = world.suggest()
    assert changes_of(suggestion) == changes_of(
        verified([WRONG], LATE, static=no_windows_27).suggest()[0]
    )
    assert in_docker in {ground.claim for one in suggestion.changes for ground in one.grounds}
    changed = applied(suggestion, tmp_path)
    again = verified([changed], LATE, static=no_windows_27, contained=True)
    assert again.case.verdicts[in_docker].outcome is Outcome.CONFIRMED


def test_claims_about_docker_are_judged_again() -> None:
    world = verified([WRONG], LATE, contained=True)
    unchanged = [
        Suggestion(page_text, page_text.file.data()) for page_text in world.case.pages.values()
    ]
    assert {verdict.claim for verdict in world.still_refuted(unchanged)} == world.refuted()
    assert "wrong/deployment/threat-detection/docker" in world.refuted()


def test_without_a_working_release_claims_about_docker_stay_unchanged() -> None:
    world = decided([WRONG], "capability/threat-detection", "deployment/threat-detection/docker")
    (suggestion,) = world.suggest()
    assert suggestion.changes == ()
    (claim,) = [claim for claim in suggestion.unchanged if claim.refuted]
    assert {ground.claim.partition("/")[2] for ground in claim.grounds} == {
        "capability/threat-detection",
        "deployment/threat-detection/docker",
    }


def test_a_deployment_with_its_own_version_is_independent_of_the_minimum(tmp_path: Path) -> None:
    text = WRONG.read_text(encoding="utf-8").replace(
        "| yes              |\n| AWS", "| 1.10.0+ |\n| AWS"
    )
    world = verified([page(tmp_path, text)], LATE, static=no_windows_27, contained=True)
    assert (
        world.case.verdicts["page/deployment/threat-detection/docker"].outcome is Outcome.CONFIRMED
    )
    assert world.suggest()


def test_a_page_in_another_language_keeps_its_words_its_width_and_its_digits() -> None:
    world = verified([JAPANESE], since(threat_detection="1.20.0"))
    (suggestion,) = world.suggest()
    assert [line for sign, line in changes_of(suggestion) if sign == "+"] == [
        "| 脅威検知   | \uff11\uff0e\uff12\uff10\uff0e\uff11\uff19                    |",
        "| Flask          | 0.10 以降  | はい     | はい     |",
    ]
    assert world.still_refuted([suggestion]) == ()


def test_only_a_later_control_is_an_upper_bound_and_says_so() -> None:
    (suggestion,) = verified([WRONG], since(threat_detection="1.10.0")).suggest()
    change = next(one for one in suggestion.changes if one.action is Action.MINIMUM)
    assert "1.8.3 \N{RIGHTWARDS ARROW} 1.10.3" in change.title
    assert "at most 1.10.3" in change.caveat
    assert "nox -s minimum -- threat-detection" in change.caveat


def test_a_range_that_would_begin_after_its_end_is_left_to_be_edited_by_hand(
    tmp_path: Path,
) -> None:
    text = WRONG.read_text(encoding="utf-8").replace("| 1.8.3   ", "| 1.8.3 - 1.9.9   ", 1)
    (suggestion,) = verified([page(tmp_path, text)], LATE).suggest()
    assert b"1.8.3 - 1.9.9" in suggestion.data
    (claim,) = (one for one in suggestion.unchanged if "threat-detection" in one.title)
    assert claim.refuted
    assert "1.10.3" in claim.title
    assert "after its end" in claim.reason


def test_cells_of_a_search_make_the_minimum_exact() -> None:
    truth = since(threat_detection="1.10.0")
    world = verified([WRONG], truth, others=["1.9.0", "1.9.7", "1.10.0", "1.10.3"])
    change = next(one for one in world.suggest()[0].changes if one.action is Action.MINIMUM)
    assert "1.8.3 \N{RIGHTWARDS ARROW} 1.10.0" in change.title
    assert change.caveat == ""


def test_a_release_that_breaks_another_part_is_not_taken() -> None:
    """Both static rules and remote configuration must work, in one release."""

    def truth(cell: Cell, probe: str, channel: str) -> Observed:
        working = {"static": ("1.10.3", "1.20.19"), "remote-config": ("1.20.0", "1.20.19")}
        if probe != "threat-protection":
            return Observed.PRESENT
        return Observed.PRESENT if cell.ddtrace in working[channel] else Observed.ABSENT

    world = verified([WRONG], truth, others=["1.10.3", "1.20.0"])
    change = next(one for one in world.suggest()[0].changes if one.action is Action.MINIMUM)
    assert "threat-protection: 1.10.0 \N{RIGHTWARDS ARROW} 1.20.19" in change.title


def test_unverified_claims_are_not_changed() -> None:
    world = verified([WRONG], lambda *_: Observed.UNKNOWN)
    (suggestion,) = world.suggest(earlier=True)
    assert suggestion.changes == ()
    assert suggestion.data == WRONG.read_bytes()


def test_a_minimum_that_is_too_high_is_lowered_only_on_request() -> None:
    world = verified([WRONG], since(threat_detection="1.0.0", flask_query_string="9"))
    assert not [one for one in world.suggest()[0].changes if one.action is Action.LOWER]
    lowered = [one for one in world.suggest(earlier=True)[0].changes if one.action is Action.LOWER]
    assert ["1.8.3 \N{RIGHTWARDS ARROW} 1.8.0" in one.title for one in lowered][:1] == [True]


def test_of_two_minimums_the_exact_one_wins(tmp_path: Path) -> None:
    text = WRONG.read_text(encoding="utf-8")
    one = page(tmp_path, text.replace("1.8.3 ", "1.9.0 "), "one.md")
    other = page(tmp_path, text.replace("1.8.3 ", "1.10.0"), "other.md")
    first, second = verified([one, other], since(threat_detection="1.9.0")).suggest()
    assert not [change for change in first.changes if "threat-detection:" in change.title]
    (change,) = [change for change in second.changes if "threat-detection:" in change.title]
    assert change.action is Action.LOWER
    assert "1.10.0 \N{RIGHTWARDS ARROW} 1.9.0" in change.title


def test_a_missing_row_is_added_in_its_place_and_language(tmp_path: Path) -> None:
    lacking = page(tmp_path, JAPANESE.read_text(encoding="utf-8"), "ja.md")
    have = page(tmp_path, WRONG.read_text(encoding="utf-8"), "en.md")
    world = verified([have, lacking], since(flask_query_string="9"))
    suggestion = world.suggest()[1]
    added = "| 脅威保護   | \uff11\uff0e\uff11\uff10\uff0e\uff10                      |"
    assert ("+", added) in changes_of(suggestion)
    lines = suggestion.data.decode().split("\n")
    assert lines[lines.index(added) - 1].startswith("| 脅威検知")
    assert world.still_refuted(world.suggest()) == ()


def test_a_row_that_nothing_confirms_is_not_added(tmp_path: Path) -> None:
    lacking = page(tmp_path, JAPANESE.read_text(encoding="utf-8"), "ja.md")
    have = page(tmp_path, WRONG.read_text(encoding="utf-8"), "en.md")
    suggestion = verified([have, lacking], lambda *_: Observed.UNKNOWN).suggest()[1]
    assert suggestion.changes == ()
    reasons = [claim.reason for claim in suggestion.unchanged if "threat-protection" in claim.title]
    assert reasons == ["no evidence confirms it (threat-protection)"]


def test_a_refuted_cell_is_reversed_in_the_words_of_its_column(tmp_path: Path) -> None:
    ends = ("deployment/threat-detection/docker",)
    (suggestion,) = decided([WRONG], *ends).suggest()
    assert changes_of(suggestion) == [
        ("-", "| Docker     | yes              |"),
        ("+", "| Docker     |                  |"),
    ]
    (back,) = decided([WRONG], "deployment/threat-detection/aws-lambda").suggest()
    assert changes_of(back)[1] == ("+", "| AWS Lambda | yes              |")


def test_what_stands_in_for_a_deployment_changes_no_document() -> None:
    world = decided([WRONG], "deployment/threat-detection/aws-lambda")
    cell = dataclasses.replace(Cell.parse(MINIMUM), place="lambda-emulated")
    shaped = {
        name: dataclasses.replace(verdict, cells=(cell,))
        for name, verdict in world.case.verdicts.items()
    }
    case = dataclasses.replace(world.case, verdicts=shaped)
    assert not any(each.changes for each in dataclasses.replace(world, case=case).suggest())


def test_a_note_among_other_sentences_is_left_to_be_edited_by_hand(tmp_path: Path) -> None:
    text = WRONG.read_text(encoding="utf-8")
    text = text.replace("in Flask\n", "in Flask. Ask us for more.\n")
    world = decided([page(tmp_path, text)], "note/flask-query-string")
    (suggestion,) = world.suggest()
    assert suggestion.changes == ()
    (claim,) = [claim for claim in suggestion.unchanged if claim.refuted]
    assert (claim.line, "prose" in claim.reason) == (42, True)


def test_lines_joined_in_one_row_are_left_to_be_edited_by_hand(tmp_path: Path) -> None:
    text = WRONG.read_text(encoding="utf-8").replace(
        "| Threat Detection  | 1.8.3                         |\n",
        "| Threat Detection<br/>API Security | 1.8.3<br/>1.8.3 |\n",
    )
    world = verified([page(tmp_path, text)], since(threat_detection="1.10.0"))
    (suggestion,) = world.suggest()
    assert not [one for one in suggestion.changes if one.action is Action.MINIMUM]
    assert [
        claim.refuted for claim in suggestion.unchanged if "threat-detection" in claim.title
    ] == [True]


def test_the_summary_accounts_for_every_change_with_its_evidence() -> None:
    world = verified([WRONG], LATE, static=no_windows_27)
    suggestions = world.suggest()
    text = as_markdown(
        SuggestionSummary(suggestions, "recorded results", world.still_refuted(suggestions))
    )
    assert text.startswith("# ")
    for change in suggestions[0].changes:
        assert f"`{change.document}:{change.line}`" in text
        assert change.grounds
        for ground in change.grounds:
            assert ground.claim in text
            assert all(f"`nox -s reproduce -- {cell.id}`" in text for cell in ground.cells)
    assert "no claim is refuted" in text


@pytest.mark.parametrize(
    "name", sorted({one.stem for one in DOCUMENTS.glob("*.md")} - {"other-tracer"})
)
def test_every_fixture_document_is_changed_as_intended(name: str) -> None:
    """With all claims refuted, every claim is either changed as intended or reported."""
    world = decided([DOCUMENTS / f"{name}.md"], "")
    for suggestion in world.suggest():
        assert suggestion.error == ""
        covered = {ground.claim for one in suggestion.changes for ground in one.grounds}
        covered |= {
            ground.claim for one in suggestion.unchanged if one.refuted for ground in one.grounds
        }
        assert covered == set(world.case.verdicts)
