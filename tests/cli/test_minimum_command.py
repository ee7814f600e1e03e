"""The command minimum: options, exit codes, what goes where; and one search for real."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import pytest
from helpers.minimum_fixture import CHANNEL, Search, both, since
from helpers.planning_fixture import LINUX, page, world

from matrix.__main__ import main
from matrix.errors import ExitCode
from matrix.features.minimum.run import EmitSearch, MinimumOptions, SearchResult
from matrix.features.minimum.search_plan import SearchPlan
from matrix.planning.locations import Targets
from matrix.runs.backend import RunBackend
from matrix.system.paths import data_dir


@pytest.fixture
def asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[tuple[SearchPlan, MinimumOptions]]:
    """Let searches be made in a made-up world, where all works from 1.9.7 on."""
    seen: list[tuple[SearchPlan, MinimumOptions]] = []

    def seek_all(
        quests: Sequence[SearchPlan], options: MinimumOptions, _emit: EmitSearch, _runs: RunBackend
    ) -> tuple[SearchResult, ...]:
        seen.extend((quest, options) for quest in quests)
        return (Search(tmp_path / "results", since("1.9.7")).run(both()),)

    monkeypatch.setattr("matrix.features.minimum.run.search_minimums", seek_all)
    monkeypatch.setattr(
        "matrix.pypi.client.CachedIndex.project", lambda _, name: world().project(name)
    )
    monkeypatch.setattr("matrix.documents.facts.load_facts", page)
    monkeypatch.setattr("matrix.runs.backend.local_targets", lambda _: Targets("", (LINUX,)))
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    return seen


def minimum(*arguments: str) -> int:
    try:
        return main(["minimum", *arguments, "--engine", "local"])
    except SystemExit as error:
        return int(error.code or 0)


def test_options_are_what_is_searched(asked: list[tuple[SearchPlan, MinimumOptions]]) -> None:
    code = minimum(
        *("threat-detection", "--framework", "flask", "--python", "3.9", "--jobs", "3"),
        *("--since", "1.8.0", "--until", "2.0.0", "--exhaustive", "--fresh"),
    )
    assert code == ExitCode.REFUTED
    ((quest, options),) = asked
    assert (quest.framework, quest.python, quest.target) == ("flask 2.2.3", "3.9", LINUX)
    assert (next(iter(quest.cells)), list(quest.cells)[-1]) == ("1.8.0", "2.0.0")
    assert options == MinimumOptions(exhaustive=True, fresh=True, jobs=3)


def test_standard_output_is_json_only(
    asked: list[tuple[SearchPlan, MinimumOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert minimum("threat-detection", "--json", "-") == ExitCode.REFUTED
    out, err = capsys.readouterr()
    data = json.loads(out)
    jsonschema.validate(
        data, json.loads((data_dir() / "schemas" / "minimum.schema.json").read_text("utf-8"))
    )
    assert data["searches"][0]["channels"][0]["name"] == CHANNEL
    assert "later than documented" in err
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("wrong", "code", "says"),
    [
        (["threat-protecton"], ExitCode.USAGE, "did you mean 'threat-protection'"),
        (["sca", "--python", "three"], ExitCode.USAGE, "'three'"),
        (["sca", "--jobs", "0"], ExitCode.USAGE, "'0'"),
        (["sca", "--json", "none/there/a.json"], ExitCode.USAGE, "no folder"),
        (
            ["threat-detection", "--since", "9"],
            ExitCode.NOTHING_SELECTED,
            "no release of ddtrace can be asked",
        ),
    ],
)
def test_wrong_usage_is_an_error_before_anything_runs(
    asked: list[tuple[SearchPlan, MinimumOptions]],
    wrong: list[str],
    code: ExitCode,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert minimum(*wrong) == code
    assert says in capsys.readouterr().err
    assert asked == []


def test_help_has_examples_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert minimum("--help") == 0
    said = capsys.readouterr().out
    assert "python -m matrix minimum " in said.split("examples:")[1]
    codes = said.split("exit codes:")[1]
    told = [int(number) for number in re.findall(r"(?:^|\s{2,})(\d+) ", codes, re.MULTILINE)]
    others = {
        ExitCode.DOES_NOT_QUALIFY,
        ExitCode.SIGN_OFF_REFUSED,
        ExitCode.INCOMPLETE,
        ExitCode.CLUSTER_UNAVAILABLE,
    }
    assert told == sorted(set(ExitCode) - others)


@pytest.mark.cells
def test_a_search_for_real_and_again_from_the_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path / "results"))
    arguments = ("threat-protection", "--framework", "flask", "--python", "3.9")
    # On the one side of it the documented minimum, 1.10.0; on the other what is before.
    ends = ("--since", "1.9.7", "--until", "1.10.1", "--json", str(tmp_path / "a.json"))
    assert minimum(*arguments, *ends) == ExitCode.OK
    first = json.loads((tmp_path / "a.json").read_text("utf-8"))["searches"][0]
    observed = {each["name"]: each["observed"] for each in first["channels"]}
    # 1.9.7 is a later upload than 1.10.0; addresses could be blocked from 1.9.0 on.
    assert observed == {"static": "1.10.0", "remote-config": "1.9.7"}
    assert not any(each["reused"] for each in first["cells"])
    capsys.readouterr()
    assert minimum(*arguments, *ends) == ExitCode.OK
    again = json.loads((tmp_path / "a.json").read_text("utf-8"))["searches"][0]
    assert all(each["reused"] for each in again["cells"])
    assert again["channels"] == first["channels"]
