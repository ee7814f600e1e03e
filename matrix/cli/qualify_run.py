"""The inputs that `qualify` judges: a run of the required cells, or a recorded run."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import glob
import os

from matrix.cli.common import note
from matrix.cli.options import claims_from_args, describe_as_of
from matrix.cli.output import close_run, run_options
from matrix.errors import EngineUnavailableError, ExitCode, UserError
from matrix.features.qualification.candidate import Candidate, candidate_from
from matrix.features.qualification.expected import Artifact, ExpectedRelease, expected_release
from matrix.features.qualification.gate import required_claims
from matrix.features.qualification.policy import (
    TARGETS,
    Policy,
    default_policy,
    parse_policy,
    policy_bytes,
)
from matrix.features.qualification.signoff import SignoffMaterial
from matrix.interpreters.inspect import host_target
from matrix.interpreters.targets import compatible_targets
from matrix.model.cell import matches
from matrix.model.plan import Plan
from matrix.planning.locations import Targets, engine_platform, select_targets
from matrix.planning.planner import make_plan
from matrix.planning.select import Selection, select
from matrix.pypi.client import Index
from matrix.reporting.json import json_text, record_to_json
from matrix.reporting.progress import display, run_console
from matrix.reporting.terminal import print_report
from matrix.runs.backend import open_backend
from matrix.runs.record_store import RecordStore, parse_record, read_content
from matrix.runs.run import context_on, verify

_PROFILE = "everywhere"
# Results in the last tenth of their maximum age are run again, so that a sign-off lasts a while.
_AGE_MARGIN = 10
_AS_OF = describe_as_of(None)


class RunIncompleteError(UserError):
    """A run that was interrupted or lost; its results so far are kept."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(
            message, "The results so far are kept: the same command continues from there."
        )
        self.exit_code = code


@dataclasses.dataclass(frozen=True)
class QualifyInputs:
    """A candidate and the policy for it."""

    candidate: Candidate
    policy: Policy

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the required targets that this machine can run in some way."""
        here = (host_target(), *compatible_targets(host_target()))
        return tuple(
            target
            for target in TARGETS
            if any(matches(glob_, [target]) for glob_ in self.policy.targets)
            and (engine_platform(target) or target in here)
        )


def read_inputs(args: argparse.Namespace, index: Index) -> QualifyInputs:
    """Return the inputs that the options name; raise any `UserError` of reading them."""
    name = str(args.policy) if args.policy else "the default policy"
    content = policy_bytes(args.policy) if args.policy else default_policy()
    policy = parse_policy(content, name)
    candidate = candidate_from(args.ddtrace, args.wheel, args.index_url, index)
    return QualifyInputs(candidate, policy)


def gather_material(
    args: argparse.Namespace, inputs: QualifyInputs, index: Index
) -> tuple[SignoffMaterial, Plan]:
    """Return the inputs of the gate, and the plan; raise `UserError`."""
    if args.record:
        path = RecordStore.default().path_of(args.record)
        content = read_content(path)
        record = parse_record(content, str(path))
        contained = any(cell.contained for cell in record.cells)
        targets = inputs.targets or record.run.targets or (host_target(),)
        where = select_targets(targets, args.target, contained=contained)
        plan, expected = plan_required(args, inputs, index, where)
        return SignoffMaterial(content, record, inputs.policy, expected), plan
    with open_backend(args.engine, args.target or _targets(args.engine, inputs)) as runs:
        note(*runs.notes)
        plan, expected = plan_required(args, inputs, index, runs.where)
        max_age = inputs.policy.max_age
        options = dataclasses.replace(
            run_options(args),
            candidate=inputs.candidate.override,
            repeats=inputs.policy.repeats,
            since=dt.datetime.now(tz=dt.timezone.utc) - max_age + max_age / _AGE_MARGIN,
            content=True,
        )
        console = run_console()
        with display(console, os.environ) as emit:
            record = verify(plan, options, emit, context_on(runs)).dated(_AS_OF)
    print_report(console, record)
    text = json_text(record_to_json(record))
    path = RecordStore.default().write(text, record.run.started)
    close_run(console, record, path)
    if record.run.interrupted:
        raise RunIncompleteError("the run was interrupted before a decision", ExitCode.INTERRUPTED)
    if record.run.lost:
        message = f"the container engine was lost: {record.run.lost}"
        raise RunIncompleteError(message, ExitCode.ENGINE_UNAVAILABLE)
    content = text.encode()
    # The record that is judged is parsed from the bytes that are signed.
    record = parse_record(content, "the run")
    return SignoffMaterial(content, record, inputs.policy, expected), plan


def _targets(engine: str, inputs: QualifyInputs) -> tuple[str, ...]:
    """Return the required targets that can be run; raise EngineUnavailableError without any."""
    if engine != "docker" or not inputs.targets:
        return inputs.targets
    targets = tuple(filter(engine_platform, inputs.targets))
    if not targets:
        raise EngineUnavailableError(
            f"no container runs cells for {' and '.join(inputs.targets)}",
            "--engine local runs them on this machine, with less isolation: see the README.",
        )
    return targets


def plan_required(
    args: argparse.Namespace, inputs: QualifyInputs, index: Index, where: Targets
) -> tuple[Plan, ExpectedRelease]:
    """Return the plan of the required claims, and all expectations of the release.

    Raises `UnreadableInputError` for a policy that does not fit, before anything is run.
    """
    plan = make_plan(
        claims_from_args(args),
        inputs.candidate.overlay(index),
        profile=_PROFILE,
        targets=where.targets,
        obstacles=where.obstacles,
        places=where.places,
        candidate=inputs.candidate.version,
    )
    artifacts = [Artifact(file.filename, file.sha256) for file in inputs.candidate.files]
    expected = expected_release(plan, inputs.candidate.version, artifacts)
    today = dt.datetime.now(tz=dt.timezone.utc).date()
    required = required_claims(expected, inputs.policy, today)
    names = tuple(glob.escape(claim.id) for claim in required)
    return select(plan, Selection(claims=names)), expected
