"""Parse cells about versions and about support.

Versions become PEP 440 specifiers that keep the written spelling (`2.08`). Examples: `1.8 and
later`, `3.5-3.11`, `>= 0.12.0, <= 0.16`, `2 以降`, `1.11, 2.2, >= 4.0`. A cell about support has a
mark, a status word, versions, an end date.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from matrix.documents.markup import NO, YES
from matrix.documents.text import comparable, plain
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import Status

_DIGITS = "[0-9]{1,9}"
_NUMBER = rf"v?{_DIGITS}(?:\.{_DIGITS})*(?:\.?(?:a|b|rc){_DIGITS})?(?:\.(?:dev|post){_DIGITS})?"
_OPERATED = re.compile(rf"(>=|<=|===?|!=|~=|>|<|=)\s*({_NUMBER})((?:\.[x*])*)")
_PLAIN = re.compile(rf"({_NUMBER})((?:\.[x*])*)")
_RANGE = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})((?:\.[x*])*)")
_SYMBOLS = str.maketrans(
    {
        "\N{GREATER-THAN OR EQUAL TO}": ">=",
        "\N{GREATER-THAN OVER EQUAL TO}": ">=",
        "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{LESS-THAN OVER EQUAL TO}": "<=",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{WAVE DASH}": "-",
        "\N{NO-BREAK SPACE}": " ",
        "\N{IDEOGRAPHIC COMMA}": ",",
        "\N{ARABIC COMMA}": ",",
        ";": ",",
    }
)
# Private-use characters that replace words of the vocabulary.
_LATER, _UP_TO, _BELOW, _ANY = "\ue000", "\ue001", "\ue002", "\ue003"
_OPERATOR_OF = {_LATER: ">=", _UP_TO: "<=", _BELOW: "<", "+": ">="}
_RANGE_BUMPS_BELOW = 3
_YES = re.compile(
    "[\N{CHECK MARK}\N{HEAVY CHECK MARK}\N{WHITE HEAVY CHECK MARK}\N{BALLOT BOX WITH CHECK}]"
)
_NO = re.compile(
    "[\N{BALLOT X}\N{HEAVY BALLOT X}\N{MULTIPLICATION X}\N{HEAVY MULTIPLICATION X}\N{CROSS MARK}]"
)
_SELECTOR = "\N{VARIATION SELECTOR-16}"


class VersionsError(ValueError):
    """An error for a version cell of which `part` is not understood."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


@dataclasses.dataclass(frozen=True)
class Alternative:
    """One alternative of a version cell: a set of bounds, a range, or a bare version.

    `bare` is set for a version written alone, `span` for `3.5-3.11`. `specifier` is "" for a bare
    version (the table reader interprets it) and for `Fully supported` (any version).
    """

    specifier: str
    bare: str = ""
    span: tuple[str, str] | None = None


ANY = Alternative("")


@functools.lru_cache(maxsize=4096)
def read_versions(text: str, vocabulary: Vocabulary) -> tuple[Alternative, ...]:
    """Return the alternatives of a version cell in order; raise `VersionsError` for other text.

    An empty cell has none. Adjacent bounds belong together until one bounds the same side again:
    `>=1, <2, >=3, <4` are two alternatives.
    """
    alternatives: list[Alternative] = []
    bounds: list[tuple[str, str]] = []

    def close() -> None:
        if bounds:
            alternatives.extend(_bounded_alternatives(bounds, text))
            bounds.clear()

    for part in _symbolic(text, vocabulary).split(","):
        if not (item := part.strip()):
            continue
        if (item_bounds := _bounds(item)) is not None:
            for operator, version in item_bounds:
                sides = {op[0] for op, _ in bounds}
                if operator[0] in sides and operator[0] in "<>=":
                    close()
                bounds.append((operator, version))
        else:
            close()
            alternatives.append(_alternative(item))
    close()
    if not alternatives and plain(text):
        raise VersionsError(plain(text))
    for alternative in alternatives:
        _check(alternative.specifier, text)
    return tuple(alternatives)


def _bounded_alternatives(bounds: Sequence[tuple[str, str]], text: str) -> list[Alternative]:
    """Return one alternative for bounds, or two where only a union can be meant: `<1, >=3`.

    Raises `VersionsError` for bounds that exclude each other in another order: `>=3, <1`.
    """
    lower = [Version(version) for operator, version in bounds if operator in {">=", ">"}]
    upper = [Version(version) for operator, version in bounds if operator in {"<=", "<"}]
    written = [operator + version for operator, version in bounds]
    ends = {version for operator, version in bounds if operator in {">", "<"}}
    if not lower or not upper or max(lower) < min(upper):
        return [Alternative(",".join(written))]
    if max(lower) == min(upper) and not ends & {str(max(lower)), str(min(upper))}:
        return [Alternative(",".join(written))]
    if len(written) > 2 or bounds[0][0][0] != "<":  # noqa: PLR2004
        raise VersionsError(plain(text))
    return [Alternative(one) for one in written]


def specifiers(alternatives: tuple[Alternative, ...]) -> tuple[str, ...]:
    """Return the specifiers of alternatives; a single bare version is a minimum: `1.8` is `>=1.8`.

    Several bare versions are series: `1.11, 2.2` are `==1.11.*` and `==2.2.*`.
    """
    if len(alternatives) == 1 and alternatives[0].bare:
        return (f">={alternatives[0].bare}",)
    return tuple(dict.fromkeys(map(series, alternatives)))


def series(alternative: Alternative) -> str:
    """Return a specifier in which a bare version is a series: `3.9` is `==3.9.*`.

    A bare pre-release is that version only.
    """
    if not alternative.bare:
        return alternative.specifier
    released = alternative.bare.replace(".", "").isdigit()
    return f"=={alternative.bare}" + (".*" if released else "")


def _symbolic(text: str, vocabulary: Vocabulary) -> str:
    """Normalize operators and replace words by operators or private-use characters."""
    text = re.sub(r"<br\s*/?>", ",", text, flags=re.IGNORECASE)
    text = unicodedata.normalize("NFKC", plain(text).translate(_SYMBOLS))
    text = text.casefold().translate(_SYMBOLS).replace("=>", ">=").replace("=<", "<=")
    text = re.sub(r"(?<=[\d*x])\s*~\s*(?=v?\d)", "-", text)
    for pattern, replacement in _word_patterns(vocabulary):
        text = pattern.sub(replacement, text)
    return re.sub(rf"{_LATER}\s*(?={_RANGE.pattern})", "", text)


@functools.lru_cache(maxsize=16)
def _word_patterns(vocabulary: Vocabulary) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return patterns for the words of version cells, in order, and what replaces them."""
    signs = (("later", _LATER), ("up-to", _UP_TO), ("below", _BELOW), ("any", _ANY))
    words = [(form, sign) for key, sign in signs for form in vocabulary.forms("versions", key)]
    words.sort(key=lambda pair: len(pair[0]), reverse=True)
    patterns = [
        *(
            (rf"(?<=\d)\s*{_bounded(form)}\s*(?=v?\d)", "-")
            for form in vocabulary.forms("versions", "range")
        ),
        *((_bounded(form), sign) for form, sign in words),
        *(
            (rf"(?<![<>=~!])\s*{_bounded(form)}\s*(?=[\d<>=~!v])", ",")
            for form in vocabulary.forms("versions", "and")
        ),
        *(
            (rf"(?<!\w){re.escape(form)}(?!\w)", " ")
            for form in vocabulary.forms("versions", "noise")
        ),
    ]
    return tuple((re.compile(pattern), replacement) for pattern, replacement in patterns)


def _bounded(form: str) -> str:
    """Return a pattern for a word without adjacent ASCII letters."""
    return rf"(?<![a-z]){re.escape(form)}(?![a-z])"


def _bounds(item: str) -> list[tuple[str, str]] | None:
    """Parse an item made of operators and versions, or of a version and a word such as `later`."""
    for sign, operator in _OPERATOR_OF.items():
        if sign in item:
            bare = item.replace(sign, " ", 1).strip().removeprefix(">=").strip()
            match = _PLAIN.fullmatch(bare)
            if match is None:
                raise VersionsError(_readable(item))
            return [(operator, _number(match[1]))]
    bounds = [_bound(match) for match in _OPERATED.finditer(item)]
    if not bounds or _OPERATED.sub("", item).strip():
        return None
    return bounds


def _bound(match: re.Match[str]) -> tuple[str, str]:
    operator = {"=": "==", "===": "=="}.get(match[1], match[1])
    wildcard = ".*" if match[3] and operator in {"==", "!="} else ""
    return operator, _number(match[2]) + wildcard


def _alternative(item: str) -> Alternative:
    if item in {_ANY, "*"}:
        return ANY
    if match := _RANGE.fullmatch(item):
        first, last = _number(match[1]), _number(match[2])
        if Version(first) > Version(last):
            raise VersionsError(_readable(item))
        return Alternative(f">={first},{_upper_bound(last)}", span=(first, last))
    if match := _PLAIN.fullmatch(item):
        if match[2]:
            return Alternative(f"=={_number(match[1])}.*")
        return Alternative("", bare=_number(match[1]))
    raise VersionsError(_readable(item))


def _upper_bound(last: str) -> str:
    """Return the upper bound of a range: `3.11` includes its patch releases, `8.0.1` does not."""
    parts = last.split(".")
    if len(parts) < _RANGE_BUMPS_BELOW and parts[-1].isdigit():
        return "<" + ".".join([*parts[:-1], str(int(parts[-1]) + 1)])
    return f"<={last}"


def _number(written: str) -> str:
    return written.removeprefix("v")


def _check(specifier: str, text: str) -> None:
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        raise VersionsError(plain(text)) from None


def _readable(item: str) -> str:
    """Return an item with words in place of the private-use characters."""
    words: dict[str, str | int | None] = {
        _LATER: " and later",
        _UP_TO: " or earlier",
        _BELOW: " (below)",
        _ANY: "any",
    }
    return item.translate(str.maketrans(words)).strip()


class PromiseError(ValueError):
    """An error for a cell: `part` is not understood, `suggestion` is the nearest known word."""

    def __init__(self, part: str, suggestion: str) -> None:
        super().__init__(part)
        self.part = part
        self.suggestion = suggestion


@dataclasses.dataclass(frozen=True)
class Promise:
    """A status (None if the cell has only versions), versions, and an end date as written."""

    status: Status | None
    specifiers: tuple[str, ...] = ()
    until: str = ""

    @property
    def scope(self) -> tuple[tuple[str, str], ...]:
        """Return the end date as scope."""
        return (("until", self.until),) if self.until else ()


def read_promise(cell: str, vocabulary: Vocabulary) -> Promise:
    """Return the promise of a cell; raise `PromiseError` for words that are not understood.

    An empty cell, or a dash, means no support.
    """
    text = comparable(cell.replace(_SELECTOR, ""))
    status: Status | None = None
    if cell.strip() and not text.strip() and not plain(cell):
        raise PromiseError(cell.strip(), "")
    if not text.strip("-\N{EN DASH}\N{EM DASH}"):
        return Promise(Status.NOT_SUPPORTED)
    for pattern, mark_status in ((_YES, Status.SUPPORTED), (_NO, Status.NOT_SUPPORTED)):
        text, count = pattern.subn(" ", text)
        if count and status is not None:
            raise PromiseError(f"{YES} {NO}", "")
        status = mark_status if count else status
    text, until = _split_until(text, vocabulary)
    if match := vocabulary.within("statuses", text):
        key, form = match
        status = Status(key)
        text = text.replace(form, " ", 1)
    elif status is None and (match := vocabulary.within("marks", text)):
        key, form = match
        status = Status.SUPPORTED if key == "yes" else Status.NOT_SUPPORTED
        text = text.replace(form, " ", 1)
    rest = re.sub(r"[()\[\]]", " ", text).strip(" :.-")
    if not rest:
        return Promise(status, (), _as_written(until, cell))
    try:
        versions = specifiers(read_versions(rest, vocabulary))
    except VersionsError as error:
        near = vocabulary.nearest("statuses", error.part)
        raise PromiseError(error.part, near) from None
    return Promise(status, versions, _as_written(until, cell))


def _as_written(words: str, cell: str) -> str:
    """Return case-folded words as they are written in the cell."""
    match = re.search(re.escape(words), plain(cell), re.IGNORECASE)
    return match[0] if words and match else words


def _split_until(text: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """Return a text without its `until 2024-01`, and that date."""
    for form in vocabulary.forms("versions", "until"):
        before = re.search(rf"(?<!\w){re.escape(form)}\s*:?\s*([^()]*\d[^()]*)", text)
        after = re.search(rf"([0-9][^()]*?)\s*{re.escape(form)}(?!\w)", text)
        match = before or after
        if match:
            return text.replace(match[0], " ", 1), match[1].strip()
    return text, ""
