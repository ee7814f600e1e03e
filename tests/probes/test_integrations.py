"""Integration rows: what modules declare, the probes made of it, and what is planned for a row."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import re
import subprocess
from pathlib import Path

import pytest
from helpers.observation_builders import observed, span
from helpers.planning_fixture import LINUX, FakeIndex, claim, runtime, world
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.environments.requirements import requirements_for
from matrix.errors import UsageError
from matrix.interpreters.discovery import find_interpreters
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind
from matrix.model.index import File, Project, ReleaseFiles
from matrix.model.plan import Plan, PlannedCell
from matrix.model.reason import Reason
from matrix.planning.coverage import load_coverage
from matrix.planning.planner import make_plan
from matrix.probes.declaration import DeclarationError, parse
from matrix.probes.integration_probes import build_probe
from matrix.probes.integrations import distribution_name, find_integration, load_integrations
from matrix.pypi.tags import wheel_tags
from matrix.system.data_files import read_data
from matrix.system.paths import apps_dir

MODULES = sorted((apps_dir() / "libraries").glob("*.py"))
GOOD = """
DISTRIBUTION = "paper"
INTEGRATION = "paper"
SERVICE = ""
SPAN = {"name": "paper.print", "component": "paper", "tags": {"paper.size": "A*"}}


def call(place):
    pass
"""
PATCH = "\n\ndef patch():\n    pass\n"


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(DeclarationError) as caught:
        parse("paper", text)
    return caught.value.problems


def test_a_module_says_what_its_experiment_is() -> None:
    found = parse("paper", GOOD + 'PYTHON = [["<2", "<3.10"]]\nALSO = [["<2", "ink<3"]]\n')
    (span,) = found.spans
    assert span.names == ("paper.print",)
    assert span.tags == (("paper.size", "A*"),)
    assert not found.explicit
    assert str(found.named_pythons("1.9")) == "<3.10"
    assert found.named_pythons("2.0") is None
    assert found.companions("1.9", "3.9") == ("ink<3",)
    assert found.companions("2.0", "3.9") == ()


def test_companions_of_an_era_are_left_out_of_an_install_of_today() -> None:
    found = parse(
        "paper", GOOD + 'ALSO = [["<2", "ink<3"], ["", "glue; python_version < \'3\'"]]\n'
    )
    assert found.companions("1.0", "2.7", era=False) == ("glue",)
    assert found.companions("1.0", "3.9", era=False) == ()


def test_a_span_may_have_a_trace_of_its_own() -> None:
    own = GOOD.replace('"component"', '"trace": "own", "component"')
    assert "own=True" in repr(build_probe(parse("paper", own)).channels[0].stimuli[0].evidence)
    assert "own=False" in repr(build_probe(parse("paper", GOOD)).channels[0].stimuli[0].evidence)
    assert "trace" in "; ".join(problems(own.replace('"own"', '"other"')))


def test_what_several_lines_say_of_one_companion_is_one_requirement() -> None:
    found = parse("paper", GOOD + 'ALSO = [["", "ink"], ["<2", "Ink<3"], ["<1.5", "ink!=2"]]\n')
    assert found.companions("1.0", "3.9") == ("ink!=2,<3",)
    assert found.companions("1.7", "3.9") == ("ink<3",)
    assert found.companions("2.0", "3.9") == ("ink",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD.replace("SERVICE", "SERVIC"), "did you mean 'SERVICE'"),
        (GOOD.replace("SERVICE", "SERVIC"), "missing SERVICE"),
        (GOOD.replace('"component"', '"componnt"'), "did you mean 'component'"),
        (GOOD.replace("def call", "def cal"), "did you mean 'call'"),
        (GOOD.replace("def call", "def cal"), "missing function call"),
        (GOOD + "LOG = 'dd.trace_id'\n", "exactly one of SPAN and LOG"),
        (GOOD + "ERROR_SPAN = {}\n", "require each other"),
        (GOOD + "PYTHON = 'three'\n", "PYTHON"),
        (GOOD + "ALSO = ['ink']\n", "expected a pair"),
        (GOOD + "ALSO = [['', 'ink of all colours']]\n", "ALSO"),
        (GOOD.replace('"paper"\nINT', "len('paper')\nINT"), "DISTRIBUTION: expected a string"),
        (GOOD + "SERVICE = 'redis'\n", "duplicate name SERVICE"),
        ("def call(:", "invalid Python"),
    ],
)
def test_what_is_wrong_is_said_with_what_may_have_been_meant(text: str, problem: str) -> None:
    assert problem in "; ".join(problems(text))


def test_all_problems_of_all_modules_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "ink.py").write_text("SPAN = 3\n")
    (tmp_path / "paper.py").write_text(GOOD)
    (tmp_path / "glue_stick.py").write_text("LOG = ''\n")
    with pytest.raises(UsageError) as caught:
        load_integrations(tmp_path)
    expected = ("ink:1: SPAN: expected a dict", "ink:1: missing function", "glue-stick:1: LOG")
    for problem in expected:
        assert problem in caught.value.message
    assert "paper" not in caught.value.message


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["DISTRIBUTION", "INTEGRATION", "SERVICE", "SPAN", "ERROR_SPAN", "LOG", "PYTHON", "ALSO"]
)


@settings(max_examples=50)
@given(st.dictionaries(NAMES, VALUES))
def test_whatever_literals_a_module_has_it_is_read_or_its_problems_are_told(
    values: dict[str, object],
) -> None:
    text = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    try:
        found = parse("paper", f"{text}\n\ndef call(place):\n    pass\n")
    except DeclarationError as error:
        assert error.problems  # noqa: PT017 - either is right
    else:
        assert (not found.spans) == bool(found.log)
        assert build_probe(found).channels


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_module_of_a_library_s_name_does_not_import_itself(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert path.stem == "__init__" or any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and node.names[0].name == "absolute_import"
        for node in imports
    )
    top = [node for node in imports if node in tree.body]
    named = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in top
        for alias in node.names
    }
    # `patch` comes before the library: nothing at the top may bring it in.
    assert named <= {"__future__", "carrier", "dbapi", "json", "loops", "os", "threading"}


def runs_on(path: Path, python: str) -> bool:
    """Return whether the module may run on a CPython, whatever the library's release."""
    pythons = load_integrations()[path.stem.replace("_", "-")].pythons
    return not any(str(versions) == "" and python not in named for versions, named in pythons)


@pytest.mark.parametrize("python", [found.python for found in find_interpreters()])
def test_every_module_is_read_by_every_cpython_that_it_is_for(python: str) -> None:
    interpreter = next(found for found in find_interpreters() if found.python == python)
    read = [path for path in MODULES if path.stem == "__init__" or runs_on(path, python)]
    source = "import sys\nfor path in sys.argv[1:]: compile(open(path).read(), path, 'exec')"
    command = [str(interpreter.executable), "-c", source, *map(str, read)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert len(read) > 1


def test_a_probe_has_a_channel_for_each_way_to_be_traced() -> None:
    explicit = parse("paper", GOOD + PATCH)
    channels = {channel.name: channel for channel in build_probe(explicit).channels}
    assert {name: channel.setting for name, channel in channels.items()} == {
        "automatic": "off",
        "explicit": "explicit",
    }
    assert {channel.control for channel in channels.values()} == {"untraced"}
    assert [channel.name for channel in build_probe(parse("paper", GOOD)).channels] == ["automatic"]
    failing = GOOD + "ERROR_SPAN = {'name': 'paper.print'}\n\n\ndef fail(place):\n    pass\n"
    both = build_probe(parse("paper", failing)).channels
    assert [(channel.name, channel.stimuli[0].plain) for channel in both] == [
        ("automatic", 200),
        ("automatic-error", 500),
    ]


def test_of_several_spans_all_are_due() -> None:
    text = GOOD.replace("SPAN = ", "SPAN = [{'name': 'paper.cut'}, ").replace('"A*"}}', '"A*"}}]')
    found = parse("paper", text)
    assert [span.names for span in found.spans] == [("paper.cut",), ("paper.print",)]
    (channel,) = build_probe(found).channels
    printed = span(name="paper.print", span_id=2, parent_id=1, meta={"paper.size": "A4"})
    cut = span(name="paper.cut", span_id=3, parent_id=1)
    evidence = channel.stimuli[0].evidence
    assert evidence.match(observed(span(), printed, cut)).holds
    missing = evidence.match(observed(span(), printed))
    assert not missing.holds
    assert missing.text == "no span paper.cut below the request's, only paper.print"
    assert "empty" in problems(re.sub(r"SPAN = .*", "SPAN = []", GOOD))[0]


def test_a_probe_names_the_back_end_of_its_library() -> None:
    served = parse("paper", GOOD.replace('SERVICE = ""', 'SERVICE = "redis"'))
    assert build_probe(served).services == ("redis",)
    assert build_probe(parse("paper", GOOD)).services == ()


def test_what_a_cell_is_of_has_the_name_of_the_index() -> None:
    assert distribution_name("flask") == "flask"
    assert distribution_name("httplib") == ""
    assert find_integration("flask") is None
    assert find_integration("requests") is not None


def test_a_library_s_cell_holds_the_library_and_no_sample_app() -> None:
    def requirements(framework: str, version: str, python: str) -> tuple[str, ...]:
        cell = Cell(python, LINUX, framework, version, "2.21.12")
        found = requirements_for(PlannedCell(cell, dt.date(2024, 1, 1), ()))
        return (*found.pins, *found.also)

    assert requirements("requests", "2.8.0", "3.9") == ("ddtrace==2.21.12", "requests==2.8.0")
    assert requirements("httplib", "3.9", "3.9") == ("ddtrace==2.21.12",)
    assert requirements("futures", "2.7", "2.7") == ("ddtrace==2.21.12", "futures")
    assert "cheroot" in requirements("flask", "2.0.3", "3.9")


# From here on: what is planned for a row, in a world of its own.

PAPER = {
    "1.0": ("2015-01-01", "", "paper-1.0.tar.gz"),
    "1.5": ("2017-01-01", "", "paper-1.5-py2.py3-none-any.whl"),
    "2.0": ("2020-01-01", ">=3.6", "paper-2.0-py3-none-any.whl"),
    "2.4": ("2022-01-01", ">=3.8", "paper-2.4-py3-none-any.whl"),
    "3.0": ("2024-08-01", ">=3.8", "paper-3.0-py3-none-any.whl"),
}
BRANCHES = [
    claim(ClaimKind.BRANCH, "ddtrace", ">=1.0,<2"),
    claim(ClaimKind.BRANCH, "ddtrace", ">=2.0,<3"),
    *(runtime(f"=={python}.*") for python in ("2.7", "3.6", "3.9", "3.11")),
    runtime(">=3.7", ">=2"),
]


def row(specifier: str = ">=1.0", **scope: str) -> Claim:
    made = claim(ClaimKind.INTEGRATION, "paper", specifier)
    return dataclasses.replace(made, scope=tuple({"automatic": "yes", **scope}.items()))


def index() -> FakeIndex:
    found = world()
    releases = []
    for version, (day, requires, name) in PAPER.items():
        moment = dt.datetime.fromisoformat(day).replace(tzinfo=dt.timezone.utc)
        file = File(name, "https://a.example/", "0", moment, requires, False, wheel_tags(name))
        releases.append(ReleaseFiles(version, moment, False, requires, (file,)))
    found.projects["paper"] = Project("paper", dt.datetime.now(dt.timezone.utc), tuple(releases))
    return found


def planned(text: str, *rows: Claim, given: FakeIndex | None = None) -> Plan:
    coverage = load_coverage(read_data("coverage"), {"paper": parse("paper", text)})
    claims = [*BRANCHES, *rows]
    plan = make_plan(claims, given or index(), targets=(LINUX,), coverage=coverage)
    ids = {row.id for row in rows}
    return dataclasses.replace(
        plan,
        parts=tuple(part for part in plan.parts if part.claim in ids),
        left_out=tuple(item for item in plan.omissions if item.claim in ids),
    )


def cells(plan: Plan) -> set[tuple[str, str, str]]:
    found = (Cell.parse(part.minimum) for part in plan.parts)
    return {(cell.python, cell.framework_version, cell.ddtrace) for cell in found}


def test_a_row_is_asked_at_both_ends_of_library_runtime_and_branch() -> None:
    assert cells(planned(GOOD, row())) == {
        ("2.7", "1.0", "1.20.19"),
        ("3.11", "1.0", "1.20.19"),
        ("2.7", "1.5", "1.20.19"),  # 2.x is not for 2.7
        ("3.11", "2.4", "1.20.19"),  # 3.0 came after that release of the tracer
        ("3.7", "1.0", "2.21.12"),
        ("3.12", "1.0", "2.21.12"),
        ("3.7", "2.0", "2.21.12"),
        ("3.12", "3.0", "2.21.12"),
    }


def test_an_upper_bound_of_the_row_holds() -> None:
    plan = planned(GOOD, row(">=1.0,<=2.0"))
    assert {version for _, version, _ in cells(plan)} == {"1.0", "1.5", "2.0"}


def test_a_release_is_compared_with_others_of_its_library_and_then_of_the_tracer() -> None:
    plan = planned(GOOD, row())
    part = next(
        part for part in plan.parts if part.minimum.startswith("cp311-") and "1.0-" in part.minimum
    )
    compared = [Cell.parse(cell) for cell in part.controls]
    assert part.controls[0] == part.minimum
    assert [(cell.framework_version, cell.ddtrace) for cell in compared[1:]] == [
        ("2.4", "1.20.19"),
        ("1.5", "1.20.19"),
        ("1.0", "2.21.12"),
    ]
    assert {cell.python for cell in compared} == {"3.11"}
    # They are in reserve: of this row both ends are all that is run.
    assert {planned.cell.id for planned in plan.cells} >= {part.minimum for part in plan.parts}
    assert not {planned.cell.id for planned in plan.cells} & {part.controls[-1]}


def test_a_row_that_is_not_automatic_is_asked_for_and_must_show_nothing_unasked() -> None:
    plan = planned(GOOD + PATCH, row(automatic="no"))
    ways = {(part.channel, part.expects_absent, part.control_channel) for part in plan.parts}
    assert ways == {("explicit", False, ""), ("automatic", True, "explicit")}
    for part in plan.parts:
        assert part.controls[0] == part.minimum or not part.expects_absent


def test_a_row_that_is_not_automatic_needs_a_call_to_ask_by() -> None:
    plan = planned(GOOD, row(automatic="no"))
    assert not plan.parts
    assert {item.reason for item in plan.omissions} == {Reason.NO_PROBE}


def test_a_row_that_is_automatic_on_some_cpythons_is_asked_on_those() -> None:
    plan = planned(GOOD, row(automatic_python=">3.7"))
    # The ends of two branches, and 3.10 for the major between.
    assert {python for python, _, _ in cells(plan)} == {"3.9", "3.10", "3.11", "3.8", "3.12"}
    assert {item.reason for item in plan.omissions} == {
        Reason.OUTSIDE_CLAIM,
        Reason.BETWEEN_BOUNDARIES,
    }


def test_a_minimum_that_no_cpython_runs_is_named_with_the_lowest_that_one_does() -> None:
    plan = planned(GOOD + 'PYTHON = [["<1.5", "<2.7"]]\n', row())
    gaps = {item.what: item for item in plan.omissions if item.reason is Reason.NO_RUNTIME}
    assert set(gaps) == {"paper 1.0 with ddtrace 1.20.19", "paper 1.0 with ddtrace 2.21.12"}
    assert all("is 1.5" in item.detail for item in gaps.values())
    assert "1.0" not in {version for _, version, _ in cells(plan)}


def test_a_minimum_that_one_branch_of_the_tracer_can_run_is_no_gap() -> None:
    plan = planned(GOOD + 'PYTHON = [["<1.5", "<3"]]\n', row())
    assert ("2.7", "1.0", "1.20.19") in cells(plan)
    assert ("3.7", "1.5", "2.21.12") in cells(plan)
    assert Reason.NO_RUNTIME not in {item.reason for item in plan.omissions}


def test_a_minimum_that_runs_only_where_the_row_means_nothing_is_a_gap() -> None:
    text = GOOD + 'PYTHON = [["<1.5", "<3"]]\n'
    plan = planned(text, row(automatic_python=">3"))
    assert "1.0" not in {version for _, version, _ in cells(plan)}
    gaps = {item.what for item in plan.omissions if item.reason is Reason.NO_RUNTIME}
    assert "paper 1.0 with ddtrace 1.20.19" in gaps


def test_the_standard_library_has_the_version_of_its_interpreter() -> None:
    text = GOOD.replace('DISTRIBUTION = "paper"', 'DISTRIBUTION = ""') + 'PYTHON = ">=3.5"\n'
    given = index()
    plan = planned(text, row(""), given=given)
    assert cells(plan) == {
        ("3.6", "3.6", "1.20.19"),
        ("3.11", "3.11", "1.20.19"),
        ("3.7", "3.7", "2.21.12"),
        ("3.12", "3.12", "2.21.12"),
    }
    assert "paper" not in given.asked


def test_a_role_has_a_module_of_its_own_where_there_is_one() -> None:
    coverage = load_coverage(
        read_data("coverage"),
        {"paper": parse("paper", GOOD), "paper-server": parse("paper-server", GOOD)},
    )
    roles = [coverage.rule(row(role=role)) for role in ("client", "server")]
    assert [getattr(rule, "library", "") for rule in roles] == ["paper", "paper-server"]


def test_a_project_that_the_index_does_not_tell_of_leaves_the_other_rows_alone() -> None:
    given = index()
    del given.projects["paper"]
    plan = planned(GOOD, row(), given=given)
    assert {item.reason for item in plan.omissions} == {Reason.INDEX_UNAVAILABLE}


def test_a_database_with_a_row_of_its_own_is_asked_by_that_library() -> None:
    data = dict(read_data("coverage"))
    entry = {**data["note"]["db-api"], "drivers": {"mysql": "paper", "mariadb": "paper"}}
    data["note"] = {**data["note"], "db-api": entry}
    coverage = load_coverage(data, {"paper": parse("paper", GOOD)})
    named = claim(ClaimKind.NOTE, "db-api", note="sqlite, mysql, mariadb, oracle")
    least = claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0")
    plan = make_plan([*BRANCHES, least, named], index(), targets=(LINUX,), coverage=coverage)
    parts = [part for part in plan.parts if part.claim == named.id]
    assert {(part.probe, part.channel) for part in parts} == {
        ("db-api", "query"),
        ("db-api", "error"),
        ("integration-paper", "automatic"),
    }
    # At the documented minimum of the tracer, as for the sample app; and the library's newest.
    assert {Cell.parse(part.minimum).ddtrace for part in parts} == {"1.9.0"}
    of_paper = [Cell.parse(part.minimum) for part in parts if part.probe == "integration-paper"]
    assert {(cell.python, cell.framework_version) for cell in of_paper} == {
        ("2.7", "1.5"),
        ("3.11", "2.4"),
    }
    missing = [item.what for item in plan.omissions if item.reason is Reason.NO_BACK_END]
    assert missing == ["db-api with oracle"]


def test_the_sample_apps_keep_their_own_experiments() -> None:
    for subject in ("django", "flask", "sqlite3"):
        rule = load_coverage().rule(claim(ClaimKind.INTEGRATION, subject, automatic="yes"))
        assert not isinstance(rule, Reason)
        assert not rule.library
