"""Plans for three CPUs of Linux: an index with wheels for all of them, and container engines."""

from __future__ import annotations

import dataclasses
import functools

from helpers.planning_fixture import FakeIndex, page, runtime, world
from matrix.docker.interface import EngineInfo
from matrix.model.index import Project
from matrix.model.plan import Plan
from matrix.planning.planner import make_plan
from matrix.pypi.tags import wheel_tags

X86, I686, ARM = "linux_x86_64", "linux_i686", "linux_aarch64"
THREE = (X86, I686, ARM)
DOCKER = EngineInfo(
    name="Docker 20.10.24",
    platform="linux/amd64",
    platforms=("linux/amd64", "linux/386", "linux/arm64"),
    shares_files=True,
    cpus=2,
    memory=2**33,
)
NO_ARM = dataclasses.replace(DOCKER, platforms=("linux/amd64", "linux/386"))


def wide_index() -> FakeIndex:
    """Return the small index with wheels for three CPUs; ARM has none of 1.x on CPython 2.7."""
    index = world()
    index.projects["ddtrace"] = _wide_tracer()
    return index


@functools.cache
def _wide_tracer() -> Project:
    tracer = world().projects["ddtrace"]
    releases = []
    for release in tracer.releases:
        files = list(release.files)
        for file in release.files:
            for cpu in ("i686", "aarch64"):
                if not file.filename.endswith("manylinux2014_x86_64.whl"):
                    continue
                name = file.filename.replace("x86_64", cpu)
                if cpu == "i686" or "-cp27-" not in name:
                    files.append(dataclasses.replace(file, filename=name, tags=wheel_tags(name)))
        releases.append(dataclasses.replace(release, files=tuple(files)))
    return dataclasses.replace(tracer, releases=tuple(releases))


@functools.cache
def wide_plan(profile: str = "documented", targets: tuple[str, ...] = THREE) -> Plan:
    claims = [*page(), runtime("==3.8.*", cpu="i686"), runtime("==2.7.*", cpu="aarch64")]
    return make_plan(claims, wide_index(), profile=profile, targets=targets)
