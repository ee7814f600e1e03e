"""Findings inside wheels: their kinds, and the wheels that have them as ranges."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers.audit_pages import PAGE
from helpers.wheel_files import elf, mach_o, pe, serving, wheel

from matrix.__main__ import main
from matrix.errors import IndexUnavailableError
from matrix.features.audit.findings import FindingKind
from matrix.features.audit.wheel_imports import standard_library
from matrix.features.audit.wheel_platforms import (
    boundary_releases,
    parse_platform,
    parse_python,
    select_wheels,
)
from matrix.features.audit.wheels import WheelChecker, WheelReport
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import File, Project, ReleaseFiles
from matrix.pypi.cache import dump_project
from matrix.pypi.client import CachedIndex
from matrix.pypi.inspect import inspect_wheel
from matrix.pypi.releases import Releases
from matrix.pypi.remote_file import BadArtifactError
from matrix.pypi.wheel_batches import WheelInspection
from matrix.system.paths import data_dir

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
LINUX, MUSL = "cp39-cp39-manylinux2014_x86_64", "cp39-cp39-musllinux_1_1_x86_64"
I686, WINDOWS, MAC = (
    "cp39-cp39-manylinux2014_i686",
    "cp39-cp39-win32",
    "cp39-cp39-macosx_11_0_universal2",
)
WAF = "ddtrace/appsec/_ddwaf/ddwaf_types.py"
LIB = "ddtrace/appsec/_ddwaf/libddwaf/{}/lib/libddwaf.{}"
START = {"ddtrace/__init__.py": ""}


def project(name: str, *files: tuple[str, str]) -> Project:
    """Return a project with these files, each a version and a wheel's tags ("" for a source)."""
    versions = dict.fromkeys(version for version, _ in files)
    return Project(
        name,
        NOW,
        tuple(
            ReleaseFiles(
                version,
                NOW,
                False,
                "",
                tuple(
                    File(
                        f"{name}-{version}-{tags}.whl" if tags else f"{name}-{version}.tar.gz",
                        *("", "", NOW, "", False, tags),
                    )
                    for file_version, tags in files
                    if file_version == version
                ),
            )
            for version in versions
        ),
    )


class _FakeIndex:
    """An index with the projects of a test."""

    def __init__(self, *projects: Project) -> None:
        self._projects = {project.name: project for project in projects}

    def project(self, name: str) -> Project:
        if name not in self._projects:
            raise IndexUnavailableError(f"no project {name}")
        return self._projects[name]


def audit(
    *wheels: tuple[str, str, Mapping[str, Any]],
    requires: tuple[str, ...] = (),
    index: tuple[Project, ...] = (),
) -> WheelReport:
    """Return the report for wheels: version, tags and members of each."""
    ddtrace = project("ddtrace", *((version, tags) for version, tags, _ in wheels))
    metadata = "Name: ddtrace\n" + "".join(f"Requires-Dist: {line}\n" for line in requires)
    contents = tuple(
        inspect_wheel(f"ddtrace-{version}-{tags}.whl", "", io.BytesIO(wheel(members, metadata)))
        for version, tags, members in wheels
    )
    checker = WheelChecker(ddtrace, _FakeIndex(*index))
    for wheel_contents in contents:
        checker.add(WheelInspection((wheel_contents,)))
    return checker.result()


def rows(report: WheelReport) -> list[tuple[str, str]]:
    return [(row.kind.value, row.subject) for row in report.rows]


def test_a_wheel_with_all_it_needs_has_no_finding() -> None:
    members = {**START, WAF: "import os", LIB.format("x86_64", "so"): elf("x86_64", ("libc.so.6",))}
    assert audit(("1.0", LINUX, members)).findings == ()


def test_a_missing_library_is_a_finding_of_each_capability_that_needs_it() -> None:
    report = audit(("1.0", I686, {**START, WAF: "import os"}))
    assert ("library-missing", "capability/threat-detection") in rows(report)
    assert ("library-missing", "capability/api-security") in rows(report)
    assert ("library-missing", "capability/sca") not in rows(report)
    assert report.findings[0].contradicts
    assert "has no libddwaf for i686" in report.findings[0].says
    assert report.findings[0].places[0].document == f"ddtrace-1.0-{I686}.whl!{WAF}"


def test_a_library_for_another_machine_in_its_place_is_foreign() -> None:
    members = {**START, WAF: "import os", LIB.format("x86_64", "so"): elf("x86_64")}
    report = audit(("1.0", I686, members))
    assert ("library-foreign", "library/" + LIB.format("x86_64", "so")) in rows(report)
    assert ("library-missing", "capability/iast") not in rows(report)
    assert ("library-missing", "capability/threat-protection") in rows(report)
    assert any("there are elf for x86_64" in row.says for row in report.rows)


def test_a_library_for_another_machine_beside_the_right_one_is_needless() -> None:
    members = {
        **START,
        WAF: "import os",
        LIB.format("x86_64", "so"): elf("x86_64"),
        LIB.format("arm64", "dylib"): mach_o("aarch64"),
    }
    report = audit(("1.0", LINUX, members))
    assert rows(report) == [("library-needless", "library/" + LIB.format("arm64", "dylib"))]
    assert not report.findings[0].contradicts


def test_a_universal_wheel_must_support_both_machines() -> None:
    both = {"x86_64": mach_o("x86_64"), "arm64": mach_o("aarch64")}
    members = {LIB.format(name, "dylib"): content for name, content in both.items()}
    whole = {**START, WAF: "", **members, "ddtrace/_x.so": mach_o("x86_64", "aarch64")}
    assert audit(("1.0", MAC, whole)).findings == ()
    half = {**START, WAF: "", LIB.format("x86_64", "dylib"): both["x86_64"]}
    report = audit(("1.0", MAC, half))
    assert ("library-foreign", "library/" + LIB.format("x86_64", "dylib")) in rows(report)
    assert any("has no libddwaf for aarch64" in row.says for row in report.rows)


def test_the_library_beside_a_loader_that_is_not_used_does_not_count() -> None:
    old = LIB.format("win32", "dll").replace("_ddwaf", "ddwaf")
    report = audit(("1.0", WINDOWS, {**START, WAF: "", old: pe("i686")}))
    assert ("library-missing", "capability/threat-detection") in rows(report)


@pytest.mark.parametrize(
    ("tags", "needed", "kind"),
    [
        (MUSL, ("libc.so.6", "ld-linux-x86-64.so.2"), "library-foreign-libc"),
        (MUSL, ("libc.so.6",), "library-built-for-glibc"),
        (MUSL, ("libc.musl-x86_64.so.1", "libstdc++-a93.so.6.0.28"), None),
        (LINUX, ("libc.musl-x86_64.so.1",), "library-foreign-libc"),
        (LINUX, ("libc.so.6", "ld-linux-x86-64.so.2"), None),
    ],
)
def test_libraries_of_another_c_library(
    tags: str, needed: tuple[str, ...], kind: str | None
) -> None:
    report = audit(("1.0", tags, {**START, "ddtrace/_x.so": elf("x86_64", needed)}))
    assert rows(report) == ([(kind, "library/ddtrace/_x.so")] if kind else [])


def test_a_module_that_is_not_in_the_package() -> None:
    preload = "import os\nif os.getenv('X'):\n    from ddtrace.appsec._iast._utils import f\n"
    report = audit(("1.0", LINUX, {**START, "ddtrace/bootstrap/preload.py": preload}))
    assert rows(report) == [("module-missing-later", "module/ddtrace.appsec")]
    says = "ddtrace.bootstrap.preload imports ddtrace.appsec under a condition, which is not in"
    assert says in report.findings[0].says
    assert report.findings[0].places[0].line == 3


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("from ddtrace import gone", "module-missing"),
        ("import ddtrace.gone", "module-missing"),
        ("from . import gone", "module-missing"),
        ("def f():\n  from . import gone", "module-missing-later"),
        ("try:\n  from . import gone\nexcept ImportError:\n  pass", None),
        ("from . import __version__, _native, a", None),
        ("from ._native.sub import x", None),
        ("a = 1\nfrom ddtrace import a", None),
    ],
)
def test_imports_of_missing_modules(source: str, kind: str | None) -> None:
    members = {
        "ddtrace/__init__.py": source,
        "ddtrace/a.py": "",
        "ddtrace/_native.cpython-39-x86_64-linux-gnu.so": elf(),
    }
    assert [row_kind for row_kind, _ in rows(audit(("1.0", LINUX, members)))] == (
        [kind] if kind else []
    )


def test_imports_of_optional_features_are_of_the_later_kind() -> None:
    members = {**START, "ddtrace/appsec/_iast/__init__.py": "from . import _native\nimport wrapt"}
    assert rows(audit(("1.0", WINDOWS, members))) == [
        ("library-missing", "capability/iast"),
        ("module-missing-later", "module/ddtrace.appsec._iast._native"),
        ("import-undeclared", "module/wrapt"),
    ]


def test_an_undeclared_import_has_its_chain_of_imports() -> None:
    members = {
        "ddtrace/__init__.py": "from ddtrace import a",
        "ddtrace/a.py": "import b_distribution, wrapt, attr, json",
        "ddtrace/contrib/__init__.py": "",
        "ddtrace/contrib/django.py": "import django",
        "ddtrace/lonely.py": "import numpy",
    }
    report = audit(("1.0", LINUX, members), requires=("attrs", "b-distribution"))
    assert rows(report) == [("import-undeclared", "module/wrapt")]
    assert "ddtrace > ddtrace.a imports wrapt" in report.findings[0].says


def test_a_requirement_of_another_python_provides_nothing() -> None:
    members = {"ddtrace/__init__.py": "import typing, enum, attr"}
    requires = ('attrs; python_version >= "3"',)
    assert rows(audit(("1.0", LINUX, members), requires=requires)) == []
    old = audit(("1.0", LINUX.replace("cp39", "cp27"), members), requires=requires)
    assert sorted(subject for _, subject in rows(old)) == [
        "module/attr",
        "module/enum",
        "module/typing",
    ]


def test_python_2_imports_siblings_first() -> None:
    members = {"ddtrace/__init__.py": "import helper", "ddtrace/helper.py": ""}
    assert rows(audit(("1.0", LINUX.replace("cp39", "cp27"), members))) == []
    assert rows(audit(("1.0", LINUX, members))) == [("import-undeclared", "module/helper")]


def test_requirements_that_nothing_fulfils() -> None:
    index = (
        project("there", ("1.0", ""), ("2.0", "cp38-cp38-win32")),
        project("typed", ("1.0", "py3-none-any")),
    )
    requires = (
        "there==1.0",
        "there>=3",
        'typed; sys_platform == "linux"',
        "there==2.0",
        "silent",
        "a b c",
    )
    report = audit(("1.0", LINUX, START), requires=requires, index=index)
    assert rows(report) == [
        ("requirement-unmet", "requirement/there"),
        ("requirement-unreadable", "requirement/a b c"),
    ]
    says = {place.says for finding in report.findings for place in finding.places}
    assert any("the index has no such release" in text for text in says)
    assert report.notes == ("no project silent",)


def test_a_problem_of_all_wheels_of_a_release() -> None:
    good = {**START}
    bad = {"ddtrace/__init__.py": "from ddtrace import gone"}
    report = audit(
        ("1.0", LINUX, good), ("1.0", I686, good), ("1.1", LINUX, bad), ("1.1", I686, bad)
    )
    assert report.findings[0].says.endswith("(all wheels: 1.1)")


def test_ranges_are_over_the_releases_that_have_such_wheels() -> None:
    good = {**START}
    bad = {"ddtrace/__init__.py": "from ddtrace import gone"}
    cp310 = LINUX.replace("cp39", "cp310")
    report = audit(
        *(("1.0", LINUX, good), ("1.1", LINUX, bad), ("1.1", I686, good)),
        *(("1.2", LINUX, bad), ("1.2", cp310, bad), ("1.2", I686, good)),
    )
    assert [str(where) for where in report.rows[0].where] == [
        "linux_x86_64 cp39: 1.1 to 1.2",
        "linux_x86_64 cp310: 1.2",
    ]


def test_a_refused_wheel_is_a_finding_and_the_rest_stays() -> None:
    ddtrace = project("ddtrace", ("1.0", LINUX))
    error = BadArtifactError("ddtrace-1.0.whl", "it is encrypted")
    checker = WheelChecker(ddtrace, _FakeIndex())
    checker.add(WheelInspection((), (error,), ("b.whl",)))
    report = checker.result()
    assert [finding.kind for finding in report.findings] == [FindingKind.ARTIFACT_REFUSED]
    assert report.left == ("b.whl",)


def test_the_report_is_plain_json() -> None:
    report = audit(("1.0", I686, {**START, WAF: ""}))
    assert json.loads(json.dumps(report.to_json()))["rows"][0]["kind"] == "library-missing"


@pytest.mark.parametrize(
    ("tags", "python", "text", "machines"),
    [
        (
            "cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64",
            "3.9",
            "linux_x86_64",
            ("x86_64",),
        ),
        ("cp310-cp310-musllinux_1_2_aarch64", "3.10", "linux_aarch64 musl", ("aarch64",)),
        ("cp312-abi3-macosx_12_0_universal2", "3.12", "macosx_universal2", ("x86_64", "aarch64")),
        ("cp312-cp312-macosx_12_0_arm64", "3.12", "macosx_arm64", ("aarch64",)),
        ("cp27-cp27m-win32", "2.7", "win32", ("i686",)),
        ("cp311-cp311-win_arm64", "3.11", "win_arm64", ("aarch64",)),
    ],
)
def test_tags(tags: str, python: str, text: str, machines: tuple[str, ...]) -> None:
    platform = parse_platform(tags)
    assert platform is not None
    assert (parse_python(tags), platform.text, platform.machines) == (python, text, machines)


def test_a_pure_wheel_has_no_platform() -> None:
    assert parse_platform("py2.py3-none-any") is None
    assert parse_python("py3-none-any") == ""


@pytest.mark.parametrize(
    ("python", "present", "absent"),
    [
        ("2.7", "ConfigParser", "typing"),
        ("3.5", "typing", "secrets"),
        ("3.11", "tomllib", "binhex"),
        ("3.12", "telnetlib", "distutils"),
        ("3.14", "annotationlib", "telnetlib"),
    ],
)
def test_the_standard_library_of_each_python(python: str, present: str, absent: str) -> None:
    assert present in standard_library(python)
    assert absent not in standard_library(python)


def test_the_oldest_and_the_newest_python_of_each_platform_stand_for_all() -> None:
    minors = ("2.7", "3.9", "3.10", "3.11")
    tags = [
        f"cp{minor.replace('.', '')}-cp{minor.replace('.', '')}-{system}"
        for minor in minors
        for system in ("win32", "manylinux2014_x86_64")
    ]
    ddtrace = project("ddtrace", *(("1.0", tag) for tag in (*tags, MUSL, "")))
    ends = {file.tags for file in select_wheels(ddtrace, ("1.0",))}
    assert ends == {tag for tag in tags if tag.startswith(("cp27", "cp311"))} | {MUSL}
    assert {file.tags for file in select_wheels(ddtrace, ("1.0",), every=True)} == {*tags, MUSL}


def test_the_command_inspects_cached_wheels_and_lists_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path))
    name = f"ddtrace-1.9.0-{I686}.whl"
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    with serving() as files:
        monkeypatch.setenv("UV_DEFAULT_INDEX", files.url)
        content = wheel({**START, WAF: "import os"}, "Name: ddtrace\n")
        file = files.add(name, content)
        other = dataclasses.replace(file, filename=name.replace("cp39", "cp310"), sha256="1" * 64)
        release = ReleaseFiles("1.9.0", NOW, False, "", (file, other))
        index = CachedIndex(tmp_path).path("ddtrace")
        index.parent.mkdir(parents=True)
        fresh = dt.datetime.now(tz=dt.timezone.utc)
        index.write_text(dump_project(Project("ddtrace", fresh, (release,))), encoding="utf-8")
        command = ["audit", "--part", "artifacts", "--json", "-", str(page)]
        assert main(command) == 1
        first = json.loads(capsys.readouterr().out)
        files.ranges.clear()
        assert main([*command, "--offline"]) == 1
        second = json.loads(capsys.readouterr().out)
        assert not files.ranges
    schema = json.loads((data_dir() / "schemas/audit.schema.json").read_text(encoding="utf-8"))
    for data in (first, second):
        jsonschema.validate(data, schema)
        part = data["parts"]["artifacts"]
        assert part["releases"] == ["1.9.0"]
        assert {row["kind"] for row in part["rows"]} == {"library-missing"}
    refused = [finding["kind"] for finding in first["parts"]["artifacts"]["findings"]]
    assert refused.count("artifact-refused") == 1
    assert second["parts"]["artifacts"]["left"] == [other.filename]


def test_the_boundaries_of_the_documents() -> None:
    versions = ("0.9", "1.0", "1.5", "1.9", "2.0", "2.5", "3.0")
    ddtrace = project("ddtrace", *((version, LINUX) for version in versions))
    kinds = [
        (ClaimKind.CAPABILITY, ">=1.5", Status.SUPPORTED),
        (ClaimKind.CAPABILITY, ">=2.5", Status.NOT_SUPPORTED),
        (ClaimKind.BRANCH, ">=1.0,<2", Status.MAINTENANCE),
        (ClaimKind.FRAMEWORK, ">=2.0", Status.SUPPORTED),
    ]
    claims = [
        Claim(f"d/{number}", kind, "x", specifier, "", status, "d", "en", "", "", 1)
        for number, (kind, specifier, status) in enumerate(kinds)
    ]
    assert boundary_releases(Releases(ddtrace), claims) == (
        "0.9",
        "1.0",
        "1.5",
        "1.9",
        "2.5",
        "3.0",
    )
    assert [file.filename for file in select_wheels(ddtrace, ("1.0", "3.0"))] == [
        f"ddtrace-3.0-{LINUX}.whl",
        f"ddtrace-1.0-{LINUX}.whl",
    ]
