"""The policy file (schema policy/1): what a release must keep, and which failures are waived.

Read strictly: what is not understood is an error, with everything that is wrong told at once.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.errors import UnreadableInputError, did_you_mean
from matrix.interpreters.targets import host_target
from matrix.model.selectors import matches
from matrix.system.data_files import parse_toml
from matrix.system.paths import data_dir

__all__ = [
    "SCHEMA",
    "TARGETS",
    "Policy",
    "Waiver",
    "default_policy",
    "parse_policy",
    "policy_bytes",
]

SCHEMA = "policy/1"
TARGETS = (
    "linux_x86_64",
    "linux_i686",
    "linux_aarch64",
    "macosx_x86_64",
    "macosx_arm64",
    "win_amd64",
    "win32",
    "win_arm64",
)
"""Every target that a cell may be run on, here or elsewhere."""
_LONGEST = 366
_LARGEST = 10_000_000
_MOST_REPEATS = 20
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "": {"schema": "text", "require": "table", "evidence": "table", "waiver": "tables"},
    "require": {"claims": "texts", "not_claims": "texts", "targets": "texts"},
    "evidence": {"max_age_days": "count", "repeats": "count"},
    "waiver": {"claims": "texts", "why": "text", "by": "text", "until": "date"},
}
_KINDS = {
    "text": "a text",
    "texts": "a list of texts",
    "table": "a table",
    "tables": "a list of tables, [[waiver]]",
    "count": "a whole number",
    "date": "a date such as 2027-01-31",
}


@dataclasses.dataclass(frozen=True)
class Waiver:
    """Claims (globs of their ids) that may fail until a day, that day included; who says so."""

    claims: tuple[str, ...]
    why: str
    by: str
    until: dt.date


@dataclasses.dataclass(frozen=True)
class Policy:
    """`claims` less `not_claims` (globs of ids) must be confirmed, on each of `targets` (globs).

    A promise that is about none of the targets is not required; empty `targets` ask for all that
    is promised. Evidence may be of age `max_age`, and a part holds where it did so `repeats` times.
    `sha256` is that of the file.
    """

    claims: tuple[str, ...]
    not_claims: tuple[str, ...]
    targets: tuple[str, ...]
    max_age: dt.timedelta
    repeats: int
    waivers: tuple[Waiver, ...]
    sha256: str


def policy_bytes(path: Path) -> bytes:
    """Return the content of a file, for `parse_policy`; raise `UnreadableInputError`."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except OSError as error:
        raise UnreadableInputError(
            f"{path} cannot be read: {error.strerror}", "A policy is a TOML file: see the README."
        ) from error


def default_policy() -> bytes:
    """Return the content of the policy where none is given, for this machine's own target."""
    text = (data_dir() / "policy.toml").read_text(encoding="utf-8")
    return text.replace("HERE", host_target()).encode()


def parse_policy(content: bytes, called: str) -> Policy:
    """Return the policy that the bytes of a file hold; `called` is its name for errors."""
    if len(content) > _LARGEST:
        raise UnreadableInputError(f"{called} is too large for a policy")
    try:
        raw = parse_toml(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnreadableInputError(f"{called} is no TOML file: {error}") from error
    problems: list[str] = []
    top = _checked(raw, "", "", problems)
    require = _checked(top.get("require", {}), "require", "require", problems)
    evidence = _checked(top.get("evidence", {}), "evidence", "evidence", problems)
    waivers = [
        _checked(table, "waiver", f"waiver {number}", problems)
        for number, table in enumerate(top.get("waiver", ()), 1)
    ]
    _required(top, require, waivers, problems)
    _bounds(evidence, problems)
    problems += [
        f"require.targets: {glob!r} matches no target{_near(glob)}"
        for glob in require.get("targets", ())
        if not matches(glob, TARGETS)
    ]
    if problems:
        raise UnreadableInputError(
            "\n".join([f"{called} is no policy:", *(f"  {each}" for each in problems)]),
            f"A policy (schema {SCHEMA}) is explained in the README, under qualify.",
        )
    return Policy(
        claims=tuple(require["claims"]),
        not_claims=tuple(require.get("not_claims", ())),
        targets=tuple(require.get("targets", ())),
        max_age=dt.timedelta(days=evidence.get("max_age_days", 14)),
        repeats=evidence.get("repeats", 1),
        waivers=tuple(
            Waiver(tuple(one["claims"]), one["why"], one["by"], one["until"]) for one in waivers
        ),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _checked(
    table: Mapping[str, Any], kind: str, called: str, problems: list[str]
) -> Mapping[str, Any]:
    """Return what of a table is as it should be; say what is not."""
    fields = _FIELDS[kind]
    good: dict[str, Any] = {}
    for name, value in table.items():
        full = f"{called}.{name}".lstrip(".")
        if name not in fields:
            problems.append(f"{full}: unknown key{did_you_mean(name, fields)}")
        elif not _is(value, fields[name]):
            problems.append(f"{full}: {value!r} is not {_KINDS[fields[name]]}")
        else:
            good[name] = value
    return good


def _is(value: object, kind: str) -> bool:
    match kind:
        case "text":
            return isinstance(value, str) and bool(value.strip())
        case "texts":
            return isinstance(value, list) and bool(value) and all(_is(x, "text") for x in value)
        case "table":
            return isinstance(value, dict)
        case "tables":
            return isinstance(value, list) and all(isinstance(each, dict) for each in value)
        case "count":
            return type(value) is int and value > 0
        case _:
            return type(value) is dt.date


def _required(
    top: Mapping[str, Any],
    require: Mapping[str, Any],
    waivers: list[Mapping[str, Any]],
    problems: list[str],
) -> None:
    if top.get("schema") != SCHEMA:
        problems.append(f"schema: it must say schema = {SCHEMA!r}")
    if "claims" not in require:
        problems.append('require.claims: it must say which claims are required, such as ["*"]')
    for number, one in enumerate(waivers, 1):
        missing = [name for name in _FIELDS["waiver"] if name not in one]
        if missing:
            problems.append(f"waiver {number}: it must say {', '.join(missing)}")


def _near(glob: str) -> str:
    return did_you_mean(glob, TARGETS) or f"; they are {', '.join(TARGETS)}"


def _bounds(evidence: Mapping[str, Any], problems: list[str]) -> None:
    for name, most in (("max_age_days", _LONGEST), ("repeats", _MOST_REPEATS)):
        if evidence.get(name, 1) > most:
            problems.append(f"evidence.{name}: {evidence[name]} is more than {most}")
