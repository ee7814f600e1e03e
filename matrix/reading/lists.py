"""Lists in place of tables: bullets such as `Django 2.0+` or `Alpine Linux (musl) x86-64`."""

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
_SYSTEM_SECTIONS = {"runtimes", "compatibility"}
_ITEM = re.compile(r"(?P<name>[^\W\d][\w .+/-]*?)[ :]+(?P<versions>(?:[<>=~]|v?\d).*)")


def read_listed(text: Text, section: str, vocabulary: Vocabulary) -> list[Draft] | None:
    """Return what a bullet of a name and versions promises, or None where it is no such bullet."""
    if text.kind == "bullet" and section in _SYSTEM_SECTIONS:
        systems = _systems(text, vocabulary)
        if systems is not None:
            return systems
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


def _systems(text: Text, vocabulary: Vocabulary) -> list[Draft] | None:
    """Return what `Windows (msvc) x86, x86-64` promises: the runtime on each of the processors."""
    written = plain(text.text)
    for space in re.finditer(r" ", written):
        system = vocabulary.exactly("systems", written[: space.start()])
        if system is None:
            continue
        parts = [part for part in re.split(r"[,\u3001]", written[space.end() :]) if part.strip()]
        cpus = [
            vocabulary.exactly(f"cpus-{system}", part) or vocabulary.exactly("cpus", part)
            for part in parts
        ]
        if cpus and all(cpus):
            return [
                Draft(
                    ClaimKind.RUNTIME,
                    "cpython",
                    "",
                    written,
                    Status.SUPPORTED,
                    text.line,
                    (("os", system), ("cpu", cpu or "")),
                )
                for cpu in cpus
            ]
    return None
