"""`qualify`: say whether a release keeps what is promised of it, and sign that."""

from __future__ import annotations

import argparse
import datetime as dt
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.commands.qualify_options import add_qualify_options
from matrix.errors import ExitCode, UsageError
from matrix.places import cache_dir, project_root

if TYPE_CHECKING:
    from matrix.model.plan import Plan
    from matrix.qualifying.gate import Decision
    from matrix.qualifying.project import Identity
    from matrix.qualifying.signing_off import Material, Pen

__all__ = ["add_parser", "run"]

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
    from matrix.commands.qualify_running import asked_for, material_of  # noqa: PLC0415
    from matrix.index import CachedIndex  # noqa: PLC0415

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
    from matrix.qualifying.signing import PASSWORD, key_id, make_key, public_key  # noqa: PLC0415

    public = make_key(path)
    print(f"{path}: the private key; keep it to yourself (${PASSWORD} encrypts one that is made)")
    print(f"{public}: the public key, for check-signoff; its id is {key_id(public_key(public))}")
    return ExitCode.OK


def _signing(args: argparse.Namespace) -> tuple[Pen | None, Identity | None]:
    """Return what signs, and which project that is; neither where nothing is to be signed."""
    if not (args.key or args.keyless):
        if args.out:
            raise UsageError("--out is for what is signed", "Add --key FILE or --keyless.")
        return None, None
    if not args.out:
        raise UsageError("there is no folder for the sign-off", "Add --out DIR.")
    from matrix.qualifying.folder import BUNDLE, ENVELOPE, check_place  # noqa: PLC0415
    from matrix.qualifying.project import identify, refuse_changes  # noqa: PLC0415

    check_place(args.out)
    pen = _by_key(args.key, ENVELOPE) if args.key else _keyless(BUNDLE)
    project = identify(project_root())
    if project.changed and args.allow_dirty:
        _note(f"the statement tells that {len(project.changed)} files differ from the commit")
    else:
        refuse_changes(project)
    return pen, project


def _by_key(path: Path, name: str) -> Pen:
    from matrix.qualifying.page import Signed  # noqa: PLC0415
    from matrix.qualifying.signing import key_id, sealed, signer_of, warning_of  # noqa: PLC0415
    from matrix.qualifying.signing_off import Pen  # noqa: PLC0415

    signer = signer_of(path)
    if warning := warning_of(path):
        _note(warning)
    check = f"python -m matrix check-signoff {name} --key PUBLIC-KEY"
    signed = Signed(f"the key {key_id(signer.public_key)}", check)
    return Pen(lambda statement: sealed(statement, signer), name, signed)


def _keyless(name: str) -> Pen:
    from matrix.qualifying.keyless import installed, keyless_seal  # noqa: PLC0415
    from matrix.qualifying.page import Signed  # noqa: PLC0415
    from matrix.qualifying.signing_off import Pen  # noqa: PLC0415

    check = f"python -m matrix check-signoff {name} --identity WHO --issuer URL"
    return Pen(keyless_seal(installed()), name, Signed("whoever its certificate names", check))


def _print(args: argparse.Namespace, material: Material, decision: Decision, plan: Plan) -> None:
    from matrix.qualifying.lasting import lasts_until  # noqa: PLC0415
    from matrix.qualifying.telling import Commands, head, tell  # noqa: PLC0415

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
    material: Material,
    decision: Decision,
    pen: Pen,
    project: Identity,
) -> None:
    from matrix.qualifying.project import identify  # noqa: PLC0415
    from matrix.qualifying.signing_off import sign_off  # noqa: PLC0415

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
