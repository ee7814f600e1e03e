"""The committed facts: the file is what the code writes, and loads without the parser."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from matrix.documents.facts import FACTS, dump_facts, load_facts, write_facts
from matrix.errors import StorageError, UnreadableInputError
from matrix.system.paths import project_root


def test_dumping_what_is_loaded_is_the_file_byte_for_byte() -> None:
    assert dump_facts(load_facts()).encode() == FACTS.read_bytes()


def test_the_facts_are_of_five_documents_in_three_languages() -> None:
    facts = load_facts()
    assert len({claim.document for claim in facts}) == 5
    assert {claim.language for claim in facts} == {"en", "ja", "ko"}
    assert len({claim.id for claim in facts}) == len(facts)


def test_a_fact_is_short_and_holds_no_path_and_no_sentence() -> None:
    for claim in load_facts():
        assert "/" not in claim.document
        assert len(claim.as_written) < 80
        SpecifierSet(claim.specifier)
        SpecifierSet(claim.get("python") or "")


def test_unprintable_characters_survive_a_round_trip(tmp_path: Path) -> None:
    odd = dataclasses.replace(
        load_facts()[0], as_written='a "quoted" \\ \x07\x7f\t name', heading="zwei\u2028Zeilen {  }"
    )
    file = tmp_path / "claims.toml"
    write_facts([odd], file)
    assert load_facts(file) == (odd,)


@pytest.mark.parametrize(
    "text", ["not toml at all [", '[[document]]\nname = "x"\n', 'document = "x"\n']
)
def test_an_invalid_facts_file_is_rejected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "claims.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableInputError, match="invalid facts file"):
        load_facts(file)


def test_a_missing_facts_file_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        load_facts(tmp_path / "gone.toml")
    assert "--write-facts" in caught.value.hint


def test_facts_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError):
        write_facts(load_facts(), tmp_path / "file" / "claims.toml")


def test_loading_the_facts_does_not_import_the_markdown_parser() -> None:
    code = (
        "import sys\n"
        "from matrix.documents.facts import read_inputs\n"
        "assert len(read_inputs([]).claims) > 100\n"
        "print('markdown_it' in sys.modules, 'rich' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=project_root()
    )
    assert result.stdout.split() == ["False", "False"]
