"""Signatures: the statement in a DSSE envelope, signed with an ed25519 key of one's own.

https://github.com/secure-systems-lab/dsse
"""

from __future__ import annotations

import json
import os
from pathlib import Path

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
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from matrix.errors import StorageError, UnreadableInputError
from matrix.features.qualification.statement import PAYLOAD_TYPE

__all__ = [
    "PASSWORD",
    "BadSignatureError",
    "key_id",
    "make_key",
    "opened",
    "public_key",
    "sealed",
    "signer_of",
    "warning_of",
]

PASSWORD = "COMPAT_MATRIX_KEY_PASSWORD"  # noqa: S105 - the variable's name
_MAKE = "Make one with: python -m matrix qualify --make-key FILE"
_LARGEST = 50_000_000
_LARGEST_KEY = 100_000


class BadSignatureError(Exception):
    """An envelope that is none, or that nobody one trusts has signed; the message says which."""


def make_key(path: Path) -> Path:
    """Write a new private key to `path`, readable by its owner only, and its public key beside it.

    It is encrypted with the password in `PASSWORD` of the environment, where there is one. Returns
    the public key's path; raises StorageError, also where there is a file of either name already.
    """
    key = Ed25519PrivateKey.generate()
    public = path.with_name(f"{path.name}.pub")
    secret = os.environ.get(PASSWORD)
    encryption: KeySerializationEncryption = NoEncryption()
    if secret:
        encryption = BestAvailableEncryption(secret.encode())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    # The public one first: a private key is never there without it.
    _write_new(public, pem, 0o644)
    try:
        _write_new(path, private, 0o600)
    except BaseException:
        public.unlink(missing_ok=True)
        raise
    return public


def _write_new(path: Path, content: bytes, mode: int) -> None:
    made = False
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            made = True
            file.write(content)
    except OSError as error:
        if made:
            path.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", "Name another: no key is written over."
        ) from error


def warning_of(path: Path) -> str:
    """Return what is to be said of how a private key is kept, "" where that is well."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if os.name == "posix" and mode & 0o077:
        return f"{path} can be read by others than its owner: chmod 600 {path}"
    return ""


def signer_of(path: Path) -> CryptoSigner:
    """Return what signs with the private key of a PEM file; raise `UnreadableInputError`."""
    password = os.environ.get(PASSWORD)
    content = _content(path, "private")
    encrypted = b"ENCRYPTED" in content
    if encrypted and not password:
        raise UnreadableInputError(f"{path} has a password", f"Put it into ${PASSWORD}.")
    try:
        # One for another key does not stand in the way of one that has none.
        key = load_pem_private_key(content, (password or "").encode() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted:
            said = f"the password in ${PASSWORD} does not open it, or it is no such key"
        elif b"PUBLIC KEY" in content:
            said = "it is the public one of a pair"
        else:
            said = "it is no such key"
        raise UnreadableInputError(f"{path}: no private key: {said}", _MAKE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnreadableInputError(f"{path} is no ed25519 key", _MAKE)
    return CryptoSigner(key)


def public_key(path: Path) -> SSlibKey:
    """Return the public key of a PEM file; raise `UnreadableInputError`."""
    content = _content(path, "public")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        private = b"PRIVATE KEY" in content
        said = f"it is the private one: give {path}.pub" if private else "it is no such key"
        raise UnreadableInputError(f"{path}: no public key: {said}", _MAKE) from error
    if not isinstance(key, Ed25519PublicKey):
        raise UnreadableInputError(f"{path} is no ed25519 key", _MAKE)
    return SSlibKey.from_crypto(key)


def _content(path: Path, kind: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_KEY)
    except OSError as error:
        raise UnreadableInputError(f"{path}: no {kind} key: {error.strerror}", _MAKE) from error


def key_id(key: Key) -> str:
    """Return what a public key is called, here and in envelopes: a sha256 over it."""
    return str(key.keyid)


def sealed(statement: bytes, signer: CryptoSigner) -> bytes:
    """Return the envelope of a statement, signed, as JSON."""
    envelope = Envelope(statement, PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return _dumped(envelope)


def opened(content: bytes, key: SSlibKey) -> bytes:
    """Return the statement of an envelope that the key has signed; raise `BadSignatureError`."""
    if len(content) > _LARGEST:
        raise BadSignatureError("it is too large for a sign-off")
    try:
        envelope = Envelope.from_dict(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, FormatError, RecursionError) as error:
        raise BadSignatureError(f"it is no DSSE envelope ({type(error).__name__})") from error
    if envelope.payload_type != PAYLOAD_TYPE:
        raise BadSignatureError(f"what it holds is {envelope.payload_type!r}, no statement")
    if key.keyid not in envelope.signatures:
        signed_by = ", ".join(f"{one[:12]}…" for one in envelope.signatures) or "nobody"
        raise BadSignatureError(f"it is signed by {signed_by}, not by {key.keyid[:12]}…")
    try:
        envelope.verify([key], 1)
    except (VerificationError, ValueError) as error:
        raise BadSignatureError("the signature does not fit what it holds") from error
    if _dumped(envelope) != content:
        raise BadSignatureError("it is not written as it was signed: a byte of it was changed")
    return envelope.payload


def _dumped(envelope: Envelope) -> bytes:
    """Return the one way to write an envelope: JSON and base64 have many that say the same."""
    return json.dumps(envelope.to_dict(), indent=2).encode() + b"\n"
