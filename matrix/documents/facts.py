"""The committed facts (`matrix/facts/claims.toml`) and the documents that a command names.

The file has one table per document, in it one per run of claims of a kind under a heading, in it
one row per claim. `python -m matrix claims --write-facts DOCUMENT ...` writes it; `dump_facts` of
the result of `load_facts` is the file again, byte for byte.
"""

from __future__ import annotations

import functools
import glob
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matrix.errors import UnreadableInputError, storage_errors
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.system.files import read_toml, write_atomic
from matrix.system.paths import facts_dir

if TYPE_CHECKING:
    from matrix.documents.document import ReadDocument

FACTS = facts_dir() / "claims.toml"

_SUFFIXES = (".md", ".txt")
_HEAD = """\
# What the compatibility documents promise. Made by `python -m matrix claims --write-facts`:
# do not edit by hand. A row is: id without the document, subject, specifier, as written, status,
# line, scope.
"""
_ROW_LENGTH = 7


@functools.cache
def load_facts(path: Path = FACTS) -> tuple[Claim, ...]:
    """Return the committed claims, in the file's order.

    Raises `UnreadableInputError` if the file is missing or malformed.
    """
    remedy = "Write it again with: python -m matrix claims --write-facts DOCUMENT ..."
    try:
        return tuple(_claims(read_toml(path)))
    except FileNotFoundError:
        raise UnreadableInputError(f"facts file not found: {path}", remedy) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInputError(f"invalid facts file {path}: {error}", remedy) from error


def dump_facts(claims: Iterable[Claim]) -> str:
    """Return the text of a facts file; equal claims in equal order give equal text."""
    lines = [_HEAD]
    by_document = itertools.groupby(
        claims, key=lambda claim: (claim.document, claim.language, claim.sha256)
    )
    for (document, language, sha256), document_claims in by_document:
        lines += [
            "[[document]]",
            f"name = {_toml(document)}",
            f"language = {_toml(language)}",
            f"sha256 = {_toml(sha256)}",
            "",
        ]
        for (kind, heading), run in itertools.groupby(
            document_claims, key=lambda claim: (claim.kind.value, claim.heading)
        ):
            lines += ["[[document.claims]]", f"kind = {_toml(kind)}", f"heading = {_toml(heading)}"]
            lines += ["rows = [", *(f"  {_row(claim)}," for claim in run), "]", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def write_facts(claims: Iterable[Claim], path: Path = FACTS) -> None:
    """Replace the facts file atomically; raise `StorageError` if it cannot be written."""
    with storage_errors(f"cannot write {path}", "Check the disk and the folder's permissions."):
        write_atomic(path, dump_facts(claims))
    load_facts.cache_clear()


def _claims(data: Mapping[str, Any]) -> Iterator[Claim]:
    for document in data.get("document", []):
        name = document["name"]
        for run in document["claims"]:
            for row in run["rows"]:
                if len(row) != _ROW_LENGTH:
                    raise ValueError(f"row has {len(row)} values, expected {_ROW_LENGTH}: {row!r}")
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
    """Return a TOML basic string (JSON's escapes differ for DEL and the surrogates)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    out = "".join(
        letter if letter.isprintable() or letter > "\x7f" else f"\\u{ord(letter):04x}"
        for letter in escaped
    )
    return f'"{out}"'


def read_inputs(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    language: str | None = None,
    lenient: bool = False,
    partials: Path | None = None,
) -> ReadDocument:
    """Return the claims of the named documents, or the committed facts if `arguments` is empty.

    Raises `DocumentProblems` (unless `lenient`) and `UnreadableInputError`.
    """
    # The committed facts are read often, and pages seldom.
    from matrix.documents.document import ReadDocument, read_documents  # noqa: PLC0415 - slow

    if not arguments:
        return ReadDocument(load_facts())
    return read_documents(
        document_paths(arguments), language=language, lenient=lenient, partials=partials
    )


def document_paths(arguments: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Expand files, folders (their `*.md` and `*.txt`) and globs to paths.

    Raises `UnreadableInputError` for a folder or a glob without documents. A missing file is
    returned; reading it raises.
    """
    paths: list[Path] = []
    for argument in map(Path, arguments):
        if argument.is_dir():
            files = sorted(
                path
                for path in argument.iterdir()
                if path.is_file() and path.suffix.casefold() in _SUFFIXES
            )
            if not files:
                raise UnreadableInputError(
                    f"no documents (*.md, *.txt) in folder {argument}",
                    "Pass a folder with Markdown pages, or the pages themselves.",
                )
        elif glob.has_magic(str(argument)) and not argument.exists():
            matches = glob.glob(str(argument), recursive=True)  # noqa: PTH207
            files = [path for path in sorted(map(Path, matches)) if path.is_file()]
            if not files:
                raise UnreadableInputError(
                    f"no files match {argument}", "Quote the pattern and check the folder."
                )
        else:
            files = [argument]
        paths.extend(files)
    return paths
