"""`qualify`: decide whether a release keeps its documented promises, and sign the decision."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import shlex
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from matrix.cli.common import add_flag, add_index_options, add_partials_option, add_path, note
from matrix.cli.options import add_engine_options, add_run_options
from matrix.cli.qualify_run import gather_material, read_inputs
from matrix.errors import ExitCode, UsageError
from matrix.features.qualification.gate import GateDecision, decide, missing_isolation, valid_until
from matrix.features.qualification.report import Commands, headline, report_lines
from matrix.features.qualification.signatures import (
    PASSWORD,
    Signer,
    check_key_file,
    key_warning,
    keyless_signer,
    load_public_key,
    load_sigstore,
    make_key,
)
from matrix.features.qualification.signing_process import start_signer
from matrix.features.qualification.signoff import BUNDLE, SignoffMaterial, check_folder, sign_off
from matrix.features.qualification.statement import ProjectIdentity, identify, refuse_changes
from matrix.model.plan import Plan
from matrix.pypi.client import CachedIndex
from matrix.system.paths import cache_dir, project_root

SignerContext: TypeAlias = AbstractContextManager[Signer]

DESCRIPTION = "Decide whether a release of ddtrace keeps what documents promise of it."
EXAMPLES = """\
The release fails unless every required claim is confirmed, by recent evidence and often enough:
absent, skipped, stale, unverified and unstable results fail too. The policy, which is documented in
the README, defines the required claims. Use --record for a run that was recorded elsewhere.
Cells run in containers, as the release is untrusted code; --engine local runs them on this machine.

examples:
  python -m matrix qualify --ddtrace 2.21.12
      a published release with the default policy; nothing is signed
  python -m matrix qualify --wheel dist/*.whl --policy release.toml --key key.pem --out signoff
      an unpublished candidate; if it qualifies, write a signed statement to a new folder
  python -m matrix qualify --ddtrace 2.21.12 --policy release.toml --record verdicts.json page.md
      judge a run of a page that was recorded elsewhere
  python -m matrix qualify --make-key key.pem
      create key.pem (with the password in COMPAT_MATRIX_KEY_PASSWORD) and key.pem.pub

exit codes:
  0 the release qualifies    9 it does not qualify
  2 wrong usage, unreadable input, or a policy that does not fit    3 no claims about it
  5 package index unavailable    6 disk full or not writable    7 another run is under way
  8 no container engine    70 internal error    130 interrupted
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options: candidate, policy, run, and signature."""
    parser.add_argument(
        "documents",
        nargs="*",
        type=Path,
        metavar="DOCUMENT",
        help="Markdown pages with the promises (default: the committed facts)",
    )
    add_flag(parser, "--lenient", "skip parts of the documents that are not understood")
    add_partials_option(parser)
    release = parser.add_argument_group("release")
    release.add_argument("--ddtrace", default="", metavar="VERSION", help="the release by version")
    release.add_argument(
        "--wheel",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="FILE",
        help="wheels of an unpublished release",
    )
    release.add_argument(
        "--index-url", default="", metavar="URL", help="the index that has the release"
    )
    add_path(
        parser,
        "--policy",
        "the required claims, the maximum age of evidence, and waivers (default: capabilities,"
        " runtimes, frameworks and integrations on this machine's target; 14 days)",
    )
    parser.add_argument(
        "--record", metavar="FILE", help="run nothing: judge a recorded run, by file or name"
    )
    run_group = parser.add_argument_group("run")
    add_index_options(run_group)
    add_run_options(run_group)
    add_engine_options(parser, default="docker")
    signature = parser.add_argument_group("sign-off")
    signer = signature.add_mutually_exclusive_group()
    add_path(signer, "--key", "the private key to sign with (PEM)")
    add_flag(
        signer,
        "--keyless",
        "sign with the identity from an OIDC provider (needs the package sigstore)",
    )
    add_path(signer, "--make-key", "create a pair of keys, and do nothing else")
    add_path(signature, "--out", "the new folder of the sign-off", metavar="DIR")
    add_flag(
        signature,
        "--allow-dirty",
        "sign even if files of this project differ from its commit; the statement records it",
    )


def run(args: argparse.Namespace) -> int:
    """Run the required cells, pass the gate, print the result, and sign it if it passes."""
    if args.make_key:
        return _make_key(args.make_key)
    # Problems with the signature are reported before the run, which may take an hour.
    signer, project = _signer(args)
    index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
    try:
        material, plan = gather_material(args, read_inputs(args, index), index)
    finally:
        note(*index.notices)
    now = dt.datetime.now(tz=dt.timezone.utc)
    decision = decide(material.expected, material.record, material.policy, now)
    _print(args, material, decision, plan)
    if not decision.passed:
        print("Nothing is signed." if signer else "")
        return ExitCode.DOES_NOT_QUALIFY
    if signer is None or project is None:
        print("Nothing is signed without a key (--key FILE --out DIR, or --keyless --out DIR).")
        return ExitCode.OK
    if missing := missing_isolation(decision, material.record, material.policy):
        parts = ", ".join(missing)
        print(f"Nothing is signed: releases ran in cells without isolation of {parts}.")
        print("Use --engine docker, or a policy with these names in evidence.not_isolated.")
        return ExitCode.DOES_NOT_QUALIFY
    with signer as ready:
        _sign(args, material, decision, ready, project)
    return ExitCode.OK


def _make_key(path: Path) -> int:
    public = make_key(path)
    print(f"{path}: the private key; keep it secret (set ${PASSWORD} to encrypt new keys)")
    key = load_public_key(public)
    print(f"{public}: the public key, for check-signoff; its id is {key.keyid}")
    return ExitCode.OK


def _signer(args: argparse.Namespace) -> tuple[SignerContext | None, ProjectIdentity | None]:
    """Return the signer and the identity of this project, or None where nothing is to be signed.

    A key is not read before the signer's context is entered, when all cells have ended.
    """
    if not (args.key or args.keyless):
        if args.out:
            raise UsageError("--out needs a signature", "Add --key FILE or --keyless.")
        return None, None
    if not args.out:
        raise UsageError("no folder for the sign-off", "Add --out DIR.")
    check_folder(args.out)
    signer = _key_signer(args.key) if args.key else _keyless_signer()
    project = identify(project_root())
    if project.changed and args.allow_dirty:
        note(f"the statement will record {len(project.changed)} files that differ from the commit")
    else:
        refuse_changes(project)
    return signer, project


def _key_signer(path: Path) -> SignerContext:
    check_key_file(path)
    if warning := key_warning(path):
        note(warning)
    return start_signer(path)


def _keyless_signer() -> SignerContext:
    check = f"python -m matrix check-signoff {BUNDLE} --identity WHO --issuer URL"
    sign = keyless_signer(load_sigstore())
    return contextlib.nullcontext(Signer(sign, BUNDLE, "whoever its certificate names", check))


def _print(
    args: argparse.Namespace, material: SignoffMaterial, decision: GateDecision, plan: Plan
) -> None:
    claims = {claim.id: claim for claim in plan.claims}
    answer = headline(decision, material.expected.ddtrace)
    print(f"\n{answer}\n")
    for line in report_lines(decision, claims, material.policy, _commands(args, material)):
        print(line)
    print(f"policy       {material.policy.name}, sha256 {material.policy.sha256}")
    if decision.passed:
        until = valid_until(decision, material.record, material.policy)
        print(f"valid until  {until:%Y-%m-%d %H:%M} UTC")
    print(f"result       {answer}")


def _commands(args: argparse.Namespace, material: SignoffMaterial) -> Commands:
    options = [f"--ddtrace {material.expected.ddtrace}"]
    if args.policy:
        options.append(f"--policy {shlex.quote(str(args.policy))}")
    options += [f"--wheel {shlex.join(map(str, args.wheel))}"] if args.wheel else []
    options += [f"--index-url {shlex.quote(args.index_url)}"] if args.index_url else []
    documents = shlex.join(map(str, args.documents))
    # The documents come before the options that take any number of files.
    run = " ".join(filter(None, ["nox -s qualify --", documents, *options]))
    cell = f"nox -s reproduce -- {' '.join(filter(None, ['CELL', documents]))}"
    if args.wheel or args.index_url:
        # `reproduce` would install the release of the default index.
        return Commands(run, f"{run} --fresh --keep")
    return Commands(run, cell, f"{cell} --bare --run")


def _sign(
    args: argparse.Namespace,
    material: SignoffMaterial,
    decision: GateDecision,
    signer: Signer,
    project: ProjectIdentity,
) -> None:
    if identify(project_root()) != project:
        raise UsageError(
            "files of this project changed during the run: nothing is signed",
            "Run the command again; unchanged results are not run again.",
        )
    sign_off(material, decision, project, signer, args.out)
    path = args.out / signer.name
    print(f"signed       {path}, by {signer.by}, for {project}")
    print(f"check it     {signer.check.replace(signer.name, str(path))}")
