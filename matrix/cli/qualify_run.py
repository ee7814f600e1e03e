"""What `qualify` judges: a run of all that the policy requires, or one that was recorded."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import glob
import os
from collections.abc import Callable

from matrix.cli.options import as_of_words, claims_from_args
from matrix.errors import ExitCode, UserError
from matrix.features.qualification.artifacts import Artifact
from matrix.features.qualification.candidate import Candidate, candidate_from
from matrix.features.qualification.expected import ExpectedRelease, expected_release
from matrix.features.qualification.gate import required_claims
from matrix.features.qualification.policy import (
    TARGETS,
    Policy,
    default_policy,
    parse_policy,
    policy_bytes,
)
from matrix.features.qualification.signoff import SignoffMaterial
from matrix.interpreters.targets import compatible_targets, host_target
from matrix.model.plan import Plan
from matrix.model.selectors import matches
from matrix.planning.locations import Targets, among, platform_of
from matrix.planning.planner import make_plan
from matrix.planning.select import Selection, select
from matrix.pypi.index import Index
from matrix.reporting.json import json_text, result_to_json
from matrix.reporting.progress import console_of_run, display
from matrix.reporting.terminal import print_report
from matrix.runs.backend import held
from matrix.runs.record import Record
from matrix.runs.record_reader import parse_record, read_content
from matrix.runs.record_store import RecordShelf
from matrix.runs.run import RunOptions, verify, world_on
from matrix.runs.setup import cells_at_a_time
from matrix.services.external import external_from_args

__all__ = ["NotRunError", "QualifyInputs", "asked_for", "material_of"]

_PROFILE = "everywhere"
# Results that are almost too old are made again: a sign-off is to last for a while.
_SPARE = 10
_AS_OF = as_of_words(None)

Say = Callable[[str], None]


class NotRunError(UserError):
    """The run did not come to its end; what was run is kept."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message, "What is done is kept: the same command goes on from there.")
        self.exit_code = code


@dataclasses.dataclass(frozen=True)
class QualifyInputs:
    """A candidate and the policy for it, as it was read."""

    candidate: Candidate
    policy: Policy
    content: bytes
    called: str

    @property
    def targets(self) -> tuple[str, ...]:
        """Return those of the required targets that cells may be run for here, in any way."""
        here = (host_target(), *compatible_targets(host_target()))
        return tuple(
            target
            for target in TARGETS
            if any(matches(each, [target]) for each in self.policy.targets)
            and (platform_of(target) or target in here)
        )


def asked_for(args: argparse.Namespace, index: Index) -> QualifyInputs:
    """Return what the options name; raise every `UserError` that reading them raises."""
    called = str(args.policy) if args.policy else "the default policy"
    content = policy_bytes(args.policy) if args.policy else default_policy()
    policy = parse_policy(content, called)
    candidate = candidate_from(args.ddtrace, args.wheel, args.index_url, index)
    return QualifyInputs(candidate, policy, content, called)


def material_of(
    args: argparse.Namespace, asked: QualifyInputs, index: Index, say: Say
) -> tuple[SignoffMaterial, Plan]:
    """Return what the gate judges, with the plan; raise `UserError`."""
    if args.record:
        path = RecordShelf.here().path_of(args.record)
        content = read_content(path)
        record = parse_record(content, str(path))
        contained = any(cell.where is not None and cell.where.engine for cell in record.cells)
        targets = asked.targets or record.run.targets or (host_target(),)
        where = among(targets, args.target, contained=contained)
        plan, expected = _planned(args, asked, index, where, say)
        return _material(content, record, asked, expected), plan
    with held(args.engine, args.target or asked.targets) as runs:
        for note in runs.notes:
            say(note)
        plan, expected = _planned(args, asked, index, runs.where, say)
        options = RunOptions(
            fresh=args.fresh,
            jobs=args.jobs or cells_at_a_time(),
            keep=args.keep,
            offline=args.offline,
            engine=args.engine,
            given=external_from_args(args),
            candidate=asked.candidate.override,
            repeats=asked.policy.repeats,
            since=_since(asked.policy),
        )
        console = console_of_run()
        with display(console, os.environ) as emit:
            record = verify(plan, options, emit, world_on(runs)).dated(_AS_OF)
    print_report(console, record)
    text = json_text(result_to_json(record))
    path = RecordShelf.here().keep(text, record.run.started)
    say(f"recorded: {path}")
    if record.run.interrupted:
        raise NotRunError("the run was interrupted: nothing is decided", ExitCode.INTERRUPTED)
    if record.run.lost:
        said = f"the container engine was lost: {record.run.lost}"
        raise NotRunError(said, ExitCode.ENGINE_UNAVAILABLE)
    content = text.encode()
    # What is judged is read back from what is signed.
    return _material(content, parse_record(content, "the run"), asked, expected), plan


def _planned(
    args: argparse.Namespace, asked: QualifyInputs, index: Index, where: Targets, say: Say
) -> tuple[Plan, ExpectedRelease]:
    """Return the plan of what is required, and what is expected of the release in all.

    A policy that does not fit is told here, before anything is run.
    """
    plan = make_plan(
        claims_from_args(args, say),
        asked.candidate.overlay(index),
        profile=_PROFILE,
        targets=where.targets,
        obstacles=where.obstacles,
        deployments=where.deployments,
        candidate=asked.candidate.version,
    )
    artifacts = [Artifact(file.filename, file.sha256) for file in asked.candidate.files]
    expected = expected_release(plan, asked.candidate.version, artifacts)
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    required = required_claims(expected, asked.policy, today)
    names = tuple(glob.escape(claim.id) for claim in required)
    return select(plan, Selection(claims=names)), expected


def _since(policy: Policy) -> dt.datetime:
    return dt.datetime.now(tz=dt.timezone.utc) - policy.max_age + policy.max_age / _SPARE


def _material(
    content: bytes, record: Record, asked: QualifyInputs, expected: ExpectedRelease
) -> SignoffMaterial:
    return SignoffMaterial(content, record, asked.content, asked.policy, asked.called, expected)
