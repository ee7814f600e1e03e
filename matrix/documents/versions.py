"""Version cells, as people write them, to PEP 440 specifiers that keep the written spelling.

`1.8 and later`, `3.5-3.11`, `>= 0.12.0, <= 0.16`, `2 以降`, `1.11, 2.2, >= 4.0`.
The comparison is the business of `packaging`; here `2.08` stays `2.08`.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterator

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from matrix.documents.text import plain
from matrix.documents.vocabulary import Vocabulary

__all__ = ["ANY", "Alternative", "VersionsError", "read_versions", "series", "specifiers"]

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
# What vocabulary words become: signs that no version and no operator has.
_LATER, _UP_TO, _BELOW, _ANY = "\ue000", "\ue001", "\ue002", "\ue003"
_OPERATOR_OF = {_LATER: ">=", _UP_TO: "<=", _BELOW: "<", "+": ">="}
_RANGE_BUMPS_BELOW = 3


class VersionsError(ValueError):
    """A version cell of which `part` is not understood."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self.part = part


@dataclasses.dataclass(frozen=True)
class Alternative:
    """One thing that a version cell names: a bound set, a range, or a bare version.

    `bare` is set for a version written alone, `span` for `3.5-3.11`; `specifier` is "" for a bare
    version (its reader decides what it means) and for `Fully supported` (any version).
    """

    specifier: str
    bare: str = ""
    span: tuple[str, str] | None = None


ANY = Alternative("")


def read_versions(text: str, vocabulary: Vocabulary) -> tuple[Alternative, ...]:
    """Return what a version cell names, in its order; raise `VersionsError` if it cannot.

    An empty cell names nothing. Bounds that stand side by side belong together until one bounds
    the same side again: `>=1, <2, >=3, <4` are two alternatives.
    """
    found: list[Alternative] = []
    bounds: list[tuple[str, str]] = []

    def close() -> None:
        if bounds:
            found.append(Alternative(",".join(op + version for op, version in bounds)))
            bounds.clear()

    for part in _symbolic(text, vocabulary).split(","):
        if not (item := part.strip()):
            continue
        if (operated := _bounds(item)) is not None:
            for operator, version in operated:
                sides = {op[0] for op, _ in bounds}
                if operator[0] in sides and operator[0] in "<>=":
                    close()
                bounds.append((operator, version))
        else:
            close()
            found.append(_one(item))
    close()
    if not found and plain(text):
        raise VersionsError(plain(text))
    for alternative in found:
        _check(alternative.specifier, text)
    return tuple(found)


def specifiers(alternatives: tuple[Alternative, ...]) -> tuple[str, ...]:
    """Return specifiers for a subject whose lone version is a minimum: `1.8` is `>=1.8`.

    Of several bare versions each is its own series: `1.11, 2.2` are `==1.11.*` and `==2.2.*`.
    """
    if len(alternatives) == 1 and alternatives[0].bare:
        return (f">={alternatives[0].bare}",)
    return tuple(dict.fromkeys(series(one) for one in alternatives))


def series(alternative: Alternative) -> str:
    """Return a specifier in which a bare version is its series: `3.9` is `==3.9.*`.

    A pre-release has no series; it is itself.
    """
    if not alternative.bare:
        return alternative.specifier
    released = alternative.bare.replace(".", "").isdigit()
    return f"=={alternative.bare}" + (".*" if released else "")


def _symbolic(text: str, vocabulary: Vocabulary) -> str:
    """Normalise signs and put signs for the words."""
    text = re.sub(r"<br\s*/?>", ",", text, flags=re.IGNORECASE)
    text = unicodedata.normalize("NFKC", plain(text).translate(_SYMBOLS))
    text = text.casefold().translate(_SYMBOLS).replace("=>", ">=").replace("=<", "<=")
    text = re.sub(r"(?<=[\d*x])\s*~\s*(?=v?\d)", "-", text)
    for form in vocabulary.forms("versions", "range"):
        text = re.sub(rf"(?<=\d)\s*{_bounded(form)}\s*(?=v?\d)", "-", text)
    words = [
        (form, sign)
        for key, sign in (("later", _LATER), ("up-to", _UP_TO), ("below", _BELOW), ("any", _ANY))
        for form in vocabulary.forms("versions", key)
    ]
    for form, sign in sorted(words, key=lambda pair: len(pair[0]), reverse=True):
        text = re.sub(_bounded(form), sign, text)
    for form in vocabulary.forms("versions", "and"):
        text = re.sub(rf"(?<![<>=~!])\s*{_bounded(form)}\s*(?=[\d<>=~!v])", ",", text)
    for form in vocabulary.forms("versions", "noise"):
        text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", " ", text)
    return re.sub(rf"{_LATER}\s*(?={_RANGE.pattern})", "", text)


def _bounded(form: str) -> str:
    """Return a pattern for a word that no ASCII letter touches."""
    return rf"(?<![a-z]){re.escape(form)}(?![a-z])"


def _bounds(item: str) -> list[tuple[str, str]] | None:
    """Read an item made of operators and versions, or of a version and a word such as `later`."""
    for sign, operator in _OPERATOR_OF.items():
        if sign in item:
            bare = item.replace(sign, " ", 1).strip().removeprefix(">=").strip()
            found = _PLAIN.fullmatch(bare)
            if found is None:
                raise VersionsError(_shown(item))
            return [(operator, _number(found[1]))]
    pieces = [_bound(found) for found in _OPERATED.finditer(item)]
    if not pieces or _OPERATED.sub("", item).strip():
        return None
    return pieces


def _bound(found: re.Match[str]) -> tuple[str, str]:
    operator = {"=": "==", "===": "=="}.get(found[1], found[1])
    wild = ".*" if found[3] and operator in {"==", "!="} else ""
    return operator, _number(found[2]) + wild


def _one(item: str) -> Alternative:
    if item in {_ANY, "*"}:
        return ANY
    if found := _RANGE.fullmatch(item):
        first, last = _number(found[1]), _number(found[2])
        return Alternative(f">={first},{_through(last)}", span=(first, last))
    if found := _PLAIN.fullmatch(item):
        if found[2]:
            return Alternative(f"=={_number(found[1])}.*")
        return Alternative("", bare=_number(found[1]))
    raise VersionsError(_shown(item))


def _through(last: str) -> str:
    """Return the upper bound of a range: `3.11` includes its patch releases, `8.0.1` has none."""
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


def _shown(item: str) -> str:
    return "".join(_words_of(item)).strip()


def _words_of(item: str) -> Iterator[str]:
    shown = {_LATER: " and later", _UP_TO: " or earlier", _BELOW: " (below)", _ANY: "any"}
    for letter in item:
        yield shown.get(letter, letter)
