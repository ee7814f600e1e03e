"""The costs of phases: what belongs to which, and what is left."""

from __future__ import annotations

import threading

import pytest

from matrix.model.capture import Cost
from matrix.system.timings import BUILD, BYTE_CODE, OTHER, PLAN, RESOLVE, Timings


class FakeClock:
    """Seconds that a test passes; of a process that computes all the time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def new_timings() -> tuple[Timings, FakeClock]:
    clock = FakeClock()
    return Timings(clock, clock, clock), clock


def test_a_phase_within_another_one_takes_its_own_time_only() -> None:
    timings, clock = new_timings()
    with timings.phase(BUILD):
        clock.now += 1
        with timings.phase(BYTE_CODE):
            clock.now += 4
        clock.now += 2
    assert timings.take() == (Cost(BUILD, 1, 3, 3), Cost(BYTE_CODE, 1, 4, 4))


def test_the_time_of_another_process_belongs_to_the_innermost_phase_of_its_thread() -> None:
    timings, _ = new_timings()
    with timings.phase(RESOLVE):
        timings.add_cpu(7.0)
        timings.add_cpu(None)
        other = threading.Thread(target=timings.add_cpu, args=(100.0,))
        other.start()
        other.join()
    assert timings.take() == (Cost(RESOLVE, 1, 0, 7),)


def test_what_belongs_to_no_phase_is_told_once() -> None:
    timings, clock = new_timings()
    clock.now += 5
    with timings.phase(PLAN):
        clock.now += 2
        timings.add_cpu(100.0)
    clock.now += 1
    timings.add_rest(OTHER)
    timings.add_rest(OTHER)
    assert timings.take() == (Cost(PLAN, 1, 2, 102), Cost(OTHER, 2, 0, 6))
    assert timings.take() == ()


def test_a_phase_that_fails_has_its_time_too() -> None:
    timings, clock = new_timings()
    with pytest.raises(ZeroDivisionError), timings.phase(BUILD):
        clock.now += 3 / 0
    with timings.phase(BUILD):
        clock.now += 4
    assert timings.take() == (Cost(BUILD, 2, 4, 4),)
