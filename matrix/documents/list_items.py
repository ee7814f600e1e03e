"""Read claims from bullets in place of tables: `Django 2.0+`, `Alpine Linux (musl) x86-64`."""

from __future__ import annotations

import re

from matrix.documents.blocks import Text
from matrix.documents.headings import deployment_of
from matrix.documents.table_reader import ClaimDraft, read_names
from matrix.documents.text import comparable, plain, sentences, shortened, slug
from matrix.documents.versions import VersionsError, read_versions, series, specifiers
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

_KINDS = {
    "frameworks": ClaimKind.FRAMEWORK,
    "web-frameworks": ClaimKind.FRAMEWORK,
    "datastores": ClaimKind.INTEGRATION,
    "libraries": ClaimKind.INTEGRATION,
    "runtimes": ClaimKind.RUNTIME,
}
_SYSTEM_SECTIONS = {"runtimes", "compatibility"}
_ITEM = re.compile(r"(?P<name>[^\W\d][\w .+/-]*?)[ :]+(?P<versions>(?:[<>=~]|v?\d).*)")


def read_list_item(  # noqa: PLR0911 - one for each form
    text: Text, section: str, vocabulary: Vocabulary
) -> list[ClaimDraft] | None:
    """Return the claims of a bullet of a name and versions, or None for any other text."""
    if text.kind == "bullet" and section == "triggers":
        return _trigger(text, vocabulary)
    if text.kind == "bullet" and section in _SYSTEM_SECTIONS:
        systems = _systems(text, vocabulary)
        if systems is not None:
            return systems
    kind = _KINDS.get(section)
    item = _ITEM.fullmatch(plain(text.text))
    if kind is None or item is None or text.kind != "bullet":
        return None
    names = read_names(item["name"], vocabulary)
    try:
        alternatives = read_versions(item["versions"], vocabulary)
    except VersionsError:
        return None
    if not names or not alternatives:
        return None
    claimed: list[tuple[str, str, tuple[tuple[str, str], ...]]]
    if kind is ClaimKind.RUNTIME:
        runtime = vocabulary.exactly("runtimes", item["name"])
        if runtime is None:
            return None
        claimed = [
            (runtime, "", (("python", series(alternative)),)) for alternative in alternatives
        ]
    else:
        claimed = [
            (name.subject, specifier, ())
            for name in names
            for specifier in specifiers(alternatives)
        ]
    written = item["versions"]
    return [
        ClaimDraft(
            kind, subject, specifier, written, Status.SUPPORTED, text.line, scope, (specifier,)
        )
        for subject, specifier, scope in claimed
    ]


def _trigger(text: Text, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return the claim of a bullet that names a type of trigger, None for a sentence."""
    written = plain(text.text)
    if not slug(written) or shortened(written) != written or len(sentences(written)) > 1:
        return None
    denied = any(form in comparable(written) for form in vocabulary.forms("prose", "denials"))
    deployment = deployment_of(text.headings, vocabulary)
    return [
        ClaimDraft(
            ClaimKind.NOTE,
            "trigger-type",
            "",
            written,
            Status.NOT_SUPPORTED if denied else Status.SUPPORTED,
            text.line,
            ((("deployment", deployment),) if deployment else ()) + (("note", written),),
            (slug(written),),
        )
    ]


def _systems(text: Text, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return the claims of `Windows (msvc) x86, x86-64`: one for each processor."""
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
                ClaimDraft(
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
