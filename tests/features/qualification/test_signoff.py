"""A sign-off: anything changed, removed, swapped, expired or replayed is refused with its name."""

from __future__ import annotations

import dataclasses
import datetime as dt
import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.signoff_fixture import (
    ARTIFACT,
    CELL,
    FILES,
    NOW,
    OTHER,
    POLICY_TEXT,
    WAIVER,
    WHEEL,
    WHERE,
    Signed,
    claim,
    expected_artifact,
    record,
    refute_last_part,
    restate_digest,
    tamper,
    verifier,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matrix.__main__ import main
from matrix.errors import ExitCode, StorageError, UnreadableInputError, UsageError
from matrix.features.qualification.check import SignoffRefusedError, SignoffRequirements, check
from matrix.features.qualification.gate import decide
from matrix.features.qualification.policy import parse_policy
from matrix.features.qualification.report import render_page
from matrix.features.qualification.signatures import (
    PASSWORD,
    Signer,
    key_warning,
    load_public_key,
    load_signer,
    make_key,
)
from matrix.features.qualification.signoff import (
    ENVELOPE,
    EXPECTED,
    PAGE,
    POLICY,
    RECORD,
    SignoffFiles,
    check_folder,
    write_folder,
)
from matrix.features.qualification.statement import StatementSubject
from matrix.model.verdict import Outcome

WAIVED = f"""
[[waiver]]
claims = ["{WAIVER.claims[0]}"]
why = "known"
by = "Emma"
until = 2026-11-30
"""


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    key = tmp_path / "key.pem"
    signoff = Signed(tmp_path / "signoff", key, make_key(key))
    signoff.sign(record(), expected_artifact())
    return signoff


def test_a_sign_off_is_valid(signed: Signed, tmp_path: Path) -> None:
    wheel = tmp_path / "ddtrace.whl"
    wheel.write_bytes(WHEEL)
    signed.check(
        ddtrace="2.21.12", artifacts=(wheel,), documents=((claim().document, claim().sha256),)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.sampled_from([ENVELOPE, RECORD, EXPECTED, POLICY, PAGE]), st.data())
def test_a_byte_changed_anywhere_is_refused(signed: Signed, name: str, data: st.DataObject) -> None:
    path = signed.folder / name
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
    try:
        signed.refused()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("name", [ENVELOPE, RECORD, EXPECTED, POLICY, PAGE])
def test_a_missing_file_of_a_sign_off_is_named(signed: Signed, name: str) -> None:
    (signed.folder / name).unlink()
    assert name in signed.refused()


def test_a_sign_off_says_what_its_cells_were_not_kept_from(
    signed: Signed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    free = record()
    cells = [
        dataclasses.replace(cell, where=dataclasses.replace(WHERE, not_isolated=("network", "ipc")))
        for cell in free.cells
    ]
    policy = POLICY_TEXT + 'not_isolated = ["network", "ipc", "user"]\n'
    key = tmp_path / "key.pem"
    other = Signed(tmp_path / "other", key, signed.public)
    other.sign(dataclasses.replace(free, cells=tuple(cells)), expected_artifact(), policy)
    check_arguments = ("--key", str(signed.public), "--at", NOW.isoformat())
    assert main(["check-signoff", str(other.folder), *check_arguments]) == ExitCode.OK
    assert "not isolated network, ipc\n" in capsys.readouterr().out
    parsed = parse_policy(policy.encode(), POLICY)
    original = dataclasses.replace(free, cells=tuple(cells))
    decision = decide(expected_artifact(), original, parsed, NOW)
    page = render_page(
        decision,
        expected=expected_artifact(),
        record=original,
        policy=parsed,
        about=StatementSubject("2.21.12", NOW.isoformat(), "project"),
        subjects=(),
        signer=Signer(bytes, ENVELOPE, "a key", ""),
    )
    assert b"not kept from network, ipc" in page

    assert main(["check-signoff", str(signed.folder), *check_arguments]) == ExitCode.OK
    assert "not isolated nothing" in capsys.readouterr().out


def test_another_key_is_refused(signed: Signed, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.pem")
    assert "not by" in dataclasses.replace(signed, public=other).refused()


def test_a_signature_by_another_key_under_our_name_is_refused(
    signed: Signed, tmp_path: Path
) -> None:
    key = tmp_path / "other.pem"
    make_key(key)
    ours = json.loads((signed.folder / ENVELOPE).read_bytes())["signatures"][0]["keyid"]
    dataclasses.replace(signed, key=key).sign(record(), expected_artifact())
    envelope = json.loads((signed.folder / ENVELOPE).read_bytes())
    envelope["signatures"][0]["keyid"] = ours
    text = json.dumps(envelope, indent=2) + "\n"
    (signed.folder / ENVELOPE).write_text(text, encoding="utf-8")
    assert "does not match" in signed.refused()


def test_another_artifact_is_refused(signed: Signed, tmp_path: Path) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"another")
    assert "other.whl" in signed.refused(artifacts=(other,))


def test_an_old_statement_for_a_new_release_is_refused(signed: Signed) -> None:
    assert "not for 2.21.13" in signed.refused(ddtrace="2.21.13")


def test_vouching_for_a_file_that_no_cell_had_is_refused(signed: Signed) -> None:
    dataclasses.replace(signed, vouched=(ARTIFACT, FILES[2])).sign(record(), expected_artifact())
    assert "no passing cell had" in signed.refused()


def test_another_version_of_a_document_is_refused(signed: Signed) -> None:
    assert "page" in signed.refused(documents=(("page", "f" * 64),))


def test_another_policy_is_refused(signed: Signed) -> None:
    signed.check(policy=hashlib.sha256((signed.folder / POLICY).read_bytes()).hexdigest())
    assert POLICY in signed.refused(policy="e" * 64)


def test_old_evidence_is_refused(signed: Signed) -> None:
    signed.check(now=NOW + dt.timedelta(days=7))
    assert "stale" in signed.refused(now=NOW + dt.timedelta(days=8))


def test_a_waiver_that_expired_meanwhile_is_refused(signed: Signed) -> None:
    good, bad = claim(), claim("iast")
    recorded = record()
    refuted = dataclasses.replace(recorded.verdicts[0], outcome=Outcome.REFUTED)
    both = dataclasses.replace(
        recorded,
        claims=(good, bad),
        verdicts=(refuted, dataclasses.replace(recorded.verdicts[0], claim=bad.id)),
    )
    parts = tuple(dataclasses.replace(part, outcome=Outcome.REFUTED) for part in refuted.parts)
    both = dataclasses.replace(
        both, verdicts=(dataclasses.replace(refuted, parts=parts), both.verdicts[1])
    )
    first = expected_artifact().claims[0]
    expectations = dataclasses.replace(
        expected_artifact(), claims=(first, dataclasses.replace(first, id=bad.id))
    )
    policy = POLICY_TEXT.replace("max_age_days = 7", "max_age_days = 30") + WAIVED
    signed.sign(both, expectations, policy)
    signed.check()
    assert "expired" in signed.refused(now=NOW + dt.timedelta(days=11))


def _remove_a_cell(data: dict[str, Any]) -> None:
    data["cells"] = data["cells"][1:]


def _swap_a_result(data: dict[str, Any]) -> None:
    data["verdicts"][0]["parts"][0]["outcome"] = "refuted"


def _swap_an_artifact(data: dict[str, Any]) -> None:
    data["cells"][0]["where"]["tracer"] = ["b" * 64]


def _swap_an_image(data: dict[str, Any]) -> None:
    data["cells"][0]["where"]["image"] = f"sha256:{'b' * 64}"


@pytest.mark.parametrize(
    "spoil", [_remove_a_cell, _swap_a_result, _swap_an_artifact, _swap_an_image]
)
@pytest.mark.parametrize("resigned", [False, True])
def test_a_record_that_disagrees_with_the_statement_is_refused(
    signed: Signed, spoil: Callable[[dict[str, Any]], None], resigned: bool
) -> None:
    signed.vouched = (ARTIFACT, FILES[1])
    signed.sign(record(CELL, OTHER), expected_artifact(CELL, OTHER))
    signed.check()
    path = signed.folder / RECORD
    data = json.loads(path.read_bytes())
    spoil(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    if resigned:
        # The holder of the key may sign anything: the files must still agree with each other.
        restate_digest(signed, RECORD)
    signed.refused()


def test_a_key_is_not_overwritten(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    with pytest.raises(StorageError):
        make_key(tmp_path / "key.pem")


def test_a_private_key_is_its_owners(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_an_invalid_key_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    for load in (load_signer, load_public_key):
        with pytest.raises(UnreadableInputError, match=r"key\.pem"):
            load(path)


@given(st.binary())
def test_arbitrary_bytes_are_not_an_envelope(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("nonsense")
    public = make_key(folder / "key.pem")
    (folder / ENVELOPE).write_bytes(content)
    with pytest.raises(SignoffRefusedError, match="envelope"):
        check(folder / ENVELOPE, verifier(public), SignoffRequirements(), NOW)


def test_a_sign_off_is_never_overwritten(signed: Signed) -> None:
    before = {path.name: path.read_bytes() for path in signed.folder.iterdir()}
    with pytest.raises(UsageError, match="exists already"):
        write_folder(signed.folder, SignoffFiles({PAGE: b"other"}), b"other")
    assert {path.name: path.read_bytes() for path in signed.folder.iterdir()} == before
    assert [path.name for path in signed.folder.parent.iterdir() if "half" in path.name] == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    folder = tmp_path / "signoff"
    folder.mkdir()
    write_folder(folder, SignoffFiles({PAGE: b"page"}), b"envelope")
    assert sorted(path.name for path in folder.iterdir()) == [ENVELOPE, PAGE]


@pytest.mark.parametrize("fails_at", range(6))
def test_a_full_disk_leaves_no_partial_sign_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls = 0

    def full(_handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    files = SignoffFiles(dict.fromkeys((RECORD, EXPECTED, POLICY, PAGE), b"content"))
    if fails_at < 5:
        with pytest.raises(StorageError, match="No space left"):
            write_folder(tmp_path / "signoff", files, b"envelope")
        assert list(tmp_path.iterdir()) == []
    else:
        write_folder(tmp_path / "signoff", files, b"envelope")
        assert len(list((tmp_path / "signoff").iterdir())) == 5


def test_a_key_with_a_password_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    monkeypatch.setenv(PASSWORD, "open sesame")
    make_key(path)
    load_signer(path)
    monkeypatch.setenv(PASSWORD, "another")
    with pytest.raises(UnreadableInputError, match="does not open it"):
        load_signer(path)
    monkeypatch.delenv(PASSWORD)
    with pytest.raises(UnreadableInputError, match="has a password"):
        load_signer(path)


def test_a_password_is_ignored_for_a_key_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(tmp_path / "key.pem")
    monkeypatch.setenv(PASSWORD, "for another")
    load_signer(tmp_path / "key.pem")


def test_the_wrong_key_of_a_pair_is_named(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key.pem")
    with pytest.raises(UnreadableInputError, match="the private key"):
        load_public_key(tmp_path / "key.pem")
    with pytest.raises(UnreadableInputError, match="the public key of a pair"):
        load_signer(public)


def test_a_public_key_is_not_overwritten_and_no_private_key_left(tmp_path: Path) -> None:
    (tmp_path / "key.pem.pub").write_bytes(b"another's")
    with pytest.raises(StorageError):
        make_key(tmp_path / "key.pem")
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem.pub"]


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_key_that_others_can_read_causes_a_warning(
    tmp_path: Path, mode: int, *, warned: bool
) -> None:
    make_key(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(mode)
    assert bool(key_warning(tmp_path / "key.pem")) is warned


def test_a_result_that_hides_a_waiver_is_refused(signed: Signed) -> None:
    tamper(signed, lambda statement: statement["predicate"].update(result="WARNED"))
    assert "states WARNED" in signed.refused()


@pytest.mark.parametrize("days", [0, 6.99, 7.01])
def test_a_sign_off_has_an_end_of_validity(signed: Signed, days: float) -> None:
    now = NOW + dt.timedelta(days=days)
    until = check(
        signed.folder / ENVELOPE, verifier(signed.public), SignoffRequirements(), NOW
    ).until
    assert until == NOW + dt.timedelta(days=7)
    if now <= until:
        signed.check(now=now)
    else:
        signed.refused(now=now)


def test_a_target_that_is_not_required_is_not_vouched_for(signed: Signed) -> None:
    recorded = refute_last_part(record(CELL, OTHER))
    policy = POLICY_TEXT.replace('"*"]', '"*"]\ntargets = ["linux_x86_64"]')
    signed.sign(recorded, expected_artifact(CELL, OTHER), policy)
    signed.check()
    both = dataclasses.replace(signed, vouched=(ARTIFACT, FILES[1]))
    both.sign(recorded, expected_artifact(CELL, OTHER), policy)
    assert FILES[1].name in signed.refused()


def test_a_page_without_a_passed_claim_is_refused(signed: Signed) -> None:
    recorded, other = record(), dataclasses.replace(claim(), id="other/capability/sca")
    other = dataclasses.replace(other, document="other", sha256="1" * 64)
    beside = dataclasses.replace(recorded.verdicts[0], claim=other.id)
    recorded = dataclasses.replace(
        recorded, claims=(*recorded.claims, other), verdicts=(*recorded.verdicts, beside)
    )
    signed.sign(recorded, expected_artifact())
    signed.check(documents=((claim().document, claim().sha256),))
    assert "no claim of it passed" in signed.refused(documents=(("other", "1" * 64),))


def test_a_waiver_may_last_until_the_last_representable_day(signed: Signed) -> None:
    policy = POLICY_TEXT + WAIVED.replace("2026-11-30", "9999-12-31")
    signed.sign(record(), expected_artifact(), policy)
    signed.check()


def test_a_sign_off_ends_with_the_last_day_of_a_waiver(signed: Signed) -> None:
    signed.sign(
        record(), expected_artifact(), POLICY_TEXT + WAIVED.replace("2026-11-30", "2026-11-22")
    )
    until = check(
        signed.folder / ENVELOPE, verifier(signed.public), SignoffRequirements(), NOW
    ).until
    signed.check(now=until)
    assert "expired" in signed.refused(now=until + dt.timedelta(seconds=1))


@pytest.mark.parametrize("place", [".", "new/.."])
def test_a_sign_off_needs_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="name"):
        check_folder(Path(place))


@pytest.mark.parametrize(
    "options",
    [
        ["--at", "0001-01-01T00:00+14:00"],  # before there are days
        ["--document", "."],
        ["--artifact", "a" * 300],
    ],
)
def test_unusable_files_and_times_are_named(
    signed: Signed, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["check-signoff", str(signed.folder), "--key", str(signed.public), *options]
    try:
        code = main(command)
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == ExitCode.USAGE
    assert options[1] in capsys.readouterr().err


def test_a_time_in_another_zone_is_converted_to_utc(
    signed: Signed, capsys: pytest.CaptureFixture[str]
) -> None:
    signed.sign(
        record(), expected_artifact(), POLICY_TEXT + WAIVED.replace("2026-11-30", "2026-11-21")
    )
    command = ["check-signoff", str(signed.folder), "--key", str(signed.public), "--at"]
    assert main([*command, "2026-11-21T20:00-03:00"]) == ExitCode.OK
    assert "as of 2026-11-21 23:00 UTC" in capsys.readouterr().out
    # It is the waiver's last day there still, and not any more where days are counted.
    assert main([*command, "2026-11-21T22:00-03:00"]) == ExitCode.SIGN_OFF_REFUSED


def test_deeply_nested_expectations_are_refused(signed: Signed) -> None:
    (signed.folder / EXPECTED).write_bytes(b"[" * 100_000)
    restate_digest(signed, EXPECTED)
    assert EXPECTED in signed.refused()
