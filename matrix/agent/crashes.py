"""Counts of processes that a signal killed, with a feature and without it.

What a process was doing when it died is its *subject*, and processes are counted by it: the start
of a setting (`start/appsec`), a channel of a probe (`iast/header`), or a soak (`soak/appsec`). A
process that neither died by a signal nor lived to its end, such as one that got no time, does not
count.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from math import comb

from matrix.model.capture import CellCapture, ProcessCapture
from matrix.system.files import read_data

COUNT = "count"
"""The purpose of a process that is only counted."""
_SOAK = "soak"
_START = "start"
# Windows reports errors as such exit codes, for example 0xC0000005, an access violation:
# https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/
_FIRST_EXCEPTION = 0xC0000000


@dataclasses.dataclass(frozen=True)
class CrashPolicy:
    """The numbers of `data/crashes.toml`, which explains them."""

    first: int
    most: int
    significance: float
    tolerated: int


@dataclasses.dataclass(frozen=True)
class Tally:
    """A number of counted processes, and of those among them that a signal killed."""

    died: int
    count: int

    def exceeds(self, other: Tally) -> bool:
        """Return whether more died than chance explains, beside `other`; both must be counted."""
        policy = crash_policy()
        if min(self.count, other.count) < policy.first:
            return False
        chance = more_hits_probability(self.died, self.count, other.died, other.count)
        return chance < policy.significance

    @property
    def tolerable(self) -> bool:
        """True where so few died of the most that are counted that the feature holds."""
        policy = crash_policy()
        return self.count >= policy.most and self.died <= policy.tolerated


@functools.cache
def crash_policy() -> CrashPolicy:
    """Return the policy of the project."""
    return CrashPolicy(**read_data("crashes"))


def is_count(capture: CellCapture) -> bool:
    """Return whether processes of the cell were run only to count crashes."""
    return bool(capture.processes) and all(item.purpose == COUNT for item in capture.processes)


def is_killed(process: ProcessCapture) -> bool:
    """Return whether a signal, or an exception of Windows, killed the process."""
    return process.exit_code is not None and bool(describe_crash(process.exit_code))


def describe_crash(code: int) -> str:
    """Return what killed a process with this exit code, "" if it ended by itself.

    On POSIX a signal's number, negative here; on Windows 32 bits, of which a program may give any.
    """
    if code < 0:
        return f"died of signal {-code}"
    return f"died of exception {code:#x}" if code >= _FIRST_EXCEPTION else ""


def channel_subject(probe: str, channel: str) -> str:
    """Return the subject of a process that died at a channel's requests."""
    return f"{probe}/{channel}"


def start_subject(setting: str) -> str:
    """Return the subject of a process that died before a probe's first request."""
    return f"{_START}/{setting}"


def soak_subject(setting: str) -> str:
    """Return the subject of a process that died in a soak."""
    return f"{_SOAK}/{setting}"


def crash_subject(process: ProcessCapture) -> str:
    """Return what the process was doing when it was killed, "" where it was not.

    Also "" for one that died at the requests of a negative control.
    """
    if not is_killed(process):
        return ""
    if process.purpose == _SOAK:
        return soak_subject(process.setting)
    last = process.exchanges[-1] if process.exchanges else None
    if last is None or not last.probe:
        return start_subject(process.setting)
    return "" if last.control else channel_subject(last.probe, last.channel)


def tally(processes: Iterable[ProcessCapture]) -> Tally:
    """Return how many of the processes died, without those that do not count."""
    died = lived = 0
    for process in processes:
        died += is_killed(process)
        lived += process.exit_code is None and process.failed is None
    return Tally(died, died + lived)


def counted(
    processes: Sequence[ProcessCapture], subject: str, setting: str
) -> tuple[Tally, Tally] | None:
    """Return the tallies of a subject with the feature (`setting`) and with it off, if counted."""
    own = [item for item in processes if item.purpose == COUNT and item.counted == subject]
    if not own:
        return None
    on = [item for item in own if item.setting == setting]
    return tally(on), tally(item for item in own if item.setting != setting)


def more_hits_probability(hits: int, size: int, other_hits: int, other_size: int) -> float:
    """Return the probability of at least so many hits in the first group, were both alike.

    Fisher's exact test, one-sided: the sum of the hypergeometric distribution with the margins of
    the table.
    """
    total = hits + other_hits
    most = min(total, size)
    ways = sum(comb(size, n) * comb(other_size, total - n) for n in range(hits, most + 1))
    return ways / comb(size + other_size, total)
