"""Version cells in the words of each language, parsed with their spelling kept."""

# ruff: noqa: RUF001 - the signs that look like others are what is tested

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from matrix.documents.tables.runtime import pythons
from matrix.documents.versions import VersionsError, read_versions, specifiers
from matrix.documents.vocabulary import languages, load_vocabulary

ENGLISH = load_vocabulary("en")

numbers = st.lists(st.integers(0, 30), min_size=1, max_size=3).map(
    lambda parts: ".".join(map(str, parts))
)
operators = st.sampled_from([">=", "<=", ">", "<", "==", "!="])


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "1.8", [">=1.8"]),
        ("en", "v1.8", [">=1.8"]),
        ("en", "2.08", [">=2.08"]),
        ("en", ">= 20.0.04", [">=20.0.04"]),
        ("en", "1.8+", [">=1.8"]),
        ("en", "1.8 and later", [">=1.8"]),
        ("en", "from 1.8", [">=1.8"]),
        ("en", "from 1.8 to 2.0", [">=1.8,<2.1"]),
        ("en", "up to 3.0", ["<=3.0"]),
        ("en", "before 3.0", ["<3.0"]),
        ("en", "`>=0.12.0`, `<=0.16`", [">=0.12.0,<=0.16"]),
        ("en", "&gt;= 0.12.0, &lt;=&nbsp;0.16", [">=0.12.0,<=0.16"]),
        ("en", ">=1 <2", [">=1,<2"]),
        ("en", ">=1,<2,>=3,<4", [">=1,<2", ">=3,<4"]),
        ("en", "≥ 2.0", [">=2.0"]),
        ("en", "=> 2.0", [">=2.0"]),
        ("en", "= 2.0", ["==2.0"]),
        ("en", "~= 2.0", ["~=2.0"]),
        ("en", "4.x", ["==4.*"]),
        ("en", "4.*", ["==4.*"]),
        ("en", ">= 4.x", [">=4"]),
        ("en", "1.11, 2.2, 3.2, >= 4.0", ["==1.11.*", "==2.2.*", "==3.2.*", ">=4.0"]),
        ("en", "2.2, 3.0rc1", ["==2.2.*", "==3.0rc1"]),
        ("en", "1.11 and 2.2", ["==1.11.*", "==2.2.*"]),
        ("en", "1.11<br/>2.2", ["==1.11.*", "==2.2.*"]),
        ("en", "1.0 – 2.3", [">=1.0,<2.4"]),
        ("en", "1.0.1-2.3.4", [">=1.0.1,<=2.3.4"]),
        ("en", "Fully Supported", [""]),
        ("en", "All versions", [""]),
        ("ja", "2 以降", [">=2"]),
        ("ja", "２．０　以上", [">=2.0"]),
        ("ja", "3.0 未満", ["<3.0"]),
        ("ja", "1.11、2.2、4.0 以降", ["==1.11.*", "==2.2.*", ">=4.0"]),
        ("ja", "完全対応", [""]),
        ("ko", "1.8 이상", [">=1.8"]),
        ("ko", "2.0 미만", ["<2.0"]),
        ("fr", "1.8 et versions ultérieures", [">=1.8"]),
        ("fr", "à partir de la version 1.8", [">=1.8"]),
        ("fr", "1.11, 2.2 et 3.2", ["==1.11.*", "==2.2.*", "==3.2.*"]),
        ("es", "1.8 y posteriores", [">=1.8"]),
        ("es", "igual o anterior a 4.0", ["<=4.0"]),
        ("pt", "1.8 ou superior", [">=1.8"]),
        ("de", "1.8 und höher", [">=1.8"]),
        ("de", "ab Version 1.8", [">=1.8"]),
    ],
)
def test_alternatives_of_a_version_cell(language: str, text: str, expected: list[str]) -> None:
    assert list(specifiers(read_versions(text, load_vocabulary(language)))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2.7, 3.5-3.7", ["==2.7.*", "==3.5.*", "==3.6.*", "==3.7.*"]),
        ("3.9–3.11", ["==3.9.*", "==3.10.*", "==3.11.*"]),
        ("2.7-3.1", ["==2.7.*", "==3.1.*"]),
        ("2.7-3.6", ["==2.7.*", "==3.5.*", "==3.6.*"]),
        ("3.7+", [">=3.7"]),
        ("3.7", ["==3.7.*"]),
        (">=3.7, <3.10", [">=3.7,<3.10"]),
    ],
)
def test_pythons_of_a_version_cell(text: str, expected: list[str]) -> None:
    assert list(pythons(read_versions(text, ENGLISH))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "x.x",
        "soon",
        "1.8 or so",
        ">= soon",
        "1..2",
        "--",
        "^1.2",
        "3.9-3.10-3.11",
        ">=",
        "python",
        ",",
    ],
)
def test_invalid_versions_are_rejected(text: str) -> None:
    with pytest.raises(VersionsError) as caught:
        read_versions(text, ENGLISH)
    assert caught.value.part


def test_an_empty_cell_has_no_alternatives() -> None:
    assert read_versions("  ", ENGLISH) == ()


@settings(deadline=None)
@given(st.text(max_size=40), st.sampled_from(languages()))
def test_any_text_is_read_or_refused_and_what_is_read_is_a_specifier(
    text: str, language: str
) -> None:
    with contextlib.suppress(VersionsError):
        for specifier in specifiers(read_versions(text, load_vocabulary(language))):
            SpecifierSet(specifier)


@settings(deadline=None)
@given(st.text(alphabet="0123456789.,-+<>=~! vx*a1rc", max_size=25))
def test_any_sequence_of_operators_and_digits_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(VersionsError):
        for specifier in specifiers(read_versions(text, ENGLISH)):
            SpecifierSet(specifier)


@settings(deadline=None)
@given(st.lists(st.tuples(operators, numbers), min_size=1, max_size=4))
def test_bounds_keep_their_spelling_and_none_is_lost(bounds: list[tuple[str, str]]) -> None:
    text = ", ".join(f"{operator} {number}" for operator, number in bounds)
    with contextlib.suppress(VersionsError):  # bounds that exclude each other
        parsed = specifiers(read_versions(text, ENGLISH))
        assert {bound for specifier in parsed for bound in specifier.split(",")} == {
            operator + number for operator, number in bounds
        }


@settings(max_examples=40, deadline=None)
@given(numbers, st.sampled_from(["{}+", "{} and later", ">= {}", "≥{}", "`{}`+", "v{} or newer"]))
def test_all_spellings_of_a_minimum_are_equal(number: str, form: str) -> None:
    assert specifiers(read_versions(form.format(number), ENGLISH)) == (f">={number}",)


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 14), st.integers(0, 9), st.sampled_from(["-", "–", " - ", " to ", "〜"]))
def test_a_range_of_pythons_includes_all_minors_between(first: int, more: int, sign: str) -> None:
    names = list(pythons(read_versions(f"3.{first}{sign}3.{first + more}", ENGLISH)))
    assert names == [f"==3.{minor}.*" for minor in range(first, first + more + 1)]


@settings(deadline=None)
@given(numbers, numbers)
def test_both_ends_of_a_range_are_in_it(one: str, other: str) -> None:
    first, last = sorted((one, other), key=Version)
    (specifier,) = specifiers(read_versions(f"{first}-{last}", ENGLISH))
    assert SpecifierSet(specifier).contains(first)
    assert SpecifierSet(specifier).contains(last)
