"""The policy file (schema policy/1): the claims that a release must keep, and the waivers.

It is parsed strictly: anything unknown is an error, and all problems are reported at once.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.errors import UnreadableInputError, did_you_mean
from matrix.interpreters.inspect import host_target
from matrix.model.capture import PARTS
from matrix.model.cell import matches
from matrix.probes.places import load_places
from matrix.system.files import parse_toml, read_regular
from matrix.system.paths import data_dir

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
"""Every target that a cell may run on, on this machine or another."""
_MAX_DAYS = 366
_MAX_BYTES = 10_000_000
_MAX_REPEATS = 20
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "": {"schema": "text", "require": "table", "evidence": "table", "waiver": "tables"},
    "require": {"claims": "texts", "not_claims": "texts", "targets": "texts"},
    "evidence": {
        "max_age_days": "count",
        "repeats": "count",
        "not_isolated": "texts",
        "places": "texts",
    },
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
    """Claims (globs of ids) that may fail `until` a day, inclusive, with a reason and an author."""

    claims: tuple[str, ...]
    why: str
    by: str
    until: dt.date


@dataclasses.dataclass(frozen=True)
class Policy:
    """The required claims, `claims` without `not_claims` (globs of ids), on `targets` (globs).

    A claim about none of the targets is not required; empty `targets` require all that are
    promised. Evidence may be of age `max_age`, and each part must be confirmed `repeats` times.
    A sign-off may rest on cells that were not kept from the parts of a machine in `not_isolated`,
    and on what stands in for a deployment, of the `places` named.
    `content` is that of the file, `name` its name in messages.
    """

    claims: tuple[str, ...]
    not_claims: tuple[str, ...]
    targets: tuple[str, ...]
    max_age: dt.timedelta
    repeats: int
    waivers: tuple[Waiver, ...]
    content: bytes
    name: str
    not_isolated: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()

    @property
    def sha256(self) -> str:
        """Return the digest of the file."""
        return hashlib.sha256(self.content).hexdigest()


def policy_bytes(path: Path) -> bytes:
    """Return the content of a file, for `parse_policy`; raise `UnreadableInputError`."""
    try:
        return read_regular(path, _MAX_BYTES)
    except OSError as error:
        raise UnreadableInputError(
            f"cannot read policy {path}: {error.strerror}",
            "A policy is a TOML file: see the README.",
        ) from error


def default_policy() -> bytes:
    """Return the content of the default policy, for this machine's own target."""
    text = (data_dir() / "policy.toml").read_text(encoding="utf-8")
    return text.replace("HERE", host_target()).encode()


def parse_policy(content: bytes, name: str) -> Policy:
    """Return the policy in the bytes of a file; `name` is for errors."""
    if len(content) > _MAX_BYTES:
        raise UnreadableInputError(f"{name} is too large for a policy")
    try:
        raw = parse_toml(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnreadableInputError(f"{name} is not a TOML file: {error}") from error
    problems: list[str] = []
    top = _valid_fields(raw, "", "", problems)
    require = _valid_fields(top.get("require", {}), "require", "require", problems)
    evidence = _valid_fields(top.get("evidence", {}), "evidence", "evidence", problems)
    waivers = [
        _valid_fields(table, "waiver", f"waiver {number}", problems)
        for number, table in enumerate(top.get("waiver", ()), 1)
    ]
    _check_required(top, require, waivers, problems)
    problems += [
        f"evidence.{name}: {evidence[name]} is more than {maximum}"
        for name, maximum in (("max_age_days", _MAX_DAYS), ("repeats", _MAX_REPEATS))
        if evidence.get(name, 1) > maximum
    ]
    all_targets = f"; the targets are {', '.join(TARGETS)}"
    problems += [
        f"require.targets: {glob!r} matches no target{did_you_mean(glob, TARGETS) or all_targets}"
        for glob in require.get("targets", ())
        if not matches(glob, TARGETS)
    ]
    problems += [
        f"evidence.not_isolated: unknown part {part!r}{did_you_mean(part, PARTS)}"
        for part in evidence.get("not_isolated", ())
        if part not in PARTS
    ]
    problems += [
        f"evidence.places: unknown place {place!r}{did_you_mean(place, load_places())}"
        for place in evidence.get("places", ())
        if place not in load_places()
    ]
    if problems:
        raise UnreadableInputError(
            "\n".join([f"invalid policy {name}:", *(f"  {problem}" for problem in problems)]),
            f"The schema {SCHEMA} is documented in the README, under qualify.",
        )
    return Policy(
        claims=tuple(require["claims"]),
        not_claims=tuple(require.get("not_claims", ())),
        targets=tuple(require.get("targets", ())),
        max_age=dt.timedelta(days=evidence.get("max_age_days", 14)),
        repeats=evidence.get("repeats", 1),
        waivers=tuple(
            Waiver(tuple(table["claims"]), table["why"], table["by"], table["until"])
            for table in waivers
        ),
        not_isolated=frozenset(evidence.get("not_isolated", ())),
        places=frozenset(evidence.get("places", ())),
        content=content,
        name=name,
    )


def _valid_fields(
    table: Mapping[str, Any], kind: str, path: str, problems: list[str]
) -> Mapping[str, Any]:
    """Return the valid fields of a table; append the others to `problems`."""
    fields = _FIELDS[kind]
    valid: dict[str, Any] = {}
    for name, value in table.items():
        full = f"{path}.{name}".lstrip(".")
        if name not in fields:
            problems.append(f"{full}: unknown key{did_you_mean(name, fields)}")
        elif not _is_of_kind(value, fields[name]):
            problems.append(f"{full}: {value!r} is not {_KINDS[fields[name]]}")
        else:
            valid[name] = value
    return valid


def _is_of_kind(value: object, kind: str) -> bool:
    match kind:
        case "text":
            return isinstance(value, str) and bool(value.strip())
        case "texts":
            return (
                isinstance(value, list)
                and bool(value)
                and all(_is_of_kind(item, "text") for item in value)
            )
        case "table":
            return isinstance(value, dict)
        case "tables":
            return isinstance(value, list) and all(isinstance(item, dict) for item in value)
        case "count":
            return type(value) is int and value > 0
        case _:
            return type(value) is dt.date


def _check_required(
    top: Mapping[str, Any],
    require: Mapping[str, Any],
    waivers: list[Mapping[str, Any]],
    problems: list[str],
) -> None:
    if top.get("schema") != SCHEMA:
        problems.append(f"schema: it must be {SCHEMA!r}")
    if "claims" not in require:
        problems.append('require.claims: missing: name the required claims, such as ["*"]')
    for number, waiver in enumerate(waivers, 1):
        missing = [name for name in _FIELDS["waiver"] if name not in waiver]
        if missing:
            problems.append(f"waiver {number}: missing {', '.join(missing)}")
