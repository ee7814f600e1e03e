"""The committed facts: `matrix/facts/claims.toml`, what the documents promise and where.

One table per document, in it one per run of claims of a kind under a heading, in it one row per
claim. The file is made by `python -m matrix claims --write-facts DOCUMENT ...`; `dump_facts` of
what `load_facts` returns is the file again, byte for byte.

The documents that a command is given: files, folders and globs; without any, the facts.
"""

from __future__ import annotations

import functools
import glob
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.documents.document import ReadDocument, read_documents
from matrix.errors import StorageError, UnreadableInputError
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.system.paths import project_root

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["FACTS", "document_paths", "dump_facts", "load_facts", "read_inputs", "write_facts"]

FACTS = project_root() / "matrix" / "facts" / "claims.toml"

_HEAD = """\
# What the compatibility documents promise. Made by `python -m matrix claims --write-facts`:
# do not edit by hand. A row is: id without the document, subject, specifier, as written, status,
# line, scope.
"""
_ROW = 7


@functools.cache
def load_facts(path: Path = FACTS) -> tuple[Claim, ...]:
    """Return the committed claims, in the file's order.

    Raises `UnreadableInputError` where the file is missing or is not what `dump_facts` writes.
    """
    remedy = "Make it again with: python -m matrix claims --write-facts DOCUMENT ..."
    try:
        with path.open("rb") as file:
            data = tomllib.load(file)
        return tuple(_claims(data))
    except FileNotFoundError:
        raise UnreadableInputError(f"there is no file of facts {path}", remedy) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInputError(f"{path} is no file of facts: {error}", remedy) from error


def dump_facts(claims: Iterable[Claim]) -> str:
    """Return the text of a file of facts; equal claims in equal order give equal text."""
    lines = [_HEAD]
    by_document = itertools.groupby(
        claims, key=lambda one: (one.document, one.language, one.sha256)
    )
    for (document, language, sha256), of_document in by_document:
        lines += [
            "[[document]]",
            f"name = {_toml(document)}",
            f"language = {_toml(language)}",
            f"sha256 = {_toml(sha256)}",
            "",
        ]
        for (kind, heading), run in itertools.groupby(of_document, key=_kind_and_heading):
            lines += ["[[document.claims]]", f"kind = {_toml(kind)}", f"heading = {_toml(heading)}"]
            lines += ["rows = [", *(f"  {_row(claim)}," for claim in run), "]", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def write_facts(claims: Iterable[Claim], path: Path = FACTS) -> None:
    """Replace the file of facts as a whole; raise `StorageError` where that cannot be done."""
    draft = path.with_suffix(".toml.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(dump_facts(claims), encoding="utf-8", newline="\n")
        draft.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error}", "Check the disk and the folder's permissions."
        ) from error
    load_facts.cache_clear()


def _claims(data: Mapping[str, Any]) -> Iterator[Claim]:
    for document in data.get("document", []):
        name = document["name"]
        for run in document["claims"]:
            for row in run["rows"]:
                if len(row) != _ROW:
                    raise ValueError(f"a row of {len(row)} values: {row!r}")
                yield Claim(
                    id=f"{name}/{row[0]}",
                    kind=ClaimKind(run["kind"]),
                    subject=row[1],
                    specifier=row[2],
                    as_written=row[3],
                    status=Status(row[4]),
                    document=name,
                    language=document["language"],
                    sha256=document["sha256"],
                    heading=run["heading"],
                    line=row[5],
                    scope=tuple(row[6].items()),
                )


def _kind_and_heading(claim: Claim) -> tuple[str, str]:
    return claim.kind.value, claim.heading


def _row(claim: Claim) -> str:
    values = [
        claim.id.removeprefix(f"{claim.document}/"),
        claim.subject,
        claim.specifier,
        claim.as_written,
        claim.status.value,
    ]
    scope = ", ".join(f"{key} = {_toml(value)}" for key, value in claim.scope)
    table = f"{{ {scope} }}" if scope else "{}"
    return f"[{', '.join(map(_toml, values))}, {claim.line}, {table}]"


def _toml(text: str) -> str:
    """Write a TOML basic string (JSON's escapes would do, but for DEL and the surrogates)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    out = "".join(
        letter if letter.isprintable() or letter > "\x7f" else f"\\u{ord(letter):04x}"
        for letter in escaped
    )
    return f'"{out}"'


_SUFFIXES = (".md", ".txt")


def read_inputs(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    language: str | None = None,
    lenient: bool = False,
) -> ReadDocument:
    """Return the claims of the documents given, or the committed facts where none is.

    Raises `DocumentProblems` (not where `lenient`) and `UnreadableInputError`.
    """
    if not arguments:
        return ReadDocument(load_facts())
    # The Markdown parser is only paid for when there is Markdown.

    return read_documents(document_paths(arguments), language=language, lenient=lenient)


def document_paths(arguments: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the files that the arguments name: a folder its `*.md` and `*.txt`, a glob its hits.

    Raises `UnreadableInputError` for a folder or a glob that holds no document. A file that is
    not there is returned: reading it says so.
    """
    paths: list[Path] = []
    for argument in map(Path, arguments):
        if argument.is_dir():
            found = sorted(path for path in argument.iterdir() if _is_document(path))
            if not found:
                raise UnreadableInputError(
                    f"no document (*.md, *.txt) in the folder {argument}",
                    "Give a folder with Markdown pages, or the pages themselves.",
                )
        elif glob.has_magic(str(argument)) and not argument.exists():
            found = sorted(map(Path, glob.glob(str(argument), recursive=True)))  # noqa: PTH207
            found = [path for path in found if path.is_file()]
            if not found:
                raise UnreadableInputError(
                    f"nothing matches {argument}", "Quote the pattern and check the folder."
                )
        else:
            found = [argument]
        paths.extend(found)
    return paths


def _is_document(path: Path) -> bool:
    return path.is_file() and path.suffix.casefold() in _SUFFIXES
