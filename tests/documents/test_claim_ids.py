"""Ids of claims: unique, stable against edits elsewhere, prefixed with the document's name."""

from __future__ import annotations

import shutil
from pathlib import Path

from helpers.claim_lines import DOCUMENTS, read_page

from matrix.documents.document import read_documents

TABLE = "| Framework | Versions | Threat Detection |\n|---|---|---|\n"


def ids_of(tmp_path: Path, text: str) -> list[str]:
    return [claim.id for claim in read_page(tmp_path, text).claims]


def test_ids_are_unique_within_and_across_documents() -> None:
    pages = [DOCUMENTS / f"{name}.md" for name in ("de", "es", "fr", "ja", "ko", "pt", "markdoc")]
    ids = [claim.id for claim in read_documents(pages).claims]
    assert len(set(ids)) == len(ids)


def test_an_id_survives_edits_elsewhere(tmp_path: Path) -> None:
    before = ids_of(tmp_path, TABLE + "| Django | 1.8 | yes |\n")
    after = ids_of(
        tmp_path, "New words.\n\n" + TABLE + "| Flask | 1 | no |\n| Django | 2 | yes |\n"
    )
    assert before == ["page/framework/django/threat-detection"]
    assert before[0] in after


def test_ids_of_rows_with_one_subject_differ_by_version(tmp_path: Path) -> None:
    rows = "| Django | 1.8 | yes |\n| Django | 2.0 | yes |\n| Django | 2.0 | yes |\n"
    assert ids_of(tmp_path, TABLE + rows) == [
        "page/framework/django/threat-detection",
        "page/framework/django/threat-detection/ge2.0",
        "page/framework/django/threat-detection/ge2.0/threat-detection",
    ]


def test_equal_rows_get_numbers(tmp_path: Path) -> None:
    rows = "| Django | 1.8 | yes |\n" * 4
    ids = ids_of(tmp_path, TABLE + rows)
    assert len(set(ids)) == 4
    assert ids[-1].endswith("/2")


def test_documents_with_equal_stems_are_named_with_their_folders(tmp_path: Path) -> None:
    for language in ("fr", "es"):
        folder = tmp_path / "content" / language / "compatibility"
        folder.mkdir(parents=True)
        shutil.copy(DOCUMENTS / f"{language}.md", folder / "python.md")
    pages = sorted(tmp_path.rglob("*.md"))
    reading = read_documents(pages)
    assert [*dict.fromkeys(claim.document for claim in reading.claims)] == [
        "es-python",
        "fr-python",
    ]
    assert len({claim.id for claim in reading.claims}) == len(reading.claims)
    assert {claim.id.split("/")[0] for claim in reading.claims} == {"es-python", "fr-python"}


def test_a_document_given_twice_is_read_once() -> None:
    page = DOCUMENTS / "ko.md"
    assert len(read_documents([page, page]).claims) == len(read_documents([page]).claims)
