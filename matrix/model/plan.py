"""A plan: the cells that answer the claims, what was omitted and why, and static evidence."""

from __future__ import annotations

import dataclasses
import datetime as dt

from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.reason import Reason


@dataclasses.dataclass(frozen=True)
class StaticEvidence:
    """Evidence of the package index on a claim, as one sentence with its positive control.

    `refutes` is set where no artifact in the whole promised range can fulfil the claim, and the
    same index does list artifacts of the same releases for other platforms or CPythons. Where it
    is not set, `evidence` says which releases cannot fulfil it; that alone decides nothing.
    """

    claim: str
    refutes: bool
    evidence: str


@dataclasses.dataclass(frozen=True)
class LackingWheel:
    """A wheel that lacks a library which a probe needs, for one of the machines of its tags.

    `library` is its name in `data/artifacts.toml`, `sha256` that of the wheel on the index.
    """

    filename: str
    sha256: str
    library: str
    machine: str


@dataclasses.dataclass(frozen=True)
class Part:
    """One channel of a probe in one environment, which must hold for its claim to hold.

    `minimum` is the cell at the documented minimum, `before` the one at the release just before
    (None where tightness has no meaning or there is none), `controls` the cells that may serve as
    positive control, in the order to try them: the newest release of the branch first, then the
    newest of each older minor series, down to the minimum's own. `expects_absent` turns the part
    around: the claim says that the probe finds nothing, and the controls are where it must.
    `contained` is set where the claim is about containers: no cell that ran elsewhere answers it.
    `control_channel` is the channel that the controls must show, "" for the part's own: with
    another one the minimum's own cell can be its control.

    Of a library's row, `pick` says which of its releases the part is about: the `lowest` in the
    documented range, the `newest`, one of those `between`, or one that the vendor has `tested`; ""
    for what is about the tracer's releases. There `minimum` and `before` differ in the library,
    `above` is the first release beyond a range with an upper end, which was not promised. `choice`
    explains the release that was chosen where it differs from the documented one. Where the minimum
    does not build or start, `elsewhere` are cells of the same release on other CPythons, and
    `later` those of later releases on its own CPython, ascending.

    `lacking` are the wheels of the minimum's release for its CPython and target, where each of them
    is known to lack a library that the probe needs; then `beside` are the cells of other parts that
    differ from the minimum in the target only. Of a part in a place, `beside` is the same cell in
    an ordinary container: what is missing in both, the place is not to blame for.

    `beyond` are the cells of the tracer's later majors, which the page does not promise: they say
    whether what it promises holds there, and decide nothing.
    """

    claim: str
    probe: str
    channel: str
    minimum: Cell
    before: Cell | None
    controls: tuple[Cell, ...]
    expects_absent: bool = False
    contained: bool = False
    control_channel: str = ""
    pick: str = ""
    above: Cell | None = None
    choice: str = ""
    elsewhere: tuple[Cell, ...] = ()
    later: tuple[Cell, ...] = ()
    beside: tuple[Cell, ...] = ()
    lacking: tuple[LackingWheel, ...] = ()
    beyond: tuple[Cell, ...] = ()

    @property
    def is_compared_back(self) -> bool:
        """Return whether its first control is an earlier release of the tracer.

        That is so for the newest release of a branch, which the documented minimum stands beside.
        """
        return bool(self.controls) and self.controls[0].is_earlier(self.minimum)

    @property
    def required(self) -> tuple[Cell, ...]:
        """Return the cells that are always run; the others are in reserve."""
        neighbours = (cell for cell in (self.before, self.above) if cell)
        return (self.minimum, *neighbours, *self.controls[:1])

    @property
    def compared(self) -> tuple[Cell, ...]:
        """Return the cells of its own target that the part can be judged by."""
        return tuple(cell for cell in self.cells if cell.target == self.minimum.target)

    @property
    def deciding(self) -> tuple[Cell, ...]:
        """Return the cells that its verdict can rest on."""
        return (*self.required, *self.controls[1:], *self.elsewhere, *self.later, *self.beside)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Return all cells that say something on the part."""
        return (*self.deciding, *self.beyond)


@dataclasses.dataclass(frozen=True)
class CrashSubject:
    """A kind of process that is counted, and how many of them at first.

    `name` is what they do (see `matrix.agent.crashes`), `setting` the feature's.
    """

    name: str
    setting: str
    processes: int

    @property
    def text(self) -> str:
        """The subject on one line, for keys."""
        return f"{self.processes} x {self.name} with {self.setting}"

    @classmethod
    def parse(cls, text: str) -> CrashSubject:
        """Return the subject with this `text`; raise ValueError."""
        processes, _, rest = text.partition(" x ")
        name, _, setting = rest.partition(" with ")
        return cls(name, setting, int(processes))


@dataclasses.dataclass(frozen=True)
class PlannedCell:
    """A cell with what it needs: the probes to run in it, and whether it decides a claim.

    `as_of` is the date the dependencies are resolved as of, always filled. `decisive` probes are
    those a verdict may rest on (minimum or control): they are repeated when they fail. `soak` is
    set where the cell is a documented minimum: it also serves a burst of plain and attack requests.
    Decisive probes run at least `repeats` times, even where they show the feature at once. With
    `count`, only its processes are run: the cell is compared with one where such processes died.
    """

    cell: Cell
    as_of: dt.date
    probes: tuple[str, ...]
    decisive: tuple[str, ...] = ()
    soak: bool = False
    repeats: int = 1
    count: CrashSubject | None = None

    def counting(self, subject: CrashSubject) -> PlannedCell:
        """Return the cell with only the processes of a subject, to be counted."""
        return dataclasses.replace(self, soak=False, repeats=1, count=subject)


@dataclasses.dataclass(frozen=True)
class Omission:
    """Something that a claim is about and that no cell tests: `subject` names it.

    Where a cell was planned and then deselected, `cell` is that cell, and `subject` is its id.
    """

    claim: str
    subject: str
    reason: Reason
    detail: str = ""
    cell: Cell | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """The whole expectation: every claim is in `claims`, and in `parts` or `omissions` or both.

    `cells` holds the cells to run, in the order to run them; `fallbacks` the controls that run only
    when the ones before them could not serve. `snapshot` is when the index was read. `targets` are
    those that cells were planned for, in order. `static` is evidence on the claims that needs no
    cell. `candidate` is the release of the tracer that every claim is tested on, in place of the
    documented minimums; "" without one.
    """

    profile: str
    snapshot: dt.datetime
    claims: tuple[Claim, ...]
    parts: tuple[Part, ...]
    cells: tuple[PlannedCell, ...]
    fallbacks: tuple[PlannedCell, ...]
    omissions: tuple[Omission, ...]
    targets: tuple[str, ...] = ()
    static: tuple[StaticEvidence, ...] = ()
    candidate: str = ""
