"""Answers of an app: what differs by nature, and what may not differ."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.run_fakes import exchange

from matrix.agent.answers import Answer, answer_of, differs, works
from matrix.model.probe import NO_EVIDENCE, Compared, Stimulus

CALL = Stimulus("call", NO_EVIDENCE, "/{shop}/call", plain=200, compared=Compared.ANSWER)


def body(text: str) -> str:
    return answer_of(exchange(text, number=1)).body


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"for s{1:015x}", "for {shop}"),
        ("<object at 0x7f3a9c001220>", "<object at 0x55d0a1b2c3d4>"),
        ("127.0.0.1:40001 refused", "127.0.0.1:40002 refused"),
        ("at 2026-11-30 08:01:02.123", "at 2025-01-02 03:04:05"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id 00000000-0000-0000-0000-000000000000"),
        ("('127.0.0.1', 1024)", "('127.0.0.1', 2048)"),
    ],
)
def test_what_differs_by_nature_is_left_out(one: str, other: str) -> None:
    assert body(one) == body(other)


@pytest.mark.parametrize(
    ("one", "other"), [("Emma", "Emma 2"), ("LookupError: no", "KeyError: no"), ("1", "2")]
)
def test_everything_else_counts(one: str, other: str) -> None:
    assert body(one) != body(other)


def test_an_answer_that_the_app_does_not_give_alone_differs() -> None:
    alone = [Answer(200, "Emma")] * 2
    assert not differs(CALL, Answer(200, "Emma"), alone)
    assert differs(CALL, Answer(200, "Emma!"), alone)
    assert differs(CALL, Answer(500, "Emma"), alone)
    assert differs(CALL, Answer(None, "reset"), alone)


def test_of_answers_that_differ_by_themselves_status_and_exception_are_compared() -> None:
    alone = [Answer(500, "ValueError: 1"), Answer(500, "ValueError: 2")]
    assert not differs(CALL, Answer(500, "ValueError: 3"), alone)
    assert differs(CALL, Answer(500, "TypeError: 3"), alone)
    assert differs(CALL, Answer(200, "ValueError: 1"), alone)


def test_only_what_is_to_be_compared_is() -> None:
    status = dataclasses.replace(CALL, compared=Compared.STATUS)
    assert not differs(status, Answer(200, "{}"), [Answer(200, "other")])
    assert differs(status, Answer(500, "{}"), [Answer(200, "other")])
    nothing = dataclasses.replace(CALL, compared=Compared.NOTHING)
    assert not differs(nothing, Answer(500, ""), [Answer(200, "")])
    assert not differs(CALL, Answer(500, ""), []), "nothing to compare with"


def test_the_app_works_where_every_answer_is_the_expected_one() -> None:
    assert works(CALL, [Answer(200, "a"), Answer(200, "b")])
    assert not works(CALL, [Answer(200, "a"), Answer(500, "b")])
    assert not works(CALL, [])
    unknown = dataclasses.replace(CALL, plain=None)
    assert works(unknown, [Answer(404, "")])
    assert not works(unknown, [Answer(502, "")])


def test_a_long_answer_is_told_in_short() -> None:
    assert len(str(Answer(500, "x" * 9_000))) < 150
    assert str(Answer(None, "")) == "no answer (the connection was closed)"
