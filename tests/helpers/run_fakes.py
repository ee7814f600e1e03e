"""Plans, captures and the world, made up: for the tests of judging, journal, run and reports."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path

from matrix.environments.errors import BuildError
from matrix.model.capture import AgentRequest, CellCapture, Exchange, Identity, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.environment import Environment, Image, Interpreter
from matrix.model.fact import text_facts
from matrix.model.plan import Omission, Part, Plan, PlannedCell
from matrix.model.probe import Channel, Match, Observation, Probe, Stimulus
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed
from matrix.runs.interface import CellRequest, CellResult, Report

PROBE = "threat-detection"
CHANNEL = "static"
DAY = dt.date(2024, 5, 1)
SNAPSHOT = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.timezone.utc)


@dataclasses.dataclass(frozen=True)
class Says:
    """Evidence: the answer's body contains the text."""

    text: str

    def match(self, observation: Observation) -> Match:
        holds = self.text in observation.exchange.body
        return Match(holds, f"body with{'' if holds else 'out'} {self.text!r}")


def probe(
    name: str = PROBE, control: str | None = "off", stimuli: Iterable[Stimulus] | None = None
) -> Probe:
    default = (Stimulus("attack", Says("blocked"), "/{shop}/"),)
    channel = Channel(CHANNEL, "appsec", tuple(stimuli or default), control)
    return Probe(name, name.replace("-", " ").title(), (channel,))


PROBES: Mapping[str, Probe] = {PROBE: probe()}


def cell(ddtrace: str, python: str = "3.9", django: str = "3.2") -> Cell:
    return Cell(python, "linux_x86_64", "django", django, ddtrace)


MINIMUM, BEFORE, CONTROL, OLDER = (
    cell(version).id for version in ("1.9.0", "1.8.0", "1.20.0", "1.10.0")
)


def claim(number: int = 1, kind: ClaimKind = ClaimKind.CAPABILITY, document: str = "a.md") -> Claim:
    return Claim(
        id=f"{document}/{kind.value}/{PROBE}/{number}",
        kind=kind,
        subject=PROBE,
        specifier=">=1.9.0",
        as_written="1.9.0",
        status=Status.SUPPORTED,
        document=document,
        language="en",
        sha256="0" * 64,
        heading="Capabilities",
        line=number,
        scope=(("number", str(number)),),
    )


def part(of: Claim, **changes: object) -> Part:
    minimum, before, control, older = map(Cell.parse, (MINIMUM, BEFORE, CONTROL, OLDER))
    default = Part(of.id, PROBE, CHANNEL, minimum, before, (control, older))
    cells = {"minimum", "before", "above", "controls", "elsewhere", "later", "beyond"}
    parsed = {name: as_cells(value) if name in cells else value for name, value in changes.items()}
    return dataclasses.replace(default, **parsed)  # type: ignore[arg-type]


def as_cells(value: object) -> object:
    """Return cells for ids, and all else as it is."""
    if isinstance(value, tuple):
        return tuple(map(as_cells, value))
    return Cell.parse(value) if isinstance(value, str) else value


def ids(cells: Iterable[Cell]) -> tuple[str, ...]:
    return tuple(cell.id for cell in cells)


def planned(cell_id: str, probes: tuple[str, ...] = (PROBE,)) -> PlannedCell:
    return PlannedCell(Cell.parse(cell_id), DAY, probes, probes, soak=cell_id == MINIMUM)


def plan(
    claims: Iterable[Claim] = (),
    parts: Iterable[Part] = (),
    left_out: Iterable[Omission] = (),
    cells: Iterable[str] = (MINIMUM, BEFORE, CONTROL),
    fallbacks: Iterable[str] = (OLDER,),
) -> Plan:
    claims = tuple(claims) or (claim(),)
    return Plan(
        profile="documented",
        snapshot=SNAPSHOT,
        claims=claims,
        parts=tuple(parts) or tuple(part(item) for item in claims),
        cells=tuple(planned(item) for item in cells),
        fallbacks=tuple(planned(item) for item in fallbacks),
        omissions=tuple(left_out),
    )


def finding(of: Cell | str, shows: Observed | Reason) -> Finding:
    where = Cell.parse(str(of))
    if isinstance(shows, Reason):
        failed = text_facts("It failed.")
        return Finding(where, PROBE, CHANNEL, Observed.UNKNOWN, failed, shows)
    seen = text_facts(f"Seen to be {shows.value}.")
    return Finding(where, PROBE, CHANNEL, shows, seen)


def exchange(
    body: str, *, control: bool = False, warm_up: bool = False, number: int = 1
) -> Exchange:
    return Exchange(
        probe="" if warm_up else PROBE,
        channel="" if warm_up else CHANNEL,
        stimulus="" if warm_up else "attack",
        attempt=0,
        shop=f"s{number:015x}",
        at=1.0,
        method="GET",
        path=f"/s{number:015x}/",
        request_headers={},
        request_body="",
        status=200,
        headers={},
        body=body,
        control=control,
    )


def traced(exchanges: Iterable[Exchange], version: str) -> tuple[AgentRequest, ...]:
    """Return the agent requests of a live tracer: a web root span for each exchange."""
    traces = [
        [
            {
                "name": "django.request",
                "service": "bookshop",
                "resource": f"GET {item.path}",
                "type": "web",
                "trace_id": number,
                "span_id": number,
                "parent_id": 0,
                "error": 0,
                "start": number,
                "duration": 1,
                "meta": {"http.url": f"http://127.0.0.1{item.path}", "http.method": "GET"},
                "metrics": {},
            }
        ]
        for number, item in enumerate(exchanges, start=1)
    ]
    headers = {"datadog-meta-tracer-version": version}
    return (AgentRequest(1.0, "PUT", "/v0.4/traces", headers, traces),)


def process(
    setting: str, body: str, version: str, repeat: int = 0, **changes: object
) -> ProcessCapture:
    exchanges = (
        exchange(f"Welcome to s{1:015x}", warm_up=True, number=1),
        exchange(body, control=setting in {"off", "untraced"}, number=2),
    )
    traced_too = setting != "untraced"
    made = ProcessCapture(
        setting=setting,
        purpose="probe",
        repeat=repeat,
        environment={},
        boot_seconds=1.0,
        seconds=2.0,
        exit_code=None,
        exchanges=exchanges,
        agent=traced(exchanges, version) if traced_too else (),
        log="",
        traced=traced_too,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def capture(
    cell_id: str, key: str = "", *, body: str = "blocked", processes: Iterable[ProcessCapture] = ()
) -> CellCapture:
    where = Cell.parse(cell_id)
    return CellCapture(
        cell=cell_id,
        key=key,
        identity=Identity(
            python=f"{where.python}.18",
            build="GCC",
            implementation="CPython",
            machine="x86_64",
            bits=64,
            libc="glibc 2.36",
            os="Linux",
            installed={"ddtrace": where.ddtrace, "django": where.framework_version},
        ),
        lock=(f"ddtrace=={where.ddtrace} --hash=sha256:{'0' * 64}",),
        processes=tuple(processes)
        or (process("appsec", body, where.ddtrace), process("off", "fine", where.ddtrace)),
        started="2026-11-20T12:00:00+00:00",
        seconds=3.0,
    )


def failed(cell_id: str, reason: Reason, key: str = "") -> CellCapture:
    return dataclasses.replace(
        capture(cell_id, key), processes=(), identity=None, failed=reason, detail="it failed"
    )


class FakeEnvironments:
    """Environments that are ready at once, or fail as told."""

    def __init__(
        self, failures: Mapping[str, Reason] | None = None, *, ready: bool = False
    ) -> None:
        self.failures = failures or {}
        self.ready = ready
        self.built: list[str] = []
        self.salt = ""
        self.image: Image | None = None

    def peek(self, planned: PlannedCell) -> Environment | str:
        if self.failures.get(planned.cell.id) is Reason.NO_INTERPRETER:
            raise BuildError(Reason.NO_INTERPRETER, "no CPython here", "")
        return self._make(planned) if self.ready else f"name of {planned.cell.id}{self.salt}"

    def ensure(self, planned: PlannedCell, report: Report) -> Environment:
        self.built.append(planned.cell.id)
        if planned.cell.id in self.failures:
            raise BuildError(self.failures[planned.cell.id], "it failed to build", "the log")
        return self._make(planned)

    def _make(self, planned: PlannedCell) -> Environment:
        found = Interpreter(
            Path("python"), f"{planned.cell.python}.18", "GCC", planned.cell.target, "glibc", "path"
        )
        key = f"env {planned.cell.id}{self.salt}"
        return Environment(Path("python"), key, (), found, self.image)


def image(target: str = "linux_x86_64", digest: str = "sha256:one", python: str = "3.9") -> Image:
    return Image(
        id=digest,
        digest=digest,
        name="debian bookworm",
        source="debian",
        platform="linux/amd64",
        target=target,
        python=f"{python}.18",
        build="GCC",
        libc="glibc 2.36",
        executable="/usr/bin/python3",
        site="/usr/lib/python3/dist-packages",
    )


Answering = Callable[[str, str], CellCapture | None]


class FakeRunner:
    """Ends cells at once with the capture that `answer` returns; None leaves the cell running."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.ran: list[str] = []
        self.hanging: list[tuple[str, str, Future[CellResult]]] = []
        self.killed = threading.Event()

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        future: Future[CellResult] = Future()
        cell_id = request.planned.cell.id
        self.ran.append(cell_id)
        answer = self.answer(cell_id, request.key)
        if answer is None:
            self.hanging.append((cell_id, request.key, future))
        else:
            future.set_result(CellResult(answer))
        return future

    def kill(self) -> None:
        self.killed.set()
        for cell_id, key, future in self.hanging:
            future.set_result(CellResult(failed(cell_id, Reason.INTERRUPTED, key)))
        self.hanging.clear()


class FakeClock:
    """A clock that moves a second each time it is asked."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> dt.datetime:
        return SNAPSHOT

    def seconds(self) -> float:
        self._seconds += 1
        return self._seconds
