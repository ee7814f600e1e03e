"""Comparison of specifier sets by meaning, and ranges of releases."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from matrix.features.audit.versions import (
    canonical,
    describe_releases,
    group_releases,
    lower_bound,
    overlap,
)

RELEASES = [f"{major}.{minor}" for major in range(3) for minor in range(12)]
subsets = st.sets(st.sampled_from(RELEASES))
versions = st.builds("{}.{}".format, st.integers(0, 4), st.integers(0, 4))
bounds = st.builds(
    "{}{}".format, st.sampled_from([">=", ">", "<", "<=", "==", "~="]), versions
) | st.builds("=={}.*".format, versions)
specifiers = st.lists(bounds, max_size=2).map(",".join)
# Finer than any bound above, and beyond them on both sides.
SAMPLES = [
    Version(f"{major}.{minor}{patch}")
    for major in range(7)
    for minor in range(7)
    for patch in ("", ".1", ".9")
]


@settings(max_examples=50)
@given(subsets)
def test_ranges_expand_to_the_releases_they_group(selected: set[str]) -> None:
    expanded = [
        release
        for span in group_releases(RELEASES, selected)
        for release in RELEASES[RELEASES.index(span.first) : RELEASES.index(span.last) + 1]
        if release not in span.gaps
    ]
    assert expanded == [name for name in RELEASES if name in selected]


@settings(max_examples=50)
@given(subsets)
def test_ranges_are_disjoint_ordered_and_end_with_selected_releases(selected: set[str]) -> None:
    last = -1
    for span in group_releases(RELEASES, selected):
        first, end = RELEASES.index(span.first), RELEASES.index(span.last)
        assert last < first <= end
        assert {span.first, span.last} <= selected
        assert not selected.intersection(span.gaps)
        last = end


@settings(max_examples=50)
@given(subsets)
def test_descriptions_distinguish_all_from_none_and_name_every_gap(selected: set[str]) -> None:
    words = describe_releases(RELEASES, selected)
    assert (words == "always") == (selected == set(RELEASES))
    assert (words == "never") == (not selected)
    for span in group_releases(RELEASES, selected):
        for release in span.gaps:
            assert release in words


@pytest.mark.parametrize(
    ("selected", "words"),
    [
        ("345", "from 3 on"),
        ("012", "up to 2"),
        ("123", "1 to 3"),
        ("2", "only 2"),
        ("0135", "up to 1, 3, from 5 on"),
        ("01345", "always but not 2"),
        ("", "never"),
        ("012345", "always"),
    ],
)
def test_words(selected: str, words: str) -> None:
    assert describe_releases("012345", set(selected)) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (">=1.0,<2", "<2.0,>=1"),
        ("==1.*", ">=1.0,<2"),
        ("~=1.4", ">=1.4,<2"),
        ("<1", ">=0,<1.0"),
        ("", ">=0"),
        (">=1.9.0", ">=1.9"),
        ("==3.9.*", ">=3.9,<3.10"),
    ],
)
def test_equal_sets_have_one_spelling(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(("one", "other"), [("<1", "<1.1"), (">=1", ">1"), ("==1", "==1.*")])
def test_different_sets_have_different_spellings(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@given(specifiers)
def test_the_canonical_spelling_takes_the_same_releases(text: str) -> None:
    before, after = SpecifierSet(text), SpecifierSet(canonical(text))
    assert [v for v in SAMPLES if v in before] == [v for v in SAMPLES if v in after]


@given(specifiers, specifiers)
def test_overlap_finds_whatever_is_in_both(one: str, other: str) -> None:
    both = SpecifierSet(one) & SpecifierSet(other)
    if any(sample in both for sample in SAMPLES):
        assert overlap(one, other)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (">=2.6.0", ">=1.0,<2", False),
        (">=1.9.0", ">=1.0,<2", True),
        (">=1.9.0", "<1", False),
        (">1.5", "<=1.5", False),
        (">1.5", "<1.6", True),
        (">=3.7", "==3.12.*", True),
        ("==3.6.*", ">=3.7", False),
        ("", "<1", True),
    ],
)
def test_overlap(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is expected
    assert overlap(other, one) is expected


def test_lower_bounds() -> None:
    assert lower_bound("<2") is None
    assert lower_bound(">=1.9.0,<2") == Version("1.9.0")
    assert lower_bound("==3.9.*") == Version("3.9")
