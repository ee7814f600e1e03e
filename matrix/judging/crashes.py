"""Crashes are counted: what the counted processes tell of a channel.

The decision table. *On* are the processes with the feature, *off* those with it off in the same
cell, *there* those with it at another release. One number *exceeds* another where Fisher's exact
test says that chance does not explain it, and both are of ten processes at least.

===========================  ==============================  ======================================
on                           off, there                      answer
===========================  ==============================  ======================================
every process of the probe   not counted                     breaks-app, or why the app fails bare
fails                                                        (`matrix.judging.bare_control`)
at most 1 of 30 dies         any                             by the evidence of those that lived;
                                                             the rate is a remark
more                         on exceeds both                 refuted (crashes)
more                         on does not exceed off          unverified (unstable), with the counts
more                         on exceeds off, not there, or   unverified (unstable), with the counts
                             there was not counted
===========================  ==============================  ======================================

A finding is of one cell: it has the counts of on and off, and is unstable. What there tells is
added where a part is judged. Crashes break no denial of a capability: that stays unverified.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from matrix.agent.crashes import (
    Tally,
    channel_subject,
    counted,
    crash_policy,
    soak_subject,
    start_subject,
)
from matrix.model.capture import ProcessCapture
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.probe import Channel
from matrix.model.verdict import Finding


@dataclasses.dataclass(frozen=True)
class CrashCount:
    """The processes of a subject that died, with the feature and with it off."""

    subject: str
    setting: str
    on: Tally
    off: Tally

    @property
    def processes(self) -> int:
        """The number of processes to count at another release at first: as many as here."""
        policy = crash_policy()
        return policy.first if self.on.count < policy.most else policy.most

    @property
    def fact(self) -> Fact:
        """The counts as a fact."""
        return fact(
            FactKind.CRASHES_COUNTED,
            subject=self.subject,
            setting=self.setting,
            died=self.on.died,
            count=self.on.count,
            off_died=self.off.died,
            off_count=self.off.count,
        )

    @classmethod
    def of(cls, item: Fact) -> CrashCount:
        """Return the counts of a fact that holds them."""
        return cls(
            item.text("subject"),
            item.text("setting"),
            Tally(item.number("died"), item.number("count")),
            Tally(item.number("off_died"), item.number("off_count")),
        )


def crash_counts(
    channel: Channel, probe: str, processes: Sequence[ProcessCapture]
) -> tuple[CrashCount, ...]:
    """Return what was counted of the channel: its own requests, its setting's start and soak."""
    setting = channel.setting
    subjects = [channel_subject(probe, channel.name), start_subject(setting)]
    subjects += [soak_subject(setting)] if channel.soaked else []
    return tuple(
        CrashCount(subject, setting, *tallies)
        for subject in subjects
        if (tallies := counted(processes, subject, setting)) is not None
    )


def counts_of(finding: Finding | None) -> tuple[CrashCount, ...]:
    """Return the counts that a finding has, in its facts or beside them."""
    if finding is None:
        return ()
    items = dict.fromkeys((*finding.facts, *finding.notes))
    return tuple(CrashCount.of(item) for item in items if item.kind is FactKind.CRASHES_COUNTED)


def suspicious_count(finding: Finding | None) -> CrashCount | None:
    """Return the count for which another release must be asked, None where there is none.

    More processes die than may, and than do with the feature off.
    """
    for count in counts_of(finding):
        if not count.on.tolerable and count.on.exceeds(count.off):
            return count
    return None
