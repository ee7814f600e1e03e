"""The negative control of a channel: the same requests with the feature off must show nothing.

Silence proves something only where it is that of a working app: a control that did not live, was
not sent, or was not answered as the app answers by itself is none. Nor does a request that fails
tell of the tracer where it fails without it as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matrix.agent.answers import bare_answers, is_sent
from matrix.agent.observations import control_problem
from matrix.judging.gate import DecodedProcess, Failure, death, has_died, start_failure
from matrix.judging.sentences import evidence_text
from matrix.model.capture import BARE
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.probe import Channel, Match, Observation, Stimulus
from matrix.model.reason import Reason
from matrix.probes.settings import is_controlled_bare


def control_failure(
    channel: Channel, probe: str, processes: Sequence[DecodedProcess]
) -> Failure | None:
    """Return why the negative control did not hold, or None where it did."""
    control = str(channel.control)
    controls = [item for item in processes if item.process.setting == channel.control]
    failures = [
        failure for item in controls if (failure := start_failure(item) or _early_end(item))
    ]
    alive = [item for item in controls if start_failure(item) is None]
    silent = []
    for stimulus in (stimulus for stimulus in channel.stimuli if stimulus.decisive):
        attempts = [
            (item, observation)
            for item in alive
            for observation in item.of(probe, channel.name, control=True)
            if observation.exchange.stimulus == stimulus.name
        ]
        for _, observation in attempts:
            match = stimulus.evidence.match(observation)
            if match.holds:
                return _shows_without_feature(control, stimulus, match)
        problems = [_problem(item, observation, stimulus) for item, observation in attempts]
        if None not in problems:
            silent.append(f"{stimulus.name!r} {problems[0] if problems else 'was not sent'}")
    if not silent:
        return None
    if failures:
        failed = fact(FactKind.CONTROL_FAILED, control=control, facts=failures[0].facts)
        return Failure(failures[0].reason, (failed,))
    return Failure(
        Reason.NO_CONTROL, (fact(FactKind.CONTROL_SILENT, control=control, clauses=tuple(silent)),)
    )


def bare_evidence(
    channel: Channel, probe: str, processes: Sequence[DecodedProcess]
) -> Failure | None:
    """Return the failure of a bare control that shows what only the tracer should, else None."""
    for item in processes:
        if item.process.setting != BARE:
            continue
        for stimulus in (stimulus for stimulus in channel.stimuli if stimulus.decisive):
            for observation in item.observations:
                exchange = observation.exchange
                if exchange.probe != probe or not is_sent(stimulus, exchange):
                    continue
                match = stimulus.evidence.match(observation)
                if match.holds:
                    return _shows_without_feature(BARE, stimulus, match)
    return None


def app_failure(
    channel: Channel, probe: str, processes: Sequence[DecodedProcess]
) -> Failure | None:
    """Return why what is missing says nothing of the tracer: the app fails without it as well.

    Nor does a request that fails with the feature on, where it is not known how it is answered
    without.
    """
    for stimulus in (stimulus for stimulus in channel.stimuli if stimulus.decisive):
        if stimulus.plain is None:
            continue
        without = {
            observation.exchange.status
            for item in processes
            if item.process.setting == channel.control and start_failure(item) is None
            for observation in item.of(probe, channel.name, control=True)
            if observation.exchange.stimulus == stimulus.name
        }
        if is_controlled_bare(channel):
            bare = [item.process for item in processes if start_failure(item) is None]
            without |= {answer.status for answer in bare_answers(bare, probe, stimulus)}
        if without and stimulus.plain not in without:
            failure = _app_fact(FactKind.APP_FAILS_WITHOUT_FEATURE, channel, stimulus, without)
            return Failure(Reason.BROKEN_START, (failure,))
        attempts = [
            observation
            for item in processes
            if item.process.setting == channel.setting
            for observation in item.of(probe, channel.name, control=False)
            if observation.exchange.stimulus == stimulus.name
        ]
        statuses = {observation.exchange.status for observation in attempts}
        if without or not attempts or stimulus.plain in statuses:
            continue
        if not any(stimulus.evidence.match(observation).holds for observation in attempts):
            failure = _app_fact(FactKind.APP_UNTESTED_WITHOUT_FEATURE, channel, stimulus, statuses)
            return Failure(Reason.NO_CONTROL, (failure,))
    return None


def stimulus_fact(stimulus: Stimulus, match: Match, tried: int = 0) -> Fact:
    """Return what a stimulus showed, or lacked in `tried` attempts."""
    clauses = [fact(FactKind.OBSERVED, text=clause) for clause in match.clauses or (match.text,)]
    return fact(FactKind.STIMULUS, stimulus=stimulus.name, tried=tried, facts=clauses)


def _shows_without_feature(control: str, stimulus: Stimulus, match: Match) -> Failure:
    shown = fact(
        FactKind.SHOWS_WITHOUT_FEATURE, control=control, facts=[stimulus_fact(stimulus, match)]
    )
    return Failure(Reason.SHOWS_WITHOUT_FEATURE, (shown,))


def _app_fact(
    kind: FactKind, channel: Channel, stimulus: Stimulus, statuses: Iterable[int | None]
) -> Fact:
    return fact(
        kind,
        control=str(channel.control),
        stimulus=stimulus.name,
        answers=", ".join(str(status or "nothing") for status in sorted(statuses, key=str)),
        expected=stimulus.plain or 0,
    )


def _problem(item: DecodedProcess, observation: Observation, stimulus: Stimulus) -> str | None:
    ended = _early_end(item)
    return control_problem(item.process, observation, stimulus) or (
        evidence_text(ended.facts) if ended else None
    )


def _early_end(item: DecodedProcess) -> Failure | None:
    """Return why an untraced process may have had something to send that did not come.

    Where tracing is on, the span of each request tells that what it caused was sent.
    """
    if item.process.traced:
        return None
    if has_died(item.process):
        return Failure(Reason.CRASHED, (death(item.process),))
    if item.process.failed is not None:
        detail = fact(FactKind.CELL_FAILED, detail=item.process.detail)
        return Failure(item.process.failed, (detail,))
    return None
