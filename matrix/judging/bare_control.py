"""The bare control: the same requests to the app in the same environment, without the tracer.

The decision table for one channel. Under the tracer a process *fails* where the app does not start,
crashes, gives another answer than bare, or answers and is not traced though it is with the feature
off. Bare, the app *works* where it started and gave every answer that it should.

===========  ==============================  ===================================================
bare         under the tracer                finding
===========  ==============================  ===================================================
works        fails in every process, of      absent (breaks-app): bare is its positive control
             three at least
works        fails in some                   unknown (unstable), or by the evidence
fails        fails in every process          unknown (app-fails): the environment, the library or
                                             the app is at fault; does-not-import where the library
                                             did not, system-library where a file of the system is
                                             missing for that
fails        shows the capability            unknown (no-control) where answers are compared
not run      any                             by the evidence alone
===========  ==============================  ===================================================

A process that got no time to start fails in no way: that is a timeout.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections import Counter, defaultdict
from collections.abc import Sequence

from matrix.agent.answers import LEAST_PROCESSES, Answer, answer_of, bare_answers, differs, works
from matrix.judging.causes import import_cause
from matrix.judging.gate import DecodedProcess, Failure, death, has_died, start_failure
from matrix.model.capture import BARE
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.probe import Channel, Stimulus
from matrix.model.reason import Reason

_SERVER_ERROR = 500


class Way(str, enum.Enum):
    """The ways in which a tracer breaks an app."""

    DOES_NOT_START = "does-not-start"
    CRASHES = "crashes"
    ANSWERS_OTHERWISE = "answers-otherwise"
    STARTS_UNTRACED = "starts-untraced"


@dataclasses.dataclass(frozen=True)
class Breakage:
    """The app works bare and fails under the tracer in every process: `count` of them."""

    count: int
    facts: tuple[Fact, ...]


@dataclasses.dataclass(frozen=True)
class _Fault:
    """The way in which one process fails, and what tells it."""

    way: Way
    facts: tuple[Fact, ...]


def bare_result(
    channel: Channel, probe: str, processes: Sequence[DecodedProcess]
) -> Breakage | Failure | None:
    """Return whether the tracer breaks the app, or why it fails without the tracer as well.

    None where nothing fails in every process, or where there was no bare control.
    """
    control = _BareControl(channel, probe, processes)
    if not control.bare:
        return None
    own = control.processes(channel.setting)
    faults = [fault for item in own if (fault := control.fault(item)) is not None]
    if not own or len(faults) < len(own):
        return None
    if (failure := control.failure()) is not None:
        return None if any(map(control.is_answered_as_expected, own)) else failure
    if len(own) < LEAST_PROCESSES:
        return None
    return control.breakage(faults)


def bare_failure(
    channel: Channel, probe: str, processes: Sequence[DecodedProcess]
) -> Failure | None:
    """Return why answers could not be compared with those of the app without the tracer.

    None where they were, or need not be.
    """
    if not is_compared(channel, processes):
        return None
    failure = _BareControl(channel, probe, processes).failure()
    return None if failure is None else dataclasses.replace(failure, reason=Reason.NO_CONTROL)


def is_compared(channel: Channel, processes: Sequence[DecodedProcess]) -> bool:
    """Return whether answers of the channel are compared with those of a bare control that ran."""
    ran = any(item.process.setting == BARE for item in processes)
    return ran and any(stimulus.is_compared for stimulus in channel.stimuli)


@dataclasses.dataclass(frozen=True)
class _BareControl:
    """A channel of a probe in the processes of a cell, with and without the tracer."""

    channel: Channel
    probe: str
    all: Sequence[DecodedProcess]

    @functools.cached_property
    def bare(self) -> list[DecodedProcess]:
        return [item for item in self.all if item.process.setting == BARE]

    @property
    def stimuli(self) -> list[Stimulus]:
        """Return the stimuli that must be answered as they are without the tracer."""
        return [each for each in self.channel.stimuli if each.decisive or each.is_compared]

    def answers(self, stimulus: Stimulus) -> tuple[Answer, ...]:
        captures = [item.process for item in self.bare if start_failure(item) is None]
        return bare_answers(captures, self.probe, stimulus)

    def processes(self, setting: str | None) -> list[DecodedProcess]:
        """Return the processes of a setting in which the channel had, or was to have, a part."""
        control = setting == self.channel.control
        return [
            item
            for item in self.all
            if item.process.setting == setting
            and (
                item.of(self.probe, self.channel.name, control=control)
                or item.process.boot_seconds is None
                or start_failure(item) is not None
            )
        ]

    def failure(self) -> Failure | None:
        """Return why the app fails without the tracer, None where it works."""
        for item in self.bare:
            if (failure := start_failure(item)) is not None:
                if cause := import_cause(item.process.log):
                    return _app_fails(cause.facts, cause.reason)
                return _app_fails(failure.facts)
        for stimulus in self.stimuli:
            answers = self.answers(stimulus)
            if not answers:
                return _app_fails((fact(FactKind.NOT_SENT, stimulus=stimulus.name),))
            if not works(stimulus, answers):
                return _app_fails((_answered(stimulus, answers[0], ()),))
        return None

    def is_answered_as_expected(self, item: DecodedProcess) -> bool:
        """Return whether a process gave every answer that the app should give by itself."""
        answers: dict[str, list[Answer]] = defaultdict(list)
        for each in item.of(self.probe, self.channel.name, control=False):
            answers[each.exchange.stimulus].append(answer_of(each.exchange))
        return all(works(stimulus, answers[stimulus.name]) for stimulus in self.stimuli)

    def fault(self, item: DecodedProcess, *, control: bool = False) -> _Fault | None:
        """Return the way in which a process fails, None where it does not."""
        process = item.process
        if process.failed is Reason.TIMED_OUT:
            return None
        if process.boot_seconds is None:
            return _Fault(Way.DOES_NOT_START, _start_facts(item)) if process.failed else None
        if has_died(process) and not self._is_answered(item, control=control):
            return _Fault(Way.CRASHES, (death(process),))
        if item.liveness.untraced and not control:
            return self._untraced(item)
        changed = _first_answer(item) or self._changed(item, control=control)
        return _Fault(Way.ANSWERS_OTHERWISE, changed) if changed else None

    def _untraced(self, item: DecodedProcess) -> _Fault | None:
        """Return the fault of an untraced app that is traced with the feature off."""
        controls = self.processes(self.channel.control)
        traced = any(each.liveness.alive and each.process.traced for each in controls)
        return _Fault(Way.STARTS_UNTRACED, _start_facts(item)) if traced else None

    def breakage(self, faults: Sequence[_Fault]) -> Breakage:
        way = Counter(each.way for each in faults).most_common(1)[0][0]
        first = next(each for each in faults if each.way is way)
        broken = fact(
            FactKind.BREAKS_APP,
            way=way.value,
            count=len(faults),
            tracing_off=self._tracing_off(),
            facts=first.facts,
        )
        answers = [
            fact(FactKind.ANSWERED, stimulus=stimulus.name, answer=str(self.answers(stimulus)[0]))
            for stimulus in self.stimuli
        ]
        return Breakage(len(faults), (broken, fact(FactKind.WORKS_BARE, facts=answers)))

    def _tracing_off(self) -> str:
        """Return whether the app `works` or `fails` with tracing off, or that it is `unknown`."""
        controls = self.processes(self.channel.control)
        if not controls or any(each.process.traced for each in controls):
            return "unknown"
        return "fails" if all(self.fault(each, control=True) for each in controls) else "works"

    def _is_answered(self, item: DecodedProcess, *, control: bool) -> bool:
        sent = item.of(self.probe, self.channel.name, control=control)
        answered = {each.exchange.stimulus for each in sent if each.exchange.status is not None}
        return {each.name for each in self.stimuli} <= answered

    def _changed(self, item: DecodedProcess, *, control: bool) -> tuple[Fact, ...]:
        """Return the answers that are no answers of the app without the tracer."""
        sent = item.of(self.probe, self.channel.name, control=control)
        changed = []
        for stimulus in self.stimuli:
            bare = self.answers(stimulus)
            observed = [each for each in sent if each.exchange.stimulus == stimulus.name]
            if not observed or not bare:
                continue
            if stimulus.is_compared:
                others = [differs(stimulus, answer_of(each.exchange), bare) for each in observed]
            else:
                # A capability may block; only an error that is not its evidence is none of it.
                statuses = {answer.status for answer in bare}
                others = [
                    each.exchange.status not in statuses
                    and (each.exchange.status or _SERVER_ERROR) >= _SERVER_ERROR
                    and not stimulus.evidence.match(each).holds
                    for each in observed
                ]
            if all(others):
                changed.append(_answered(stimulus, answer_of(observed[0].exchange), bare))
        return tuple(changed)


def _first_answer(item: DecodedProcess) -> tuple[Fact, ...]:
    """Return the answer to the first plain request where it is an error, or there is none."""
    first = next((exchange for exchange in item.process.exchanges if not exchange.probe), None)
    if first is None or (first.status or _SERVER_ERROR) < _SERVER_ERROR:
        return ()
    answer = str(answer_of(first))
    return (fact(FactKind.ANSWERED, stimulus="first request", answer=answer, expected="200"),)


def _start_facts(item: DecodedProcess) -> tuple[Fact, ...]:
    failure = start_failure(item)
    return failure.facts if failure is not None else ()


def _app_fails(facts: tuple[Fact, ...], reason: Reason = Reason.APP_FAILS) -> Failure:
    return Failure(reason, (fact(FactKind.APP_FAILS_BARE, facts=facts),))


def _answered(stimulus: Stimulus, answer: Answer, bare: Sequence[Answer]) -> Fact:
    expected = str(bare[0]) if bare else str(stimulus.plain or "")
    return fact(FactKind.ANSWERED, stimulus=stimulus.name, answer=str(answer), expected=expected)
