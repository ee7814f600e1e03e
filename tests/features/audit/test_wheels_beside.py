"""Parts that get a control from the side: those whose wheels are known to lack a library."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
from collections.abc import Sequence

import pytest
from helpers.planning_fixture import FakeIndex
from helpers.run_fakes import claim, part, plan
from helpers.wheel_files import elf, wheel

from matrix.features.audit.side_controls import with_side_controls
from matrix.model.cell import Cell
from matrix.model.index import File, Project, ReleaseFiles
from matrix.model.plan import LackingWheel, Part, Plan
from matrix.planning.plan_file import plan_from_json, plan_to_json
from matrix.pypi.inspect import inspect_wheel
from matrix.pypi.wheel_contents import WheelContents

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
WAF = "ddtrace/appsec/_ddwaf/ddwaf_types.py"
X86 = Cell("3.9", "linux_x86_64", "django", "3.2", "1.9.0")
I686 = dataclasses.replace(X86, target="linux_i686")
OTHER = dataclasses.replace(X86, python="3.8")
PROMISED = claim()
TAGS = {
    "linux_x86_64": ("cp39-cp39-manylinux2014_x86_64",),
    "linux_i686": ("cp39-cp39-manylinux2010_i686", "cp39-cp39-manylinux2014_i686"),
}
OTHERS = ("cp38-cp38-manylinux2014_i686", "cp39-cp39-musllinux_1_1_i686", "")


def file(tags: str) -> File:
    name = f"ddtrace-1.9.0-{tags}.whl" if tags else "ddtrace-1.9.0.tar.gz"
    return File(name, f"https://a.example/{name}", f"sha of {tags}", NOW, "", False, tags)


def index() -> FakeIndex:
    files = tuple(map(file, (*TAGS["linux_x86_64"], *TAGS["linux_i686"], *OTHERS)))
    released = ReleaseFiles("1.9.0", NOW, yanked=False, requires_python="", files=files)
    return FakeIndex({"ddtrace": Project("ddtrace", NOW, (released,))})


@dataclasses.dataclass
class Inspector:
    """Inspects wheels that have the library for `machines` only; it cannot read `unreadable`."""

    machines: tuple[str, ...] = ("x86_64",)
    unreadable: tuple[str, ...] = ()
    inspected: list[str] = dataclasses.field(default_factory=list)

    def __call__(self, files: Sequence[File]) -> list[WheelContents]:
        self.inspected += [item.tags for item in files]
        return [self.contents(item) for item in files if item.tags not in self.unreadable]

    def contents(self, item: File) -> WheelContents:
        cpu = "i686" if item.tags.endswith("i686") else "x86_64"
        library = f"ddtrace/appsec/_ddwaf/libddwaf/{cpu}/lib/libddwaf.so"
        there = {library: elf(cpu)} if cpu in self.machines else {}
        stream = io.BytesIO(wheel({WAF: "", **there}, "Name: ddtrace\n"))
        return inspect_wheel(item.filename, item.sha256, stream)


def parts(*minima: Cell, **changes: object) -> tuple[Part, ...]:
    made = [part(PROMISED, minimum=each.id, before=None, controls=()) for each in minima]
    return tuple(dataclasses.replace(each, **changes) for each in made)  # type: ignore[arg-type]


def planned(of: Sequence[Part], inspector: Inspector) -> Plan:
    return with_side_controls(plan([PROMISED], of), index(), inspector)


def test_a_part_whose_every_wheel_lacks_the_library_gets_the_cells_of_other_targets() -> None:
    here, elsewhere = planned(parts(I686, X86), Inspector()).parts
    assert here.beside == (X86,)
    assert here.lacking == tuple(
        LackingWheel(file(tags).filename, f"sha of {tags}", "libddwaf", "i686")
        for tags in TAGS["linux_i686"]
    )
    assert (elsewhere.beside, elsewhere.lacking) == ((), ())
    assert X86 in here.cells
    assert X86 not in here.required


@pytest.mark.parametrize(
    "inspector",
    [
        Inspector(machines=("x86_64", "i686")),
        Inspector(unreadable=TAGS["linux_i686"]),
        # The installer may have taken the one that nothing is known of.
        Inspector(unreadable=TAGS["linux_i686"][:1]),
    ],
)
def test_a_wheel_with_the_library_or_of_unknown_contents_names_no_cause(
    inspector: Inspector,
) -> None:
    before = parts(I686, X86)
    assert planned(before, inspector).parts == before


@pytest.mark.parametrize(
    "of",
    [
        parts(I686),
        parts(I686, OTHER),
        parts(I686, X86, probe="web-tracing"),
        parts(I686, X86, expects_absent=True),
        (*parts(I686), *parts(X86, channel="remote-config")),
    ],
)
def test_no_wheel_is_inspected_where_nothing_could_stand_beside(of: tuple[Part, ...]) -> None:
    inspector, source = Inspector(), index()
    before = plan([PROMISED], of)
    assert with_side_controls(before, source, inspector) is before
    assert (inspector.inspected, source.requested) == ([], [])


def test_only_the_wheels_for_the_cpythons_and_targets_of_the_plan_are_inspected() -> None:
    inspector = Inspector()
    planned(parts(I686, X86), inspector)
    assert inspector.inspected == [*TAGS["linux_i686"], *TAGS["linux_x86_64"]]


def test_a_plan_with_controls_from_the_side_is_read_back_as_it_was_written() -> None:
    made = planned(parts(I686, X86), Inspector())
    data = json.loads(json.dumps(plan_to_json(made)))
    assert plan_from_json(data) == made
    data["parts"][0]["lacking"][0]["colour"] = "blue"
    with pytest.raises(ValueError, match="colour"):
        plan_from_json(data)
