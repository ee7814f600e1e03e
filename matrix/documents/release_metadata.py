"""The promises in METADATA (or PKG-INFO): the Pythons and extras of a release.

The fields are those of https://packaging.python.org/en/latest/specifications/core-metadata/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from matrix.documents.claim_ids import claims_of
from matrix.documents.markup import PageProblem
from matrix.documents.source import DocumentSource
from matrix.documents.table_reader import ClaimDraft
from matrix.documents.text import slug
from matrix.model.claim import Claim, ClaimKind, Status

_FIELD = re.compile(r"([A-Za-z][\w-]*):[ \t]*(.*)")
_PYTHON = re.compile(r"Programming Language :: Python :: (\d+\.\d+)")
_EXTRA = re.compile(r"(?P<what>[^;]*);.*\bextra\s*==\s*[\"'](?P<extra>[^\"']+)[\"']")


def read_metadata(
    source: DocumentSource, document: str
) -> tuple[tuple[Claim, ...], tuple[PageProblem, ...]] | None:
    """Return the claims and problems of a release's metadata, None for another file.

    `Requires-Python` and the classifiers of CPythons are claims about the runtime, with this
    release of the tracer; each extra is a note that names what it requires.
    """
    fields = list(_fields(source))
    if not fields or fields[0][1] != "Metadata-Version":
        return None
    version = next((value for _, name, value in fields if name == "Version"), "")
    outcomes = list(_outcomes(fields, f"=={version}" if version else ""))
    drafts = [item for item in outcomes if isinstance(item, ClaimDraft)]
    claims = claims_of([("", draft) for draft in drafts], document, source, "en")
    return claims, tuple(item for item in outcomes if isinstance(item, PageProblem))


def _fields(source: DocumentSource) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and value of each field before the description."""
    for number, line in enumerate(source.lines, start=1):
        if not line.strip():
            return
        if match := _FIELD.match(line):
            yield number, match[1], match[2].strip()


def _outcomes(
    fields: list[tuple[int, str, str]], release: str
) -> Iterator[ClaimDraft | PageProblem]:
    required: dict[str, list[str]] = {}
    for _, name, value in fields:
        if name == "Requires-Dist" and (match := _EXTRA.match(value)):
            required.setdefault(match["extra"], []).append(match["what"].strip())
    for line, name, value in fields:
        if name == "Requires-Python":
            yield _runtime(line, value, value, release)
        elif name == "Classifier" and (match := _PYTHON.fullmatch(value)):
            yield _runtime(line, f"=={match[1]}.*", value, release)
        elif name == "Provides-Extra":
            note = ", ".join((value, *required.get(value, ())))
            yield ClaimDraft(
                ClaimKind.NOTE,
                "extra",
                release,
                value,
                Status.SUPPORTED,
                line,
                (("note", note),),
                (slug(value),),
            )


def _runtime(line: int, python: str, written: str, release: str) -> ClaimDraft | PageProblem:
    try:
        SpecifierSet(python)
    except InvalidSpecifier:
        return PageProblem(line, f"invalid specifier {python!r}", written=python)
    scope = (("python", python.replace(" ", "")),)
    return ClaimDraft(
        ClaimKind.RUNTIME, "cpython", release, written, Status.SUPPORTED, line, scope, (python,)
    )
