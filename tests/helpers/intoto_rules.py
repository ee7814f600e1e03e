"""A validator of test-result attestations, written from the text of the specifications.

It uses no library of theirs and nothing of `matrix`, so that both can be compared with it.
https://github.com/in-toto/attestation/tree/main/spec/v1 (statement, resource descriptor, digest
set, field types), https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md,
https://github.com/secure-systems-lab/dsse (protocol, envelope). Unrecognized fields are ignored, as
the parsing rules demand.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

__all__ = ["envelope_problems", "pre_authentication_encoding", "statement_problems"]

_DIGITS = {"sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128, "sha1": 40, "md5": 32}
_GIT = {"gitCommit", "gitTree", "gitBlob", "gitTag"}
_MEDIA_TYPE = re.compile(r"application/vnd\.in-toto(\.[a-z0-9-]+)?\+json")
_STRINGS = ("name", "uri", "content", "downloadLocation", "mediaType")


def pre_authentication_encoding(media_type: str, body: bytes) -> bytes:
    """Return the bytes that a DSSE signature covers."""
    name = media_type.encode()
    return b" ".join([b"DSSEv1", b"%d" % len(name), name, b"%d" % len(body), body])


def envelope_problems(envelope: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield what an envelope and the statement in it violate."""
    if not isinstance(envelope, dict):
        yield "envelope: not an object"
        return
    if not _MEDIA_TYPE.fullmatch(str(envelope.get("payloadType"))):
        yield "payloadType: not that of an in-toto statement"
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or not signatures:
        yield "signatures: not a list of signatures"
        signatures = []
    for signature in signatures:
        if not isinstance(signature, dict) or not _bytes(signature.get("sig")):
            yield "signatures: one without sig in base64"
        elif not isinstance(signature.get("keyid", ""), str):
            yield "signatures: keyid is not a string"
    payload = _bytes(envelope.get("payload"))
    if payload is None:
        yield "payload: not in base64"
        return
    try:
        statement = json.loads(payload.decode("utf-8"))
    except ValueError:
        yield "payload: not JSON"
        return
    yield from statement_problems(statement)


def statement_problems(statement: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    """Yield what a statement with the predicate test-result violates."""
    if not isinstance(statement, dict):
        yield "statement: not an object"
        return
    if statement.get("_type") != "https://in-toto.io/Statement/v1":
        yield "_type: not that of a statement"
    subjects = statement.get("subject")
    if not isinstance(subjects, list) or not subjects:
        yield "subject: not a list of artifacts"
        subjects = []
    for number, subject in enumerate(subjects):
        yield from _descriptor_problems(f"subject {number}", subject)
        if isinstance(subject, dict) and not subject.get("digest"):
            yield f"subject {number}: no digest"
    names = [one["name"] for one in subjects if isinstance(one, dict) and "name" in one]
    if len(set(map(str, names))) != len(names):
        yield "subject: a name occurs twice"
    kind = statement.get("predicateType")
    if not _is_uri(kind):
        yield "predicateType: not a URI"
    if kind != "https://in-toto.io/attestation/test-result/v0.1":
        yield "predicateType: not test-result"
    yield from _predicate_problems(statement.get("predicate"))


def _predicate_problems(predicate: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if not isinstance(predicate, dict):
        yield "predicate: not an object"
        return
    if predicate.get("result") not in ("PASSED", "WARNED", "FAILED"):
        yield "result: not one of the three"
    configuration = predicate.get("configuration")
    if not isinstance(configuration, list):
        yield "configuration: not a list"
        configuration = []
    for number, descriptor in enumerate(configuration):
        yield from _descriptor_problems(f"configuration {number}", descriptor)
    if "url" in predicate and not _is_uri(predicate["url"]):
        yield "url: not a URI"
    for name in ("passedTests", "warnedTests", "failedTests"):
        tests = predicate.get(name, [])
        if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
            yield f"{name}: not a list of strings"


def _descriptor_problems(place: str, descriptor: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if not isinstance(descriptor, dict):
        yield f"{place}: not an object"
        return
    if not any(descriptor.get(name) for name in ("uri", "digest", "content")):
        yield f"{place}: none of uri, digest, content"
    for name in _STRINGS:
        if not isinstance(descriptor.get(name, ""), str):
            yield f"{place}: {name} is not a string"
    for name in ("uri", "downloadLocation"):
        if name in descriptor and not _is_uri(descriptor[name]):
            yield f"{place}: {name} is not a URI"
    if "content" in descriptor and _bytes(descriptor["content"]) is None:
        yield f"{place}: content is not in base64"
    if not isinstance(descriptor.get("annotations", {}), dict):
        yield f"{place}: annotations are not an object"
    yield from _digest_problems(place, descriptor.get("digest", {}))


def _digest_problems(place: str, digests: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if not isinstance(digests, dict):
        yield f"{place}: digest is not an object"
        return
    for algorithm, value in digests.items():
        if not isinstance(value, str) or not _is_digest(algorithm, value):
            yield f"{place}: {algorithm} is not in lowercase hexadecimal digits"


def _is_digest(algorithm: str, value: str) -> bool:
    if algorithm in _GIT:
        return bool(re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value))
    if algorithm in _DIGITS:
        return bool(re.fullmatch(rf"[0-9a-f]{{{_DIGITS[algorithm]}}}", value))
    return bool(value)  # an algorithm that is not predefined


def _is_uri(value: object) -> bool:
    """Return whether a value is a URI (RFC 3986) with scheme and authority in lower case."""
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        return False
    scheme, separator, _ = value.partition(":")
    authority = urlsplit(value).netloc
    lower = scheme == scheme.lower() and authority == authority.lower()
    return bool(separator) and bool(re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme)) and lower


def _bytes(value: object) -> bytes | None:
    """Return the bytes of standard or URL-safe base64, None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value.translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        return None
