"""`qualify`: say whether a release keeps what is promised of it, and sign that.

The options of `qualify`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
import sys
from pathlib import Path

from matrix.cli.minimum import cell_count
from matrix.cli.options import add_engine_options
from matrix.cli.qualify_run import asked_for, material_of
from matrix.errors import ExitCode, UsageError
from matrix.features.qualification.gate import GateDecision, lasts_until
from matrix.features.qualification.keyless import installed, keyless_seal
from matrix.features.qualification.report import Commands, SignatureInfo, head, tell
from matrix.features.qualification.signing import (
    PASSWORD,
    key_id,
    make_key,
    public_key,
    sealed,
    signer_of,
    warning_of,
)
from matrix.features.qualification.signoff import (
    BUNDLE,
    ENVELOPE,
    Signer,
    SignoffMaterial,
    check_place,
    sign_off,
)
from matrix.features.qualification.statement import ProjectIdentity, identify, refuse_changes
from matrix.model.plan import Plan
from matrix.pypi.client import CachedIndex
from matrix.services.external import add_service_option
from matrix.system.paths import cache_dir, project_root

__all__ = ["add_parser", "add_qualify_options", "run"]


def add_qualify_options(parser: argparse.ArgumentParser) -> None:
    """Declare the candidate, the policy, the run, and the signature."""
    parser.add_argument(
        "documents",
        nargs="*",
        type=Path,
        metavar="DOCUMENT",
        help="Markdown pages that promise (default: the facts that are committed)",
    )
    parser.add_argument(
        "--lenient", action="store_true", help="go on with what was understood of the documents"
    )
    _add_candidate(parser)
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="what is required, how old evidence may be, what is waived (default: capabilities,"
        " runtimes, frameworks and integrations on this machine's target; 14 days)",
    )
    parser.add_argument(
        "--record", metavar="FILE", help="run nothing: judge this recorded run, by file or name"
    )
    _add_run(parser)
    _add_signature(parser)


def _add_candidate(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("release")
    group.add_argument("--ddtrace", default="", metavar="VERSION", help="the release by version")
    group.add_argument(
        "--wheel",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="FILE",
        help="wheels of a release that nobody published",
    )
    group.add_argument(
        "--index-url", default="", metavar="URL", help="the index that has the release"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run")
    asking = group.add_mutually_exclusive_group()
    asking.add_argument("--offline", action="store_true", help="use what is known of the index")
    asking.add_argument(
        "--refresh", action="store_true", help="ask the index again, however new the cache is"
    )
    group.add_argument("--fresh", action="store_true", help="use no result of an earlier run")
    group.add_argument(
        "--jobs", type=cell_count, metavar="N", help="cells at a time (default: two for each CPU)"
    )
    group.add_argument(
        "--keep", action="store_true", help="keep the folders and logs of the cells that run"
    )
    add_service_option(group)
    add_engine_options(parser)


def _add_signature(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sign-off")
    who = group.add_mutually_exclusive_group()
    who.add_argument("--key", type=Path, metavar="FILE", help="the private key that signs (PEM)")
    who.add_argument(
        "--keyless",
        action="store_true",
        help="sign as whoever an OIDC provider says this is (the package sigstore)",
    )
    who.add_argument(
        "--make-key", type=Path, metavar="FILE", help="make a pair of keys, and do nothing else"
    )
    group.add_argument("--out", type=Path, metavar="DIR", help="the new folder of the sign-off")
    group.add_argument(
        "--allow-dirty",
        action="store_true",
        help="sign though files of this project differ from its commit; the statement tells",
    )


EXAMPLES = """\
Whatever is required and not confirmed, there, new and often enough makes the release fail: what is
absent, skipped, stale, unverified or unstable, too. The policy says what is required; it is
explained in the README. A run that was recorded elsewhere is judged with --record.

examples:
  python -m matrix qualify --ddtrace 2.21.12
      a published release, by the default policy; nothing is signed
  python -m matrix qualify --wheel dist/*.whl --policy release.toml --key key.pem --out signoff
      a candidate that nobody published; where it qualifies, a signed statement in a new folder
  python -m matrix qualify --ddtrace 2.21.12 --policy release.toml --record verdicts.json page.md
      by what a run elsewhere recorded of a page
  python -m matrix qualify --make-key key.pem
      a pair of keys: key.pem and key.pem.pub (with the password in COMPAT_MATRIX_KEY_PASSWORD)

exit codes:
  0 the release qualifies    9 it does not qualify
  2 wrong usage, unreadable input, or a policy that does not fit    3 nothing is promised of it
  5 package index unavailable    6 disk full or not writable    7 another run is under way
  8 no container engine    130 interrupted
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "qualify",
        help="say whether a release keeps what is promised of it, and sign that",
        description="Say whether a release of ddtrace keeps what documents promise of it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_qualify_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run what is required, pass the gate, print the result, and sign it where it passes."""
    if args.make_key:
        return _make_key(args.make_key)
    # The rest is imported when the options are known to be right: `--help` is quick.

    # What can be wrong is said before the run, which may take an hour.
    pen, project = _signing(args)
    index = CachedIndex(cache_dir(), offline=args.offline, refresh=args.refresh)
    try:
        material, plan = material_of(args, asked_for(args, index), index, _note)
    finally:
        for notice in index.notices:
            _note(notice)
    decision = material.decide(dt.datetime.now(tz=dt.timezone.utc))
    _print(args, material, decision, plan)
    if not decision.passed:
        print("Nothing is signed." if pen else "")
        return ExitCode.DOES_NOT_QUALIFY
    if pen is None or project is None:
        print("Nothing is signed: no key was given (--key FILE --out DIR, or --keyless --out DIR).")
        return ExitCode.OK
    _sign(args, material, decision, pen, project)
    return ExitCode.OK


def _make_key(path: Path) -> int:

    public = make_key(path)
    print(f"{path}: the private key; keep it to yourself (${PASSWORD} encrypts one that is made)")
    print(f"{public}: the public key, for check-signoff; its id is {key_id(public_key(public))}")
    return ExitCode.OK


def _signing(args: argparse.Namespace) -> tuple[Signer | None, ProjectIdentity | None]:
    """Return what signs, and which project that is; neither where nothing is to be signed."""
    if not (args.key or args.keyless):
        if args.out:
            raise UsageError("--out is for what is signed", "Add --key FILE or --keyless.")
        return None, None
    if not args.out:
        raise UsageError("there is no folder for the sign-off", "Add --out DIR.")

    check_place(args.out)
    pen = _by_key(args.key, ENVELOPE) if args.key else _keyless(BUNDLE)
    project = identify(project_root())
    if project.changed and args.allow_dirty:
        _note(f"the statement tells that {len(project.changed)} files differ from the commit")
    else:
        refuse_changes(project)
    return pen, project


def _by_key(path: Path, name: str) -> Signer:

    signer = signer_of(path)
    if warning := warning_of(path):
        _note(warning)
    check = f"python -m matrix check-signoff {name} --key PUBLIC-KEY"
    signed = SignatureInfo(f"the key {key_id(signer.public_key)}", check)
    return Signer(lambda statement: sealed(statement, signer), name, signed)


def _keyless(name: str) -> Signer:

    check = f"python -m matrix check-signoff {name} --identity WHO --issuer URL"
    return Signer(
        keyless_seal(installed()), name, SignatureInfo("whoever its certificate names", check)
    )


def _print(
    args: argparse.Namespace, material: SignoffMaterial, decision: GateDecision, plan: Plan
) -> None:

    words = [f"--ddtrace {material.expected.ddtrace}"]
    if args.policy:
        words.append(f"--policy {shlex.quote(str(args.policy))}")
    words += [f"--wheel {shlex.join(map(str, args.wheel))}"] if args.wheel else []
    words += [f"--index-url {shlex.quote(args.index_url)}"] if args.index_url else []
    documents = shlex.join(map(str, args.documents))
    # Before what takes any number of files.
    run = " ".join(filter(None, ["nox -s qualify --", documents, *words]))
    repeat = f"nox -s reproduce -- {' '.join(filter(None, ['CELL', documents]))}"
    if args.wheel or args.index_url:
        # Of itself it would install what the usual index has under that version.
        repeat = f"{run} --fresh --keep"
    commands = Commands(run, repeat)
    claims = {claim.id: claim for claim in plan.claims}
    answer = head(decision, material.expected.ddtrace)
    print(f"\n{answer}\n")
    for line in tell(decision, claims, material.policy, commands):
        print(line)
    print(f"policy       {material.policy_name}, sha256 {material.policy.sha256}")
    if decision.passed:
        until = lasts_until(decision, material.record, material.policy)
        print(f"holds until  {until:%Y-%m-%d %H:%M} UTC")
    print(f"result       {answer}")


def _sign(
    args: argparse.Namespace,
    material: SignoffMaterial,
    decision: GateDecision,
    pen: Signer,
    project: ProjectIdentity,
) -> None:

    if identify(project_root()) != project:
        raise UsageError(
            "files of this project were changed while it ran: nothing is signed",
            "Run it again; what has not changed is not run again.",
        )
    sign_off(material, decision, project, pen, args.out)
    print(f"signed       {args.out / pen.name}, by {pen.signed.by}, for {project}")
    print(f"check it     {pen.signed.check.replace(pen.name, str(args.out / pen.name))}")


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)
