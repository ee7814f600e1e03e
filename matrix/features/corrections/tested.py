"""Corrections of promises to what the vendor's own tests cover (`suggest --to tested`).

A promised range loses the parts that nobody tests: a minimum below the first tested release becomes
that release, and so does an end above the last one. A range with no end keeps none. Where nothing
in a range is tested, it becomes the tested one. "Automatic" becomes what the registry says.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from packaging.version import Version

from matrix.documents.text import plain
from matrix.documents.versions import VersionsError, read_versions, specifiers
from matrix.documents.vocabulary import own_forms
from matrix.features.audit.vendor_tests import PromisedRow
from matrix.features.corrections.change import (
    Action,
    ChangeGround,
    Correction,
    DocumentChange,
    UnchangedClaim,
)
from matrix.features.corrections.edit import Replacement, replace_number
from matrix.features.corrections.page import PageText
from matrix.model.claim import Claim
from matrix.model.fact import text_facts

_CLAUSE = re.compile(r"([<>=!~]+)(.*)")
_LOWER, _UPPER = (">=", ">"), ("<=",)
_SEPARATOR = re.compile(r"\s*[,;\u3001\uff0c]\s*")
_TESTED = "tested"


def tested_corrections(page: PageText, rows: Iterable[PromisedRow]) -> Iterator[Correction]:
    """Yield a change for each row of a page that promises what nobody tests, or why there is none.

    `rows` are those of the comparison with the registry.
    """
    by_claim = {claim: row for row in rows for claim in row.claims}
    lines: dict[int, list[Claim]] = defaultdict(list)
    for claim in page.claims:
        if claim.id in by_claim:
            lines[claim.line].append(claim)
    for claims in lines.values():
        pairs = [(claim, by_claim[claim.id]) for claim in claims]
        after = claims
        if any(row.untested for _, row in pairs):
            correction, after = _tested_range(page, pairs)
            yield correction
        promised, row = claims[0].get("automatic"), pairs[0][1]
        if promised and row.automatic is not None and (promised == "yes") != row.automatic:
            yield from _automatic(page, after, row)


def _tested_range(
    page: PageText, pairs: Sequence[tuple[Claim, PromisedRow]]
) -> tuple[Correction, list[Claim]]:
    """Return the change of the range or ranges of one line, and its claims after that."""
    first = pairs[0][0]
    name = f"{first.subject}, {first.as_written or first.specifier or 'any release'}"
    grounds = _grounds(pairs)
    edit: Replacement | None = None
    ranges_by_id = {claim.id: _tested_part(claim.specifier, row) for claim, row in pairs}
    if len({claim.specifier for claim, _ in pairs}) > 1 and any(ranges_by_id.values()):
        # Of a list, items that nobody tests are left out.
        ranges_by_id |= {claim.id: "" for claim, row in pairs if not row.tested}
    new = tuple(dict.fromkeys(filter(None, ranges_by_id.values())))
    if not any(row.tested or row.outside for _, row in pairs):
        reason = "the registry has no release of it: remove the row, or have it tested"
    elif not new or new == tuple(dict.fromkeys(claim.specifier for claim, _ in pairs)):
        reason = "a series of releases is promised, and only some of it is tested"
    elif len({claim.subject for claim, _ in pairs}) > 1 and len(new) > 1:
        reason = "the line joins several libraries"
    else:
        reason = "its text has no form that says the tested range alone"
        edit = _edit(page, first, new)
    if edit is None:
        unchanged = UnchangedClaim(page.name, first.line, name, reason, grounds=grounds)
        return unchanged, [claim for claim, _ in pairs]
    claims = [
        dataclasses.replace(claim, specifier=ranges_by_id[claim.id])
        for claim, _ in pairs
        if ranges_by_id[claim.id]
    ]
    change = DocumentChange(
        Action.TESTED,
        page.name,
        first.line,
        f"{name} \N{RIGHTWARDS ARROW} {' or '.join(new)}",
        (edit,),
        tuple(claim.fact for claim, _ in pairs),
        tuple(dict.fromkeys(claim.fact for claim in claims)),
        grounds,
        _caveat(pairs, new),
    )
    return change, claims


def _tested_part(specifier: str, row: PromisedRow) -> str:
    """Return the part of a promised range that is tested, "" where the registry has no release."""
    versions = [
        Version(text)
        for tested in row.tested or row.outside
        for text in (tested.minimum, tested.maximum)
        if text
    ]
    if not versions:
        return ""
    lowest, highest = min(versions), max(versions)
    if not row.tested:
        return f">={lowest},<={highest}"
    clauses = []
    has_start = False
    for operator, version in _clauses(specifier):
        has_start = has_start or operator in _LOWER or operator.startswith(("=", "~"))
        if operator in _LOWER and Version(version) < lowest:
            clauses.append(f">={lowest}")
        elif operator in _UPPER and Version(version) > highest:
            clauses.append(f"<={highest}")
        else:
            clauses.append(operator + version)
    return ",".join(clauses if has_start else [f">={lowest}", *clauses])


def _clauses(specifier: str) -> list[tuple[str, str]]:
    matches = (_CLAUSE.fullmatch(clause) for clause in specifier.split(","))
    return [(match[1], match[2]) for match in matches if match]


def _edit(page: PageText, claim: Claim, new: Sequence[str]) -> Replacement | None:
    """Return the edit by which the line of a claim says exactly these ranges, None without one."""
    row = page.row(claim.line)
    column = row.layout.position("versions") if row else None
    if row is None or column is None:
        # A bullet: only its number is replaced.
        line = page.file.line(claim.line)
        text = _with_numbers(line, claim.specifier, new[0]) if len(new) == 1 else None
        return None if text is None else Replacement(claim.line, 0, len(line), text)
    old = row.cell(column).strip()
    for text in _texts(old, claim.specifier, new, page):
        if _ranges(text, page) == tuple(new):
            return row.replace_cell(column, text)
    return None


def _texts(old: str, specifier: str, new: Sequence[str], page: PageText) -> Iterator[str]:
    """Yield texts for a cell, the one closest to the old text first."""
    if len(new) == 1 and (text := _with_numbers(old, specifier, new[0])) is not None:
        yield text
    items = _SEPARATOR.split(old)
    yield ", ".join(item for item in items if set(_ranges(item, page)) & set(new))
    spaced = (re.sub(r"^([<>=!~]+)", r"\1 ", clause) for one in new for clause in one.split(","))
    yield ", ".join(spaced)


def _with_numbers(text: str, old: str, new: str) -> str | None:
    """Return a text with the versions of one range in place of those of another, if it has them."""
    before, after = _clauses(old), _clauses(new)
    if len(before) != len(after):
        return None
    for (_, was), (_, now) in zip(before, after, strict=True):
        if was != now:
            replaced = replace_number(text, was, now)
            if replaced is None:
                return None
            text = replaced
    return text


def _ranges(text: str, page: PageText) -> tuple[str, ...]:
    try:
        return specifiers(read_versions(text, page.layout.vocabulary))
    except VersionsError:
        return ()


def _automatic(page: PageText, claims: Sequence[Claim], row: PromisedRow) -> Iterator[Correction]:
    """Yield the change of an "automatic" cell; of a cell that says more than yes or no, none."""
    first = claims[0]
    if first.get("role"):
        return  # the registry does not tell a library's roles apart
    right = "yes" if row.automatic else "no"
    grounds = _grounds([(first, row)])
    placed = page.row(first.line)
    column = placed.layout.position("automatic") if placed else None
    word = _automatic_word(page, first, right, column)
    title = f"{first.subject}: automatic {first.get('automatic')}"
    if placed is None or column is None or not word or first.get("automatic_python"):
        reason = f"the registry says {right}; the cell says more, or there is no word for it"
        yield UnchangedClaim(page.name, first.line, title, reason, grounds=grounds)
        return

    def turned(claim: Claim) -> Claim:
        scope = tuple((key, right if key == "automatic" else value) for key, value in claim.scope)
        return dataclasses.replace(claim, scope=scope)

    yield DocumentChange(
        Action.AUTOMATIC,
        page.name,
        first.line,
        f"{title} \N{RIGHTWARDS ARROW} {right}",
        (placed.replace_cell(column, word),),
        tuple(claim.fact for claim in claims),
        tuple(turned(claim).fact for claim in claims),
        grounds,
    )


def _automatic_word(page: PageText, near: Claim, right: str, column: int | None) -> str:
    """Return the word of the same table for yes or no, else the first one of the language."""
    layout = page.layout.table_at(near.line)
    words = Counter(
        (page.cell(claim.line, column) or "").strip()
        for claim in page.claims
        if claim.get("automatic") == right
        and not claim.get("automatic_python")
        and page.layout.table_at(claim.line) is layout
    )
    del words[""]
    forms = own_forms(page.language, "marks", right)
    return words.most_common(1)[0][0] if words else next(iter(forms), "")


def _grounds(pairs: Iterable[tuple[Claim, PromisedRow]]) -> tuple[ChangeGround, ...]:
    """Return the entries of the registry that changes rest on."""
    places = dict.fromkeys(place for _, row in pairs for place in row.places)
    return tuple(
        ChangeGround(
            place.claim, place.document, place.line, _TESTED, text_facts(f"{place.says}."), ()
        )
        for place in places
    )


def _caveat(pairs: Sequence[tuple[Claim, PromisedRow]], new: Sequence[str]) -> str:
    """Return what a row cannot say: the CPythons of each tested range, and the open end."""
    ranges = dict.fromkeys(tested for _, row in pairs for tested in row.tested or row.outside)
    sentences = [f"Tested: {plain('; '.join(map(str, ranges)))}."]
    if not any(
        operator.startswith(("<", "=", "~")) for one in new for operator, _ in _clauses(one)
    ):
        sentences.append("The range has no end, as before: what comes after these is not tested.")
    return " ".join(sentences)
