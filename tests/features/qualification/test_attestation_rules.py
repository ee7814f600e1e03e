"""A sign-off obeys in-toto and DSSE: by a validator of ours, and by the published libraries."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from google.protobuf.json_format import ParseDict
from helpers.intoto_rules import envelope_problems, pre_authentication_encoding, statement_problems
from helpers.signoff_fixture import Signed, expected_artifact, record
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope

from matrix.features.qualification.signatures import load_public_key, make_key
from matrix.features.qualification.signoff import ENVELOPE
from matrix.features.qualification.statement import NotAStatementError, parse_statement
from matrix.system.strict_json import canonical_json

Document: TypeAlias = dict[str, Any]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Signed:
    folder = tmp_path_factory.mktemp("attestation")
    signoff = Signed(folder / "signoff", folder / "key.pem", make_key(folder / "key.pem"))
    signoff.sign(record(), expected_artifact())
    return signoff


@pytest.fixture(scope="module")
def envelope(signed: Signed) -> Document:
    return dict[str, Any](json.loads((signed.folder / ENVELOPE).read_bytes()))


@pytest.fixture(scope="module")
def statement(envelope: Document) -> Document:
    return dict[str, Any](json.loads(base64.b64decode(envelope["payload"])))


def test_a_sign_off_obeys_the_text_of_the_specifications(envelope: Document) -> None:
    assert list(envelope_problems(envelope)) == []


def test_the_signature_covers_what_the_protocol_says(envelope: Document, signed: Signed) -> None:
    (signature,) = envelope["signatures"]
    body = base64.b64decode(envelope["payload"])
    key = load_pem_public_key(signed.public.read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    covered = pre_authentication_encoding(envelope["payloadType"], body)
    key.verify(base64.b64decode(signature["sig"]), covered)
    assert signature["keyid"] == load_public_key(signed.public).keyid


def test_the_encoding_is_that_of_the_protocol_s_example() -> None:
    example = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == example


def test_a_sign_off_is_accepted_by_the_published_libraries(
    envelope: Document, statement: Document, signed: Signed
) -> None:
    opened = Envelope.from_dict(copy.deepcopy(envelope))
    assert opened.verify([load_public_key(signed.public)], 1)
    Statement.copy_from_pb(ParseDict(statement, statement_pb2.Statement())).validate()
    result = ParseDict(statement["predicate"], test_result_pb2.TestResult())
    for descriptor in result.configuration:
        ResourceDescriptor.copy_from_pb(descriptor).validate()


def test_the_release_is_named_by_its_package_url(statement: Document) -> None:
    about = statement["predicate"]["configuration"][0]
    assert about["uri"] == "pkg:pypi/ddtrace@2.21.12"


def _first(statement: Document) -> Document:
    return statement["predicate"]["configuration"][0]  # type: ignore[no-any-return]


SPOILT: list[tuple[str, Callable[[Any], object]]] = [
    ("_type: not", lambda s: s.update(_type="https://in-toto.io/Statement/v0.1")),
    ("subject: not a list", lambda s: s.update(subject=[])),
    ("subject 0: no digest", lambda s: s["subject"][0].pop("digest")),
    ("sha256 is not", lambda s: s["subject"][0].update(digest={"sha256": "A" * 64})),
    ("occurs twice", lambda s: s["subject"].append(s["subject"][0])),
    ("predicateType: not", lambda s: s.update(predicateType="Test-Result")),
    ("predicate: not", lambda s: s.pop("predicate")),
    ("result: not", lambda s: s["predicate"].update(result="OK")),
    ("configuration: not", lambda s: s["predicate"].pop("configuration")),
    ("configuration 0: none of", lambda s: _first(s).pop("uri")),
    ("uri is not", lambda s: _first(s).update(uri="PKG:pypi/ddtrace@1")),
    ("uri is not", lambda s: _first(s).update(uri="no uri")),
    ("annotations are not", lambda s: _first(s).update(annotations=[1])),
    ("passedTests: not", lambda s: s["predicate"].update(passedTests=[1])),
    ("url: not", lambda s: s["predicate"].update(url="here")),
]


@pytest.mark.parametrize(("problem", "spoil"), SPOILT, ids=[problem for problem, _ in SPOILT])
def test_what_the_specifications_forbid_is_found(
    statement: Document, problem: str, spoil: Callable[[Any], object]
) -> None:
    spoilt = copy.deepcopy(statement)
    spoil(spoilt)
    assert any(problem in found for found in statement_problems(spoilt))
    # Ours is read back as it is written only.
    if problem not in {"occurs twice", "sha256 is not", "url: not", "result: not"}:
        with pytest.raises(NotAStatementError):
            parse_statement(canonical_json(spoilt))


def test_unrecognized_fields_violate_nothing(statement: Document) -> None:
    extended = {**statement, "extension": 1}
    assert list(statement_problems(extended)) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda e: e.update(payloadType="application/json"),
        lambda e: e.update(payload="?"),
        lambda e: e.update(signatures=[]),
        lambda e: e.update(signatures=[{"keyid": "x"}]),
    ],
)
def test_a_spoilt_envelope_is_found(envelope: Document, spoil: Callable[[Any], object]) -> None:
    spoilt = copy.deepcopy(envelope)
    spoil(spoilt)
    assert list(envelope_problems(spoilt))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: b"\xef\xbb\xbf" + text, "decode|BOM|Expecting"),
        (lambda text: text.replace(b'"_type"', b'"_type":1,"_type"', 1), "twice"),
        (lambda text: text.replace(b":", b": ", 1), "canonical"),
        (lambda text: text + b"\n", "canonical"),
        (lambda text: text.replace(b'"_type":', b'"a":NaN,"_type":', 1), "NaN"),
        (lambda text: text.replace(b'"_type":', b'"a":1e400,"_type":', 1), "too large"),
        (lambda text: b"[" * 100_000 + b"]" * 100_000, "too deeply"),
        (lambda text: b" " * 50_000_001, "too large"),
        (lambda text: text.replace(b"PASSED", b"P\\u0041SSED"), "canonical"),
    ],
)
def test_only_canonical_json_is_a_statement(
    statement: Document, spoil: Callable[[bytes], bytes], words: str
) -> None:
    with pytest.raises(NotAStatementError, match=words):
        parse_statement(spoil(canonical_json(statement)))
