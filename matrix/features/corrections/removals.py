"""Corrections that remove what is refuted: runtimes from their row, and notes.

A row promises each of its CPythons on each of its processors. Where processors lose different
CPythons, the row is split. Prose is not rewritten: a note is removed if its item says nothing else
and is not one of several sentences.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence

from matrix.documents.blocks import Text
from matrix.documents.tables.runtime import pythons
from matrix.documents.text import plain
from matrix.documents.versions import VersionsError, read_versions
from matrix.documents.vocabulary import Vocabulary
from matrix.features.corrections.change import (
    Action,
    ClaimCase,
    Correction,
    DocumentChange,
    UnchangedClaim,
)
from matrix.features.corrections.edit import Deletion, Edit, Insertion, format_row
from matrix.features.corrections.page import PageText, PlacedRow
from matrix.model.claim import Claim, ClaimKind

_SEPARATOR = re.compile(r"(\s*[,;\u3001\uff0c]\s*)")
_RANGE = re.compile(r"([0-9.]+)([^0-9.]+)([0-9.]+)")
_USUAL_SEPARATOR = ", "
# The end of a sentence that another one follows.
_SENTENCE_END = re.compile(r"[.!?][)\"']?\s+(?=\S)|[\u3002\uff01\uff1f](?=.)")


def narrowed_runtimes(case: ClaimCase, page: PageText) -> Iterator[Correction]:
    """Yield a change for each row that has refuted runtimes."""
    rows: dict[int, list[Claim]] = defaultdict(list)
    for claim in page.claims:
        if claim.kind is ClaimKind.RUNTIME:
            rows[claim.line].append(claim)
    for line, claims in rows.items():
        wrong = case.refuted(claims)
        if not wrong:
            continue
        grounds = case.grounds(wrong)
        names = ", ".join(dict.fromkeys(_runtime_name(claim) for claim in wrong))
        edits = _edits(case, page, line, claims, wrong)
        if not edits:
            reason = "its lists cannot be split into items, or the table would be left empty"
            yield UnchangedClaim(page.name, line, names, reason, refuted=True, grounds=grounds)
            continue
        yield DocumentChange(
            Action.RUNTIME,
            page.name,
            line,
            f"not for {names}",
            tuple(edits),
            tuple(claim.fact for claim in wrong),
            (),
            grounds,
        )


def _edits(
    case: ClaimCase, page: PageText, line: int, claims: Sequence[Claim], wrong: Sequence[Claim]
) -> list[Edit]:
    row = page.row(line)
    if row is None:
        return []
    groups = _cpus_by_loss(claims, wrong)
    if row.html and len(groups) != 1:
        return []  # a row of HTML is neither deleted nor copied
    if len(wrong) == len(claims):
        return [Deletion(line, line)] if _has_other_rows(case, page, row) else []
    edits: list[Edit] = []
    old = [row.cell(column).strip() for column in range(len(row.html or row.spans))]
    for number, (lost, cpus) in enumerate(groups.items()):
        texts = _cell_texts(page, row, claims, set(cpus), lost)
        if not texts:
            return []
        if number == 0:
            edits += [
                row.replace_cell(column, text)
                for column, text in texts.items()
                if text != old[column]
            ]
        else:
            cells = [texts.get(column, text) for column, text in enumerate(old)]
            edits.append(Insertion(line, format_row(cells, row.text, page.lines_of(row.layout))))
    return edits


def _cpus_by_loss(
    claims: Sequence[Claim], wrong: Sequence[Claim]
) -> dict[frozenset[str], list[str | None]]:
    """Return the processors that keep a row, by the CPythons that they lose."""
    groups: dict[frozenset[str], list[str | None]] = {}
    for cpu in dict.fromkeys(claim.get("cpu") for claim in claims):
        promised = {claim.get("python") or "" for claim in claims if claim.get("cpu") == cpu}
        lost = {claim.get("python") or "" for claim in wrong if claim.get("cpu") == cpu}
        if lost != promised:
            groups.setdefault(frozenset(lost), []).append(cpu)
    return groups


def _has_other_rows(case: ClaimCase, page: PageText, row: PlacedRow) -> bool:
    """Return whether the table keeps a row that is not refuted as a whole."""
    lines = {other.line for other in row.layout.table.rows} - {row.line}
    others = [claim for claim in page.claims if claim.line in lines]
    return len(case.refuted(others)) < len(others)


def _cell_texts(
    page: PageText,
    row: PlacedRow,
    claims: Sequence[Claim],
    cpus: set[str | None],
    lost: frozenset[str],
) -> dict[int, str]:
    """Return a row's cells by column for some of its processors; empty where that is impossible."""
    vocabulary, system = page.layout.vocabulary, claims[0].get("os") or ""
    texts: dict[int, str] = {}
    if cpus != {claim.get("cpu") for claim in claims}:
        texts = _filtered_list(
            row, "cpu", lambda item: [item] if _cpu(item, system, vocabulary) in cpus else []
        )
        if not texts:
            return {}
    versions = _filtered_list(
        row, "runtime-versions", lambda item: _without(item, lost, vocabulary)
    )
    return {**texts, **versions} if versions else {}


def _filtered_list(
    row: PlacedRow, role: str, remaining: Callable[[str], list[str] | None]
) -> dict[int, str]:
    """Return a cell by its column, each item of its list replaced by the `remaining` ones."""
    column = row.layout.position(role)
    if column is None:
        return {}
    parts = _SEPARATOR.split(row.cell(column).strip())
    items, separators = parts[::2], parts[1::2]
    separator = separators[0] if separators else _USUAL_SEPARATOR
    text = ""
    for number, item in enumerate(items):
        new_items = remaining(item)
        if new_items is None:
            return {}
        if new_items:
            text += (separators[number - 1] if text else "") + separator.join(new_items)
    return {column: text} if text else {}


def _without(item: str, lost: frozenset[str], vocabulary: Vocabulary) -> list[str] | None:
    """Return the ranges without the lost CPythons: `3.5-3.11` less 3.7 is `3.5-3.6`, `3.8-3.11`."""
    try:
        versions = list(pythons(read_versions(item, vocabulary)))
    except VersionsError:
        return None
    if not lost.intersection(versions):
        return [item]
    span = _RANGE.fullmatch(plain(item))
    if len(versions) > 1 and span is None:
        return None
    runs = [
        [_minor_version(version) for version in run]
        for is_lost, run in itertools.groupby(versions, lost.__contains__)
        if not is_lost
    ]
    dash = span[2] if span else ""
    return [run[0] if len(run) == 1 else f"{run[0]}{dash}{run[-1]}" for run in runs]


def _cpu(item: str, system: str, vocabulary: Vocabulary) -> str | None:
    return vocabulary.exactly(f"cpus-{system}", item) or vocabulary.exactly("cpus", item)


def _runtime_name(claim: Claim) -> str:
    python = _minor_version(claim.get("python") or "")
    return " ".join(part for part in (python, claim.get("os"), claim.get("cpu")) if part)


def _minor_version(specifier: str) -> str:
    return specifier.removeprefix("==").removesuffix(".*")


def removed_notes(
    case: ClaimCase, page: PageText, settled: Collection[str]
) -> Iterator[Correction]:
    """Yield a change for each text whose claims are all refuted and not settled by a minimum."""
    texts: dict[int, tuple[Text | None, list[Claim]]] = {}
    for claim in page.claims:
        if claim.kind is ClaimKind.NOTE:
            text = page.layout.text_at(claim.line)
            start = text.line if text else claim.line
            texts.setdefault(start, (text, []))[1].append(claim)
    for start, (text, claims) in texts.items():
        wrong = [claim for claim in case.refuted(claims) if claim.id not in settled]
        if not wrong:
            continue
        grounds = case.grounds(wrong)
        names = ", ".join(f"the note {claim.subject} ({claim.status.value})" for claim in wrong)
        obstacle = _obstacle(page, text, claims, wrong)
        if text is None or obstacle:
            yield UnchangedClaim(page.name, start, names, obstacle, refuted=True, grounds=grounds)
            continue
        yield DocumentChange(
            Action.NOTE,
            page.name,
            start,
            f"{names} is removed: it says nothing else",
            (_deletion(page, text),),
            tuple(claim.fact for claim in claims),
            (),
            grounds,
            "Prose is not rewritten: add what is true instead, if readers need it.",
        )


def _obstacle(page: PageText, text: Text | None, claims: list[Claim], wrong: list[Claim]) -> str:
    if text is None:
        return "its position on the page is not known"
    if len(wrong) < len(claims):
        return "the same text makes another promise that is not refuted"
    if text.kind == "html" or _SENTENCE_END.search(plain(text.text)):
        return "the text says more than this: prose must be edited by hand"
    first = page.file.line(text.line)
    after = page.file.line(text.line + len(text.lines))
    if text.kind == "bullet" and after.strip() and _indent(after) > _indent(first):
        return "it has nested items"
    if _is_boxed(page, text):
        return "it is the only content of a box on the page"
    return ""


def _is_boxed(page: PageText, text: Text) -> bool:
    """Return whether tags such as `{% alert %}` are right before and right after a text."""
    lines = [line.strip() for line, _ in page.file.lines]
    before = next((line for line in reversed(lines[: text.line - 1]) if line), "")
    after = next((line for line in lines[text.line - 1 + len(text.lines) :] if line), "")
    return before.startswith("{") and after.startswith("{")


def _deletion(page: PageText, text: Text) -> Deletion:
    """Return the deletion of a text, with one of two blank lines that would meet."""
    last = text.line + len(text.lines) - 1
    before = text.line == 1 or not page.file.line(text.line - 1).strip()
    after = last < len(page.file.lines) and not page.file.line(last + 1).strip()
    return Deletion(text.line, last + 1 if before and after else last)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
