"""Records of runs that did not take place, for the tests of reports and of the record store."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import json
from pathlib import Path
from typing import Any

from helpers.run_fakes import (
    BEFORE,
    CHANNEL,
    CONTROL,
    MINIMUM,
    PROBE,
    SNAPSHOT,
    cell,
    claim,
    finding,
    part,
    plan,
)
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.fact import text_facts
from matrix.model.plan import Omission, Plan
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome, PartVerdict, Verdict
from matrix.reporting.json import json_text, record_to_json
from matrix.runs.record import CellRecord, Record, RunFacts
from matrix.runs.record_store import RecordStore

RUN_FACTS = RunFacts("documented", "", "today", "2026-11-20", 1.0, interrupted=False)
CRASHED = (Outcome.UNVERIFIED, Reason.CRASHED)
CONFIRMED = (Outcome.CONFIRMED, None)
REFUTED = (Outcome.REFUTED, None)
NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'\ud800"
GOOD, BAD, OPEN = claim(1), claim(2), claim(3)
TWIN = dataclasses.replace(GOOD, id="b.md/capability/x/1", document="b.md", line=77)
NOON = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.timezone.utc)
HOUR = dt.timedelta(hours=1)


def record_of(*answers: tuple[Claim, tuple[Outcome, Reason | None]]) -> Record:
    """Return a record of claims with these outcomes and reasons, without any cell."""
    verdicts = tuple(
        Verdict(of.id, outcome, None, reason, text_facts("as seen"))
        for of, (outcome, reason) in answers
    )
    return Record(RUN_FACTS, tuple(of for of, _ in answers), verdicts, (), (), "")


def cell_record(of: Cell | str, shows: Observed = Observed.PRESENT) -> CellRecord:
    shown = finding(of, shows)
    return CellRecord(
        shown.cell, (PROBE,), None, "", 1.0, reused=False, fallback=False, key=str(of),
        started="2026", findings=(shown,),
    )  # fmt: skip


def part_verdict(name: str, outcome: Outcome = Outcome.CONFIRMED, *others: str) -> PartVerdict:
    reason = Reason.CRASHED if outcome is Outcome.UNVERIFIED else None
    cells = tuple(map(Cell.parse, (name, *others)))
    return PartVerdict(PROBE, CHANNEL, cells, outcome, None, reason, text_facts("as seen"))


def verdict_on(of: Claim, outcome: Outcome, *parts: PartVerdict) -> Verdict:
    reason = Reason.CRASHED if outcome is Outcome.UNVERIFIED else None
    cells = tuple(cell for each in parts for cell in each.cells)
    return Verdict(of.id, outcome, None, reason, text_facts("as seen"), cells, parts)


def record_of_verdicts(*pairs: tuple[Claim, Verdict]) -> Record:
    """Return a record of these verdicts, with a record of each of their cells."""
    cells = dict.fromkeys(cell for _, verdict in pairs for cell in verdict.cells)
    return Record(
        RUN_FACTS,
        tuple(of for of, _ in pairs),
        tuple(verdict for _, verdict in pairs),
        tuple(map(cell_record, cells)),
        (),
        "0" * 64,
    )


def generated_record(cells: int) -> Record:
    """Return a record of this many cells, in which each verdict rests on ten."""
    names = [
        dataclasses.replace(
            cell(f"2.{number // 30}.{number % 30}", f"3.{6 + number % 8}"),
            target=("linux_x86_64", "linux_i686", "linux_aarch64")[number % 3],
        ).id
        for number in range(cells)
    ]
    pairs = []
    for number in range(cells // 10):
        ten = names[number * 10 : number * 10 + 10]
        outcome = list(Outcome)[number % 3]
        parts = [part_verdict(name, outcome, *ten[:2]) for name in ten]
        pairs.append((claim(number), verdict_on(claim(number), outcome, *parts)))
    return record_of_verdicts(*pairs)


def mixed_plan() -> Plan:
    """Return a plan for one claim of each outcome, and for a twin of the confirmed one."""
    bad = part(BAD, minimum=BEFORE, before=None)
    omission = Omission(OPEN.id, "win_amd64", Reason.PLATFORM_NOT_HERE, "this is linux_x86_64")
    return plan([OPEN, GOOD, TWIN, BAD], [part(GOOD), part(TWIN), bad], [omission])


def stored_cell(cell_id: str, reason: Reason | None = None, *, reused: bool = False) -> CellRecord:
    shows = Observed.ABSENT if cell_id == BEFORE else Observed.PRESENT
    return CellRecord(
        cell=Cell.parse(cell_id),
        probes=(PROBE,),
        reason=reason,
        detail="detail",
        seconds=2.5,
        reused=reused,
        fallback=False,
        key="key",
        started="2026",
        findings=() if reason else (finding(cell_id, shows),),
    )


def mixed_record(*, interrupted: bool = False, warnings: tuple[str, ...] = ()) -> Record:
    """Return the record of `mixed_plan`."""
    of = mixed_plan()
    cells = (stored_cell(MINIMUM), stored_cell(BEFORE, reused=True), stored_cell(CONTROL))
    verdicts = judge(of, FindingTable([each for record in cells for each in record.findings]))
    return Record.of(
        of, cells, verdicts, SNAPSHOT, 12.5, interrupted=interrupted, warnings=warnings
    )


def record_json() -> dict[str, Any]:
    """Return the file of `mixed_record` as plain values."""
    data: dict[str, Any] = json.loads(_record_text())
    return data


@functools.cache
def _record_text() -> str:
    return json_text(record_to_json(mixed_record().dated("today")))


def record_store(folder: Path, count: int = 0) -> RecordStore:
    """Return a store with this many runs, an hour apart."""
    store = RecordStore(folder / "records")
    for hour in range(count):
        text = json_text({**record_json(), "warnings": [str(hour)]})
        store.write(text, (NOON + hour * HOUR).isoformat())
    return store
