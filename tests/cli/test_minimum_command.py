"""The command `minimum`: options, exit codes, output; and one search with real cells."""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import jsonschema
import pytest
from helpers.minimum_fixture import Search, both, since
from helpers.planning_fixture import LINUX, page, world
from helpers.run_fakes import CHANNEL

from matrix.__main__ import main
from matrix.cli import minimum as minimum_command
from matrix.errors import ExitCode
from matrix.features.minimum.run import EmitSearch, MinimumOptions, SearchResult
from matrix.features.minimum.search_plan import SearchPlan
from matrix.model.index import Project
from matrix.planning.locations import Targets
from matrix.pypi.client import CachedIndex
from matrix.runs.backend import RunBackend
from matrix.system.paths import data_dir

Searches = list[tuple[SearchPlan, MinimumOptions]]


class SmallIndex(CachedIndex):
    """The small index, in place of the cached one."""

    def project(self, name: str) -> Project:
        return world().project(name)


@contextlib.contextmanager
def open_local(_engine: str, _globs: Sequence[str]) -> Iterator[RunBackend]:
    yield RunBackend(Targets("", (LINUX,)))


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Searches:
    """Search in the small index, where all releases work from 1.9.7 on; return the searches."""
    requested: Searches = []

    def search(
        plans: Sequence[SearchPlan],
        options: MinimumOptions,
        _emit: EmitSearch,
        _backend: RunBackend,
    ) -> tuple[SearchResult, ...]:
        requested.extend((plan, options) for plan in plans)
        return (Search(tmp_path / "results", since("1.9.7")).run(both()),)

    run = functools.partial(
        minimum_command.run,
        read_claims=page,
        open_index=SmallIndex,
        open_backend=open_local,
        search=search,
    )
    monkeypatch.setattr(minimum_command, "run", run)
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    return requested


def minimum(*arguments: str) -> int:
    try:
        return main(["minimum", *arguments, "--engine", "local"])
    except SystemExit as error:
        return int(error.code or 0)


def test_options_are_what_is_searched(searches: Searches) -> None:
    code = minimum(
        *("threat-detection", "--framework", "flask", "--python", "3.9", "--jobs", "3"),
        *("--since", "1.8.0", "--until", "2.0.0", "--exhaustive", "--fresh"),
    )
    assert code == ExitCode.REFUTED
    ((plan, options),) = searches
    assert (plan.framework, plan.python, plan.target) == ("flask 2.2.3", "3.9", LINUX)
    assert (next(iter(plan.cells)), list(plan.cells)[-1]) == ("1.8.0", "2.0.0")
    assert options == MinimumOptions(exhaustive=True, fresh=True, jobs=3)


def test_standard_output_is_json_only(
    searches: Searches, capsys: pytest.CaptureFixture[str]
) -> None:
    assert minimum("threat-detection", "--json", "-") == ExitCode.REFUTED
    out, err = capsys.readouterr()
    data = json.loads(out)
    jsonschema.validate(
        data, json.loads((data_dir() / "schemas" / "minimum.schema.json").read_text("utf-8"))
    )
    assert data["searches"][0]["channels"][0]["name"] == CHANNEL
    assert "later than documented" in err
    assert len(searches) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["threat-protecton"], ExitCode.USAGE, "did you mean 'threat-protection'"),
        (["sca", "--python", "three"], ExitCode.USAGE, "'three'"),
        (["sca", "--jobs", "0"], ExitCode.USAGE, "'0'"),
        (["sca", "--json", "none/there/a.json"], ExitCode.USAGE, "no folder"),
        (
            ["threat-detection", "--since", "9"],
            ExitCode.NOTHING_SELECTED,
            "no release of ddtrace can be tested",
        ),
    ],
)
def test_wrong_usage_is_an_error_before_anything_runs(
    searches: Searches,
    arguments: list[str],
    code: ExitCode,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert minimum(*arguments) == code
    assert message in capsys.readouterr().err
    assert searches == []


def test_help_has_examples_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert minimum("--help") == 0
    help_text = capsys.readouterr().out
    assert "python -m matrix minimum " in help_text.split("examples:")[1]
    text = help_text.split("exit codes:")[1]
    codes = [int(number) for number in re.findall(r"(?:^|\s{2,})(\d+) ", text, re.MULTILINE)]
    others = {
        ExitCode.DOES_NOT_QUALIFY,
        ExitCode.SIGN_OFF_REFUSED,
        ExitCode.INCOMPLETE,
        ExitCode.CLUSTER_UNAVAILABLE,
    }
    assert codes == sorted(set(ExitCode) - others)


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
