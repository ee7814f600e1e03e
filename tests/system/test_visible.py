"""Text from outside: what is not seen becomes an escape, and no line commands a CI service."""

from __future__ import annotations

import dataclasses
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.model.cell import Cell
from matrix.model.reason import Reason
from matrix.system.visible import (
    harmless,
    powerless,
    powerless_markup,
    shown,
    visible,
    visible_json,
)

# Text in which the characters of interest are frequent.
HOSTILE = st.text(
    st.one_of(
        st.sampled_from(":#[\n\t \x1b\x07\x85\u202e\u2066\u200b\u200e\u2028\ud800\U000e0041e"),
        st.characters(),
    )
)


def unseen(text: str) -> list[str]:
    """Return the characters of a text that a reader cannot see, but newline and tab."""
    return [
        character
        for character in text
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
        and character not in "\n\t"
        # Marks of numbers in Arabic, Syriac and Kaithi, which are seen, and hieroglyphs' layout.
        and not ("\u0600" <= character <= "\u0605" or character in "\u06dd\u070f\u08e2\u0890\u0891")
        and not ("\U000110bd" <= character <= "\U000110cd")
        and not ("\U00013430" <= character <= "\U0001345f")
        and not ("\U0001bca0" <= character <= "\U0001bca3")
        and not ("\U0001d173" <= character <= "\U0001d17a")
    ]


@given(HOSTILE)
def test_no_character_is_hidden_and_no_line_is_a_command(text: str) -> None:
    made = harmless(text)
    assert unseen(made) == []
    assert not any(line.lstrip().startswith("::") for line in made.split("\n"))
    assert "##[" not in made


@given(st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters=":#")))
def test_other_text_stays(text: str) -> None:
    assert harmless(f"std::terminate {text}") == f"std::terminate {text}"


@given(st.recursive(HOSTILE, lambda inner: st.lists(inner) | st.dictionaries(HOSTILE, inner)))
def test_json_has_the_same_values(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    made = visible_json(text)
    assert unseen(made) == []
    assert "##[" not in made
    assert json.loads(made) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("\x1b[31m", "\\x1b[31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\r\n", "\n"),
        ("a\rb", "a\\x0db"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_escapes(text: str, made: str) -> None:
    assert visible(text) == made


def test_commands_of_services_lose_their_power() -> None:
    assert powerless("  ::error::x\na::b") == "  \\x3a:error::x\na::b"
    assert powerless("x ##[error]y ##vso[task]z") == "x #\\x23[error]y #\\x23vso[task]z"
    assert powerless_markup("::a\n##[b") == "&#58;:a\n#&#35;[b"


@dataclasses.dataclass(frozen=True)
class Nested:
    reason: Reason
    cell: Cell
    texts: tuple[str, ...]


def test_all_texts_of_a_value_are_shown_and_short() -> None:
    cell = Cell.parse("cp39-linux_x86_64-flask2.2.3-ddtrace1.10.0")
    value = Nested(Reason.CRASHED, cell, ("\x1b", "x" * 50))
    assert shown(value, 10) == Nested(Reason.CRASHED, cell, ("\\x1b", "x" * 9 + "…"))
    assert shown({"\x1b": ["\x1b"]}) == {"\\x1b": ["\\x1b"]}
    plain = Nested(Reason.CRASHED, cell, ("plain",))
    assert shown(plain) is plain
