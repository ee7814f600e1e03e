"""The summary of corrections with their evidence: Markdown for a pull request, and JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from matrix.features.corrections.change import Action, ChangeGround, DocumentChange, UnchangedClaim
from matrix.features.corrections.suggest import Suggestion
from matrix.judging.sentences import evidence_text
from matrix.model.verdict import Verdict
from matrix.reporting.text import count_text
from matrix.system.visible import harmless

SCHEMA = "suggest/1"
_TITLES = {
    Action.MINIMUM: "Minimum corrected",
    Action.LOWER: "Minimum lowered",
    Action.CELL: "Cell reversed",
    Action.RUNTIME: "Runtime removed",
    Action.ROW: "Row added",
    Action.NOTE: "Note removed",
    Action.TESTED: "Range that the vendor tests",
    Action.AUTOMATIC: "Automatic as in the registry",
}


@dataclasses.dataclass(frozen=True)
class SuggestionSummary:
    """The suggestions, the `source` of their verdicts, and the verdicts on the changed documents.

    `still_refuted` are the verdicts that stay refuted when the changed documents are judged again
    by the recorded findings; None where that was not possible (`unchecked` is the reason).
    """

    suggestions: tuple[Suggestion, ...]
    source: str
    still_refuted: tuple[Verdict, ...] | None
    unchecked: str = ""

    @property
    def changes(self) -> list[DocumentChange]:
        """Return the changes of all documents."""
        return [change for suggestion in self.suggestions for change in suggestion.changes]

    @property
    def unchanged(self) -> list[UnchangedClaim]:
        """Return the unchanged claims of all documents."""
        return [claim for suggestion in self.suggestions for claim in suggestion.unchanged]

    @property
    def manual(self) -> list[UnchangedClaim]:
        """Return the refuted claims that no rule corrects."""
        return [claim for claim in self.unchanged if claim.refuted]


def as_markdown(summary: SuggestionSummary) -> str:
    """Return the summary as Markdown."""
    lines = ["# Corrections from the evidence", "", _introduction(summary), ""]
    for suggestion in summary.suggestions:
        if suggestion.changes or suggestion.error:
            lines += [f"## {_text(suggestion.page.path.name)}", ""]
            if suggestion.error:
                lines += [
                    f"No diff: the changes would have other effects ({suggestion.error}).",
                    "",
                ]
            for change in suggestion.changes:
                lines += [*_change(change), ""]
    others = [claim for claim in summary.unchanged if not claim.refuted]
    for title, meaning, claims in (
        ("To be edited by hand", "Refuted claims that no rule corrects.", summary.manual),
        ("Not changed", "Undecided differences between documents.", others),
    ):
        if claims:
            lines += [f"## {title}", "", meaning, ""]
            lines += [line for claim in claims for line in _unchanged(claim)]
            lines.append("")
    lines += ["## After these changes", "", *_after(summary), ""]
    return harmless("\n".join(lines))


def as_json(summary: SuggestionSummary, diffs: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the summary as plain JSON values: `matrix/data/schemas/suggest.schema.json`."""
    return {
        "schema": SCHEMA,
        "source": summary.source,
        "documents": [
            {
                "document": suggestion.page.name,
                "file": str(suggestion.page.path),
                "changes": [change.to_json() for change in suggestion.changes],
                "left": [claim.to_json() for claim in suggestion.unchanged],
                "trouble": suggestion.error,
                "diff": diffs[suggestion.page.name].decode("utf-8", "replace"),
            }
            for suggestion in summary.suggestions
        ],
        "still_refuted": (
            None
            if summary.still_refuted is None
            else [verdict.claim for verdict in summary.still_refuted]
        ),
        "unchecked": summary.unchecked,
    }


def _introduction(summary: SuggestionSummary) -> str:
    changed = sum(bool(suggestion.changes) for suggestion in summary.suggestions)
    changes = count_text(len(summary.changes), "change")
    documents = count_text(len(summary.suggestions), "document")
    return (
        f"{changes} in {changed} of {documents}, from {summary.source}. Nothing else in the files"
        " is changed, and nothing that is unverified."
    )


def _change(change: DocumentChange) -> Iterator[str]:
    yield f"### {_TITLES[change.action]}: {_text(change.title)}"
    yield ""
    yield f"`{change.document}:{change.line}`"
    yield ""
    if change.caveat:
        yield f"**{change.caveat}**"
        yield ""
    yield from _grounds(change.grounds)


def _unchanged(claim: UnchangedClaim) -> Iterator[str]:
    yield f"- `{claim.document}:{claim.line}` {_text(claim.title)}: {_text(claim.reason)}"
    yield from (f"  {line}" for line in _grounds(claim.grounds))


def _grounds(grounds: Iterable[ChangeGround]) -> Iterator[str]:
    """Yield the lines of each piece of evidence once, with all claims that share it."""
    shared: dict[object, list[ChangeGround]] = {}
    for ground in grounds:
        key = (ground.outcome, ground.facts, ground.backends, ground.cells)
        shared.setdefault(key, []).append(ground)
    for first, *others in shared.values():
        claims = ", ".join(f"`{one.claim}` ({one.document}:{one.line})" for one in (first, *others))
        yield f"- {first.outcome}: {claims}"
        yield f"  - {_text(first.evidence)}"
        yield from (f"  - `nox -s reproduce -- {cell.id}`" for cell in first.cells)


def _after(summary: SuggestionSummary) -> Iterator[str]:
    if summary.still_refuted is None:
        yield f"Not judged again: {_text(summary.unchecked)}"
    elif not summary.still_refuted:
        yield "Judged again by the recorded findings: no claim is refuted."
    else:
        yield "Judged again by the recorded findings, these claims stay refuted:"
        yield ""
        yield from (
            f"- `{verdict.claim}`: {_text(evidence_text(verdict.facts))}"
            for verdict in summary.still_refuted
        )


def _text(words: str) -> str:
    """Return words on one line, with accidental markup escaped."""
    return " ".join(words.split()).replace("<", "&lt;").replace("|", "\\|")
