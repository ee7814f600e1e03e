"""The policy file is parsed strictly, and all problems are reported at once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import UnreadableInputError
from matrix.features.qualification.policy import Policy, default_policy, parse_policy, policy_bytes
from matrix.interpreters.inspect import host_target
from matrix.model.cell import matches

GOOD = """
schema = "policy/1"
[require]
claims = ["*/capability/*", "*/runtime/*"]
not_claims = ["*/capability/iast"]
targets = ["linux_x86_64"]
[evidence]
max_age_days = 7
repeats = 3
[[waiver]]
claims = ["*/runtime/cpython/3.11*"]
why = "no wheel"
by = "Emma"
until = 2027-01-31
"""


def parse(text: str) -> Policy:
    return parse_policy(text.encode(), "policy.toml")


def problems(text: str) -> str:
    with pytest.raises(UnreadableInputError) as caught:
        parse(text)
    return caught.value.message


def test_all_fields_of_a_policy_are_parsed() -> None:
    policy = parse(GOOD)
    assert policy.claims == ("*/capability/*", "*/runtime/*")
    assert policy.not_claims == ("*/capability/iast",)
    assert policy.targets == ("linux_x86_64",)
    assert (policy.max_age, policy.repeats) == (dt.timedelta(days=7), 3)
    assert [(waiver.by, waiver.until) for waiver in policy.waivers] == [
        ("Emma", dt.date(2027, 1, 31))
    ]
    assert len(policy.sha256) == 64


def test_most_fields_have_defaults() -> None:
    policy = parse('schema = "policy/1"\n[require]\nclaims = ["*"]\n')
    assert (policy.repeats, policy.waivers, policy.targets) == (1, (), ())
    assert policy.max_age == dt.timedelta(days=14)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[require]", "[requires]", "did you mean 'require'?"),
        ("claims = [", "claim = [", "did you mean 'claims'?"),
        ("repeats = 3", "repeat = 3", "did you mean 'repeats'?"),
        ('by = "Emma"', "", "waiver 1: missing by"),
        ("until = 2027-01-31", 'until = "2027-01-31"', "is not a date"),
        ("until = 2027-01-31", "until = 2027-01-31T10:00:00", "is not a date"),
        ("repeats = 3", "repeats = 0", "is not a whole number"),
        ("repeats = 3", "repeats = true", "is not a whole number"),
        ("max_age_days = 7", "max_age_days = 5000", "more than 366"),
        ('"policy/1"', '"policy/2"', "schema"),
        ('targets = ["linux_x86_64"]', "targets = []", "is not a list of texts"),
        ('"linux_x86_64"', '"linux_x86-64"', "did you mean 'linux_x86_64'?"),
        ("[[waiver]]", "[waiver]", "list of tables"),
        ('why = "no wheel"', 'why = " "', "is not a text"),
        ("repeats = 3", 'places = ["fargate-shape"]', "did you mean 'fargate-shaped'?"),
    ],
)
def test_invalid_fields_are_reported(old: str, new: str, message: str) -> None:
    assert old in GOOD
    assert message in problems(GOOD.replace(old, new, 1))


def test_all_problems_are_reported_at_once() -> None:
    message = problems(GOOD.replace("repeats = 3", "repeat = 3").replace("[require]", "[requires]"))
    assert "repeats" in message
    assert "require" in message
    assert "require.claims" in message


def test_a_missing_policy_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match=r"none\.toml"):
        policy_bytes(tmp_path / "none.toml")


def test_the_default_policy_is_valid() -> None:
    policy = parse_policy(default_policy(), "policy.toml")
    assert policy.targets == (host_target(),)
    assert (policy.max_age.days, policy.repeats, policy.waivers) == (14, 1, ())
    assert all(
        matches(policy.claims[0], [f"page/{kind}/x/y"])
        for kind in ("capability", "runtime", "framework", "integration")
    )
    assert not matches(policy.claims[0], ["page/deployment/x/y"])


@given(st.binary() | st.text().map(str.encode))
def test_nonsense_is_an_error_that_names_the_file(content: bytes) -> None:
    with pytest.raises(UnreadableInputError, match=r"policy\.toml"):
        parse_policy(content, "policy.toml")
