"""Signatures without a key: a certificate for whoever an OIDC provider says that one is.

That is the optional package `sigstore`, imported only here and only when asked for.
https://docs.sigstore.dev/cosign/signing/overview/
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, Protocol

from matrix.errors import UsageError
from matrix.features.qualification.signing import BadSignatureError
from matrix.features.qualification.statement import PAYLOAD_TYPE

__all__ = ["Sigstore", "SigstoreError", "installed", "keyless_opener", "keyless_seal"]

REQUIREMENT = "sigstore>=4,<5"


class SigstoreError(Exception):
    """What went wrong with signing or checking, in the package's words."""


class Sigstore(Protocol):
    """The package as far as it is needed."""

    def credential(self) -> str:
        """Return the OIDC token of this place, "" where there is none; raise SigstoreError."""
        ...

    def sign(self, statement: bytes, token: str) -> bytes:
        """Return the bundle of a statement; raise SigstoreError."""
        ...

    def verify(self, bundle: bytes, identity: str, issuer: str) -> tuple[str, bytes]:
        """Return type and content of what a bundle holds; raise SigstoreError. Asks no network."""
        ...

    def again(self, bundle: bytes) -> bytes:
        """Return the bundle as it is written by the package; raise SigstoreError."""
        ...


def installed() -> Sigstore:
    """Return the package; raise UsageError where it is not installed."""
    try:
        importlib.import_module("sigstore")
    except ImportError:
        raise UsageError(
            "signing and checking without a key need the package sigstore, which is not installed",
            f"Install it: {sys.executable} -m pip install '{REQUIREMENT}'. Or use a key of your"
            " own: --key FILE (--make-key FILE makes one).",
        ) from None
    return _Installed()


def keyless_seal(package: Sigstore) -> Callable[[bytes], bytes]:
    """Return what signs a statement as whoever this is; raise UsageError where nobody says who.

    Known before a run, which may take an hour; the token is asked for again when it is over.
    """
    _token(package)

    def seal(statement: bytes) -> bytes:
        try:
            return package.sign(statement, _token(package))
        except SigstoreError as error:
            raise UsageError(
                f"the sign-off could not be signed: {error}",
                "What was run is kept: the same command does not run it again.",
            ) from error

    return seal


def keyless_opener(package: Sigstore, identity: str, issuer: str) -> Callable[[bytes], bytes]:
    """Return what opens bundles signed by `identity`, as `issuer` says who that is."""

    def opened(content: bytes) -> bytes:
        try:
            kind, statement = package.verify(content, identity, issuer)
            written = package.again(content)
        except SigstoreError as error:
            raise BadSignatureError(f"it is not signed by {identity}: {error}") from error
        if kind != PAYLOAD_TYPE:
            raise BadSignatureError(f"what it holds is {kind!r}, no statement")
        if written != content:
            raise BadSignatureError("it is not written as it was signed: a byte of it was changed")
        return statement

    return opened


def _token(package: Sigstore) -> str:
    try:
        token = package.credential()
    except SigstoreError as error:
        raise UsageError(f"this place has no OIDC identity: {error}", _HINT) from error
    if not token:
        raise UsageError("this place has no OIDC identity to sign with", _HINT)
    return token


_HINT = (
    "CI services give one (on GitHub Actions: permissions: id-token: write). Elsewhere use a key:"
    " --key FILE (--make-key FILE makes one)."
)


class _Installed:
    """The real package, version 4."""

    def credential(self) -> str:
        oidc = _module("oidc")
        try:
            return str(oidc.detect_credential() or "")
        except Exception as error:
            raise SigstoreError(_said(error)) from error

    def sign(self, statement: bytes, token: str) -> bytes:
        oidc, sign, models, dsse = map(_module, ("oidc", "sign", "models", "dsse"))
        try:
            trust = models.ClientTrustConfig.production()
            context = sign.SigningContext.from_trust_config(trust)
            with context.signer(oidc.IdentityToken(token)) as signer:
                bundle = signer.sign_dsse(dsse.Statement(statement))
            return _written(bundle)
        except Exception as error:
            raise SigstoreError(_said(error)) from error

    def verify(self, bundle: bytes, identity: str, issuer: str) -> tuple[str, bytes]:
        models, verify, policy = map(_module, ("models", "verify", "verify.policy"))
        try:
            verifier = verify.Verifier.production(offline=True)
            who = policy.Identity(identity=identity, issuer=issuer)
            kind, payload = verifier.verify_dsse(models.Bundle.from_json(bundle), who)
        except Exception as error:
            raise SigstoreError(_said(error)) from error
        return str(kind), bytes(payload)

    def again(self, bundle: bytes) -> bytes:
        try:
            return _written(_module("models").Bundle.from_json(bundle))
        except Exception as error:
            raise SigstoreError(_said(error)) from error


def _module(name: str) -> Any:  # noqa: ANN401 - of a package that need not be there
    return importlib.import_module(f"sigstore.{name}")


def _written(bundle: Any) -> bytes:  # noqa: ANN401 - of a package that need not be there
    return str(bundle.to_json()).encode()


def _said(error: Exception) -> str:
    # Every failure there is an answer: networks, servers, clocks and certificates have many.
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
