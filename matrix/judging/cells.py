"""From a cell's capture to what each probe channel showed in it.

For each channel, in this order:

1. a cell that failed as a whole, or in which something else is installed, answers nothing;
2. each process with the channel's setting must pass the liveness gate;
3. the channel shows the capability in a process when every decisive stimulus shows its evidence in
   one of its attempts;
4. what shows with the feature on must not show with it off (the negative control), and the negative
   control must have been answered by a live process, as the app answers by itself;
5. processes that differ make the channel unstable, with the counts; a crash in the soak of the same
   setting counts as one that differs from a channel that showed.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from matrix.judging.gate import (
    DecodedProcess,
    Failure,
    died,
    has_died,
    install_failure,
    one_line,
    see,
    sentence,
    start_failure,
)
from matrix.judging.negative_control import fails_itself, negative_control
from matrix.model.capture import CellCapture, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.probe import Channel, Observation, Probe, Stimulus
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed

__all__ = ["cell_failure", "findings_of"]


@dataclasses.dataclass(frozen=True)
class _Answer:
    """What one process said of one channel; `word` is what the repeats are counted by.

    `asked` is False where the process was gone before the channel's turn came.
    """

    shows: Observed
    said: str
    reason: Reason | None = None
    notes: tuple[str, ...] = ()
    asked: bool = True

    @property
    def word(self) -> str:
        return self.reason.value if self.reason else self.shows.value


def findings_of(
    capture: CellCapture, names: Iterable[str], probes: Mapping[str, Probe]
) -> tuple[Finding, ...]:
    """Return a finding for every channel of the probes `names`, also of a cell that failed."""
    cell = Cell.parse(capture.cell)
    failure = _whole_failure(capture, cell)
    probing = [] if failure else [item for item in capture.processes if item.purpose != "soak"]
    processes = [see(item, cell.ddtrace) for item in probing]
    soaks = [item for item in capture.processes if item.purpose == "soak"]
    found = []
    for name in names:
        probe = probes.get(name)
        if probe is None:
            continue
        for channel in probe.channels:
            where = (capture.cell, name, channel.name)
            if failure is not None:
                found.append(_unknown(where, failure))
            else:
                found.append(_channel(where, channel, processes, soaks))
    return tuple(dataclasses.replace(item, back_ends=capture.services) for item in found)


def cell_failure(capture: CellCapture) -> Failure | None:
    """Return why nothing at all can be judged in the cell, or None."""
    cell = Cell.parse(capture.cell)
    failure = _whole_failure(capture, cell)
    probing = [item for item in capture.processes if item.purpose != "soak" and item.traced]
    if failure is None and probing and all(item.failed is not None for item in probing):
        return start_failure(see(probing[0], cell.ddtrace))
    return failure


def _whole_failure(capture: CellCapture, cell: Cell) -> Failure | None:
    if capture.failed is not None:
        # What follows its first line is the end of a log.
        first = (capture.detail.strip() or capture.failed.value).splitlines()[0]
        return Failure(capture.failed, sentence(first))
    if not capture.processes:
        return Failure(Reason.NOT_RUN, "No process was run.")
    if all(item.failed is not None for item in capture.processes if item.traced):
        return None  # The processes themselves say why, better than a missing identity does.
    return install_failure(capture, cell)


def _channel(
    where: tuple[str, str, str],
    channel: Channel,
    processes: Sequence[DecodedProcess],
    soaks: Sequence[ProcessCapture],
) -> Finding:
    probe = where[1]
    answers = _answers(channel, probe, processes)
    if not answers:
        return _unknown(where, Failure(Reason.NOT_RUN, "The probe was not sent."))
    crashes = [item for item in soaks if item.setting == channel.setting and _soak_crashed(item)]
    notes = [note for answer in answers for note in answer.notes]
    notes += [_soak_note(item) for item in soaks if _soak_crashed(item)]
    counts = Counter(answer.word for answer in answers)
    if crashes:
        counts["crashed in the soak"] = len(crashes)
    repeats = tuple(sorted(counts.items()))
    finding = _combined(where, answers, repeats, tuple(dict.fromkeys(notes)), bool(crashes))
    if finding.shows is Observed.UNKNOWN or channel.control is None:
        return finding
    control = negative_control if finding.shows is Observed.PRESENT else fails_itself
    broken = control(channel, probe, processes)
    if broken is None and finding.shows is Observed.ABSENT:
        return finding
    if broken is None:
        return dataclasses.replace(
            finding, evidence=f"{finding.evidence} With the feature off it does not show."
        )
    return dataclasses.replace(
        finding, shows=Observed.UNKNOWN, reason=broken.reason, evidence=broken.said
    )


def _answers(channel: Channel, probe: str, processes: Sequence[DecodedProcess]) -> list[_Answer]:
    """Return the answers of all processes that the channel had a part in, in their order.

    A repeat is for what failed before. One that did not even start cannot tell which channels it
    was for: it counts for those that need an answer.
    """
    answers: list[_Answer] = []
    for seen in processes:
        if seen.process.setting != channel.setting:
            continue
        if not seen.of(probe, channel.name, control=False):
            answered = any(answer.shows is Observed.PRESENT for answer in answers)
            if seen.process.failed is None or (seen.process.repeat and answered):
                continue
        answers.append(_answer(seen, probe, channel))
    # What killed the process before the channel's turn is no answer where there is another.
    return [answer for answer in answers if answer.asked] or answers


def _combined(
    where: tuple[str, str, str],
    answers: Sequence[_Answer],
    repeats: tuple[tuple[str, int], ...],
    notes: tuple[str, ...],
    crashed: bool,  # noqa: FBT001 - the last of the facts that are combined
) -> Finding:
    kinds = {answer.shows for answer in answers}
    told = ", ".join(f"{count} x {word}" for word, count in repeats)
    unstable = len(kinds) > 1 or (crashed and kinds == {Observed.PRESENT})
    if unstable:
        said = f"Repeats differ: {told}. {answers[0].said}"
        return Finding(*where, Observed.UNKNOWN, said, Reason.UNSTABLE, repeats, notes)
    shows = answers[0].shows
    reason = None
    first = answers[0]
    if shows is Observed.UNKNOWN:
        reason = Counter(answer.reason for answer in answers).most_common(1)[0][0]
        first = next(answer for answer in answers if answer.reason is reason)
    said = first.said if len(answers) == 1 else f"{first.said} ({len(answers)} of {len(answers)})"
    return Finding(*where, shows, said, reason, repeats, notes)


def _answer(seen: DecodedProcess, probe: str, channel: Channel) -> _Answer:
    failure = start_failure(seen)
    if failure is not None:
        return _Answer(Observed.UNKNOWN, failure.said, failure.reason)
    mine = seen.of(probe, channel.name, control=False)
    seen_words, notes = [], []
    missing = []
    for stimulus in channel.stimuli:
        tried = [item for item in mine if item.exchange.stimulus == stimulus.name]
        matches = [stimulus.evidence.look(item) for item in tried]
        good = next((match for match in matches if match.holds), None)
        if good is not None:
            seen_words.append(f"{stimulus.name}: {good.said}")
        elif not stimulus.decisive:
            said = matches[0].said if matches else "not sent"
            notes.append(f"{stimulus.name} showed nothing: {said}")
        elif not any(item.exchange.status is not None for item in tried):
            return _unanswered(seen, stimulus, tried)
        else:
            missing.append(f"{stimulus.name}: {matches[0].said}, {len(tried)} tried")
    if has_died(seen.process):
        notes.append(f"after the probe: {died(seen.process)}")
    if missing:
        return _Answer(Observed.ABSENT, f"{_capital('; '.join(missing))}.", notes=tuple(notes))
    return _Answer(Observed.PRESENT, f"{_capital('; '.join(seen_words))}.", notes=tuple(notes))


def _unanswered(seen: DecodedProcess, stimulus: Stimulus, tried: Sequence[Observation]) -> _Answer:
    if has_died(seen.process):
        said = f"{died(seen.process)} No answer to {stimulus.name!r}."
        return _Answer(Observed.UNKNOWN, said, Reason.CRASHED, asked=bool(tried))
    if not tried:
        said = f"{stimulus.name!r} was not sent. {sentence(seen.process.detail)}"
        reason = seen.process.failed or Reason.NOT_RUN
        return _Answer(Observed.UNKNOWN, said, reason, asked=False)
    error = tried[0].exchange.error or "no answer"
    return _Answer(
        Observed.UNKNOWN, f"No answer to {stimulus.name!r}: {one_line(error)}", Reason.TIMED_OUT
    )


def _soak_crashed(process: ProcessCapture) -> bool:
    return has_died(process) or (process.soak is not None and not process.soak.alive)


def _soak_note(process: ProcessCapture) -> str:
    sent = f" after up to {process.soak.sent} requests" if process.soak else ""
    return f"it crashed in the soak ({process.setting}){sent}: {died(process)}"


def _unknown(where: tuple[str, str, str], failure: Failure) -> Finding:
    return Finding(*where, Observed.UNKNOWN, failure.said, failure.reason)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
