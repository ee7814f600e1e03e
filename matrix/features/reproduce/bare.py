"""The bare control of one cell again: the answers without the tracer, and those under it. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from matrix.agent.answers import answer_of
from matrix.cells.schedule import bare_process, tasks_of
from matrix.errors import UsageError
from matrix.model.capture import BARE, CellCapture, ProcessCapture
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe, Stimulus
from matrix.probes.settings import load_settings

_LAST_LINES = 4


@dataclasses.dataclass(frozen=True)
class BareRequest:
    """A request of a probe that the bare control sends."""

    probe: str
    stimulus: Stimulus


@dataclasses.dataclass(frozen=True)
class ComparedAnswer:
    """The distinct answers to one request: without the tracer, and under it by setting."""

    probe: str
    stimulus: str
    bare: tuple[str, ...]
    traced: Mapping[str, tuple[str, ...]]

    def lines(self) -> Iterator[str]:
        """Yield the lines of a report for people."""
        yield f"  {self.probe}: {self.stimulus}"
        yield f"    without ddtrace: {' | '.join(self.bare) or 'not sent'}"
        for setting, answers in self.traced.items():
            yield f"    under ddtrace, {setting}: {' | '.join(answers)}"

    def to_json(self) -> dict[str, object]:
        """Return the answers as plain JSON values."""
        traced = {setting: list(answers) for setting, answers in self.traced.items()}
        return {
            "probe": self.probe,
            "stimulus": self.stimulus,
            "bare": list(self.bare),
            "traced": traced,
        }


def bare_requests(planned: PlannedCell, probes: Mapping[str, Probe]) -> tuple[BareRequest, ...]:
    """Return the requests of the cell's bare control; raise UsageError where it has none."""
    own = [probes[name] for name in planned.probes if name in probes]
    requests = tuple(
        BareRequest(task.probe, stimulus)
        for process in bare_process(tasks_of(own, planned.cell.framework))
        for task in process.tasks
        for stimulus in task.channel.stimuli
    )
    if not requests:
        raise UsageError(
            f"{planned.cell} has no bare control: none of its probes sends a request",
            "Without --bare, the same command repeats the cell as it is.",
        )
    return requests


@dataclasses.dataclass(frozen=True)
class BareComparison:
    """The bare control, beside what a capture has of the cell under the tracer, if there is one."""

    bare: CellCapture
    traced: CellCapture | None

    @property
    def answers(self) -> tuple[ComparedAnswer, ...]:
        """The answers to each request of the bare control."""
        without = _answers(item for item in self.bare.processes if item.setting == BARE)
        under = {
            setting: _answers(item for item in self._loaded if item.setting == setting)
            for setting in dict.fromkeys(item.setting for item in self._loaded)
        }
        return tuple(
            ComparedAnswer(*key, bare, {name: of[key] for name, of in under.items() if key in of})
            for key, bare in without.items()
        )

    def lines(self) -> Iterator[str]:
        """Yield the lines of a report for people."""
        if self.traced is None:
            yield "  No capture of it under the tracer is kept here: run the same without --bare."
        else:
            yield f"  Under the tracer: as captured at {self.traced.started}."
        for item in self._loaded:
            if item.failed is not None:
                which = f"{item.setting} {item.purpose} {item.repeat}"
                yield f"  under ddtrace, {which}: {item.failed.value}: {item.detail}"
                yield from (f"    | {line}" for line in item.log.splitlines()[-_LAST_LINES:])
        for answer in self.answers:
            yield from answer.lines()

    def to_json(self) -> list[dict[str, object]]:
        """Return the answers as plain JSON values."""
        return [answer.to_json() for answer in self.answers]

    @property
    def _loaded(self) -> list[ProcessCapture]:
        processes = self.traced.processes if self.traced else ()
        return [item for item in processes if _is_loaded(item)]


def _is_loaded(process: ProcessCapture) -> bool:
    setting = load_settings().by_name.get(process.setting)
    return setting is None or setting.loaded


def _answers(processes: Iterable[ProcessCapture]) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], dict[str, None]] = {}
    for process in processes:
        for exchange in process.exchanges:
            if exchange.probe:
                key = exchange.probe, exchange.stimulus
                found.setdefault(key, {})[str(answer_of(exchange))] = None
    return {key: tuple(answers) for key, answers in found.items()}
