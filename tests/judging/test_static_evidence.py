"""What the index says, taken into verdicts: it refutes what nothing ran for, and else remarks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from helpers.audit_pages import PAGE, changed
from helpers.planning_fixture import planned, runtime, world
from hypothesis import given
from hypothesis import strategies as st

from matrix.__main__ import main
from matrix.features.audit.index import static_evidence
from matrix.judging.claims import judge, with_static
from matrix.judging.findings import FindingTable
from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.fact import text_facts
from matrix.model.plan import Plan, StaticEvidence
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, Tightness, Verdict
from matrix.pypi.cache import dump_project
from matrix.pypi.client import CachedIndex

ID = "page.md/runtime"
verdicts = st.builds(
    Verdict,
    claim=st.just(ID),
    outcome=st.sampled_from(Outcome),
    tightness=st.sampled_from([None, *Tightness]),
    reason=st.sampled_from([None, *Reason]),
    facts=st.text(min_size=1).map(text_facts),
    remarks=st.lists(st.text(min_size=1).map(lambda text: text_facts(text)[0]), max_size=2).map(
        tuple
    ),
)


@given(verdicts)
def test_without_evidence_nothing_changes(verdict: Verdict) -> None:
    assert with_static(verdict, None) is verdict


@given(verdicts, st.booleans())
def test_an_experiment_is_never_overruled_and_nothing_said_is_lost(
    verdict: Verdict, refutes: bool
) -> None:
    after = with_static(verdict, StaticEvidence(ID, refutes, "nothing there"))
    told = " ".join([evidence_text(after.facts), *map(remark_text, after.remarks)])
    assert "nothing there" in told
    assert set(verdict.remarks) <= set(after.remarks)
    if refutes and verdict.outcome is Outcome.UNVERIFIED:
        assert after.outcome is Outcome.REFUTED
        assert (after.reason, after.tightness) == (None, None)
    else:
        assert after.outcome is verdict.outcome
        assert evidence_text(after.facts) == evidence_text(verdict.facts)


def test_a_plan_with_static_evidence_is_judged_by_it() -> None:
    # No wheel of the small world is for CPython 2.7 from 2.0.0 on; its source distributions admit
    # every CPython, until they are told not to.
    claims = [runtime("==2.7.*", ">=2", os="windows"), runtime("==3.9.*", ">=2", os="windows")]
    index = world()
    project = index.projects["ddtrace"]
    index.projects["ddtrace"] = dataclasses.replace(
        project,
        releases=tuple(
            dataclasses.replace(
                one,
                files=tuple(
                    dataclasses.replace(file, requires_python=">=3.7") for file in one.files
                ),
            )
            for one in project.releases
        ),
    )
    plan: Plan = planned(claims)
    before = judge(plan, FindingTable())
    assert [one.outcome for one in before] == [Outcome.UNVERIFIED, Outcome.UNVERIFIED]
    told = dataclasses.replace(plan, static=tuple(static_evidence(claims, index).values()))
    after = judge(told, FindingTable())
    assert [one.outcome for one in after] == [Outcome.REFUTED, Outcome.UNVERIFIED]
    assert "CPython 2.7 on Windows 64 bit" in evidence_text(after[0].facts)


def test_verify_refutes_on_any_machine_what_no_artifact_can_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    index = world()
    tracer = index.projects["ddtrace"]
    index.projects["ddtrace"] = dataclasses.replace(
        tracer,
        releases=tuple(
            dataclasses.replace(one, files=tuple(file for file in one.files if file.tags))
            for one in tracer.releases
        ),
    )
    for name, project in index.projects.items():
        path = CachedIndex(tmp_path / "cache").path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dump_project(project), encoding="utf-8")
    page = tmp_path / "page.md"
    row = "| Windows | 64bit | CPython | 3.8-3.10 | `<2` |"
    page.write_text(changed((row, f"{row}\n| MacOS | Intel | CPython | 3.9 | `<2` |")), "utf-8")
    assert row in PAGE
    arguments = ["verify", str(page), "--offline", "--engine", "local", "--json", "-"]
    code = main([*arguments, "--claim", "*/runtime/*macos*"])
    told = capsys.readouterr()
    assert code == 1, told.err
    (verdict,) = json.loads(told.out)["verdicts"]
    assert verdict["outcome"] == "refuted"
    assert "CPython 3.9 on macOS Intel" in verdict["evidence"]
    assert "CPython 3.9 on macOS Intel" in told.err
