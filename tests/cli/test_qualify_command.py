"""The commands qualify and check-signoff: outputs, exit codes, and files."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.planning_fixture import LINUX
from helpers.signoff_fixture import Signed, claim, expected_artifact, record, record_bytes, verifier

from matrix.__main__ import main
from matrix.cli import qualify as qualify_command
from matrix.cli import qualify_run
from matrix.cli.qualify_run import QualifyInputs
from matrix.errors import ExitCode, UserError
from matrix.features.qualification.check import SignoffRequirements, check
from matrix.features.qualification.expected import ExpectedRelease
from matrix.features.qualification.gate import required_claims
from matrix.features.qualification.signatures import PASSWORD
from matrix.features.qualification.signoff import ENVELOPE, SignoffFiles, write_folder
from matrix.features.qualification.statement import ProjectIdentity
from matrix.interpreters.inspect import host_target
from matrix.model.plan import Plan
from matrix.model.verdict import Outcome
from matrix.runs.record import Record
from matrix.system.paths import project_root

TODAY = dt.datetime.now(tz=dt.timezone.utc)
PAGE_CLAIM = claim().id
WAIVER = 'why = "x"\nby = "y"\nuntil = 2020-01-01'
POLICY = '[require]\nclaims = ["*"]\n[evidence]\nrepeats = 2\n'


@dataclasses.dataclass
class World:
    """A made-up release, policy and recorded run, used through `main`."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    def policy(self, text: str = POLICY) -> Path:
        path = self.folder / "policy.toml"
        path.write_text(f'schema = "policy/1"\n{text}', encoding="utf-8")
        return path

    def record(self, recorded: Record | None = None) -> Path:
        path = self.folder / "recorded.json"
        path.write_bytes(record_bytes(recorded or record(started=TODAY)))
        return path

    def key(self) -> Path:
        path = self.folder / "key.pem"
        if not path.exists():
            assert main(["qualify", "--make-key", str(path)]) == ExitCode.OK
        return path

    def project(self, identity: ProjectIdentity) -> None:
        self.monkeypatch.setattr(qualify_command, "identify", lambda _root: identity)

    def qualify(self, *more: str, policy: str = POLICY, recorded: Record | None = None) -> int:
        return main(
            [
                *("qualify", "--ddtrace", "2.21.12", "--policy", str(self.policy(policy))),
                *("--record", str(self.record(recorded)), *more),
            ]
        )

    def sign(self, *more: str, name: str = "signoff") -> int:
        out = self.folder / name
        return self.qualify("--key", str(self.key()), "--out", str(out), *more)

    def check(self, *more: str, name: str = "signoff") -> int:
        public = f"{self.key()}.pub"
        return main(["check-signoff", str(self.folder / name), "--key", public, *more])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv(PASSWORD, raising=False)

    def plan_required(
        _args: object, inputs: QualifyInputs, *_: object
    ) -> tuple[Plan, ExpectedRelease]:
        expectations = expected_artifact()
        required_claims(expectations, inputs.policy, TODAY.date())
        return Plan("documented", TODAY, (claim(),), (), (), (), ()), expectations

    monkeypatch.setattr(qualify_run, "plan_required", plan_required)
    monkeypatch.setattr(qualify_run, "candidate_from", lambda *_args, **_named: None)
    qualification = World(tmp_path, monkeypatch)
    qualification.project(ProjectIdentity("c" * 40, (), "d" * 64))
    return qualification


def refuted() -> Record:
    return record(started=TODAY, outcome=Outcome.REFUTED)


def test_a_release_that_qualifies_without_a_key_is_not_signed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.qualify() == ExitCode.OK
    out = capsys.readouterr().out
    assert "qualifies: 1 passed, 0 waived, 0 failed" in out
    assert "Nothing is signed without a key" in out


def test_a_failed_release_is_reported_with_remedies_and_nothing_is_written(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    key = world.key()
    capsys.readouterr()
    out = world.folder / "signoff"
    assert (
        world.qualify("--key", str(key), "--out", str(out), recorded=refuted())
        == ExitCode.DOES_NOT_QUALIFY
    )
    output = capsys.readouterr().out
    assert "does not qualify: 0 passed, 0 waived, 1 failed" in output
    assert "page:3: capability sca >=1.5.0" in output
    assert "nox -s reproduce -- cp39-linux_x86_64-django3.2-ddtrace2.21.12" in output
    assert not out.exists()


@pytest.mark.parametrize(
    ("recorded", "message"),
    [
        (record(started=TODAY - dt.timedelta(days=20)), "stale in cp39"),
        (record(started=TODAY, times=1), "too few in cp39"),
        (dataclasses.replace(record(started=TODAY), cells=()), "absent in cp39"),
    ],
)
def test_a_shortfall_is_reported_with_the_command_that_runs_it(
    world: World, recorded: Record, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.qualify(recorded=recorded) == ExitCode.DOES_NOT_QUALIFY
    out = capsys.readouterr().out
    assert message in out
    command = next(line for line in out.splitlines() if "nox -s qualify --" in line)
    assert "--ddtrace 2.21.12" in command
    assert "--record" not in command


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("linux_x86_64", "no container engine"),
        ("linux_*", "no container engine"),
        (host_target(), "container"),
    ],
)
def test_cells_run_in_containers_unless_the_user_says_otherwise(
    world: World, targets: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = str(world.policy(f'[require]\nclaims = ["*"]\ntargets = ["{targets}"]\n'))
    command = ["qualify", "--ddtrace", "2.21.12", "--policy", policy]
    assert main(command) == ExitCode.ENGINE_UNAVAILABLE
    err = capsys.readouterr().err
    assert message in err
    assert "--engine local" in err


def test_a_target_that_no_container_has_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(qualify_run, "host_target", lambda: "macosx_arm64")
    policy = str(world.policy('[require]\nclaims = ["*"]\ntargets = ["macosx_arm64"]\n'))
    command = ["qualify", "--ddtrace", "2.21.12", "--policy", policy]
    assert main(command) == ExitCode.ENGINE_UNAVAILABLE
    err = capsys.readouterr().err
    assert "no container runs cells for macosx_arm64" in err
    assert "--engine local" in err


def test_used_and_idle_waivers_are_reported(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    waiver = f"""
[[waiver]]
claims = ["{PAGE_CLAIM}"]
why = "known <since> May"
by = "Emma"
until = {TODAY.date() + dt.timedelta(days=3)}
"""
    assert world.qualify(policy=POLICY + waiver) == ExitCode.OK
    assert f"unused waiver, can be removed: {PAGE_CLAIM} (by Emma)" in capsys.readouterr().out
    assert world.qualify(policy=POLICY + waiver, recorded=refuted()) == ExitCode.DOES_NOT_QUALIFY
    out = capsys.readouterr().out
    assert "by Emma until" in out
    assert "known <since> May" in out
    assert "a release without any passed claim does not qualify" in out


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("nonsense", "is not a TOML file"),
        ('[require]\nclaims = ["*/sac"]\n', "matches no claim"),
        ('[require]\nclaims = ["*"]\ntargets = ["linux_x86-64"]\n', "did you mean"),
        (f'{POLICY}[[waiver]]\nclaims = ["{PAGE_CLAIM}"]\n{WAIVER}', "expired on 2020-01-01"),
    ],
)
def test_a_policy_that_does_not_fit_is_reported(
    world: World, policy: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.qualify(policy=policy) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_a_signed_release_is_checked_and_described(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.sign() == ExitCode.OK
    assert "signed by" not in capsys.readouterr().err
    assert world.check() == ExitCode.OK
    out, err = capsys.readouterr()
    assert "valid        ddtrace 2.21.12: PASSED" in out
    assert "vouches for  ddtrace-2.21.12-cp39-cp39-manylinux2014_x86_64.whl" in out
    assert "compared with nothing" in err
    assert world.check("--ddtrace", "2.21.12") == ExitCode.OK
    assert "compared with nothing" not in capsys.readouterr().err


def _other_artifact(world: World) -> list[str]:
    (world.folder / "other.whl").write_bytes(b"other")
    return ["--artifact", str(world.folder / "other.whl")]


def _other_page(world: World) -> list[str]:
    (world.folder / "page.md").write_bytes(b"another version")
    return ["--document", str(world.folder / "page.md")]


def _byte(world: World) -> list[str]:
    path = world.folder / "signoff" / "record.json"
    path.write_bytes(path.read_bytes().replace(b"as seen", b"as_seen", 1))
    return []


def _removed(world: World) -> list[str]:
    (world.folder / "signoff" / "expected.json").unlink()
    return []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda _: ["--ddtrace", "2.21.13"], "not for 2.21.13"),
        (lambda _: ["--at", f"{TODAY + dt.timedelta(days=15):%Y-%m-%d}"], "stale"),
        (_other_artifact, "does not vouch for other.whl"),
        (_other_page, "not about this version of the document page"),
        (_byte, "record.json is not the file that was signed"),
        (_removed, "cannot read expected.json"),
    ],
)
def test_the_first_problem_is_reported(
    world: World,
    spoil: Callable[[World], list[str]],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert world.sign() == ExitCode.OK
    assert world.check(*spoil(world)) == ExitCode.SIGN_OFF_REFUSED
    err = capsys.readouterr().err
    assert err.startswith("refused: ")
    assert message in err


def test_another_key_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert world.sign() == ExitCode.OK
    other = world.folder / "other.pem"
    main(["qualify", "--make-key", str(other)])
    signoff = str(world.folder / "signoff" / ENVELOPE)
    assert main(["check-signoff", signoff, "--key", f"{other}.pub"]) == ExitCode.SIGN_OFF_REFUSED
    assert "not by" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check-signoff", "x"], "no trusted signer"),
        (["check-signoff", "x", "--key", "k", "--identity", "i"], "--key excludes"),
        (["check-signoff", "x", "--key", "none.pub"], "cannot load public key none.pub"),
        (["qualify", "--out", "x"], "--out needs a signature"),
        (["qualify", "--key", "none.pem"], "no folder"),
        (["qualify", "--key", "none.pem", "--out", "x"], "cannot load private key none.pem"),
        (["qualify", "--policy", "none.toml"], "cannot read policy none.toml"),
    ],
)
def test_wrong_usage_is_reported(
    world: World, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.monkeypatch.chdir(world.folder)
    assert main(arguments) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_an_existing_folder_is_reported_before_the_run(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    (world.folder / "signoff").mkdir()
    (world.folder / "signoff" / "mine").write_bytes(b"")
    assert world.sign() == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert "exists already" in err
    assert "qualifies" not in out


def test_changed_files_are_refused_or_recorded(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.project(ProjectIdentity("c" * 40, ("matrix/x.py",), "d" * 64))
    assert world.sign() == ExitCode.USAGE
    assert "matrix/x.py" in capsys.readouterr().err
    assert world.sign("--allow-dirty") == ExitCode.OK
    capsys.readouterr()
    assert world.check() == ExitCode.OK
    assert "with 1 file changed" in capsys.readouterr().out


def test_a_project_that_changes_during_the_run_is_not_signed(world: World) -> None:
    identities = [ProjectIdentity("c" * 40, (), "d" * 64), ProjectIdentity("c" * 40, (), "e" * 64)]
    world.monkeypatch.setattr(qualify_command, "identify", lambda _: identities.pop(0))
    assert world.sign() == ExitCode.USAGE
    assert not (world.folder / "signoff").exists()


def test_the_statement_uses_standard_names(world: World) -> None:
    """The statement uses in-toto's own names, so that other tools can read it."""
    assert world.sign() == ExitCode.OK
    envelope = json.loads((world.folder / "signoff" / ENVELOPE).read_bytes())
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["predicate"]["result"] == "PASSED"
    assert statement["predicate"]["passedTests"] == [PAGE_CLAIM]
    digests = {one["name"]: one.get("digest") for one in statement["predicate"]["configuration"]}
    assert digests["project"] == {"gitCommit": "c" * 40}
    assert {"policy.toml", "expected.json", "record.json", "signoff.html"} <= digests.keys()
    assert any(name.startswith("document:") for name in digests)
    assert any(name.startswith(f"image:{LINUX}") for name in digests)


def test_the_page_is_escaped_and_self_contained(world: World) -> None:
    recorded = record(started=TODAY)
    odd = dataclasses.replace(recorded.claims[0], subject="<script>alert(1)</script>")
    assert (
        world.qualify(
            *("--key", str(world.key()), "--out", str(world.folder / "signoff")),
            recorded=dataclasses.replace(recorded, claims=(odd,)),
        )
        == ExitCode.OK
    )
    page = (world.folder / "signoff" / "signoff.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "ddtrace-2.21.12-cp39-cp39-manylinux2014_x86_64.whl" in page


KILLED = """
import os, sys
from pathlib import Path
from matrix.features.qualification.signoff import SignoffFiles, write_folder
calls = 0
sync = os.fsync
def dying(handle):
    global calls
    sync(handle)
    calls += 1
    if calls == int(sys.argv[1]):
        os._exit(9)
os.fsync = dying
write_folder(Path(sys.argv[2]), SignoffFiles(dict.fromkeys("abcd", b"content")), b"envelope")
"""


@pytest.mark.parametrize(("at", "code"), [(1, 9), (3, 9), (5, 9), (6, 0)])
def test_a_killed_writer_leaves_no_partial_sign_off(tmp_path: Path, at: int, code: int) -> None:
    folder = tmp_path / "signoff"
    command = (sys.executable, "-c", KILLED, str(at), str(folder))
    assert subprocess.run(command, cwd=project_root(), check=False).returncode == code
    assert folder.exists() is (code == 0)
    if code:
        # The leftovers do not prevent another attempt.
        write_folder(folder, SignoffFiles({"a": b"content"}), b"envelope")
    assert (folder / ENVELOPE).read_bytes() == b"envelope"


def test_concurrent_writers_leave_one_complete_sign_off(world: World) -> None:
    barrier, failed = threading.Barrier(2), []

    def write(name: bytes) -> None:
        barrier.wait()
        try:
            write_folder(
                world.folder / "both", SignoffFiles({"signoff.html": name * 100_000}), name
            )
        except UserError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    envelope = (world.folder / "both" / ENVELOPE).read_bytes()
    assert (world.folder / "both" / "signoff.html").read_bytes() == envelope * 100_000
    assert len(failed) == 1
    assert [path for path in world.folder.iterdir() if "half" in path.name] == []


def test_the_library_checks_a_sign_off_of_the_command(world: World) -> None:
    assert world.sign() == ExitCode.OK
    signed = Signed(world.folder / "signoff", world.key(), Path(f"{world.key()}.pub"))
    requirements = SignoffRequirements("2.21.12")
    checked = check(signed.folder / ENVELOPE, verifier(signed.public), requirements, TODAY)
    assert checked.statement.passed == (PAGE_CLAIM,)
