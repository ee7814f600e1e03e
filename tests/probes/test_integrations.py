"""Integrations: the declarations of modules, and the probes built from them."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import re
import subprocess
from pathlib import Path

import pytest
from helpers.library_modules import PAPER_MODULE, PATCH_FUNCTION
from helpers.observation_builders import observed, span
from helpers.planning_fixture import LINUX
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.environments.requirements import requirements_for
from matrix.errors import UsageError
from matrix.interpreters.discovery import find_interpreters
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.probes.declarations import DeclarationError, parse
from matrix.probes.integrations import (
    distribution_name,
    find_integration,
    load_integrations,
    module_path,
)
from matrix.probes.registry import build_probe
from matrix.probes.settings import load_settings
from matrix.system.paths import apps_dir

MODULES = sorted((apps_dir() / "libraries").glob("*.py"))


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(DeclarationError) as caught:
        parse("paper", text)
    return caught.value.problems


def test_a_module_says_what_its_experiment_is() -> None:
    found = parse("paper", PAPER_MODULE + 'PYTHON = [["<2", "<3.10"]]\nALSO = [["<2", "ink<3"]]\n')
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
        "paper", PAPER_MODULE + 'ALSO = [["<2", "ink<3"], ["", "glue; python_version < \'3\'"]]\n'
    )
    assert found.companions("1.0", "2.7", era=False) == ("glue",)
    assert found.companions("1.0", "3.9", era=False) == ()


def test_a_span_may_have_a_trace_of_its_own() -> None:
    own = PAPER_MODULE.replace('"component"', '"trace": "own", "component"')
    assert "own=True" in repr(build_probe(parse("paper", own)).channels[0].stimuli[0].evidence)
    assert "own=False" in repr(
        build_probe(parse("paper", PAPER_MODULE)).channels[0].stimuli[0].evidence
    )
    assert "trace" in "; ".join(problems(own.replace('"own"', '"other"')))


def test_what_several_lines_say_of_one_companion_is_one_requirement() -> None:
    found = parse(
        "paper", PAPER_MODULE + 'ALSO = [["", "ink"], ["<2", "Ink<3"], ["<1.5", "ink!=2"]]\n'
    )
    assert found.companions("1.0", "3.9") == ("ink!=2,<3",)
    assert found.companions("1.7", "3.9") == ("ink<3",)
    assert found.companions("2.0", "3.9") == ("ink",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (PAPER_MODULE.replace("SERVICE", "SERVIC"), "did you mean 'SERVICE'"),
        (PAPER_MODULE.replace("SERVICE", "SERVIC"), "missing SERVICE"),
        (PAPER_MODULE.replace('"component"', '"componnt"'), "did you mean 'component'"),
        (PAPER_MODULE.replace("def call", "def cal"), "did you mean 'call'"),
        (PAPER_MODULE.replace("def call", "def cal"), "missing function call"),
        (PAPER_MODULE + "LOG = 'dd.trace_id'\n", "exactly one of SPAN and LOG"),
        (PAPER_MODULE + "ERROR_SPAN = {}\n", "requires the function fail"),
        (PAPER_MODULE + "PYTHON = 'three'\n", "PYTHON"),
        (PAPER_MODULE + "ALSO = ['ink']\n", "expected a pair"),
        (PAPER_MODULE + "ALSO = [['', 'ink of all colours']]\n", "ALSO"),
        (
            PAPER_MODULE.replace('"paper"\nINT', "len('paper')\nINT"),
            "DISTRIBUTION: expected a string",
        ),
        (
            PAPER_MODULE.replace('"paper"\nINT', "[['<2', 'old paper']]\nINT"),
            "DISTRIBUTION: 'old paper' is not the name of a distribution",
        ),
        (
            PAPER_MODULE.replace('"paper"\nINT', "[['two', 'paper']]\nINT"),
            "DISTRIBUTION: Invalid specifier",
        ),
        (PAPER_MODULE + "SYNONYMS = ['sheet']\n", "SYNONYMS: expected a pair of strings"),
        (PAPER_MODULE + "SYNONYMS = [['Sheet', 'paper']]\n", "is not the name of a row"),
        (PAPER_MODULE + "SERVICE = 'redis'\n", "duplicate name SERVICE"),
        ("def call(:", "invalid Python"),
    ],
)
def test_what_is_wrong_is_said_with_what_may_have_been_meant(text: str, problem: str) -> None:
    assert problem in "; ".join(problems(text))


def test_all_problems_of_all_modules_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "ink.py").write_text("SPAN = 3\n")
    (tmp_path / "paper.py").write_text(PAPER_MODULE)
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
    [
        "DISTRIBUTION",
        "SYNONYMS",
        "INTEGRATION",
        "SERVICE",
        "SPAN",
        "ERROR_SPAN",
        "LOG",
        "PYTHON",
        "ALSO",
    ]
)


@settings(max_examples=50)
@given(st.dictionaries(NAMES, VALUES))
def test_whatever_literals_a_module_has_it_is_read_or_its_problems_are_told(
    values: dict[str, object],
) -> None:
    text = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    try:
        found = parse("paper", f"{text}\n\ndef call(context):\n    pass\n")
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
    helpers = {"carrier", "clusters", "dbapi", "libraries", "loops", "pages"}
    small = {"__future__", "contextlib", "json", "os", "re", "sys", "threading"}
    assert named - helpers <= small


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
    explicit = parse("paper", PAPER_MODULE + PATCH_FUNCTION)
    channels = {channel.name: channel for channel in build_probe(explicit).channels}
    assert {name: channel.setting for name, channel in channels.items()} == {
        "automatic": "off",
        "explicit": "explicit",
    }
    assert {channel.control for channel in channels.values()} == {"untraced"}
    assert [channel.name for channel in build_probe(parse("paper", PAPER_MODULE)).channels] == [
        "automatic"
    ]
    failing = (
        PAPER_MODULE + "ERROR_SPAN = {'name': 'paper.print'}\n\n\ndef fail(context):\n    pass\n"
    )
    both = build_probe(parse("paper", failing)).channels
    assert [(channel.name, channel.stimuli[0].plain) for channel in both] == [
        ("automatic", 200),
        ("automatic-error", 500),
    ]


def test_a_library_that_needs_a_switch_of_the_tracer_has_its_settings() -> None:
    switched = parse("paper", PAPER_MODULE + "SETTING = 'data-streams'\n" + PATCH_FUNCTION)
    assert [channel.setting for channel in build_probe(switched).channels] == [
        "data-streams",
        "explicit-data-streams",
    ]


def test_each_setting_of_a_library_exists() -> None:
    settings = load_settings()
    for integration in load_integrations().values():
        for channel in build_probe(integration).channels:
            assert settings.get(channel.setting).traced


def test_of_several_spans_all_are_due() -> None:
    text = PAPER_MODULE.replace("SPAN = ", "SPAN = [{'name': 'paper.cut'}, ").replace(
        '"A*"}}', '"A*"}}]'
    )
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
    assert "empty" in problems(re.sub(r"SPAN = .*", "SPAN = []", PAPER_MODULE))[0]


def test_a_probe_names_the_back_end_of_its_library() -> None:
    served = parse("paper", PAPER_MODULE.replace('SERVICE = ""', 'SERVICE = "redis"'))
    assert build_probe(served).services == ("redis",)
    assert build_probe(parse("paper", PAPER_MODULE)).services == ()


def test_what_a_cell_is_of_has_the_name_of_the_index() -> None:
    assert distribution_name("flask", "2.0") == "flask"
    assert distribution_name("httplib", "3.9") == ""
    assert distribution_name("mysql-python", "1.2.5") == "mysql-python"
    assert distribution_name("psycopg", "2.9.5") == "psycopg2"
    assert distribution_name("psycopg", "3.0.18") == "psycopg"
    assert distribution_name("elasticsearch7", "7.17.9") == "elasticsearch7"
    assert find_integration("flask") is None
    assert find_integration("requests") is not None


def test_a_distribution_with_cells_of_its_own_runs_the_module_of_its_library() -> None:
    found = find_integration("elasticsearch7")
    assert found is not None
    assert found.distribution("7.17.9") == "elasticsearch7"
    assert module_path("elasticsearch7") == module_path("elasticsearch")
    assert build_probe(found).frameworks == ("elasticsearch7",)
    assert find_integration("psycopg2") is None  # its releases are some of psycopg's


def test_a_synonym_is_no_other_library_s_name(tmp_path: Path) -> None:
    (tmp_path / "paper.py").write_text(PAPER_MODULE + "SYNONYMS = [['ink', 'paper']]\n")
    (tmp_path / "ink.py").write_text(PAPER_MODULE)
    with pytest.raises(UsageError, match="paper: SYNONYMS: 'ink' is the name of another library"):
        load_integrations(tmp_path)


def test_a_library_s_cell_holds_the_library_and_no_sample_app() -> None:
    def requirements(framework: str, version: str, python: str) -> tuple[str, ...]:
        cell = Cell(python, LINUX, framework, version, "2.21.12")
        found = requirements_for(PlannedCell(cell, dt.date(2024, 1, 1), ()))
        return (*found.pins, *found.also)

    assert requirements("requests", "2.8.0", "3.9") == ("ddtrace==2.21.12", "requests==2.8.0")
    assert requirements("psycopg", "2.9.5", "3.9") == ("ddtrace==2.21.12", "psycopg2==2.9.5")
    assert "psycopg==3.0.18" in requirements("psycopg", "3.0.18", "3.9")
    assert "elasticsearch7==7.17.9" in requirements("elasticsearch7", "7.17.9", "3.9")
    assert requirements("httplib", "3.9", "3.9") == ("ddtrace==2.21.12",)
    assert requirements("futures", "2.7", "2.7") == ("ddtrace==2.21.12", "futures")
    assert "cheroot" in requirements("flask", "2.0.3", "3.9")


def test_a_data_store_says_what_its_span_tells_of_the_query() -> None:
    stated = PAPER_MODULE + (
        "STATEMENT = {'resource': 'print [?]', 'tags': {'paper.ink': 'b*'}, 'without': 'Emma'}\n"
    )
    channels = {channel.name: channel for channel in build_probe(parse("paper", stated)).channels}
    assert list(channels) == ["automatic", "automatic-query", "automatic-timing"]
    evidence = channels["automatic-query"].stimuli[0].evidence
    good = {"paper.size": "A4", "paper.ink": "blue"}
    printed = span(
        name="paper.print", resource="print ?", span_id=2, parent_id=1, meta=good, start=1
    )
    assert evidence.match(observed(span(), printed)).holds
    for changes in ({"resource": "print Emma"}, {"meta": {"paper.size": "A4"}}):
        assert not evidence.match(observed(span(), dataclasses.replace(printed, **changes))).holds
    timed = channels["automatic-timing"].stimuli[0]
    assert (timed.path, timed.plain) == ("/{shop}/call", 200)
    waits = build_probe(parse("paper", stated + "\n\ndef wait(context):\n    pass\n")).channels[-1]
    assert [stimulus.path for stimulus in waits.stimuli] == ["/{shop}/wait"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("STATEMENT = 'SELECT'", "expected a dict"),
        ("STATEMENT = {'withot': 'Emma'}", "did you mean 'without'"),
        ("STATEMENT = {'tags': 'Emma'}", "tags: expected a dict"),
    ],
)
def test_a_wrong_statement_is_a_problem(line: str, problem: str) -> None:
    assert problem in "; ".join(problems(f"{PAPER_MODULE}{line}\n"))
