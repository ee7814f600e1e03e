"""Why: a Markdown text with the evidence, ready for a pull request's description."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from matrix.features.corrections.change import Action, ChangeGround, DocumentChange, UnchangedClaim
from matrix.features.corrections.suggest import Suggestion
from matrix.model.verdict import Verdict

__all__ = ["SCHEMA", "SuggestionSummary", "as_json", "as_markdown"]

SCHEMA = "suggest/1"
_TITLES = {
    Action.MINIMUM: "Minimum corrected",
    Action.LOWER: "Minimum lowered",
    Action.CELL: "Cell turned around",
    Action.RUNTIME: "Runtime taken out",
    Action.ROW: "Row added",
    Action.NOTE: "Note taken out",
}


@dataclasses.dataclass(frozen=True)
class SuggestionSummary:
    """Everything there is to tell.

    `still` are the verdicts that stay refuted when the changed documents are judged again on what
    was seen so far, None where that could not be done (`unchecked` says why).
    """

    suggestions: tuple[Suggestion, ...]
    source: str
    still: tuple[Verdict, ...] | None
    unchecked: str = ""

    @property
    def changes(self) -> list[DocumentChange]:
        """Return the changes of all documents."""
        return [change for one in self.suggestions for change in one.changes]

    @property
    def left(self) -> list[UnchangedClaim]:
        """Return what is left alone in all documents."""
        return [left for one in self.suggestions for left in one.left]

    @property
    def by_hand(self) -> list[UnchangedClaim]:
        """Return what the evidence refutes and no rule puts right."""
        return [left for left in self.left if left.refuted]


def as_markdown(told: SuggestionSummary) -> str:
    """Return the summary."""
    lines = ["# Corrections that the evidence asks for", "", _first(told), ""]
    for one in told.suggestions:
        if one.changes or one.trouble:
            lines += [f"## {_text(one.paper.path.name)}", ""]
            if one.trouble:
                lines += [f"No diff: its changes would say something else ({one.trouble}).", ""]
            for change in one.changes:
                lines += [*_change(change), ""]
    if told.by_hand:
        lines += [
            "## To be edited by hand",
            "",
            "The evidence refutes these; no rule mends them.",
            "",
        ]
        lines += [line for left in told.by_hand for line in _left(left)]
        lines.append("")
    others = [left for left in told.left if not left.refuted]
    if others:
        lines += ["## Not changed", "", "What documents say differently, or lack, undecided.", ""]
        lines += [line for left in others for line in _left(left)]
        lines.append("")
    lines += ["## After this", "", *_after(told), ""]
    return "\n".join(lines)


def as_json(told: SuggestionSummary, diffs: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the same as plain JSON values: `matrix/data/schemas/suggest.schema.json`."""
    return {
        "schema": SCHEMA,
        "source": told.source,
        "documents": [
            {**one.to_json(), "diff": diffs[one.paper.name].decode("utf-8", "replace")}
            for one in told.suggestions
        ],
        "still_refuted": (
            None if told.still is None else [verdict.claim for verdict in told.still]
        ),
        "unchecked": told.unchecked,
    }


def _first(told: SuggestionSummary) -> str:
    changed = [one for one in told.suggestions if one.changes]
    changes = _count(len(told.changes), "change")
    documents = _count(len(told.suggestions), "document")
    return (
        f"{changes} in {len(changed)} of {documents}, from {told.source}. Nothing else in the files"
        " is touched, and nothing that is unverified."
    )


def _change(change: DocumentChange) -> Iterator[str]:
    yield f"### {_TITLES[change.action]}: {_text(change.says)}"
    yield ""
    yield f"`{change.document}:{change.line}`"
    yield ""
    if change.caveat:
        yield f"**{change.caveat}**"
        yield ""
    yield from _grounds(change.grounds)


def _left(left: UnchangedClaim) -> Iterator[str]:
    yield f"- `{left.document}:{left.line}` {_text(left.says)}: {_text(left.why)}"
    yield from (f"  {line}" for line in _grounds(left.grounds))


def _grounds(grounds: Iterable[ChangeGround]) -> Iterator[str]:
    """Yield each piece of evidence once; the claims that share it are named together."""
    shared: dict[tuple[str, str, tuple[str, ...]], list[ChangeGround]] = {}
    for ground in grounds:
        key = (ground.outcome, ground.evidence, ground.cells)
        shared.setdefault(key, []).append(ground)
    for (outcome, evidence, cells), same in shared.items():
        claims = ", ".join(f"`{one.claim}` ({one.document}:{one.line})" for one in same)
        yield f"- {outcome}: {claims}"
        yield f"  - {_text(evidence)}"
        yield from (f"  - `nox -s reproduce -- {cell}`" for cell in cells)


def _after(told: SuggestionSummary) -> Iterator[str]:
    if told.still is None:
        yield f"Not judged again: {_text(told.unchecked)}"
    elif not told.still:
        yield "The changed documents were judged again on what was seen: no claim is refuted."
    else:
        yield "Judged again on what was seen so far, these claims stay refuted:"
        yield ""
        yield from (f"- `{one.claim}`: {_text(one.evidence)}" for one in told.still)


def _text(words: str) -> str:
    """Return words that are no markup by accident, on one line."""
    return " ".join(words.split()).replace("<", "&lt;").replace("|", "\\|")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
