"""The position and the words of changes on a page, and texts that must be edited by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from helpers.claim_lines import DOCUMENTS
from helpers.corrections_fixture import applied, changes_of, decided, since, verified

from matrix.features.corrections.change import Action
from matrix.features.corrections.edit import refit_cell
from matrix.model.cell import Cell
from matrix.model.verdict import Observed, Outcome

WRONG = (DOCUMENTS / "wrong.md").read_text(encoding="utf-8")
QUERY = "- Query strings do not work here: there is no support for query strings in Flask\n"


def page(folder: Path, *changes: tuple[str, str], name: str = "page.md") -> Path:
    """Return the path of a copy of wrong.md with each text replaced; a missing one is an error."""
    text = WRONG
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_a_cell_of_no_column_s_width_is_not_padded() -> None:
    assert refit_cell(" 1.10.0 ", "1.9.0", [" x "]) == " 1.9.0 "
    assert refit_cell(" 1.10.0 ", "1.9.0", [" ------ "]) == " 1.9.0  "


def test_a_removed_paragraph_takes_one_of_its_blank_lines_along(tmp_path: Path) -> None:
    path = page(
        tmp_path, (QUERY, "Before it.\n\nThere is no support for query strings in Flask\n\n")
    )
    (suggestion,) = decided([path], "note/flask-query-string").suggest()
    assert b"Before it.\n\n- Tags for" in suggestion.data
    assert applied(suggestion, tmp_path / "new").read_bytes() == suggestion.data


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- Tags for the HTTP request, but no support for query strings in Flask\n", "another"),
        (f"{QUERY}  - because of this\n", "nested items"),
        (f"\n{{% alert %}}\n{QUERY[2:]}{{% /alert %}}\n\n", "box"),
    ],
)
def test_a_note_that_is_not_alone_is_left_to_be_edited_by_hand(
    tmp_path: Path, text: str, why: str
) -> None:
    world = decided([page(tmp_path, (QUERY, text))], "note/flask-query-string")
    (suggestion,) = world.suggest()
    assert suggestion.changes == ()
    assert [why in claim.reason for claim in suggestion.unchanged if claim.refuted] == [True]


def test_the_column_s_own_word_goes_before_one_that_is_more_frequent(tmp_path: Path) -> None:
    path = page(
        tmp_path,
        (
            "| Django      | 1.8+     | yes              | yes ",
            "| Django | 1.8+ | yes | {{< X >}} ",
        ),
    )
    world = decided([path], "framework/flask/threat-protection")
    (change,) = world.suggest()[0].changes
    assert "`no` \N{RIGHTWARDS ARROW} `{{< X >}}`" in change.title


def test_a_cell_with_versions_is_no_source_of_words(tmp_path: Path) -> None:
    path = page(
        tmp_path,
        (
            "| Django      | 1.8+     | yes              | yes ",
            "| Django | 1.8+ | ok | yes (>=1.20) ",
        ),
        ("| ok |", "| yes |"),
    )
    world = decided([path], "framework/flask/threat-protection")
    (change,) = world.suggest()[0].changes
    assert "`no` \N{RIGHTWARDS ARROW} `yes`" in change.title


def test_a_page_without_the_word_uses_that_of_its_language(tmp_path: Path) -> None:
    text = (DOCUMENTS / "wrong-ja.md").read_text(encoding="utf-8").replace("いいえ  ", "はい    ")
    path = tmp_path / "ja.md"
    path.write_text(text, encoding="utf-8")
    (suggestion,) = decided([path], "framework/flask/threat-protection").suggest()
    assert changes_of(suggestion)[1] == (
        "+",
        "| Flask          | 0.10 以降  | はい     | いいえ   |",
    )


def test_a_row_above_all_existing_rows_is_inserted_first(tmp_path: Path) -> None:
    row = "| Threat Detection  | 1.8.3                         |\n"
    have = page(tmp_path, name="have.md")
    lacking = page(tmp_path, (row, ""), name="lacking.md")
    suggestion = verified([have, lacking], since(flask_query_string="9")).suggest()[1]
    (change,) = [one for one in suggestion.changes if one.action is Action.ROW]
    assert change.added[0][1] == "threat-detection"
    # The same row, but for the manner of the one that it stands beside.
    assert row.replace("1.8.3  ", "`1.8.3`").encode() in suggestion.data
    lines = suggestion.data.decode().split("\n")
    assert "| Threat Detection" in lines[10]
    assert suggestion.error == ""


def test_a_missing_framework_is_added_with_the_page_s_own_marks(tmp_path: Path) -> None:
    row = "| Flask       | 0.10+    | yes              | no                |\n"
    have = page(tmp_path, (row, row.replace("no ", "yes")), name="have.md")
    lacking = page(
        tmp_path, (row, ""), (" yes              | yes ", " {{< X >}}        | {{< X >}} ")
    )
    suggestion = verified([have, lacking], since(flask_query_string="9")).suggest()[1]
    rows = [line for sign, line in changes_of(suggestion) if sign == "+"]
    assert rows == ["| Flask       | 0.10+    | {{< X >}}        | {{< X >}}         |"]


def test_a_row_of_several_promises_is_not_added(tmp_path: Path) -> None:
    row = "| Threat Protection | `1.10.0`                      |\n"
    have = page(tmp_path, (row, "| Threat Protection | 1.10.0, >=1.20 |\n"), name="have.md")
    lacking = page(tmp_path, (row, ""), name="lacking.md")
    world = decided([have, lacking], "have/capability", outcome=Outcome.CONFIRMED)
    suggestion = world.suggest()[1]
    assert suggestion.changes == ()
    assert suggestion.error == ""
    assert any(
        "more than" in one.reason for one in suggestion.unchanged if "protection" in one.title
    )


def test_a_release_with_another_broken_channel_is_skipped(tmp_path: Path) -> None:
    """Static rules work from 1.10.3 on; remote configuration does not work in just that one."""

    def truth(cell: Cell, probe: str, channel: str) -> Observed:
        fails = {"static": ("1.10.0", "1.9.7", "1.9.0"), "remote-config": ("1.10.3",)}
        broken = probe == "threat-protection" and cell.ddtrace in fails[channel]
        return Observed.ABSENT if broken else Observed.PRESENT

    world = verified([page(tmp_path)], truth, others=["1.10.3", "1.20.0"])
    (change,) = [one for one in world.suggest()[0].changes if one.action is Action.MINIMUM]
    assert "threat-protection: 1.10.0 \N{RIGHTWARDS ARROW} 1.20.0" in change.title
    assert world.still_refuted(world.suggest()) == ()


def test_runtimes_refuted_on_one_processor_remove_it_or_split_the_row(tmp_path: Path) -> None:
    path = page(tmp_path)
    narrowed = decided([path], "windows/x86/").suggest()[0]
    assert [line for sign, line in changes_of(narrowed) if sign == "+"] == [
        "| Windows | 64bit        | CPython | 2.7, 3.5-3.9    | `<2`                       |"
    ]
    holed = decided([path], "cpython/3.6/windows/").suggest()[0]
    assert "| 2.7, 3.5, 3.7-3.9 |" in changes_of(holed)[1][1]
    split = decided([path], "cpython/3.6/windows/x86/").suggest()[0]
    assert [line for sign, line in changes_of(split) if sign == "+"] == [
        "| Windows | 64bit        | CPython | 2.7, 3.5-3.9    | `<2`                       |",
        "| Windows | 32bit        | CPython | 2.7, 3.5, 3.7-3.9 | `<2`                       |",
    ]
    whole = decided([path], "/windows/").suggest()[0]
    assert [sign for sign, _ in changes_of(whole)] == ["-"]
    nothing = decided([path], "/runtime/").suggest()[0]
    assert nothing.changes == ()
    assert ["left empty" in claim.reason for claim in nothing.unchanged if claim.refuted] == [
        True,
        True,
    ]


def test_a_new_minimum_has_a_caveat_for_unverified_parts(tmp_path: Path) -> None:
    def truth(cell: Cell, probe: str, channel: str) -> Observed:
        if (probe, channel) == ("threat-protection", "remote-config"):
            return Observed.UNKNOWN
        return since(threat_protection="1.10.3")(cell, probe, channel)

    world = verified([page(tmp_path)], truth)
    (change,) = [one for one in world.suggest()[0].changes if one.action is Action.MINIMUM]
    assert "parts stay unverified" in change.caveat
    assert dataclasses.replace(change, caveat="").grounds
