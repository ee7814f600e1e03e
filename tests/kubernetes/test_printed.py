"""Tests of results that are printed, and read from a log that may lack some of it."""

from __future__ import annotations

import random

import pytest

from matrix.kubernetes.printed import CutShortError, print_lines, read_log

# Random, so that it does not shrink to one line.
VALUE = {"text": random.Random(1).randbytes(40_000).hex()}  # noqa: S311
LINES = list(print_lines(VALUE))


def log(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_result_comes_back_whatever_else_was_printed() -> None:
    assert len(LINES) > 5
    assert max(map(len, LINES)) < 16_384
    assert read_log(log(LINES)) == VALUE
    assert read_log(b"\xff\xfe warning\n" + log([*LINES[:3], "noise", *LINES[3:]])) == VALUE


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no line of a result"),
        (LINES[1:], r"1 of \d+ lines are missing, from 1 on"),
        (LINES[:-1], r"1 of \d+ lines are missing"),
        ([LINES[0][:-5], *LINES[1:]], "no base64|another digest"),
        ([*LINES[:2], LINES[2].replace("A", "B"), *LINES[3:]], "another digest"),
        ([*LINES, *print_lines("another")], "several results"),
    ],
    ids=["nothing", "start", "end", "line", "content", "two"],
)
def test_a_log_that_was_cut_short_is_noticed(lines: list[str], message: str) -> None:
    with pytest.raises(CutShortError, match=message):
        read_log(log(lines))
