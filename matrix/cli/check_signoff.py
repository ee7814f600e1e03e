"""`check-signoff`: check a sign-off by its papers alone, and name the first thing that is wrong."""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import hashlib
import sys
from pathlib import Path

from matrix.errors import ExitCode, UnreadableInputError, UsageError
from matrix.features.qualification.check import (
    CheckedSignoff,
    Opener,
    SignoffRefusedError,
    SignoffRequirements,
    check,
)
from matrix.features.qualification.gate import ClaimFate
from matrix.features.qualification.keyless import installed, keyless_opener
from matrix.features.qualification.signing import key_id, opened, public_key
from matrix.features.qualification.signoff import BUNDLE, ENVELOPE

__all__ = ["add_parser", "run"]

_COMPARE = "Name the files to compare with."

EXAMPLES = """\
The files that were written with the statement must lie beside it. No network is asked: signature,
digests, completeness and age are checked, and the gate is passed again, as of now.

examples:
  python -m matrix check-signoff signoff/signoff.dsse.json --key key.pem.pub --ddtrace 2.21.12
      is it signed, and for this release?
  python -m matrix check-signoff signoff --key key.pem.pub --artifact dist/*.whl --policy our.toml
      does it vouch for these very files, by our policy?
  python -m matrix check-signoff signoff --identity WHO --issuer URL --ddtrace 2.21.12
      of one that was signed without a key (needs the package sigstore)

exit codes:
  0 it holds    10 it is refused: the first thing that is wrong is named
  2 wrong usage or unreadable input
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "check-signoff",
        help="check a sign-off, without network",
        description="Check a sign-off by its papers alone, and name the first thing that is wrong.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the statement, or its folder")
    parser.add_argument("--key", type=Path, metavar="PUB", help="the public key that one trusts")
    parser.add_argument("--identity", default="", metavar="WHO", help="who one trusts, keyless")
    parser.add_argument("--issuer", default="", metavar="URL", help="who says that it is they")
    group = parser.add_argument_group("compared with")
    group.add_argument("--ddtrace", default="", metavar="VERSION", help="the release it is for")
    group.add_argument("--policy", type=Path, metavar="FILE", help="the policy that it must be by")
    for option, what in (
        ("--artifact", "files that it must vouch for"),
        ("--document", "pages that it must be about, as they are in these files"),
    ):
        group.add_argument(
            option, nargs="+", action="extend", default=[], type=Path, metavar="FILE", help=what
        )
    parser.add_argument(
        "--at", type=_moment, metavar="DATE", help="as of this day (2026-01-31) or time, not of now"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check it, and say for what it vouches or what is wrong."""
    path = _statement(args)
    opened, by = _opener(args)
    now = args.at or dt.datetime.now(tz=dt.timezone.utc)
    wanted = _wanted(args)
    try:
        checked = check(path, opened, wanted, now)
    except SignoffRefusedError as error:
        print(f"refused: {error}", file=sys.stderr)
        return ExitCode.SIGN_OFF_REFUSED
    _tell(checked, by, wanted, now)
    return ExitCode.OK


def _statement(args: argparse.Namespace) -> Path:

    path: Path = args.file
    if path.is_dir():
        return path / (ENVELOPE if args.key else BUNDLE)
    return path


def _opener(args: argparse.Namespace) -> tuple[Opener, str]:
    """Return what opens the statement, and whose signature that asks for."""
    if args.key and (args.identity or args.issuer):
        raise UsageError("--key excludes --identity and --issuer", "It is signed by the one.")
    if args.key:
        key = public_key(args.key)
        return functools.partial(opened, key=key), f"the key {key_id(key)}"
    if not (args.identity and args.issuer):
        raise UsageError(
            "nobody is named whose signature counts",
            "Give --key PUB; of one signed without a key, --identity WHO and --issuer URL.",
        )

    by = f"{args.identity}, as {args.issuer} says"
    return keyless_opener(installed(), args.identity, args.issuer), by


def _wanted(args: argparse.Namespace) -> SignoffRequirements:

    for path in (*args.artifact, *args.document, *filter(None, [args.policy])):
        if not _is_file(path):
            raise UnreadableInputError(f"there is no file {path}", _COMPARE)
    # Reading knows a page by its content, and that is what is stated.
    documents = tuple((path.stem, _digest(path)) for path in args.document)
    policy = _digest(args.policy) if args.policy else ""
    return SignoffRequirements(args.ddtrace, tuple(args.artifact), documents, policy)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False  # too long for a name, or in a folder that is another's


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error.strerror}", _COMPARE) from error


def _tell(checked: CheckedSignoff, by: str, wanted: SignoffRequirements, now: dt.datetime) -> None:

    told, decision = checked.told, checked.decision
    print(
        f"it holds     ddtrace {told.about.ddtrace}: {told.result}, as of {now:%Y-%m-%d %H:%M} UTC"
    )
    print(f"signed by    {by}")
    print(f"until        {checked.until:%Y-%m-%d %H:%M} UTC")
    print(f"policy       sha256 {checked.policy.sha256}")
    print(f"run ended    {told.about.finished}, made by {told.about.project}")
    for subject in told.subjects:
        print(f"vouches for  {subject.name}  sha256 {subject.value}")
    passed, waived = decision.of(ClaimFate.PASSED), decision.of(ClaimFate.WAIVED)
    print(f"claims       {len(passed)} passed, {len(waived)} waived")
    for each in waived:
        if each.waiver is not None:
            why = f"by {each.waiver.by} until {each.waiver.until}: {each.waiver.why}"
            print(f"waived       {each.claim.id}, {why}")
    if not (wanted.ddtrace or wanted.artifacts):
        print(
            f"note: it is for ddtrace {told.about.ddtrace} and the artifacts above, which were"
            " compared with nothing. To compare: --ddtrace VERSION, --artifact FILE",
            file=sys.stderr,
        )


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=dt.timezone.utc)
        return moment.astimezone(dt.timezone.utc)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no date such as 2026-01-31") from None
