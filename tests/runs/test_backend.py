"""Where cells ran, as the reports tell it: engine, targets, isolation, and an engine lost."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable, Mapping

import jsonschema
import pytest
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    PROBE,
    SNAPSHOT,
    capture,
    claim,
    finding,
    part,
    plan,
)
from rich.console import Console

from matrix.features.reproduce.run import SingleRun
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.capture import CellLocation
from matrix.model.cell import Cell
from matrix.model.plan import Omission, Plan
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome
from matrix.reporting.json import record_to_json
from matrix.reporting.progress import display
from matrix.reporting.summary import isolation_warning, location_lines, target_marks
from matrix.reporting.terminal import print_closing, print_report
from matrix.runs.events import Event, Message, RunStarted, VerdictReached
from matrix.runs.record import CellRecord, Record
from matrix.system.paths import data_dir

X86, I686, ARM = "linux_x86_64", "linux_i686", "linux_aarch64"
DOCKER = "Docker 20.10.24"
HELD = "own container: no network"


def on(target: str, cell: str = MINIMUM) -> str:
    return cell.replace(X86, target)


def where(engine: str = DOCKER, isolation: str = HELD, *, isolated: bool = True) -> CellLocation:
    digest = f"sha256:{'1' * 64}" if engine else ""
    made = dataclasses.replace(
        capture(MINIMUM), engine=engine, image=digest, isolation=isolation, isolated=isolated
    )
    found = CellLocation.of(made)
    assert found is not None
    return found


def record(
    cell: str, at: CellLocation | None = None, reason: Reason | None = None, detail: str = ""
) -> CellRecord:
    return CellRecord(
        cell=Cell.parse(cell),
        probes=(PROBE,),
        reason=reason,
        detail=detail,
        seconds=2.5,
        reused=False,
        fallback=False,
        key="key",
        started="2026",
        findings=(),
        where=at,
    )


def plan_on(targets: Iterable[str]) -> Plan:
    """Return the plan of one claim on several targets."""
    of = claim()
    parts = [
        part(of, minimum=on(target), before=None, controls=(on(target, CONTROL),))
        for target in targets
    ]
    return dataclasses.replace(plan([of], parts), targets=tuple(targets))


def result(
    shows: Mapping[str, Observed | Reason],
    cells: tuple[CellRecord, ...] | None = None,
    *,
    warnings: tuple[str, ...] = (),
    lost: str = "",
) -> Record:
    """Return the run of one claim on several targets."""
    known = FindingTable(
        item
        for target, shown in shows.items()
        for item in (finding(on(target), shown), finding(on(target, CONTROL), Observed.PRESENT))
    )
    of = plan_on(shows)
    if cells is None:
        cells = tuple(record(on(target), where()) for target in shows)
    verdicts = judge(of, known)
    return Record.of(of, cells, verdicts, SNAPSHOT, 1.0, warnings=warnings, lost=lost)


def printed(of: Record, width: int = 180) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width)
    print_report(console, of.dated("the time of each release"), every=True)
    print_closing(console, of, {})
    return out.getvalue()


def test_a_claim_that_one_target_leaves_open_is_seen_as_such() -> None:
    open_ = result({X86: Observed.PRESENT, I686: Observed.PRESENT, ARM: Reason.NO_IMAGE})
    assert open_.verdicts[0].outcome is Outcome.UNVERIFIED
    assert target_marks(open_.verdicts) == "amd64 ✓ 386 ✓ arm64 ?"
    for width in (180, 80):
        assert "amd64 ✓ 386 ✓ arm64 ?" in printed(open_, width)
    refuted = result({X86: Observed.PRESENT, I686: Observed.ABSENT})
    assert target_marks(refuted.verdicts) == "amd64 ✓ 386 ✗"
    assert refuted.verdicts[0].outcome is Outcome.REFUTED


def test_one_target_alone_is_not_marked() -> None:
    alone = result({X86: Observed.PRESENT})
    assert target_marks(alone.verdicts) == ""
    assert "amd64 ✓" not in printed(alone)


def test_the_worst_answer_on_a_target_is_its_mark() -> None:
    of = claim()
    parts = [
        part(of, minimum=on(X86, cell), before=None, controls=()) for cell in (MINIMUM, BEFORE)
    ]
    parts.append(part(of, minimum=on(I686), before=None, controls=()))
    known = FindingTable(
        [
            finding(MINIMUM, Observed.PRESENT),
            finding(BEFORE, Reason.CRASHED),
            finding(on(I686), Observed.PRESENT),
        ]
    )
    assert target_marks(judge(plan([of], parts), known)) == "amd64 ? 386 ✓"


def test_one_line_for_each_engine_says_where_cells_ran() -> None:
    cells = (record(on(X86), where()), record(on(ARM), where()), record(on(I686)))
    made = result(
        {X86: Observed.PRESENT}, cells=(*cells, record(CONTROL, where("", "own namespace")))
    )
    assert list(location_lines(made)) == [
        "2 cells in Docker 20.10.24: amd64 1, arm64 1 (own container: no network)",
        "1 cell on this machine: amd64 1 (own namespace)",
    ]
    text = printed(made)
    assert all(f"where     {line}" in text for line in location_lines(made))


def test_a_cell_that_could_reach_the_network_is_warned_of() -> None:
    free = where("", "no network isolation: not on darwin", isolated=False)
    free = dataclasses.replace(free, not_isolated=("network", "files"))
    assert not free.isolated
    warned = result(
        {X86: Observed.PRESENT}, cells=(record(on(X86), free), record(CONTROL, where()))
    )
    assert "warning: 1 cell could reach the network" in printed(warned)
    assert "not on darwin" in isolation_warning(warned)
    assert "had no isolation of files" in isolation_warning(warned)
    assert "could reach the network" not in printed(result({X86: Observed.PRESENT}))


def test_a_lost_engine_is_said_where_the_verdicts_are_counted() -> None:
    lost = result({X86: Observed.PRESENT}, lost="it does not answer", warnings=("it was lost",))
    text = printed(lost)
    assert text.count("(the container engine was lost)") == 2
    assert "warning: it was lost" in text


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [(Reason.NO_IMAGE, "nox -s images"), (Reason.ENGINE_LOST, "Start the engine")],
)
def test_what_the_engine_lacks_is_told_with_its_words_and_a_remedy(
    reason: Reason, remedy: str
) -> None:
    cells = (record(on(ARM), None, reason, "debian: CPython 3.5 is in no suite"),)
    text = printed(result({ARM: reason}, cells=cells))
    assert f"({reason.value}), 1 claim" in text
    assert "debian: CPython 3.5 is in no suite" in text
    assert remedy in text


def test_what_an_engine_cannot_run_is_told_with_its_words() -> None:
    of = claim(2)
    left = Omission(of.id, "linux_aarch64", Reason.PLATFORM_NOT_HERE, "Docker runs linux/386 here")
    bare = dataclasses.replace(plan([of], left_out=[left]), parts=(), cells=(), fallbacks=())
    made = Record.of(bare, (), judge(bare, FindingTable()), SNAPSHOT, 1.0)
    assert "Docker runs linux/386 here" in printed(made)


def test_the_json_tells_where_each_cell_was_and_its_schema_holds() -> None:
    schema = json.loads((data_dir() / "schemas" / "verdicts.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    made = result({X86: Observed.PRESENT, ARM: Reason.NO_IMAGE})
    made = dataclasses.replace(made, cells=(made.cells[0], record(on(ARM), None, Reason.NO_IMAGE)))
    data = record_to_json(made.dated("today"))
    validator.validate(data)
    first, second = data["cells"]
    assert first["where"]["image"] == f"sha256:{'1' * 64}"
    assert (first["where"]["engine"], first["where"]["bits"]) == (DOCKER, 64)
    assert second["where"] is None
    assert data["run"]["targets"] == [X86, ARM]
    assert data["run"]["where"] == [{"engine": DOCKER, "target": X86, "cells": 1}]
    # What was written before has none of it, and is still valid.
    for name in ("targets", "where", "lost"):
        del data["run"][name]
    for cell in data["cells"]:
        del cell["where"]
    validator.validate(data)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**data, "cells": [{**data["cells"][0], "where": {"engine": 1}}]})


def test_progress_names_the_engine_the_images_and_the_targets() -> None:
    made = result({X86: Observed.PRESENT, I686: Reason.NO_IMAGE})
    events: list[Event] = [
        RunStarted(plan_on([X86, I686]), 2, DOCKER),
        Message("image of CPython 3.9 for linux_i686: unpacking"),
        VerdictReached(made.verdicts[0]),
    ]
    for terminal in (False, True):
        out = io.StringIO()
        console = Console(file=out, width=300, force_terminal=terminal, legacy_windows=False)
        with display(console, {}) as emit:
            for event in (*events, RunStarted(plan_on([X86, I686]), 2, DOCKER)):
                emit(event)
        text = out.getvalue()
        assert "in Docker 20.10.24, for amd64, 386" in text
        assert "image of CPython 3.9 for linux_i686: unpacking" in text
        assert "amd64 ✓ 386 ?" in text


def test_a_run_that_runs_nothing_names_no_place() -> None:
    out = io.StringIO()
    with display(Console(file=out, width=300), {}) as emit:
        emit(RunStarted(plan(), 0))
    assert "judged again from what was captured" in out.getvalue()
    assert "this machine" not in out.getvalue()


def test_a_cell_alone_says_where_it_was() -> None:
    made = dataclasses.replace(capture(MINIMUM), engine=DOCKER, image="sha256:12", isolation=HELD)
    lines = "\n".join(SingleRun(made, (), None).lines())
    assert "Docker 20.10.24, image sha256:12: Linux x86_64, 64 bits, glibc 2.36" in lines
    assert "CPython 3.9.18 (GCC)" in lines
    assert SingleRun(made, (), None).to_json()["where"] == where_json(made.image)


def where_json(image: str) -> dict[str, object]:
    return {**where().to_json(), "image": image}
