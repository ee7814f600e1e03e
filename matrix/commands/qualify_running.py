"""What `qualify` judges: a run of all that the policy requires, or one that was recorded."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import glob
import os
from collections.abc import Callable

from matrix.errors import ExitCode, UserError
from matrix.index import Index
from matrix.model.plan import Plan
from matrix.planning.engine import make_plan
from matrix.planning.globs import matches
from matrix.planning.options import as_of_words, claims_from_args
from matrix.planning.select import Selection, select
from matrix.planning.targets import also_run_by, host_target
from matrix.planning.where import Where, among, platform_of
from matrix.qualifying.artifacts import Artifact
from matrix.qualifying.candidate import Candidate, candidate_from
from matrix.qualifying.expected import Expected, expected_of
from matrix.qualifying.gate import required_of
from matrix.qualifying.policy import TARGETS, Policy, default_policy, parse_policy, policy_bytes
from matrix.qualifying.signing_off import Material
from matrix.records import Record, RecordShelf, parse_record, read_content
from matrix.reporting.as_json import result_to_json
from matrix.reporting.displays import console_of_run, display
from matrix.reporting.final import print_report
from matrix.reporting.writing import json_text
from matrix.services.given import given_from_args
from matrix.verify.holding import held
from matrix.verify.running import Options, verify, world_on
from matrix.verify.worlds import cells_at_a_time

__all__ = ["Asked", "NotRunError", "asked_for", "material_of"]

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
class Asked:
    """A candidate and the policy for it, as it was read."""

    candidate: Candidate
    policy: Policy
    content: bytes
    called: str

    @property
    def targets(self) -> tuple[str, ...]:
        """Return those of the required targets that cells may be run for here, in any way."""
        here = (host_target(), *also_run_by(host_target()))
        return tuple(
            target
            for target in TARGETS
            if any(matches(each, [target]) for each in self.policy.targets)
            and (platform_of(target) or target in here)
        )


def asked_for(args: argparse.Namespace, index: Index) -> Asked:
    """Return what the options name; raise every `UserError` that reading them raises."""
    called = str(args.policy) if args.policy else "the default policy"
    content = policy_bytes(args.policy) if args.policy else default_policy()
    policy = parse_policy(content, called)
    candidate = candidate_from(args.ddtrace, args.wheel, args.index_url, index)
    return Asked(candidate, policy, content, called)


def material_of(
    args: argparse.Namespace, asked: Asked, index: Index, say: Say
) -> tuple[Material, Plan]:
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
        options = Options(
            fresh=args.fresh,
            jobs=args.jobs or cells_at_a_time(),
            keep=args.keep,
            offline=args.offline,
            engine=args.engine,
            given=given_from_args(args),
            candidate=asked.candidate.given,
            repeats=asked.policy.repeats,
            since=_since(asked.policy),
        )
        console = console_of_run()
        with display(console, os.environ) as emit:
            result = verify(plan, options, emit, world_on(runs))
    print_report(console, result, _AS_OF)
    text = json_text(result_to_json(result, _AS_OF))
    path = RecordShelf.here().keep(text, result.started)
    say(f"recorded: {path}")
    if result.interrupted:
        raise NotRunError("the run was interrupted: nothing is decided", ExitCode.INTERRUPTED)
    if result.lost:
        said = f"the container engine was lost: {result.lost}"
        raise NotRunError(said, ExitCode.ENGINE_UNAVAILABLE)
    content = text.encode()
    # What is judged is read back from what is signed.
    return _material(content, parse_record(content, "the run"), asked, expected), plan


def _planned(
    args: argparse.Namespace, asked: Asked, index: Index, where: Where, say: Say
) -> tuple[Plan, Expected]:
    """Return the plan of what is required, and what is expected of the release in all.

    A policy that does not fit is told here, before anything is run.
    """
    plan = make_plan(
        claims_from_args(args, say),
        asked.candidate.index_over(index),
        profile=_PROFILE,
        targets=where.targets,
        obstacles=where.obstacles,
        deployments=where.deployments,
        candidate=asked.candidate.version,
    )
    artifacts = [Artifact(file.filename, file.sha256) for file in asked.candidate.files]
    expected = expected_of(plan, asked.candidate.version, artifacts)
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    required = required_of(expected, asked.policy, today)
    names = tuple(glob.escape(claim.id) for claim in required)
    return select(plan, Selection(claims=names)), expected


def _since(policy: Policy) -> dt.datetime:
    return dt.datetime.now(tz=dt.timezone.utc) - policy.max_age + policy.max_age / _SPARE


def _material(content: bytes, record: Record, asked: Asked, expected: Expected) -> Material:
    return Material(content, record, asked.content, asked.policy, asked.called, expected)
