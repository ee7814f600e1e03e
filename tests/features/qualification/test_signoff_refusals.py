"""What the holder of the key could sign by mistake, or a stranger could add, is refused."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.signoff_fixture import Signed, expected_artifact, record, restate_digest, tamper
from securesystemslib.dsse import Envelope

from matrix.__main__ import main
from matrix.errors import ExitCode, UnreadableInputError, UsageError
from matrix.features.qualification.signatures import (
    check_key_file,
    load_public_key,
    load_signer,
    make_key,
)
from matrix.features.qualification.signing_process import start_signer
from matrix.features.qualification.signoff import (
    ENVELOPE,
    EXPECTED,
    RECORD,
    SignoffFiles,
    check_folder,
    write_folder,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="a FIFO")


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    key = tmp_path / "key.pem"
    signoff = Signed(tmp_path / "signoff", key, make_key(key))
    signoff.sign(record(), expected_artifact())
    return signoff


def about(statement: dict[str, Any]) -> dict[str, Any]:
    return dict[str, Any](statement["predicate"]["configuration"][0]["annotations"])


def with_about(**changes: str) -> Callable[[dict[str, Any]], None]:
    def change(statement: dict[str, Any]) -> None:
        statement["predicate"]["configuration"][0]["annotations"] = {**about(statement), **changes}

    return change


def sign_too(signed: Signed, key: Path, *, first: bool = False) -> None:
    """Add the signature of another key to the envelope."""
    path = signed.folder / ENVELOPE
    envelope = Envelope.from_dict(json.loads(path.read_bytes()))
    envelope.sign(load_signer(key))
    data = envelope.to_dict()
    if first:
        data["signatures"].reverse()
    path.write_bytes(json.dumps(data, indent=2).encode() + b"\n")


@pytest.mark.parametrize("first", [False, True])
def test_a_second_signature_is_refused(signed: Signed, tmp_path: Path, *, first: bool) -> None:
    make_key(tmp_path / "stranger.pem")
    sign_too(signed, tmp_path / "stranger.pem", first=first)
    assert "it has 2 signatures, not one" in signed.refused()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"finished": "2026-11-21T12:00:01+00:00"}, "the run ended at 2026-11-21"),
        ({"project": "compat-matrix " + "d" * 40}, "project"),
        ({"project": "compat-matrix " + "c" * 40 + ", with 2 files changed"}, "project"),
        ({"project": "another tool"}, "project"),
        ({"ddtrace": "2.21.12.0"}, "the release"),
    ],
)
def test_what_a_statement_says_about_itself_is_compared(
    signed: Signed, changes: dict[str, str], words: str
) -> None:
    tamper(signed, with_about(**changes))
    assert words in signed.refused()


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["subject"].append(s["subject"][0]),
        lambda s: s["subject"][0].update(uri="pkg:pypi/other@1"),
        lambda s: s["subject"][0].update(annotations={"approved": True}),
        lambda s: s["predicate"].update(url="https://ci.example/1"),
        lambda s: s["predicate"]["passedTests"].append(s["predicate"]["passedTests"][0]),
        lambda s: s["predicate"]["configuration"].reverse(),
        lambda s: s["predicate"]["configuration"].append(s["predicate"]["configuration"][-1]),
        lambda s: s["predicate"]["configuration"][1].update(mediaType="text/plain"),
        lambda s: s["predicate"].update(extension=1),
        lambda s: s.update(extension=1),
    ],
)
def test_a_statement_that_the_files_do_not_make_is_refused(
    signed: Signed, change: Callable[[dict[str, Any]], object]
) -> None:
    tamper(signed, change)
    signed.refused()


@pytest.mark.parametrize("name", [EXPECTED, RECORD])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"line": 3', b'"line": 1e400'),
        (b'"line": 3', b'"line": NaN'),
        (b'"line": 3', b'"line": 3, "line": 3'),
        (b'"line": 3', b'"line": 3.0'),
        (b'{"', b'\xef\xbb\xbf{"'),
    ],
)
def test_files_that_two_readers_may_read_differently_are_refused(
    signed: Signed, name: str, old: bytes, new: bytes
) -> None:
    path = signed.folder / name
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    restate_digest(signed, name)
    assert name in signed.refused()


@pytest.mark.parametrize("version", ["2.21.12", "2.21.12.0", "v2.21.12", "2.21.12.0.0"])
def test_equal_versions_are_the_same_release(signed: Signed, version: str) -> None:
    signed.check(ddtrace=version)


@pytest.mark.parametrize("version", ["2.21.1", "2.21.12.1", "2.21.12rc1", "2.21.12+local", "x"])
def test_other_versions_are_another_release(signed: Signed, version: str) -> None:
    assert f"not for {version}" in signed.refused(ddtrace=version)


@pytest.fixture(params=["fifo", "device", "huge", "folder", "long"])
def no_key(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "no-key.pem"
    if request.param == "fifo" and sys.platform != "win32":
        os.mkfifo(path)
    elif request.param == "device":
        path = Path(os.devnull)
    elif request.param == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif request.param == "folder":
        path.mkdir()
    else:
        path = tmp_path / ("k" * 300)
    return path


@posix
@pytest.mark.timeout(20)
def test_what_is_no_file_of_a_key_is_refused_at_once(
    no_key: Path, signed: Signed, capsys: pytest.CaptureFixture[str]
) -> None:
    for load in (load_signer, load_public_key, check_key_file):
        with pytest.raises(UnreadableInputError, match="cannot load"):
            load(no_key)
    check = ["check-signoff", str(signed.folder), "--key", str(no_key)]
    assert main(check) == ExitCode.USAGE
    sign = ["qualify", "--ddtrace", "1", "--key", str(no_key), "--out", str(signed.folder / "new")]
    assert main(sign) == ExitCode.USAGE
    assert capsys.readouterr().err.count("cannot load") == 2


@posix
@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", [ENVELOPE, RECORD, EXPECTED])
def test_a_fifo_in_place_of_a_file_is_refused(signed: Signed, name: str) -> None:
    (signed.folder / name).unlink()
    if sys.platform != "win32":
        os.mkfifo(signed.folder / name)
    assert f"cannot read {name}: it is not a regular file" in signed.refused()


@pytest.mark.parametrize("name", ["n" * 300, "x" * 300 + "/signoff.dsse.json"])
def test_a_name_that_no_file_can_have_is_wrong_usage(
    signed: Signed, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["check-signoff", name, "--key", str(signed.public)]
    assert main(command) == ExitCode.USAGE
    assert name[:300] in capsys.readouterr().err
    with pytest.raises(UsageError):
        check_folder(signed.folder / name)


def test_a_folder_with_the_longest_name_is_written(tmp_path: Path) -> None:
    folder = tmp_path / ("f" * 255)
    check_folder(folder)
    write_folder(folder, SignoffFiles({RECORD: b"{}"}), b"envelope")
    assert (folder / ENVELOPE).read_bytes() == b"envelope"


def test_a_process_of_its_own_reads_the_key(
    signed: Signed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither what a caller set for Python, nor a module of that name, leads it.
    (tmp_path / "packaging.py").write_text("raise SystemExit(7)", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    statement = signed.statement()
    with start_signer(Path(signed.key.name)) as signer:
        envelope = signer.sign(statement)
    key = load_public_key(signed.public)
    assert signer.by == f"the key {key.keyid}"
    assert envelope == (signed.folder / ENVELOPE).read_bytes()
    assert not any(path.endswith(signed.key.name) for path in opened)


def test_a_key_that_cannot_be_used_is_reported_by_its_reader(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(b"no key")
    check_key_file(tmp_path / "key.pem")
    with (
        pytest.raises(UnreadableInputError, match="it is not a private key") as caught,
        start_signer(tmp_path / "key.pem"),
    ):
        pass
    assert "results are kept" in caught.value.hint


def test_nothing_but_a_statement_is_signed(
    signed: Signed, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        start_signer(signed.key) as signer,
        pytest.raises(UnreadableInputError, match="has failed"),
    ):
        signer.sign(b'{"a":1}')
    assert "PRIVATE" not in "".join(capfd.readouterr())
