"""The negative control of a channel: the same requests with the feature off must show nothing.

Silence proves something only where it is that of a working app: a control that did not live, was
not sent, or was not answered as the app answers by itself is none. Nor does a request that fails
tell of the tracer where it fails without it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matrix.agent.observations import why_no_control
from matrix.judging.gate import DecodedProcess, Failure, died, has_died, sentence, start_failure
from matrix.model.probe import Channel, Observation, Stimulus
from matrix.model.reason import Reason

__all__ = ["fails_itself", "negative_control"]


def negative_control(
    channel: Channel, probe: str, processes: Sequence[DecodedProcess]
) -> Failure | None:
    """Return why the negative control did not hold, or None where it did."""
    controls = [seen for seen in processes if seen.process.setting == channel.control]
    failures = [found for seen in controls if (found := start_failure(seen) or _cut_short(seen))]
    alive = [seen for seen in controls if start_failure(seen) is None]
    missing = []
    for stimulus in (item for item in channel.stimuli if item.decisive):
        tried = [
            (seen, item)
            for seen in alive
            for item in seen.of(probe, channel.name, control=True)
            if item.exchange.stimulus == stimulus.name
        ]
        for _, item in tried:
            match = stimulus.evidence.look(item)
            if match.holds:
                return Failure(
                    Reason.SHOWS_WITHOUT_FEATURE,
                    f"It also shows with the feature off ({channel.control}):"
                    f" {stimulus.name}: {match.said}.",
                )
        whys = [_why_not(seen, item, stimulus) for seen, item in tried]
        if None not in whys:
            missing.append(f"{stimulus.name!r} {whys[0] if whys else 'was not sent'}")
    if not missing:
        return None
    nothing = f"With the feature off ({channel.control}) nothing can be told:"
    if failures:
        return Failure(failures[0].reason, f"{nothing} {failures[0].said}")
    return Failure(Reason.NO_CONTROL, f"{nothing} {', '.join(missing)}.")


def fails_itself(
    channel: Channel, probe: str, processes: Sequence[DecodedProcess]
) -> Failure | None:
    """Return why what is missing says nothing of the tracer: the app fails without it as well.

    Nor does a request that fails with the feature on, where nobody knows how it is answered
    without.
    """
    for stimulus in (item for item in channel.stimuli if item.decisive):
        if stimulus.plain is None:
            continue
        without = {
            item.exchange.status
            for seen in processes
            if seen.process.setting == channel.control and start_failure(seen) is None
            for item in seen.of(probe, channel.name, control=True)
            if item.exchange.stimulus == stimulus.name
        }
        if without and stimulus.plain not in without:
            return Failure(
                Reason.BROKEN_START,
                f"The app itself fails: with the feature off ({channel.control})"
                f" {stimulus.name!r} was answered {_told(without)}, not {stimulus.plain}.",
            )
        tried = [
            item
            for seen in processes
            if seen.process.setting == channel.setting
            for item in seen.of(probe, channel.name, control=False)
            if item.exchange.stimulus == stimulus.name
        ]
        answers = {item.exchange.status for item in tried}
        if without or not tried or stimulus.plain in answers:
            continue
        if not any(stimulus.evidence.look(item).holds for item in tried):
            return Failure(
                Reason.NO_CONTROL,
                f"{stimulus.name!r} was answered {_told(answers)}, not {stimulus.plain}. Nobody"
                f" knows whether the app works by itself: with the feature off ({channel.control})"
                " it was not asked.",
            )
    return None


def _told(statuses: Iterable[int | None]) -> str:
    return ", ".join(str(status or "nothing") for status in sorted(statuses, key=str))


def _why_not(seen: DecodedProcess, item: Observation, stimulus: Stimulus) -> str | None:
    cut = _cut_short(seen)
    return why_no_control(seen.process, item, stimulus) or (cut.said if cut else None)


def _cut_short(seen: DecodedProcess) -> Failure | None:
    """Return why an untraced process may have had something to say that did not come.

    Where tracing is on, the span of each request tells that what it caused was sent.
    """
    if seen.process.traced:
        return None
    if has_died(seen.process):
        return Failure(Reason.CRASHED, died(seen.process))
    if seen.process.failed is not None:
        return Failure(seen.process.failed, sentence(seen.process.detail))
    return None
