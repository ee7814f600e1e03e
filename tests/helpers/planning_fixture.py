"""A small page and a small index for planning, both built by hand."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools

from matrix.errors import IndexUnavailableError
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import File, Project, ReleaseFiles
from matrix.model.plan import Omission, Part, Plan
from matrix.model.reason import Reason
from matrix.planning.coverage import load_coverage
from matrix.planning.planner import make_plan
from matrix.pypi.tags import wheel_tags

LINUX = "linux_x86_64"
READ = dt.datetime(2025, 1, 1, tzinfo=dt.timezone.utc)
OLD = ("2.7", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10")
MID = (*OLD, "3.11")
NEW = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12")

TRACER: dict[str, tuple[str, tuple[str, ...]]] = {
    "0.61.4": ("2022-05-01", OLD),
    "0.61.5": ("2022-06-01", OLD),
    "1.0.0": ("2022-04-01", OLD),
    "1.8.0": ("2023-01-10", MID),
    "1.8.3": ("2023-04-06", MID),
    "1.9.0rc1": ("2023-02-01", MID),
    "1.9.0": ("2023-02-27", MID),
    "1.9.7": ("2023-05-19", MID),
    "1.10.0": ("2023-03-23", MID),
    "1.10.3": ("2023-05-20", MID),
    "1.20.0": ("2023-10-01", MID),
    "1.20.18": ("2024-05-01", MID),
    "1.20.19": ("2024-05-20", MID),
    "2.0.0rc2": ("2023-09-01", NEW),
    "2.0.0": ("2023-10-03", NEW),
    "2.5.6": ("2024-03-15", NEW),
    "2.6.0": ("2024-02-07", NEW),
    "2.21.12": ("2024-10-24", NEW),
    "3.0.0": ("2024-11-24", ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")),
}
YANKED = {"1.9.1": ("2023-03-03", MID), "1.20.20": ("2024-06-01", MID)}
DJANGO = {
    "1.8": ("2015-04-01", ""),
    "1.8.19": ("2018-03-01", ""),
    "1.11": ("2017-04-04", ""),
    "1.11.29": ("2020-03-04", ""),
    "2.2": ("2019-04-01", ">=3.5"),
    "2.2.28": ("2022-04-11", ">=3.5"),
    "3.2": ("2021-04-06", ">=3.6"),
    "3.2.18": ("2023-02-14", ">=3.6"),
    "4.0": ("2021-12-07", ">=3.8"),
    "4.1.7": ("2023-02-14", ">=3.8"),
    "4.2rc1": ("2023-02-20", ">=3.8"),
    "4.2": ("2023-04-03", ">=3.8"),
    "5.0": ("2023-12-04", ">=3.10"),
}
FLASK = {
    "0.9": ("2012-07-01", ""),
    "0.10": ("2013-06-13", ""),
    "0.10.1": ("2013-06-14", ""),
    "1.1.4": ("2021-05-13", ">=2.7, !=3.0.*, !=3.4.*"),
    "2.0.3": ("2022-02-14", ">=3.6"),
    "2.2.0": ("2022-08-01", ">=3.7"),
    "2.2.3": ("2023-02-15", ">=3.7"),
    "2.2.5": ("2023-05-02", ">=3.7"),
    "3.0.0": ("2023-09-30", ">=3.8"),
}


def _moment(day: str) -> dt.datetime:
    return dt.datetime.fromisoformat(day).replace(hour=12, tzinfo=dt.timezone.utc)


def _file(name: str, day: str, requires: str = "", *, yanked: bool = False) -> File:
    return File(
        name, f"https://a.example/{name}", "0", _moment(day), requires, yanked, wheel_tags(name)
    )


def _tracer(
    version: str, day: str, pythons: tuple[str, ...], *, yanked: bool = False
) -> ReleaseFiles:
    files = [_file(f"ddtrace-{version}.tar.gz", day, yanked=yanked)]
    for python in pythons:
        tag = f"cp{python.replace('.', '')}"
        for platform in (
            "manylinux_2_17_x86_64.manylinux2014_x86_64",
            "musllinux_1_1_i686",
            "win_amd64",
        ):
            name = f"ddtrace-{version}-{tag}-{tag}-{platform}.whl"
            files.append(_file(name, day, yanked=yanked))
    # Only musllinux for this one: no wheel for a glibc Linux.
    files.append(
        _file(f"ddtrace-{version}-cp34-cp34m-musllinux_1_1_x86_64.whl", day, yanked=yanked)
    )
    return ReleaseFiles(version, _moment(day), yanked, "", tuple(files))


def project(name: str, releases: dict[str, tuple[str, str]]) -> Project:
    files = []
    for version, (day, requires) in releases.items():
        wheel = _file(f"{name}-{version}-py2.py3-none-any.whl", day, requires)
        files.append(
            ReleaseFiles(
                version, wheel.uploaded, yanked=False, requires_python=requires, files=(wheel,)
            )
        )
    return Project(name, READ, tuple(files))


@dataclasses.dataclass
class FakeIndex:
    """An index without a network; `requested` has the projects read from it."""

    projects: dict[str, Project]
    requested: list[str] = dataclasses.field(default_factory=list)

    def project(self, name: str) -> Project:
        self.requested.append(name)
        if name not in self.projects:
            raise IndexUnavailableError(f"no {name}")
        return self.projects[name]


def world() -> FakeIndex:
    return FakeIndex(dict(_projects()))


@functools.cache
def _projects() -> dict[str, Project]:
    releases = [_tracer(version, *rest) for version, rest in TRACER.items()]
    releases += [_tracer(version, *rest, yanked=True) for version, rest in YANKED.items()]
    return {
        "ddtrace": Project("ddtrace", READ - dt.timedelta(hours=1), tuple(releases)),
        "django": project("django", DJANGO),
        "flask": project("flask", FLASK),
    }


def claim(
    kind: ClaimKind,
    subject: str,
    specifier: str = "",
    *,
    status: Status = Status.SUPPORTED,
    document: str = "page.md",
    **scope: str,
) -> Claim:
    pieces = [document, kind.value, subject, *scope.values()]
    if kind in (ClaimKind.BRANCH, ClaimKind.RUNTIME, ClaimKind.AUTHENTICATION):
        pieces.append(specifier)
    return Claim(
        id="/".join(pieces),
        kind=kind,
        subject=subject,
        specifier=specifier,
        as_written=specifier,
        status=status,
        document=document,
        language="en",
        sha256="0" * 64,
        heading="heading",
        line=1,
        scope=tuple(scope.items()),
    )


def runtime(python: str, specifier: str = "<2", os: str = "linux", cpu: str = "x86_64") -> Claim:
    return claim(ClaimKind.RUNTIME, "cpython", specifier, os=os, cpu=cpu, python=python)


def page() -> list[Claim]:
    """Return the claims of a page with every kind of table and note."""
    named = [f"=={python}.*" for python in MID]
    return [
        claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0"),
        claim(ClaimKind.CAPABILITY, "threat-protection", ">=1.10.0"),
        claim(ClaimKind.CAPABILITY, "api-security", ">=2.6.0"),
        claim(ClaimKind.CAPABILITY, "user-events", ">=1.10.0"),
        claim(ClaimKind.CAPABILITY, "iast", status=Status.PREVIEW),
        claim(ClaimKind.CAPABILITY, "profiling", ">=1.0"),
        claim(ClaimKind.DEPLOYMENT, "threat-detection", deployment="docker"),
        claim(ClaimKind.BRANCH, "ddtrace", "<1", status=Status.MAINTENANCE),
        claim(ClaimKind.BRANCH, "ddtrace", ">=1.0,<2", status=Status.GENERAL_AVAILABILITY),
        *(runtime(python) for python in named),
        *(runtime(python, os="windows") for python in named),
        runtime("==3.9.*", cpu="aarch64"),
        claim(ClaimKind.FRAMEWORK, "django", ">=1.8", capability="threat-detection"),
        claim(ClaimKind.FRAMEWORK, "flask", ">=0.10", capability="threat-detection"),
        claim(ClaimKind.AUTHENTICATION, "django", "==1.11.*"),
        claim(ClaimKind.AUTHENTICATION, "django", ">=4.0"),
        claim(ClaimKind.INTEGRATION, "flask", ">=0.10", automatic="yes"),
        claim(ClaimKind.INTEGRATION, "fastapi", ">=0.51", automatic="yes"),
        claim(ClaimKind.INTEGRATION, "sqlite3", automatic="yes"),
        claim(ClaimKind.NOTE, "flask-query-string", status=Status.NOT_SUPPORTED),
        claim(ClaimKind.NOTE, "request-tags"),
        claim(ClaimKind.NOTE, "account-takeover"),
    ]


def planned(claims: list[Claim], profile: str = "documented", **options: object) -> Plan:
    # Without the rows of `apps/libraries`: their projects are not in this index.
    options.setdefault("coverage", load_coverage(integrations={}))
    return make_plan(claims, world(), profile=profile, targets=(LINUX,), **options)  # type: ignore[arg-type]


def parts_of(plan: Plan, claim_id: str) -> list[Part]:
    return [part for part in plan.parts if part.claim == f"page.md/{claim_id}"]


def left_out_of(plan: Plan, claim_id: str) -> list[Omission]:
    return [item for item in plan.omissions if item.claim == f"page.md/{claim_id}"]


def reasons(plan: Plan, claim_id: str) -> set[Reason]:
    return {item.reason for item in left_out_of(plan, claim_id)}
