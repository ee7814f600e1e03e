"""A run as one HTML page that loads nothing: no network, no other file."""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup, escape

from matrix.judging.sentences import evidence_text
from matrix.model.fact import Fact
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, PartVerdict, Verdict
from matrix.pypi.releases import python_key
from matrix.reporting.breakage import breakage_of
from matrix.reporting.diff import RunDiff
from matrix.reporting.html_audit import AuditPart
from matrix.reporting.html_charts import HeatMap, HeatRow, Strip, build_heat_map, verdict_strips
from matrix.reporting.html_evidence import Digests, claim_source, pack_evidence, reproduce_command
from matrix.reporting.rows import VerdictRow, short_evidence
from matrix.reporting.summary import (
    document_names,
    document_titles,
    headline,
    outcome_counts,
    unasked_text,
)
from matrix.reporting.text import (
    MARKS,
    ReasonText,
    claim_lines,
    count_text,
    load_reasons,
    outcome_text,
    promise_text,
)
from matrix.runs.record import CellRecord, Record
from matrix.system.paths import data_dir
from matrix.system.visible import MOST_TEXT, powerless_markup, shown, visible

MAX_PAGE_BYTES = 2_000_000
"""The largest size of a page in bytes."""
# How long a text, and how many rows, a page has at most: the next where it is too large.
_SIZES = ((MOST_TEXT, None), (400, None), (80, None), (80, 1000), (80, 200), (40, 50))
_MAX_PROOFS = 30
_CHANGES = 100
_SHORT = 240
_FOLDER = "page"


def render_page(  # noqa: PLR0913 - the record, what is beside it, and a limit
    record: Record,
    digests: Digests,
    changed: RunDiff | None = None,
    searches: Sequence[Strip] = (),
    *,
    audit: Sequence[AuditPart] = (),
    most: int = MAX_PAGE_BYTES,
) -> str:
    """Return the text of the page; `changed` is the diff to the run before, `audit` its findings.

    Evidence that does not fit into `most` bytes is omitted, and the page says so. Where its table
    alone is larger, texts are cut, and then rows are left out and counted.
    """
    page = ""
    for longest, rows in _SIZES:
        page = _page(record, digests, changed, searches, audit, most, longest, rows)
        if len(page.encode()) <= most:
            break
    return page


def _page(  # noqa: PLR0913, PLR0917 - the record, what is beside it, and three limits
    record: Record,
    digests: Digests,
    changed: RunDiff | None,
    searches: Sequence[Strip],
    audit: Sequence[AuditPart],
    most: int,
    longest: int,
    rows: int | None,
) -> str:
    def read(cell: CellRecord) -> Mapping[str, Any] | None:
        return shown(digests(cell), longest)

    record, changed, searches = shown((record, changed, tuple(searches)), longest)
    whole = build_heat_map(record)
    heat = dataclasses.replace(whole, lines=whole.lines[:rows])
    frame = _frame(record, heat, read, changed, searches)
    frame["more_rows"] = len(whole.lines) - len(heat.lines)
    frame["audit"] = [part.first(rows) for part in shown(tuple(audit), longest)]
    bare = _render(frame, "", 0)
    evidence, missing = pack_evidence(record, heat, read, most - len(bare.encode()) - 1000)
    return _render(frame, evidence, missing)


def harmless_html(value: object) -> object:
    """Return a value of a template: text escaped, visible, and no command; else as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return Markup(powerless_markup(escape(visible(value))))  # noqa: S704 - it is escaped
    return value


@functools.cache
def _environment() -> jinja2.Environment:
    # Compiling the templates takes longer than filling them in.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_dir() / _FOLDER),
        autoescape=True,
        finalize=harmless_html,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(many=count_text)
    return environment


def _render(frame: dict[str, Any], evidence: str, missing: int) -> str:
    css, script = (
        (data_dir() / _FOLDER / f"report.{kind}").read_text(encoding="utf-8")
        for kind in ("css", "js")
    )
    policy = (
        f"default-src 'none'; style-src {_source(css)}; script-src {_source(script)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template("report.html")
    return page.render(
        **frame, css=css, script=script, policy=policy, evidence=evidence, missing=missing
    )


def _source(text: str) -> str:
    """Return the source expression of a policy that allows exactly this text.

    https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _frame(
    record: Record,
    heat: HeatMap,
    digests: Digests,
    changed: RunDiff | None,
    searches: Sequence[Strip],
) -> dict[str, Any]:
    names = document_names(record)
    titles = document_titles(record)
    counts = {outcome.value: count for outcome, count in outcome_counts(record).items()}
    lines = [_row(number, line, names, heat) for number, line in enumerate(heat.lines)]
    return {
        "record": record,
        "counts": counts,
        "marks": {outcome.value: mark for outcome, mark in MARKS.items()},
        "headline": headline(record),
        "unasked": unasked_text(record),
        "asked": sum(counts.values()),
        "documents": [f"{name} ({titles[name]})" if name in titles else name for name in names],
        "pythons": heat.pythons,
        "targets": heat.targets,
        "groups": [
            (group, title, rows)
            for group, title in _GROUPS.items()
            if (rows := [line for line in lines if line["group"] == group])
        ],
        "kinds": sorted({claim.kind.value for claim in record.claims}),
        "reasons": _reasons(item for item in record.verdicts if item.outcome is Outcome.UNVERIFIED),
        "named": _reasons(record.verdicts),
        "refuted": [
            {**lines[number], **_proof(record, line, digests if number < _MAX_PROOFS else None)}
            for number, line in enumerate(heat.lines)
            if line.verdict.outcome is Outcome.REFUTED
        ],
        "changes": _changes(changed, names) if changed else None,
        "strips": [_strip_points(strip) for strip in (*searches, *verdict_strips(record, heat))],
        "tracers": sorted({cell.id.partition("-ddtrace")[2] for cell in record.cells}),
    }


def _reasons(verdicts: Iterable[Verdict]) -> list[tuple[Reason, int, ReasonText]]:
    """Return the reasons of verdicts with their words, the most frequent first."""
    counts = Counter(verdict.reason for verdict in verdicts if verdict.reason is not None)
    return [(reason, count, load_reasons()[reason]) for reason, count in counts.most_common()]


_GROUPS = {
    "refuted": "Refuted",
    "confirmed": "Confirmed",
    "unverified": "Could not be checked, though cells ran or were to run",
    "not-run": "No experiment",
}


def _row(number: int, line: HeatRow, names: dict[str, str], heat: HeatMap) -> dict[str, Any]:
    verdict = line.verdict
    reason = load_reasons()[verdict.reason].title if verdict.reason else ""
    return {
        "number": number,
        "group": line.group,
        "kind": line.claims[0].kind.value,
        "documents": [
            list(names).index(name) for name in dict.fromkeys(c.document for c in line.claims)
        ],
        "reason": verdict.reason.value if verdict.reason else "",
        "because": reason,
        "promise": promise_text(line.claims[0]),
        "place": claim_lines(line.claims, names),
        "heading": line.claims[0].heading,
        "word": outcome_text(verdict),
        "outcome": verdict.outcome.value,
        "squares": [
            [
                (
                    heat.targets.index(each.target),
                    each.outcome.value,
                    "" if each.parts == each.same else f", {each.same} of {each.parts} parts",
                )
                for each in line.squares.get(python, ())
            ]
            for python in heat.pythons
        ]
        if line.squares
        else [],
    }


def _proof(record: Record, line: HeatRow, digests: Digests | None) -> dict[str, Any]:
    """Return the evidence of a refutation, readable without scripts and on paper."""
    failing = [part for part in line.verdict.parts if part.outcome is Outcome.REFUTED]
    first = record.cell_records.get(failing[0].cells[0]) if failing else None
    exchanges: list[Any] = []
    if first and digests and (digest := digests(first)):
        exchanges = digest["asked"].get(f"{failing[0].probe}/{failing[0].channel}", [])
    return {
        "evidence": evidence_text(line.verdict.facts),
        "stands": [claim_source(claim) for claim in line.claims],
        "short": short_evidence(VerdictRow((line.verdict,), line.claims[:1]), _SHORT),
        "where": list(_where(line)),
        "parts": list(_repeated(failing[:_MAX_PROOFS])),
        "more": max(len(failing) - _MAX_PROOFS, 0),
        "cell": first,
        "asked": exchanges,
    }


def _repeated(parts: Iterable[PartVerdict]) -> Iterator[tuple[str, list[str]]]:
    """Yield each text of evidence once, with the commands that repeat it."""
    commands: dict[tuple[Fact, ...], list[str]] = {}
    texts: dict[tuple[Fact, ...], str] = {}
    for part in parts:
        evidence = tuple(fact.across_cells() for fact in part.facts)
        texts.setdefault(evidence, evidence_text(part.facts))
        broken = breakage_of(part)
        of_part = broken.commands if broken else (reproduce_command(part.cells[0].id),)
        commands.setdefault(evidence, []).extend(of_part)
    for evidence, repeating in commands.items():
        yield texts[evidence], repeating


def _where(line: HeatRow) -> Iterator[str]:
    """Yield the runtimes for which a claim is refuted: `CPython 2.7, 3.9 on linux_i686`."""
    by_target: dict[str, list[str]] = {}
    for python in sorted(line.squares, key=python_key):
        for square in line.squares[python]:
            if square.outcome is Outcome.REFUTED:
                by_target.setdefault(square.target, []).append(python)
    for target, pythons in by_target.items():
        yield f"CPython {', '.join(pythons)} on {target}"


def _changes(changed: RunDiff, names: dict[str, str]) -> dict[str, Any]:
    shown = changed.notable
    return {
        "same": changed.same + len(changed.changes) - len(shown),
        "more": max(len(shown) - _CHANGES, 0),
        "counts": list(Counter(each.direction.value for each in shown).items()),
        "told": [
            {
                "direction": each.direction.value,
                "promise": promise_text(each.side.claim),
                "place": claim_lines([each.side.claim], names),
                "was": each.words[0],
                "now": each.words[1],
                "outcome": each.side.verdict.outcome.value,
            }
            for each in shown[:_CHANGES]
        ],
    }


_SPOKEN = {
    "works": "shown",
    "fails": "not shown",
    "open": "cannot tell",
    "mixed": "differs by environment",
}
_ANSWERS = {"works": "✓", "fails": "✗", "open": "?", "mixed": "±"}


def _strip_points(strip: Strip) -> dict[str, Any]:
    """Return the fields of a strip with the position of each release."""
    releases = [each.release for each in strip.tried]
    return {
        **dataclasses.asdict(strip),
        "points": [
            (number, each.release, each.answer, _ANSWERS[each.answer])
            for number, each in enumerate(strip.tried)
        ],
        "promised_at": releases.index(strip.documented) if strip.documented in releases else None,
        "spoken": ", ".join(f"{each.release} {_SPOKEN[each.answer]}" for each in strip.tried),
    }
