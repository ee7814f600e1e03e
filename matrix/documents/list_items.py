"""Read claims from bullets in place of tables: `Django 2.0+`, `Linux (musl) x86-64`, `Docker`."""

from __future__ import annotations

import re

from matrix.documents.blocks import Text
from matrix.documents.headings import deployment_of
from matrix.documents.markup import YES
from matrix.documents.table_reader import ClaimDraft, Scope, read_names
from matrix.documents.text import comparable, plain, sentences, shortened, slug
from matrix.documents.versions import (
    PromiseError,
    VersionsError,
    read_promise,
    read_versions,
    series,
)
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

_KINDS = {
    "frameworks": ClaimKind.FRAMEWORK,
    "web-frameworks": ClaimKind.FRAMEWORK,
    "datastores": ClaimKind.INTEGRATION,
    "libraries": ClaimKind.INTEGRATION,
    "capabilities": ClaimKind.CAPABILITY,
}
_SYSTEM_SECTIONS = {"runtimes", "compatibility"}
_ROLE = r"(?:\s?\([^\W\d][^()\d]*\))?"
_RUNTIME = re.compile(r"(?P<name>[^\W\d][\w .+/-]*?)[ :]+(?P<promise>(?:[<>=~]|v?\d).*)")
_FORMS = (
    re.compile(rf"(?P<name>[^\W\d][\w .+/-]*?{_ROLE})[ :,]+(?P<promise>(?:[<>=~]|v?\d).*)"),
    re.compile(r"(?P<name>[^\W\d][\w .+/-]*?)\s*\((?P<promise>[^()]*)\)"),
    re.compile(r"(?P<name>[^\W\d][\w .+/-]*?)\s*:\s*(?P<promise>.+)"),
    re.compile(r"(?P<name>[^\W\d][\w.+-]*)(?P<promise>)"),
)
"""`Django 2.0+` and `aiohttp (client), 2.0`, `Django (2.0+)`, `Django: supported`, `Django`."""


def read_list_item(text: Text, section: str, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return the claims of a bullet of a name and versions, or None for any other text."""
    if text.kind != "bullet":
        return None
    if section == "triggers":
        return _trigger(text, vocabulary)
    if section == "deployments":
        return _deployment(text, vocabulary)
    if section in _SYSTEM_SECTIONS and (systems := _systems(text, vocabulary)):
        return systems
    if section == "runtimes":
        return _runtimes(text, vocabulary)
    kind = _KINDS.get(section)
    return _named(kind, text, vocabulary) if kind else None


def _named(kind: ClaimKind, text: Text, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return the claims of a capability or library and its versions, of a bullet in any form."""
    written = plain(text.text)
    for form in _FORMS:
        item = form.fullmatch(written)
        if item is None:
            continue
        subjects: list[tuple[str, Scope]]
        if kind is ClaimKind.CAPABILITY:
            name = item["name"] if item["promise"] else written
            capability = vocabulary.exactly("capabilities", name)
            subjects = [(capability, ())] if capability else []
        else:
            names = read_names(item["name"], vocabulary)
            subjects = [(name.subject, name.scope) for name in names]
        try:
            promise = read_promise(item["promise"] or YES, vocabulary)
        except PromiseError:
            continue
        if subjects:
            return [
                ClaimDraft(
                    kind,
                    subject,
                    specifier,
                    item["promise"] or written,
                    promise.status or Status.SUPPORTED,
                    text.line,
                    (*promise.scope, *scope),
                    (specifier,),
                )
                for subject, scope in subjects
                for specifier in promise.specifiers or ("",)
            ]
    return None


def _runtimes(text: Text, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return the claims of a runtime and its versions: `Python 3.5+`."""
    item = _RUNTIME.fullmatch(plain(text.text))
    runtime = vocabulary.exactly("runtimes", item["name"]) if item else None
    if item is None or runtime is None:
        return None
    try:
        alternatives = read_versions(item["promise"], vocabulary)
    except VersionsError:
        return None
    return [
        ClaimDraft(
            ClaimKind.RUNTIME,
            runtime,
            "",
            item["promise"],
            Status.SUPPORTED,
            text.line,
            (("python", python),),
            (python,),
        )
        for python in map(series, alternatives)
    ] or None


def _trigger(text: Text, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return the claim of a bullet that names a type of trigger, None for a sentence."""
    written = plain(text.text)
    if not slug(written) or shortened(written) != written or len(sentences(written)) > 1:
        return None
    denied = vocabulary.mentions("denials", comparable(written))
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


def _deployment(text: Text, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return the claim of a bullet that names a deployment, for the capability of its headings.

    Where they name none, it is a note about the deployment.
    """
    written = plain(text.text)
    for form in _FORMS:
        item = form.fullmatch(written)
        deployment = vocabulary.exactly("deployments", item["name"] if item else written)
        if deployment is None:
            continue
        try:
            promise = read_promise((item and item["promise"]) or YES, vocabulary)
        except PromiseError:
            continue
        named = (vocabulary.within("capabilities", each.text) for each in reversed(text.headings))
        capability = next((found[0] for found in named if found), "")
        return [
            ClaimDraft(
                ClaimKind.DEPLOYMENT if capability else ClaimKind.NOTE,
                capability or "deployment-type",
                specifier,
                written,
                promise.status or Status.SUPPORTED,
                text.line,
                (("deployment", deployment), *promise.scope),
                () if capability else (deployment,),
            )
            for specifier in promise.specifiers or ("",)
        ]
    return None


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
