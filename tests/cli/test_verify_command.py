"""The commands verify and reproduce: options, exit codes, what goes where."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers.run_fakes import (
    CONTROL,
    MINIMUM,
    PROBE,
    SNAPSHOT,
    FakeEnvironments,
    Says,
    finding,
    plan,
    planned,
)

from matrix.__main__ import main
from matrix.cli import reproduce as reproduce_command
from matrix.cli import verify as verify_command
from matrix.errors import ExitCode
from matrix.features.reproduce.run import SingleRun
from matrix.features.reproduce.script import ManualSteps
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment, Requirements
from matrix.model.plan import Plan
from matrix.model.probe import Channel, Probe, RemoteConfig, Stimulus
from matrix.model.reason import Reason
from matrix.model.verdict import Observed
from matrix.runs.backend import RunBackend
from matrix.runs.events import Emit, RunFinished, RunStarted
from matrix.runs.record import Record
from matrix.runs.setup import RunOptions
from matrix.system.paths import data_dir


@pytest.fixture
def planned_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Plan], None]:
    def set_plan(of: Plan) -> None:
        for command in (verify_command, reproduce_command):
            monkeypatch.setattr(command, "plan_from_args", lambda *_: of)

    return set_plan


@pytest.fixture
def ran_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[RunOptions]:
    """Let `verify` find that the minimum lacks what the control has, without running anything."""
    calls: list[RunOptions] = []

    def verify(of: Plan, options: RunOptions, emit: Emit, _runs: RunBackend) -> Record:
        calls.append(options)
        emit(RunStarted(of, options.jobs))
        emit(RunFinished(interrupted=False))
        known = FindingTable(
            [finding(MINIMUM, Observed.ABSENT), finding(CONTROL, Observed.PRESENT)]
        )
        return Record.of(of, (), judge(of, known), SNAPSHOT, 1.0)

    monkeypatch.setattr(verify_command, "verify", verify)
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    return calls


def test_a_refuted_claim_is_exit_code_1_and_standard_output_is_json_only(
    planned_as: Callable[[Plan], None],
    ran_with: list[RunOptions],
    capsys: pytest.CaptureFixture[str],
) -> None:
    planned_as(plan())
    assert main(["verify", "--json", "-", "--jobs", "3", "--keep"]) == ExitCode.REFUTED
    out, err = capsys.readouterr()
    assert json.loads(out)["run"]["outcomes"]["refuted"] == 1
    assert "refuted" in err
    assert ran_with == [RunOptions(jobs=3, keep=True)]


def test_environments_are_resolved_anew_where_that_is_asked_for(
    planned_as: Callable[[Plan], None], ran_with: list[RunOptions]
) -> None:
    planned_as(plan())
    main(["verify", "--resolve", "--jobs", "1"])
    assert ran_with == [RunOptions(jobs=1, anew=True)]


def test_no_claims_is_nothing_selected(
    planned_as: Callable[[Plan], None], capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = Plan("documented", SNAPSHOT, (), (), (), (), ())
    planned_as(nothing)
    assert main(["verify"]) == ExitCode.NOTHING_SELECTED
    assert "hint:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--fresh", "--rejudge"],
        ["--resolve", "--rejudge"],
        ["--resolve", "--offline"],
        ["--resolve", "--cluster", "tcp://127.0.0.1:9"],
        ["--jobs", "0"],
        ["--jobs", "many"],
    ],
)
def test_wrong_options_are_usage_errors(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["verify", *wrong])
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == ExitCode.USAGE
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize("command", ["verify", "reproduce"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"python -m matrix {command} " in capsys.readouterr().out.split("examples:")[1]


def test_help_names_every_exit_code_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    codes = capsys.readouterr().out.split("exit codes:")[1]
    # A code stands at the start of a line, or after a gap.
    listed = [int(number) for number in re.findall(r"(?:^|\s{2,})(\d+) ", codes, re.MULTILINE)]
    others = {ExitCode.DOES_NOT_QUALIFY, ExitCode.SIGN_OFF_REFUSED, ExitCode.INCOMPLETE}
    assert listed == sorted(set(ExitCode) - others)


def test_a_picture_is_written_where_it_is_told(
    planned_as: Callable[[Plan], None], ran_with: list[RunOptions], tmp_path: Path
) -> None:
    planned_as(plan())
    assert main(["verify", "--picture", str(tmp_path / "a.svg")]) == ExitCode.REFUTED
    assert ran_with
    assert "refuted" in (tmp_path / "a.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", ["--json", "--picture"])
def test_a_folder_that_is_not_there_is_told_before_the_run(
    planned_as: Callable[[Plan], None],
    ran_with: list[RunOptions],
    tmp_path: Path,
    option: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planned_as(plan())
    assert main(["verify", option, str(tmp_path / "none" / "a")]) == ExitCode.USAGE
    assert ran_with == []
    assert "none" in capsys.readouterr().err


def reproduced(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    """Return the JSON of `reproduce`, which is what its schema says."""
    assert main(["reproduce", MINIMUM, "--json", "-", *options]) == ExitCode.OK
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    schema = json.loads((data_dir() / "schemas" / "reproduce.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    validator.validate(data)
    assert set(schema["$defs"]["reason"]["enum"]) == {None, *(reason.value for reason in Reason)}
    for key in data:
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({name: value for name, value in data.items() if name != key})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**data, "commands": [], "findings": []})
    return data


def test_the_commands_as_json_are_what_the_schema_says(
    planned_as: Callable[[Plan], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planned_as(plan())
    lines = ["uv venv", "# terminal 1"]
    monkeypatch.setattr(reproduce_command, "manual_commands", lambda *_, **__: iter(lines))
    data = reproduced(capsys)
    assert data["cell"] == MINIMUM
    assert data["as_of"] == "2024-05-01"
    assert data["probes"] == [PROBE]
    assert data["commands"] == lines
    assert data["findings"] is None


@pytest.mark.parametrize("failed", [None, Reason.CRASHED])
def test_what_a_cell_showed_as_json_is_what_the_schema_says(
    planned_as: Callable[[Plan], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    failed: Reason | None,
) -> None:
    planned_as(plan())
    capture = CellCapture(MINIMUM, "", None, (), (), "", 2.5, failed=failed, detail="as it is")
    shown = SingleRun(capture, (finding(MINIMUM, failed or Observed.PRESENT),), tmp_path)
    monkeypatch.setattr(reproduce_command, "run_alone", lambda *_, **__: shown)
    data = reproduced(capsys, "--run", "--keep")
    assert data["commands"] is None
    (found,) = data["findings"]
    assert found["shows"] == ("unknown" if failed else "present")
    assert data["reason"] == (failed.value if failed else None)
    assert (data["detail"], data["seconds"], data["kept"]) == ("as it is", 2.5, str(tmp_path))


def test_an_unknown_cell_is_answered_with_the_nearest(
    planned_as: Callable[[Plan], None], capsys: pytest.CaptureFixture[str]
) -> None:
    planned_as(plan())
    assert main(["reproduce", MINIMUM.replace("1.9.0", "1.9.1")]) == ExitCode.NOTHING_SELECTED
    assert f"did you mean {MINIMUM!r}" in capsys.readouterr().err
    assert main(["reproduce", "what?"]) == ExitCode.NOTHING_SELECTED


ATTACK = Stimulus(
    "attack",
    Says("blocked"),
    "/{shop}/search?q=$HOME`x`",
    method="POST",
    headers=(("User-Agent", "it's me"),),
    body='{"number": {number}}',
    follow_up="/{shop}/orders",
)
CONFIG = RemoteConfig("ASM", "rules", {"rules": ["it's"]})
BY_HAND = Probe(
    PROBE,
    "Threat detection",
    (
        Channel("static", "appsec", (ATTACK,)),
        Channel("remote-config", "appsec", (ATTACK,), control="appsec", configs=(CONFIG,)),
    ),
)


def by_hand(folder: Path) -> ManualSteps:
    return ManualSteps(
        planned=planned(MINIMUM),
        probes=[BY_HAND],
        settings={"appsec": {"DD_APPSEC_ENABLED": "true", "DD_ODD": "it's odd"}, "off": {}},
        folder=folder,
        project=Path("/project"),
        python=Path(sys.executable),
    )


def environment(python: str) -> Environment:
    interpreter = FakeEnvironments()._make(planned(MINIMUM.replace("cp39", f"cp{python}")))
    return Environment(
        Path("x"), "key", ("ddtrace==1.9.0 --hash=sha256:00",), interpreter.interpreter
    )


def test_by_hand_the_environment_comes_from_the_lock_with_hashes(tmp_path: Path) -> None:
    hand = by_hand(tmp_path)
    assert hand.files(environment("39"))["lock.txt"] == "ddtrace==1.9.0 --hash=sha256:00\n"
    new = "\n".join(hand.environment_commands(environment("39").interpreter))
    old = "\n".join(hand.environment_commands(environment("27").interpreter))
    assert "uv pip install" in new
    assert "uv pip" not in old
    assert "virtualenv<20.22" in old
    for text in (new, old):
        assert "--require-hashes -r lock.txt" in text


def test_by_hand_an_environment_without_a_lock_is_resolved_as_of_its_date(tmp_path: Path) -> None:
    requirements = Requirements(("ddtrace==1.9.0",), ("wrapt<2",), planned(MINIMUM).as_of)
    text = "\n".join(
        by_hand(tmp_path).unlocked_commands(environment("39").interpreter, requirements)
    )
    assert "--exclude-newer 2024-05-01 --only-binary ddtrace ddtrace==1.9.0 'wrapt<2'" in text


def test_by_hand_every_command_is_what_the_shell_reads(tmp_path: Path) -> None:
    lines = list(by_hand(tmp_path).session_commands("appsec"))
    script = "\n".join(lines).replace("PORT=...", "PORT=1")
    subprocess.run(["bash", "-n", "-c", script], check=True)  # noqa: S607
    printed = [
        line.replace("curl", "printf '%s\\n'", 1) for line in lines if line.startswith("curl")
    ]
    ran = subprocess.run(
        ["bash", "-c", "PORT=1\n" + "\n".join(printed)],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "User-Agent: it's me\n" in ran
    assert "/search?q=$HOME`x`\n" in ran
    assert '{"number": ' in ran
    assert "  DD_ODD='it'\"'\"'s odd' \\" in lines


def test_by_hand_shows_what_must_show_and_what_must_not(tmp_path: Path) -> None:
    on = "\n".join(by_hand(tmp_path).session_commands("appsec"))
    off = "\n".join(by_hand(tmp_path).session_commands("off"))
    assert "channel static: must show" in on
    assert "channel remote-config, switched off: must NOT show" in on
    assert on.index("must NOT show") < on.index("is pushed (terminal 1): must show")
    assert "channel static, switched off: must NOT show" in off
    assert ": must show" not in off
    shops = [word for word in shlex.split(on.replace("#", "")) if "/s0000" in word]
    assert len(set(shops)) == len(shops)


def test_by_hand_the_agent_is_a_program_that_knows_the_configuration(tmp_path: Path) -> None:
    source = by_hand(tmp_path).files(None)["agent.py"]
    compile(source, "agent.py", "exec")
    assert "threat-detection/remote-config" in source
    assert "lock.txt" not in by_hand(tmp_path).files(None)
