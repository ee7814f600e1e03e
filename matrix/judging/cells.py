"""From a cell's capture to a finding for each probe channel.

For each channel, in this order:

1. a cell that failed as a whole, or in which something else is installed, answers nothing;
2. each process with the channel's setting must pass the liveness gate;
3. the channel shows the capability in a process when every decisive stimulus shows its evidence in
   one of its attempts;
4. what shows with the feature on must not show with it off (the negative control), and the negative
   control must have been answered by a live process, as the app answers by itself;
5. an app that works without the tracer and fails under it in every process is broken by it (see
   `matrix.judging.bare_control`), whatever else the processes show;
6. where a signal killed some of its processes, or a soak of its setting, the counted processes
   decide (see `matrix.judging.crashes`);
7. in a place, the control of the place must hold (see `matrix.judging.place_control`);
8. processes that differ make the channel unstable, with the counts; a crash in the soak of the same
   setting that was not counted is one that differs from a channel that showed.

A soak speaks of the feature that its setting enables: for a channel about something else (tags of
tracing, which need that setting to be seen) its crash is a remark.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from matrix.agent.crashes import COUNT, crash_subject
from matrix.judging.bare_control import Breakage, bare_failure, bare_result, is_compared
from matrix.judging.causes import build_cause
from matrix.judging.crashes import CrashCount, crash_counts
from matrix.judging.gate import (
    DecodedProcess,
    Failure,
    death,
    decode,
    has_died,
    install_failure,
    start_failure,
    unknown,
)
from matrix.judging.negative_control import (
    app_failure,
    bare_evidence,
    control_failure,
    stimulus_fact,
)
from matrix.judging.place_control import judge_in_place
from matrix.model.capture import BARE, OUTSIDE, CellCapture, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.probe import NO_EVIDENCE, Channel, Observation, Probe, Stimulus
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed
from matrix.probes.places import find_place, outside_channel
from matrix.probes.settings import is_controlled_bare

# `3.15.0rc2`: https://docs.python.org/3/library/platform.html#platform.python_version
_PREVIEW = re.compile(r"\d(?:a|b|rc)\d")


@dataclasses.dataclass(frozen=True)
class _ProcessFinding:
    """The result of one process for one channel; `label` is what the repeats are counted by.

    `reached` is False where the process was gone before the channel's turn came.
    """

    shows: Observed
    facts: tuple[Fact, ...]
    reason: Reason | None = None
    notes: tuple[Fact, ...] = ()
    reached: bool = True

    @property
    def label(self) -> str:
        return self.reason.value if self.reason else self.shows.value


@dataclasses.dataclass(frozen=True)
class _Subject:
    """The cell, probe and channel that a finding is about."""

    cell: Cell
    probe: str
    channel: str

    def unknown(self, failure: Failure) -> Finding:
        return self.finding(Observed.UNKNOWN, failure.facts, failure.reason)

    def finding(
        self,
        shows: Observed,
        facts: tuple[Fact, ...],
        reason: Reason | None = None,
        repeats: tuple[tuple[str, int], ...] = (),
        notes: tuple[Fact, ...] = (),
    ) -> Finding:
        return Finding(self.cell, self.probe, self.channel, shows, facts, reason, repeats, notes)


def findings_of(
    capture: CellCapture, names: Iterable[str], probes: Mapping[str, Probe]
) -> tuple[Finding, ...]:
    """Return a finding for every channel of the probes `names`, also of a cell that failed."""
    cell = Cell.parse(capture.cell)
    counts = tuple(process for process in capture.processes if process.purpose == COUNT)
    capture = _without_counts(capture)
    failure = _whole_failure(capture, cell)
    usable = () if failure else capture.processes
    processes = [decode(item, cell.ddtrace) for item in usable if item.purpose == "probe"]
    without = [decode(item, cell.ddtrace) for item in usable if item.purpose == OUTSIDE]
    soaks = [process for process in capture.processes if process.purpose == "soak"]
    findings: list[Finding] = []
    for probe in (probes[name] for name in names if name in probes):
        own = []
        for channel in probe.channels:
            subject = _Subject(cell, probe.name, channel.name)
            if failure is not None:
                own.append(subject.unknown(failure))
            else:
                own.append(_finding(subject, channel, processes, soaks, counts))
            if cell.place and failure is None and find_place(cell.place).asks(channel):
                outside = _outside(subject, channel, without)
                own[-1] = judge_in_place(own[-1], outside, channel, processes, without)
                findings.append(outside)
        findings += _with_undocumented(probe, own)
    notes = tuple(_preview_notes(capture))
    return tuple(
        dataclasses.replace(item, backends=capture.services, notes=(*item.notes, *notes))
        for item in findings
    )


def _preview_notes(capture: CellCapture) -> Iterator[Fact]:
    """Yield that the cell's CPython is a pre-release, where it is."""
    python = capture.identity.python if capture.identity else ""
    if _PREVIEW.search(python):
        yield fact(FactKind.PREVIEW_PYTHON, python=python)


def _with_undocumented(probe: Probe, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings of a probe's channels in their order.

    One that shows nothing notes the channels that show it by switches that are not documented.
    """
    undocumented = {channel.name for channel in probe.channels if not channel.documented}
    shown = tuple(
        item.channel
        for item in findings
        if item.channel in undocumented and item.shows is Observed.PRESENT
    )
    if not shown:
        return list(findings)
    note = fact(FactKind.SHOWS_UNDOCUMENTED, channels=shown)
    return [
        dataclasses.replace(item, notes=(*item.notes, note))
        if item.shows is Observed.ABSENT and item.channel not in undocumented
        else item
        for item in findings
    ]


def cell_failure(capture: CellCapture) -> Failure | None:
    """Return why nothing at all can be judged in the cell, or None."""
    cell = Cell.parse(capture.cell)
    capture = _without_counts(capture)
    failure = _whole_failure(capture, cell)
    if any(item.setting == BARE and item.failed is None for item in capture.processes):
        return failure  # A tracer with which nothing starts is then an answer.
    probing = [item for item in capture.processes if item.purpose == "probe" and item.traced]
    if failure is None and probing and all(item.failed is not None for item in probing):
        return start_failure(decode(probing[0], cell.ddtrace))
    return failure


def _without_counts(capture: CellCapture) -> CellCapture:
    """Return the capture without the processes that were only counted, if it has others."""
    others = tuple(process for process in capture.processes if process.purpose != COUNT)
    return dataclasses.replace(capture, processes=others) if others else capture


def _whole_failure(capture: CellCapture, cell: Cell) -> Failure | None:
    if capture.failed is not None:
        # What follows its first line is the end of a log.
        first, _, log = (capture.detail.strip() or capture.failed.value).partition("\n")
        if capture.failed is Reason.BUILD_FAILED and (cause := build_cause(log)):
            return Failure(cause.reason, cause.facts)
        return Failure(capture.failed, (fact(FactKind.CELL_FAILED, detail=first),))
    if not capture.processes:
        return Failure(Reason.NOT_RUN, (fact(FactKind.NO_PROCESS),))
    if all(item.failed is not None for item in capture.processes if item.traced):
        return None  # The processes themselves say why, better than a missing identity does.
    return install_failure(capture, cell)


def _finding(
    subject: _Subject,
    channel: Channel,
    processes: Sequence[DecodedProcess],
    soaks: Sequence[ProcessCapture],
    counts: Sequence[ProcessCapture],
) -> Finding:
    counted = crash_counts(channel, subject.probe, counts)
    tolerated = {each.subject for each in counted if each.on.tolerable}
    living = [item for item in processes if crash_subject(item.process) not in tolerated]
    answers = _process_findings(channel, subject.probe, living)
    answers = answers or _process_findings(channel, subject.probe, processes)
    if not answers:
        not_sent = subject.unknown(Failure(Reason.NOT_RUN, (fact(FactKind.PROBE_NOT_SENT),)))
        return dataclasses.replace(not_sent, notes=tuple(each.fact for each in counted))
    crashes = [
        item
        for item in soaks
        if channel.soaked
        and item.setting == channel.setting
        and _soak_crashed(item)
        and crash_subject(item) not in tolerated
    ]
    notes = [each.fact for each in counted]
    notes += [note for answer in answers for note in answer.notes]
    notes += [_soak_note(process) for process in soaks if _soak_crashed(process)]
    finding = _combined(subject, answers, tuple(dict.fromkeys(notes)), len(crashes))
    return _compared(finding, channel, processes, counted)


def _outside(subject: _Subject, channel: Channel, processes: Sequence[DecodedProcess]) -> Finding:
    """Return what a channel showed outside of the cell's place."""
    subject = dataclasses.replace(subject, channel=outside_channel(channel.name))
    answers = [
        _process_finding(item, subject.probe, channel)
        for item in processes
        if item.process.setting == channel.setting
    ]
    if not answers:
        return subject.unknown(Failure(Reason.NOT_RUN, (fact(FactKind.PROBE_NOT_SENT),)))
    return _combined(subject, answers, (), 0)


def _compared(
    finding: Finding,
    channel: Channel,
    processes: Sequence[DecodedProcess],
    counted: Sequence[CrashCount],
) -> Finding:
    """Return the finding after the controls: the bare app, counted crashes, the feature off."""
    bare = bare_result(channel, finding.probe, processes)
    if isinstance(bare, Breakage):
        repeats = ((Reason.BREAKS_APP.value, bare.count),)
        broken = dataclasses.replace(finding, shows=Observed.ABSENT, repeats=repeats)
        return dataclasses.replace(broken, reason=Reason.BREAKS_APP, facts=bare.facts)
    crashing = tuple(each.fact for each in counted if not each.on.tolerable)
    if bare is None and crashing:
        rest = tuple(note for note in finding.notes if note not in crashing)
        finding = dataclasses.replace(finding, notes=rest)
        bare = Failure(Reason.UNSTABLE, crashing)
    if bare is not None:
        return unknown(finding, bare)
    if finding.shows is Observed.ABSENT and channel.control is not None:
        failure = app_failure(channel, finding.probe, processes)
        return finding if failure is None else unknown(finding, failure)
    if finding.shows is Observed.PRESENT and channel.control is not None:
        return _controlled(finding, channel, processes)
    return finding


def _controlled(finding: Finding, channel: Channel, processes: Sequence[DecodedProcess]) -> Finding:
    """Return a finding of what shows, unknown where its negative controls did not hold.

    Of tracing itself, the app without the tracer is a negative control as good as its switch.
    """
    off = control_failure(channel, finding.probe, processes)
    switched = any(item.process.setting == channel.control for item in processes)
    failure = bare_failure(channel, finding.probe, processes)
    if is_controlled_bare(channel) and is_compared(channel, processes):
        failure = failure or bare_evidence(channel, finding.probe, processes)
    else:
        failure = failure or off
    if failure is not None:
        return unknown(finding, failure)
    silent = fact(FactKind.NOTHING_WITHOUT_FEATURE)
    if off is not None:
        silent = fact(FactKind.NOTHING_BARE, facts=off.facts if switched else ())
    return dataclasses.replace(finding, facts=(*finding.facts, silent))


def _process_findings(
    channel: Channel, probe: str, processes: Sequence[DecodedProcess]
) -> list[_ProcessFinding]:
    """Return the findings of all processes that the channel had a part in, in their order.

    A repeat is for what failed before. One that did not even start cannot tell which channels it
    was for: it counts for those that need an answer.
    """
    answers: list[_ProcessFinding] = []
    for item in processes:
        if item.process.setting != channel.setting:
            continue
        if not item.of(probe, channel.name, control=False):
            answered = any(answer.shows is Observed.PRESENT for answer in answers)
            if item.process.failed is None or (item.process.repeat and answered):
                continue
        answers.append(_process_finding(item, probe, channel))
    # What killed the process before the channel's turn is no answer where there is another.
    return [answer for answer in answers if answer.reached] or answers


def _combined(
    subject: _Subject, answers: Sequence[_ProcessFinding], notes: tuple[Fact, ...], crashes: int
) -> Finding:
    labels = Counter(answer.label for answer in answers)
    if crashes:
        labels["crashed in the soak"] = crashes
    repeats = tuple(sorted(labels.items()))
    kinds = {answer.shows for answer in answers}
    first = answers[0]
    if len(kinds) > 1 or (crashes and kinds == {Observed.PRESENT}):
        counts = tuple(f"{count} x {label}" for label, count in repeats)
        facts = (fact(FactKind.REPEATS_DIFFER, counts=counts), *first.facts)
        return subject.finding(Observed.UNKNOWN, facts, Reason.UNSTABLE, repeats, notes)
    reason = None
    if first.shows is Observed.UNKNOWN:
        reason = Counter(answer.reason for answer in answers).most_common(1)[0][0]
        first = next(answer for answer in answers if answer.reason is reason)
    facts = first.facts
    if len(answers) > 1:
        facts = (*facts, fact(FactKind.REPEATS_AGREE, count=len(answers)))
    return subject.finding(first.shows, facts, reason, repeats, notes)


def _process_finding(item: DecodedProcess, probe: str, channel: Channel) -> _ProcessFinding:
    failure = start_failure(item)
    if failure is not None:
        return _ProcessFinding(Observed.UNKNOWN, failure.facts, failure.reason)
    observations = item.of(probe, channel.name, control=False)
    shown, lacking, notes = [], [], []
    for stimulus in channel.stimuli:
        attempts = [each for each in observations if each.exchange.stimulus == stimulus.name]
        if stimulus.evidence == NO_EVIDENCE:
            continue
        matches = [stimulus.evidence.match(observation) for observation in attempts]
        holding = next((match for match in matches if match.holds), None)
        if holding is not None:
            shown.append(stimulus_fact(stimulus, holding))
        elif not stimulus.decisive:
            text = matches[0].text if matches else "not sent"
            notes.append(fact(FactKind.SHOWED_NOTHING, stimulus=stimulus.name, text=text))
        elif not any(each.exchange.status is not None for each in attempts):
            return _unanswered(item, stimulus, attempts)
        else:
            lacking.append(stimulus_fact(stimulus, matches[0], len(attempts)))
    if has_died(item.process):
        notes.append(fact(FactKind.DIED_AFTER_PROBE, facts=[death(item.process)]))
    if lacking:
        lacked = fact(FactKind.LACKED, facts=lacking)
        return _ProcessFinding(Observed.ABSENT, (lacked,), notes=tuple(notes))
    showed = fact(FactKind.SHOWED, facts=shown)
    return _ProcessFinding(Observed.PRESENT, (showed,), notes=tuple(notes))


def _unanswered(
    item: DecodedProcess, stimulus: Stimulus, attempts: Sequence[Observation]
) -> _ProcessFinding:
    if has_died(item.process):
        facts = (death(item.process), fact(FactKind.NO_ANSWER, stimulus=stimulus.name))
        return _ProcessFinding(Observed.UNKNOWN, facts, Reason.CRASHED, reached=bool(attempts))
    if not attempts:
        facts = (
            fact(FactKind.NOT_SENT, stimulus=stimulus.name),
            fact(FactKind.CELL_FAILED, detail=item.process.detail),
        )
        reason = item.process.failed or Reason.NOT_RUN
        return _ProcessFinding(Observed.UNKNOWN, facts, reason, reached=False)
    error = attempts[0].exchange.error or "no answer"
    no_answer = fact(FactKind.NO_ANSWER, stimulus=stimulus.name, error=error)
    return _ProcessFinding(Observed.UNKNOWN, (no_answer,), Reason.TIMED_OUT)


def _soak_crashed(process: ProcessCapture) -> bool:
    return has_died(process) or (process.soak is not None and not process.soak.alive)


def _soak_note(process: ProcessCapture) -> Fact:
    sent = str(process.soak.sent) if process.soak else ""
    return fact(FactKind.SOAK_CRASHED, setting=process.setting, sent=sent, facts=[death(process)])
