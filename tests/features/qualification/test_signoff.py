"""A sign-off: whatever is changed, removed, swapped, expired or replayed is refused by name."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import errno
import functools
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_gate import CELL, NOW, OTHER, WAIVER, WHEELS, WHERE, claim, record
from test_gate import expected as expected_with_wheels

from matrix.__main__ import main
from matrix.errors import ExitCode, StorageError, UnreadableInputError, UsageError
from matrix.features.qualification.artifacts import Artifact
from matrix.features.qualification.check import (
    Opener,
    SignoffRefusedError,
    SignoffRequirements,
    check,
)
from matrix.features.qualification.expected import ExpectedRelease
from matrix.features.qualification.gate import decide
from matrix.features.qualification.policy import parse_policy
from matrix.features.qualification.signing import (
    PASSWORD,
    make_key,
    opened,
    public_key,
    sealed,
    signer_of,
    warning_of,
)
from matrix.features.qualification.signoff import (
    ENVELOPE,
    EXPECTED,
    PAGE,
    POLICY,
    RECORD,
    SignoffPapers,
    check_place,
    configuration_of,
    write_folder,
)
from matrix.features.qualification.statement import Digest, StatementSubject, statement_bytes
from matrix.model.verdict import Outcome
from matrix.runs.record import Record
from matrix.runs.record_reader import parse_record

WHEEL = b"the candidate"
DIGEST = hashlib.sha256(WHEEL).hexdigest()
ARTIFACT = Artifact(WHEELS[0].name, DIGEST)
PROJECT = Digest("project", "c" * 40, "gitCommit")
POLICY_TEXT = """
schema = "policy/1"
[require]
claims = ["*"]
[evidence]
max_age_days = 7
repeats = 2
"""
WAIVED = f"""
[[waiver]]
claims = ["{WAIVER.claims[0]}"]
why = "known"
by = "Emma"
until = 2026-11-30
"""


def expected(*cells: str) -> ExpectedRelease:
    return dataclasses.replace(expected_with_wheels(*cells), artifacts=(ARTIFACT, *WHEELS[1:]))


def record_bytes(made: Record) -> bytes:
    data = {
        "schema": "verdicts/1",
        "run": {**dataclasses.asdict(made.run), "outcomes": {}, "cells": {}, "left_out": {}},
        "claims": [one.to_json() for one in made.claims],
        "verdicts": [one.to_json() for one in made.verdicts],
        "cells": [
            {
                **{
                    name: getattr(cell, name)
                    for name in ("id", "detail", "seconds", "reused", "fallback", "key", "started")
                },
                "reason": None,
                "probes": list(cell.probes),
                "findings": [
                    {
                        "probe": one.probe,
                        "channel": one.channel,
                        "shows": one.shows.value,
                        "reason": None,
                        "evidence": one.evidence,
                        "repeats": dict(one.repeats),
                        "notes": [],
                    }
                    for one in cell.findings
                ],
                "where": {**WHERE.to_json(), "tracer": [DIGEST, WHEELS[1].sha256]},
            }
            for cell in made.cells
        ],
        "left_out": [],
    }
    return json.dumps(data).encode()


def by(public: Path) -> Opener:
    return functools.partial(opened, key=public_key(public))


@dataclasses.dataclass
class Signed:
    folder: Path
    key: Path
    public: Path
    vouched: tuple[Artifact, ...] = (ARTIFACT,)

    def check(
        self,
        now: dt.datetime = NOW,
        ddtrace: str = "",
        artifacts: tuple[Path, ...] = (),
        documents: tuple[tuple[str, str], ...] = (),
        policy: str = "",
    ) -> None:
        wanted = SignoffRequirements(ddtrace, artifacts, documents, policy)
        check(self.folder / ENVELOPE, by(self.public), wanted, now)

    def refused(self, **wanted: Any) -> str:  # noqa: ANN401 - those of check
        with pytest.raises(SignoffRefusedError) as caught:
            self.check(**wanted)
        return str(caught.value)

    def sign(self, made: Record, wanted: ExpectedRelease, policy: str = POLICY_TEXT) -> None:
        """Write and sign what these say, truly or not."""
        papers = SignoffPapers(
            {
                RECORD: record_bytes(made),
                EXPECTED: json.dumps(wanted.to_json()).encode(),
                POLICY: policy.encode(),
                PAGE: b"<!doctype html>",
            }
        )
        parsed = parse_record(papers.files[RECORD], RECORD)
        decision = decide(wanted, parsed, parse_policy(papers.files[POLICY], POLICY), NOW)
        statement = statement_bytes(
            decision,
            StatementSubject(wanted.ddtrace, NOW.isoformat(), "compat-matrix"),
            [Digest(each.name, each.sha256) for each in self.vouched],
            configuration_of(parsed, papers, [PROJECT]),
        )
        shutil.rmtree(self.folder, ignore_errors=True)
        write_folder(self.folder, papers, sealed(statement, signer_of(self.key)))


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    key = tmp_path / "key.pem"
    made = Signed(tmp_path / "signoff", key, make_key(key))
    made.sign(record(), expected())
    return made


def test_what_was_signed_holds(signed: Signed, tmp_path: Path) -> None:
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
    other = data.draw(st.integers(0, 255).filter(lambda each: each != whole[place]))
    path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
    try:
        signed.refused()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("name", [ENVELOPE, RECORD, EXPECTED, POLICY, PAGE])
def test_a_file_that_is_missing_is_named(signed: Signed, name: str) -> None:
    (signed.folder / name).unlink()
    assert name in signed.refused()


def test_another_key_is_refused(signed: Signed, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.pem")
    assert "not by" in dataclasses.replace(signed, public=other).refused()


def test_a_signature_by_another_key_under_our_name_is_refused(
    signed: Signed, tmp_path: Path
) -> None:
    key = tmp_path / "other.pem"
    make_key(key)
    ours = json.loads((signed.folder / ENVELOPE).read_bytes())["signatures"][0]["keyid"]
    dataclasses.replace(signed, key=key).sign(record(), expected())
    envelope = json.loads((signed.folder / ENVELOPE).read_bytes())
    envelope["signatures"][0]["keyid"] = ours
    text = json.dumps(envelope, indent=2) + "\n"
    (signed.folder / ENVELOPE).write_text(text, encoding="utf-8")
    assert "does not fit" in signed.refused()


def test_another_artifact_is_refused(signed: Signed, tmp_path: Path) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"another")
    assert "other.whl" in signed.refused(artifacts=(other,))


def test_an_old_statement_for_a_new_release_is_refused(signed: Signed) -> None:
    assert "not for 2.21.13" in signed.refused(ddtrace="2.21.13")


def test_vouching_for_what_no_cell_had_is_refused(signed: Signed) -> None:
    dataclasses.replace(signed, vouched=(ARTIFACT, WHEELS[2])).sign(record(), expected())
    assert "no passing cell had" in signed.refused()


def test_another_version_of_a_document_is_refused(signed: Signed) -> None:
    assert "page" in signed.refused(documents=(("page", "f" * 64),))


def test_another_policy_is_refused(signed: Signed) -> None:
    signed.check(policy=hashlib.sha256((signed.folder / POLICY).read_bytes()).hexdigest())
    assert POLICY in signed.refused(policy="e" * 64)


def test_evidence_grows_old(signed: Signed) -> None:
    signed.check(now=NOW + dt.timedelta(days=7))
    assert "stale" in signed.refused(now=NOW + dt.timedelta(days=8))


def test_a_waiver_that_has_expired_since_is_refused(signed: Signed) -> None:
    good, bad = claim(), claim("iast")
    made = record()
    refuted = dataclasses.replace(made.verdicts[0], outcome=Outcome.REFUTED)
    both = dataclasses.replace(
        made,
        claims=(good, bad),
        verdicts=(refuted, dataclasses.replace(made.verdicts[0], claim=bad.id)),
    )
    parts = tuple(dataclasses.replace(part, outcome=Outcome.REFUTED) for part in refuted.parts)
    both = dataclasses.replace(
        both, verdicts=(dataclasses.replace(refuted, parts=parts), both.verdicts[1])
    )
    first = expected().claims[0]
    wanted = dataclasses.replace(expected(), claims=(first, dataclasses.replace(first, id=bad.id)))
    policy = POLICY_TEXT.replace("max_age_days = 7", "max_age_days = 30") + WAIVED
    signed.sign(both, wanted, policy)
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
def test_a_record_that_is_not_what_was_stated_is_refused(
    signed: Signed, spoil: Callable[[dict[str, Any]], None], resigned: bool
) -> None:
    signed.vouched = (ARTIFACT, WHEELS[1])
    signed.sign(record(CELL, OTHER), expected(CELL, OTHER))
    signed.check()
    path = signed.folder / RECORD
    data = json.loads(path.read_bytes())
    spoil(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    if resigned:
        # Whoever holds the key may sign anything: the papers must still agree with each other.
        envelope = json.loads((signed.folder / ENVELOPE).read_bytes())
        statement = json.loads(base64.b64decode(envelope["payload"]))
        for item in statement["predicate"]["configuration"]:
            if item["name"] == RECORD:
                item["digest"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        content = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
        (signed.folder / ENVELOPE).write_bytes(sealed(content, signer_of(signed.key)))
    signed.refused()


def test_a_key_is_not_written_over(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    with pytest.raises(StorageError):
        make_key(tmp_path / "key.pem")


def test_a_private_key_is_its_owners(tmp_path: Path) -> None:
    make_key(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\n"])
def test_what_is_no_key_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    for read in (signer_of, public_key):
        with pytest.raises(UnreadableInputError, match=r"key\.pem"):
            read(path)


@given(st.binary())
def test_nonsense_is_no_envelope(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("nonsense")
    public = make_key(folder / "key.pem")
    (folder / ENVELOPE).write_bytes(content)
    with pytest.raises(SignoffRefusedError, match="envelope"):
        check(folder / ENVELOPE, by(public), SignoffRequirements(), NOW)


def test_a_sign_off_is_never_written_over_another(signed: Signed) -> None:
    before = {path.name: path.read_bytes() for path in signed.folder.iterdir()}
    with pytest.raises(UsageError, match="there already"):
        write_folder(signed.folder, SignoffPapers({PAGE: b"other"}), b"other")
    assert {path.name: path.read_bytes() for path in signed.folder.iterdir()} == before
    assert [path.name for path in signed.folder.parent.iterdir() if "half" in path.name] == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    folder = tmp_path / "signoff"
    folder.mkdir()
    write_folder(folder, SignoffPapers({PAGE: b"page"}), b"envelope")
    assert sorted(path.name for path in folder.iterdir()) == [ENVELOPE, PAGE]


@pytest.mark.parametrize("fails_at", range(6))
def test_a_disk_that_fills_up_leaves_no_half_sign_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls = 0

    def full(_handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    papers = SignoffPapers(dict.fromkeys((RECORD, EXPECTED, POLICY, PAGE), b"paper"))
    if fails_at < 5:
        with pytest.raises(StorageError, match="No space left"):
            write_folder(tmp_path / "signoff", papers, b"envelope")
        assert list(tmp_path.iterdir()) == []
    else:
        write_folder(tmp_path / "signoff", papers, b"envelope")
        assert len(list((tmp_path / "signoff").iterdir())) == 5


def test_a_key_with_a_password_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.pem"
    monkeypatch.setenv(PASSWORD, "open sesame")
    make_key(path)
    signer_of(path)
    monkeypatch.setenv(PASSWORD, "another")
    with pytest.raises(UnreadableInputError, match="does not open it"):
        signer_of(path)
    monkeypatch.delenv(PASSWORD)
    with pytest.raises(UnreadableInputError, match="has a password"):
        signer_of(path)


def test_a_password_does_not_stand_in_the_way_of_a_key_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key(tmp_path / "key.pem")
    monkeypatch.setenv(PASSWORD, "for another")
    signer_of(tmp_path / "key.pem")


def test_the_wrong_one_of_a_pair_is_told(tmp_path: Path) -> None:
    public = make_key(tmp_path / "key.pem")
    with pytest.raises(UnreadableInputError, match="the private one"):
        public_key(tmp_path / "key.pem")
    with pytest.raises(UnreadableInputError, match="the public one"):
        signer_of(public)


def test_a_public_key_is_not_written_over_and_no_private_one_left(tmp_path: Path) -> None:
    (tmp_path / "key.pem.pub").write_bytes(b"another's")
    with pytest.raises(StorageError):
        make_key(tmp_path / "key.pem")
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem.pub"]


@pytest.mark.parametrize(("mode", "said"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_key_that_others_can_read_is_warned_of(tmp_path: Path, mode: int, *, said: bool) -> None:
    make_key(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(mode)
    assert bool(warning_of(tmp_path / "key.pem")) is said


def test_a_result_that_hides_a_waiver_is_refused(signed: Signed) -> None:
    envelope = json.loads((signed.folder / ENVELOPE).read_bytes())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"]["result"] = "WARNED"
    content = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    (signed.folder / ENVELOPE).write_bytes(sealed(content, signer_of(signed.key)))
    assert "states WARNED" in signed.refused()


@pytest.mark.parametrize("days", [0, 6.99, 7.01])
def test_it_says_until_when_it_holds(signed: Signed, days: float) -> None:
    now = NOW + dt.timedelta(days=days)
    until = check(signed.folder / ENVELOPE, by(signed.public), SignoffRequirements(), NOW).until
    assert until == NOW + dt.timedelta(days=7)
    if now <= until:
        signed.check(now=now)
    else:
        signed.refused(now=now)


def test_a_target_that_is_not_required_is_not_vouched_for(signed: Signed) -> None:
    made = record(CELL, OTHER)
    first, second = made.verdicts[0].parts
    refuted = dataclasses.replace(second, outcome=Outcome.REFUTED)
    verdict = dataclasses.replace(made.verdicts[0], outcome=Outcome.REFUTED, parts=(first, refuted))
    made = dataclasses.replace(made, verdicts=(verdict,))
    policy = POLICY_TEXT.replace('"*"]', '"*"]\ntargets = ["linux_x86_64"]')
    signed.sign(made, expected(CELL, OTHER), policy)
    signed.check()
    both = dataclasses.replace(signed, vouched=(ARTIFACT, WHEELS[1]))
    both.sign(made, expected(CELL, OTHER), policy)
    assert WHEELS[1].name in signed.refused()


def test_a_page_of_which_nothing_passed_is_not_what_it_is_about(signed: Signed) -> None:
    made, other = record(), dataclasses.replace(claim(), id="other/capability/sca")
    other = dataclasses.replace(other, document="other", sha256="1" * 64)
    beside = dataclasses.replace(made.verdicts[0], claim=other.id)
    made = dataclasses.replace(
        made, claims=(*made.claims, other), verdicts=(*made.verdicts, beside)
    )
    signed.sign(made, expected())
    signed.check(documents=((claim().document, claim().sha256),))
    assert "no claim of it passed" in signed.refused(documents=(("other", "1" * 64),))


def test_a_waiver_may_last_for_as_long_as_there_are_days(signed: Signed) -> None:
    policy = POLICY_TEXT + WAIVED.replace("2026-11-30", "9999-12-31")
    signed.sign(record(), expected(), policy)
    signed.check()


def test_it_ends_with_the_last_day_of_a_waiver(signed: Signed) -> None:
    signed.sign(record(), expected(), POLICY_TEXT + WAIVED.replace("2026-11-30", "2026-11-22"))
    until = check(signed.folder / ENVELOPE, by(signed.public), SignoffRequirements(), NOW).until
    signed.check(now=until)
    assert "expired" in signed.refused(now=until + dt.timedelta(seconds=1))


@pytest.mark.parametrize("place", [".", "new/.."])
def test_a_sign_off_needs_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="name"):
        check_place(Path(place))


@pytest.mark.parametrize(
    "words",
    [
        ["--at", "0001-01-01T00:00+14:00"],  # before there are days
        ["--document", "."],
        ["--artifact", "a" * 300],
    ],
)
def test_what_cannot_be_compared_with_is_told(
    signed: Signed, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["check-signoff", str(signed.folder), "--key", str(signed.public), *words]
    try:
        code = main(command)
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == ExitCode.USAGE
    assert words[1] in capsys.readouterr().err


def test_a_time_elsewhere_is_told_as_that_of_utc(
    signed: Signed, capsys: pytest.CaptureFixture[str]
) -> None:
    signed.sign(record(), expected(), POLICY_TEXT + WAIVED.replace("2026-11-30", "2026-11-21"))
    command = ["check-signoff", str(signed.folder), "--key", str(signed.public), "--at"]
    assert main([*command, "2026-11-21T20:00-03:00"]) == ExitCode.OK
    assert "as of 2026-11-21 23:00 UTC" in capsys.readouterr().out
    # It is the waiver's last day there still, and not any more where days are counted.
    assert main([*command, "2026-11-21T22:00-03:00"]) == ExitCode.SIGN_OFF_REFUSED


def test_expectations_that_are_nested_without_end_are_refused(signed: Signed) -> None:
    path = signed.folder / EXPECTED
    path.write_bytes(b"[" * 100_000)
    envelope = json.loads((signed.folder / ENVELOPE).read_bytes())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    for item in statement["predicate"]["configuration"]:
        if item["name"] == EXPECTED:
            item["digest"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    content = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    (signed.folder / ENVELOPE).write_bytes(sealed(content, signer_of(signed.key)))
    assert EXPECTED in signed.refused()
