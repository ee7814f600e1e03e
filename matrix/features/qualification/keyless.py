"""Signatures without a key: a certificate for the identity that an OIDC provider confirms.

They need the optional package `sigstore`, which is imported only here and only on demand.
https://docs.sigstore.dev/cosign/signing/overview/
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, Protocol

from matrix.errors import UsageError
from matrix.features.qualification.dsse import BadSignatureError
from matrix.features.qualification.statement import PAYLOAD_TYPE

REQUIREMENT = "sigstore>=4,<5"
_HINT = (
    "CI services provide one (on GitHub Actions: permissions: id-token: write). Elsewhere use a"
    " key: --key FILE (--make-key FILE creates one)."
)


class SigstoreError(Exception):
    """A failure to sign or verify, with the package's message."""


class Sigstore(Protocol):
    """The parts of the package that are needed."""

    def credential(self) -> str:
        """Return the OIDC token of this environment, "" without one; raise SigstoreError."""
        ...

    def sign(self, statement: bytes, token: str) -> bytes:
        """Return the bundle of a statement; raise SigstoreError."""
        ...

    def verify(self, bundle: bytes, identity: str, issuer: str) -> tuple[str, bytes]:
        """Return payload type and payload of a bundle, without network; raise SigstoreError."""
        ...

    def reserialize(self, bundle: bytes) -> bytes:
        """Return the bundle as the package writes it; raise SigstoreError."""
        ...


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
    return _SigstorePackage()


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
            raise BadSignatureError("it is not written as it was signed: a byte of it was changed")
        return statement

    return verify


def _token(package: Sigstore) -> str:
    try:
        token = package.credential()
    except SigstoreError as error:
        raise UsageError(f"there is no OIDC identity: {error}", _HINT) from error
    if not token:
        raise UsageError("there is no OIDC identity to sign with", _HINT)
    return token


class _SigstorePackage:
    """The real package, version 4."""

    def credential(self) -> str:
        oidc = _module("oidc")
        try:
            return str(oidc.detect_credential() or "")
        except Exception as error:
            raise SigstoreError(_message(error)) from error

    def sign(self, statement: bytes, token: str) -> bytes:
        oidc, sign, models, dsse = map(_module, ("oidc", "sign", "models", "dsse"))
        try:
            trust = models.ClientTrustConfig.production()
            context = sign.SigningContext.from_trust_config(trust)
            with context.signer(oidc.IdentityToken(token)) as signer:
                bundle = signer.sign_dsse(dsse.Statement(statement))
            return _serialize(bundle)
        except Exception as error:
            raise SigstoreError(_message(error)) from error

    def verify(self, bundle: bytes, identity: str, issuer: str) -> tuple[str, bytes]:
        models, verify, policy = map(_module, ("models", "verify", "verify.policy"))
        try:
            verifier = verify.Verifier.production(offline=True)
            signer = policy.Identity(identity=identity, issuer=issuer)
            payload_type, payload = verifier.verify_dsse(models.Bundle.from_json(bundle), signer)
        except Exception as error:
            raise SigstoreError(_message(error)) from error
        return str(payload_type), bytes(payload)

    def reserialize(self, bundle: bytes) -> bytes:
        try:
            return _serialize(_module("models").Bundle.from_json(bundle))
        except Exception as error:
            raise SigstoreError(_message(error)) from error


def _module(name: str) -> Any:  # noqa: ANN401 - of an optional package
    return importlib.import_module(f"sigstore.{name}")


def _serialize(bundle: Any) -> bytes:  # noqa: ANN401 - of an optional package
    return str(bundle.to_json()).encode()


def _message(error: Exception) -> str:
    # Any exception is caught above: networks, servers, clocks and certificates fail in many ways.
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
