"""Signatures of statements: with an ed25519 key, or without a key.

With a key, the statement is in a DSSE envelope: https://github.com/secure-systems-lab/dsse.
Without one it is in a bundle with a certificate for the identity that an OIDC provider confirms:
https://docs.sigstore.dev/cosign/signing/overview/. Bundles need the optional package `sigstore`,
which is imported only here and only on demand.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from matrix.errors import StorageError, UnreadableInputError, UsageError
from matrix.features.qualification.statement import PAYLOAD_TYPE
from matrix.system.files import read_regular
from matrix.system.strict_json import parse_strict

PASSWORD = "COMPAT_MATRIX_KEY_PASSWORD"  # noqa: S105 - the variable's name
_HINT = "Create a key with: python -m matrix qualify --make-key FILE"
REQUIREMENT = "sigstore>=4,<5"
_IDENTITY_HINT = (
    "CI services provide one (on GitHub Actions: permissions: id-token: write). Elsewhere use a"
    " key: --key FILE (--make-key FILE creates one)."
)
_CHANGED = "it is not written as it was signed: a byte of it was changed"
_MAX_BYTES = 50_000_000
_MAX_KEY_BYTES = 100_000


class BadSignatureError(Exception):
    """An invalid envelope, or one that no trusted key has signed; the message is the reason."""


@dataclasses.dataclass(frozen=True)
class Signer:
    """`sign` returns the content of the file `name` for a statement.

    For the page: `by` is a key's id, or the identity of a certificate; `check` is the command that
    checks the signature.
    """

    sign: Callable[[bytes], bytes]
    name: str
    by: str
    check: str


def make_key(path: Path) -> Path:
    """Write a new private key to `path`, readable by its owner only, and its public key beside it.

    It is encrypted with the password in the environment variable `PASSWORD`, if there is one.
    Returns the public key's path; raises StorageError, also where a file of either name exists.
    """
    key = Ed25519PrivateKey.generate()
    public = path.with_name(f"{path.name}.pub")
    password = os.environ.get(PASSWORD)
    encryption: KeySerializationEncryption = NoEncryption()
    if password:
        encryption = BestAvailableEncryption(password.encode())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # The public key comes first: a private key never exists without it.
    _write_new(public, pem, 0o644)
    try:
        _write_new(path, private, 0o600)
    except BaseException:
        public.unlink(missing_ok=True)
        raise
    return public


def key_warning(path: Path) -> str:
    """Return a warning about the permissions of a private key, "" where they are safe."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if os.name == "posix" and mode & 0o077:
        return f"{path} can be read by others than its owner: chmod 600 {path}"
    return ""


def load_signer(path: Path) -> CryptoSigner:
    """Return a signer with the private key of a PEM file; raise `UnreadableInputError`."""
    password = os.environ.get(PASSWORD)
    content = _read_key(path, "private")
    encrypted = b"ENCRYPTED" in content
    if encrypted and not password:
        raise UnreadableInputError(f"{path} has a password", f"Set it in ${PASSWORD}.")
    try:
        # A password that is set for another key is ignored for a key without one.
        key = load_pem_private_key(content, (password or "").encode() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted:
            reason = f"the password in ${PASSWORD} does not open it, or it is not a private key"
        elif b"PUBLIC KEY" in content:
            reason = "it is the public key of a pair"
        else:
            reason = "it is not a private key"
        raise UnreadableInputError(f"cannot load private key {path}: {reason}", _HINT) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnreadableInputError(f"{path} is not an ed25519 key", _HINT)
    return CryptoSigner(key)


def load_public_key(path: Path) -> SSlibKey:
    """Return the public key of a PEM file; raise `UnreadableInputError`."""
    content = _read_key(path, "public")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        private = b"PRIVATE KEY" in content
        reason = f"it is the private key: use {path}.pub" if private else "it is not a public key"
        raise UnreadableInputError(f"cannot load public key {path}: {reason}", _HINT) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UnreadableInputError(f"{path} is not an ed25519 key", _HINT)
    return SSlibKey.from_crypto(key)


def sign_statement(statement: bytes, signer: CryptoSigner) -> bytes:
    """Return the signed envelope of a statement, as JSON."""
    envelope = Envelope(statement, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return _serialize(envelope)


def verify_envelope(content: bytes, key: SSlibKey) -> bytes:
    """Return the statement of an envelope that the key has signed; raise `BadSignatureError`."""
    if len(content) > _MAX_BYTES:
        raise BadSignatureError("too large for a sign-off")
    try:
        data = parse_strict(content)
        count = len(data["signatures"])
        envelope = Envelope.from_dict(data)
    except (ValueError, KeyError, TypeError, AttributeError, FormatError) as error:
        raise BadSignatureError(f"not a DSSE envelope ({type(error).__name__})") from error
    if count != 1:
        raise BadSignatureError(f"it has {count} signatures, not one")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise BadSignatureError(f"its payload is {envelope.payload_type!r}, not a statement")
    if key.keyid not in envelope.signatures:
        signers = ", ".join(f"{key_id[:12]}…" for key_id in envelope.signatures)
        raise BadSignatureError(f"it is signed by {signers}, not by {key.keyid[:12]}…")
    try:
        envelope.verify([key], 1)
    except (VerificationError, ValueError) as error:
        raise BadSignatureError("the signature does not match the payload") from error
    if _serialize(envelope) != content:
        raise BadSignatureError(_CHANGED)
    return envelope.payload


def _serialize(envelope: Envelope) -> bytes:
    """Return the only accepted serialization: JSON and base64 have many for the same content."""
    return json.dumps(envelope.to_dict(), indent=2).encode() + b"\n"


def check_key_file(path: Path) -> None:
    """Raise `UnreadableInputError` for what cannot be a key's file, without opening it."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or str(error)
    else:
        reason = "" if stat.S_ISREG(status.st_mode) else "it is not a regular file"
        if not reason and status.st_size > _MAX_KEY_BYTES:
            reason = "it is too large for a key"
    if reason:
        raise UnreadableInputError(f"cannot load private key {path}: {reason}", _HINT)


def _read_key(path: Path, kind: str) -> bytes:
    try:
        return read_regular(path, _MAX_KEY_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or str(error)
        raise UnreadableInputError(f"cannot load {kind} key {path}: {reason}", _HINT) from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    created = False
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            created = True
            file.write(content)
    except OSError as error:
        if created:
            path.unlink(missing_ok=True)
        raise StorageError(
            f"cannot write {path}: {error.strerror}",
            "Name another file: existing keys are not overwritten.",
        ) from error


class SigstoreError(Exception):
    """A failure to sign or verify, with the package's message."""


@contextlib.contextmanager
def _sigstore_errors() -> Iterator[None]:
    """Raise any error of the package as `SigstoreError`.

    Networks, servers, clocks and certificates fail in many ways.
    """
    try:
        yield
    except Exception as error:
        raise SigstoreError(f"{type(error).__name__}: {error}".splitlines()[0][:300]) from error


class Sigstore:
    """The parts of the package, version 4, that are needed."""

    def credential(self) -> str:
        """Return the OIDC token of this environment, "" without one; raise SigstoreError."""
        oidc = _module("oidc")
        with _sigstore_errors():
            return str(oidc.detect_credential() or "")

    def sign(self, statement: bytes, token: str) -> bytes:
        """Return the bundle of a statement; raise SigstoreError."""
        oidc, sign, models, dsse = map(_module, ("oidc", "sign", "models", "dsse"))
        with _sigstore_errors():
            trust = models.ClientTrustConfig.production()
            context = sign.SigningContext.from_trust_config(trust)
            with context.signer(oidc.IdentityToken(token)) as signer:
                bundle = signer.sign_dsse(dsse.Statement(statement))
            return _bundle_bytes(bundle)

    def verify(self, bundle: bytes, identity: str, issuer: str) -> tuple[str, bytes]:
        """Return payload type and payload of a bundle, without network; raise SigstoreError."""
        models, verify, policy = map(_module, ("models", "verify", "verify.policy"))
        with _sigstore_errors():
            verifier = verify.Verifier.production(offline=True)
            signer = policy.Identity(identity=identity, issuer=issuer)
            payload_type, payload = verifier.verify_dsse(models.Bundle.from_json(bundle), signer)
        return str(payload_type), bytes(payload)

    def reserialize(self, bundle: bytes) -> bytes:
        """Return the bundle as the package writes it; raise SigstoreError."""
        with _sigstore_errors():
            return _bundle_bytes(_module("models").Bundle.from_json(bundle))


def load_sigstore() -> Sigstore:
    """Return the package; raise UsageError where it is not installed."""
    try:
        importlib.import_module("sigstore")
    except ImportError:
        raise UsageError(
            "keyless signatures need the package sigstore, which is not installed",
            f"Install it: {sys.executable} -m pip install '{REQUIREMENT}'. Or use a key of your"
            " own: --key FILE (--make-key FILE creates one).",
        ) from None
    return Sigstore()


def keyless_signer(package: Sigstore) -> Callable[[bytes], bytes]:
    """Return a function that signs as this environment's identity; raise UsageError without one.

    The token is requested before a run, which may take an hour, and again when it is over.
    """
    _token(package)

    def sign(statement: bytes) -> bytes:
        try:
            return package.sign(statement, _token(package))
        except SigstoreError as error:
            raise UsageError(
                f"cannot sign the sign-off: {error}",
                "The results are kept: the same command does not run them again.",
            ) from error

    return sign


def keyless_verifier(package: Sigstore, identity: str, issuer: str) -> Callable[[bytes], bytes]:
    """Return a function that opens bundles signed by `identity`, as confirmed by `issuer`."""

    def verify(content: bytes) -> bytes:
        try:
            payload_type, statement = package.verify(content, identity, issuer)
            serialized = package.reserialize(content)
        except SigstoreError as error:
            raise BadSignatureError(f"it is not signed by {identity}: {error}") from error
        if payload_type != PAYLOAD_TYPE:
            raise BadSignatureError(f"its payload is {payload_type!r}, not a statement")
        if serialized != content:
            raise BadSignatureError(_CHANGED)
        return statement

    return verify


def _token(package: Sigstore) -> str:
    try:
        token = package.credential()
    except SigstoreError as error:
        raise UsageError(f"there is no OIDC identity: {error}", _IDENTITY_HINT) from error
    if not token:
        raise UsageError("there is no OIDC identity to sign with", _IDENTITY_HINT)
    return token


def _module(name: str) -> Any:  # noqa: ANN401 - of an optional package
    return importlib.import_module(f"sigstore.{name}")


def _bundle_bytes(bundle: Any) -> bytes:  # noqa: ANN401 - of an optional package
    return str(bundle.to_json()).encode()
