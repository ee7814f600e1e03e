"""Lists in place of tables: bullets such as `Django 2.0+` under a heading that says of what."""

from __future__ import annotations

import re

from matrix.model.claim import ClaimKind, Status
from matrix.reading.markdown import Text
from matrix.reading.tables.base import Draft
from matrix.reading.tables.names import read_name
from matrix.reading.versions import VersionsError, read_versions, series, specifiers
from matrix.reading.vocabulary import Vocabulary
from matrix.reading.words import plain

__all__ = ["read_listed"]

_KINDS = {
    "frameworks": ClaimKind.FRAMEWORK,
    "web-frameworks": ClaimKind.FRAMEWORK,
    "datastores": ClaimKind.INTEGRATION,
    "libraries": ClaimKind.INTEGRATION,
    "runtimes": ClaimKind.RUNTIME,
}
_ITEM = re.compile(r"(?P<name>[^\W\d][\w .+/-]*?)[ :]+(?P<versions>(?:[<>=~]|v?\d).*)")


def read_listed(text: Text, section: str, vocabulary: Vocabulary) -> list[Draft] | None:
    """Return what a bullet of a name and versions promises, or None where it is no such bullet."""
    kind = _KINDS.get(section)
    found = _ITEM.fullmatch(plain(text.text))
    if kind is None or found is None or text.kind != "bullet":
        return None
    name = read_name(found["name"], vocabulary)
    try:
        alternatives = read_versions(found["versions"], vocabulary)
    except VersionsError:
        return None
    if name is None or not alternatives:
        return None
    promised: list[tuple[str, str, tuple[tuple[str, str], ...]]]
    if kind is ClaimKind.RUNTIME:
        runtime = vocabulary.exactly("runtimes", found["name"])
        if runtime is None:
            return None
        promised = [(runtime, "", (("python", series(one)),)) for one in alternatives]
    else:
        promised = [(name.subject, one, ()) for one in specifiers(alternatives)]
    written = found["versions"]
    return [
        Draft(kind, subject, specifier, written, Status.SUPPORTED, text.line, scope, (specifier,))
        for subject, specifier, scope in promised
    ]
