"""Keyless signatures, with a fake of the package, which may not be installed."""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers.signoff_fixture import NOW, Signed, expected_artifact, record

from matrix.__main__ import main
from matrix.errors import ExitCode, UsageError
from matrix.features.qualification.check import SignoffRefusedError, SignoffRequirements, check
from matrix.features.qualification.signatures import (
    BadSignatureError,
    Sigstore,
    SigstoreError,
    keyless_signer,
    keyless_verifier,
    load_public_key,
    load_sigstore,
    make_key,
    verify_envelope,
)
from matrix.features.qualification.signoff import BUNDLE, ENVELOPE
from matrix.features.qualification.statement import PAYLOAD_TYPE
from matrix.system.paths import project_root

WHO, ISSUER = "ci@example.test", "https://issuer.example.test"


@dataclasses.dataclass
class Package(Sigstore):
    """A fake whose bundle contains the identity as plain text."""

    token: str = WHO
    kind: str = PAYLOAD_TYPE
    fails: str = ""

    def credential(self) -> str:
        if self.fails == "credential":
            raise SigstoreError("no answer")
        return self.token

    def sign(self, statement: bytes, token: str) -> bytes:
        if self.fails == "sign":
            raise SigstoreError("no log answers")
        return self._written({"who": token, "issuer": ISSUER, "statement": statement.decode()})

    def verify(self, bundle: bytes, identity: str, issuer: str) -> tuple[str, bytes]:
        data = self._read(bundle)
        if (data["who"], data["issuer"]) != (identity, issuer):
            raise SigstoreError(f"it was {data['who']}")
        return self.kind, data["statement"].encode()

    def reserialize(self, bundle: bytes) -> bytes:
        return self._written(self._read(bundle))

    def _read(self, bundle: bytes) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads(bundle)
            return {name: data[name] for name in ("who", "issuer", "statement")}
        except (ValueError, KeyError, TypeError) as error:
            raise SigstoreError("no bundle") from error

    def _written(self, data: dict[str, Any]) -> bytes:
        return json.dumps(data).encode()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a sign-off by a fake identity."""
    key = tmp_path / "key.pem"
    signed = Signed(tmp_path / "signoff", key, make_key(key))
    signed.sign(record(), expected_artifact())
    envelope = signed.folder / ENVELOPE
    statement = verify_envelope(envelope.read_bytes(), load_public_key(signed.public))
    envelope.unlink()
    path = signed.folder / BUNDLE
    path.write_bytes(keyless_signer(Package())(statement))
    return path


def test_a_bundle_is_valid_for_its_identity(bundle: Path) -> None:
    check(bundle, keyless_verifier(Package(), WHO, ISSUER), SignoffRequirements("2.21.12"), NOW)


@pytest.mark.parametrize(
    ("who", "issuer"), [("other@example.test", ISSUER), (WHO, "https://other.example.test")]
)
def test_another_identity_or_issuer_is_refused(bundle: Path, who: str, issuer: str) -> None:
    with pytest.raises(SignoffRefusedError, match="it is not signed by"):
        check(bundle, keyless_verifier(Package(), who, issuer), SignoffRequirements(), NOW)


def test_an_equivalent_bundle_in_other_bytes_is_refused(bundle: Path) -> None:
    bundle.write_bytes(bundle.read_bytes() + b" ")
    with pytest.raises(SignoffRefusedError, match="a byte of it was changed"):
        check(bundle, keyless_verifier(Package(), WHO, ISSUER), SignoffRequirements(), NOW)


def test_another_payload_type_is_refused() -> None:
    package = Package(kind="application/octet-stream")
    with pytest.raises(BadSignatureError, match="not a statement"):
        keyless_verifier(package, WHO, ISSUER)(package.sign(b"{}", WHO))


@pytest.mark.parametrize("package", [Package(token=""), Package(fails="credential")])
def test_a_missing_identity_is_reported_before_the_run(package: Package) -> None:
    with pytest.raises(UsageError, match="no OIDC identity") as caught:
        keyless_signer(package)
    assert "--key FILE" in caught.value.hint


def test_a_failed_signature_is_reported() -> None:
    sign = keyless_signer(Package(fails="sign"))
    with pytest.raises(UsageError, match="no log answers"):
        sign(b"{}")


def test_without_the_package_the_install_command_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.import_module

    def missing(name: str, package: str | None = None) -> ModuleType:
        if name.partition(".")[0] == "sigstore":
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", missing)
    for arguments in (
        ["qualify", "--keyless", "--out", str(tmp_path / "signoff"), "--ddtrace", "2.21.12"],
        ["check-signoff", str(tmp_path), "--identity", WHO, "--issuer", ISSUER],
    ):
        assert main(arguments) == ExitCode.USAGE
        assert f"{sys.executable} -m pip install 'sigstore" in capsys.readouterr().err


def test_the_package_is_imported_only_on_demand() -> None:
    code = (
        "import sys; sys.modules['sigstore'] = None\n"
        "import matrix.cli.qualify, matrix.cli.check_signoff\n"
        "import matrix.features.qualification.signatures"
    )
    subprocess.run((sys.executable, "-c", code), cwd=project_root(), check=True)


def test_the_real_package_refuses_invalid_bundles() -> None:
    pytest.importorskip("sigstore")
    package = load_sigstore()
    for content in (b"", b"{}", b"\xff"):
        with pytest.raises(SigstoreError):
            package.reserialize(content)
        with pytest.raises(SigstoreError):
            package.verify(content, WHO, ISSUER)
