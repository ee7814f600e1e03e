"""Short texts for claims, verdicts, places in documents, and typed reasons."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from matrix.model.claim import Claim, ClaimKind
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, PartVerdict, Verdict
from matrix.probes.places import shapes_of
from matrix.system.files import read_data

_SHORT = 8
MARKS = {Outcome.CONFIRMED: "✓", Outcome.REFUTED: "✗", Outcome.UNVERIFIED: "?"}

_ASIDE = ("automatic", "note", "partial")
"""Keys of a scope that tell no claim from others on its subject."""


def promise_text(*claims: Claim) -> str:
    """Return a promise in words: `capability threat-detection >=1.9.0 (framework django)`.

    Several claims are of one kind, and differ only in subject, specifier or CPython.
    """
    first = claims[0]
    if first.kind is ClaimKind.RUNTIME:
        scope = [f"ddtrace {first.specifier}"] if first.specifier else []
        words = f"{first.kind.value} {first.subject} {python_ranges(claims)}".rstrip()
        return f"{words} ({', '.join([*scope, platform_text(first)]).rstrip(', ')})"
    subjects = dict.fromkeys(f"{claim.subject} {claim.specifier}".rstrip() for claim in claims)
    words = f"{first.kind.value} {', '.join(subjects)}"
    if first.status.value != "supported":
        words += f" [{first.status.value}]"
    scope = [f"{key} {value}" for key, value in first.scope]
    return words + (f" ({', '.join(scope)})" if scope else "")


def scope_text(claim: Claim) -> str:
    """Return the scope of a claim, to tell it from others on its subject."""
    words = [value for key, value in claim.scope if not key.startswith(_ASIDE)]
    if claim.kind is ClaimKind.BRANCH:
        words.append(claim.specifier)
    if claim.status.value != "supported":
        words.append(f"[{claim.status.value}]")
    return " ".join(words)


def platform_text(claim: Claim) -> str:
    """Return the platform of a runtime: `linux/x86_64`."""
    return "/".join(value for key in ("os", "cpu") if (value := claim.get(key)))


def python_ranges(claims: Iterable[Claim]) -> str:
    """Return the CPythons of the claims, consecutive ones as a range: `2.7, 3.5-3.8`.

    Specifiers other than a single minor version stay as written: `>=3.7`.
    """
    minors: dict[tuple[int, int], None] = {}
    others: dict[str, None] = {}
    for claim in claims:
        written = claim.get("python") or ""
        major, _, minor = written.removeprefix("==").removesuffix(".*").partition(".")
        if major.isdecimal() and minor.isdecimal():
            minors[int(major), int(minor)] = None
        elif written:
            others[written] = None
    words = []
    for major_number, group in itertools.groupby(sorted(minors), key=lambda item: item[0]):
        words += [f"{major_number}.{run}" for run in _runs(number for _, number in group)]
    words = [word.replace("-", f"-{word.split('.')[0]}.") for word in words]
    return ", ".join([*words, *others])


def claim_lines(claims: Iterable[Claim], names: Mapping[str, str] | None = None) -> str:
    """Return the lines of claims: `page.md:12-14,20, other.md:3`; a range includes all its lines.

    `names` are short names of documents; without it names are written in full.
    """
    lines: dict[str, set[int]] = defaultdict(set)
    for claim in claims:
        lines[claim.document].add(claim.line)
    return ", ".join(
        f"{(names or {}).get(name, name)}:{','.join(_runs(numbers))}"
        for name, numbers in lines.items()
    )


def short_names(documents: Iterable[str]) -> dict[str, str]:
    """Return a short and unique name for each document: its beginning, where that is shorter.

    A single document keeps its full name.
    """
    full = sorted(set(documents))
    if len(full) == 1:
        return {full[0]: full[0]}
    for length in range(_SHORT, max(map(len, full), default=0)):
        begins = {name: f"{name[:length]}…" if len(name) > length + 1 else name for name in full}
        if len(set(begins.values())) == len(full):
            return begins
    return {name: name for name in full}


def outcome_text(verdict: Verdict | PartVerdict) -> str:
    """Return the outcome and its detail: `confirmed (exact)`, `unverified (crashed)`.

    What only stands in for a deployment is named: `confirmed (in the shape of ...)`.
    """
    detail = verdict.tightness or verdict.reason
    words = [detail.value] if detail else []
    words += shapes_of(verdict.cells)
    return verdict.outcome.value + (f" ({'; '.join(words)})" if words else "")


def count_text(count: int, noun: str) -> str:
    """Return the count with its noun: `1 claim`, `2 claims`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def shorten(text: str, most: int) -> str:
    """Return the text on one line, cut at a word where it is longer than `most`."""
    flat = " ".join(text.split())
    if len(flat) <= most:
        return flat
    return f"{flat[: most - 2].rsplit(' ', 1)[0]} …"


def _runs(numbers: Iterable[int]) -> Sequence[str]:
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


@dataclasses.dataclass(frozen=True)
class ReasonText:
    """The words for a reason; `remedy` may contain `{cell}`, the id of a cell to try by hand."""

    title: str
    sentence: str
    remedy: str

    def remedy_for(self, cell: str) -> str:
        """Return the remedy with the id of this cell."""
        return self.remedy.replace("{cell}", cell or "CELL")


@functools.cache
def load_reasons() -> Mapping[Reason, ReasonText]:
    """Return the words for every reason; raise KeyError or ValueError where the data lacks one."""
    data = read_data("reasons")
    unknown = set(data) - {reason.value for reason in Reason}
    if unknown:
        raise ValueError(f"unknown reasons in reasons.toml: {', '.join(sorted(unknown))}")
    return {reason: ReasonText(**data[reason.value]) for reason in Reason}
