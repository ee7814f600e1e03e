"""`check-signoff`: check a sign-off offline, and report its first problem."""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import hashlib
import os
import stat
import sys
from pathlib import Path

from matrix.cli.common import add_path, note
from matrix.errors import ExitCode, UnreadableInputError, UsageError
from matrix.features.qualification.check import (
    CheckedSignoff,
    SignatureVerifier,
    SignoffRefusedError,
    SignoffRequirements,
    check,
)
from matrix.features.qualification.gate import ClaimFate
from matrix.features.qualification.signatures import (
    keyless_verifier,
    load_public_key,
    load_sigstore,
    verify_envelope,
)
from matrix.features.qualification.signoff import BUNDLE, ENVELOPE

_HINT = "Name the files to compare with."

DESCRIPTION = "Check a sign-off by its files alone, and report the first problem."
EXAMPLES = """\
The files that were written with the statement must be beside it. The check works offline: it
verifies signature, digests, completeness and age, and passes the gate again, as of now.

examples:
  python -m matrix check-signoff signoff/signoff.dsse.json --key key.pem.pub --ddtrace 2.21.12
      check the signature and the release
  python -m matrix check-signoff signoff --key key.pem.pub --artifact dist/*.whl --policy our.toml
      check that it vouches for these files, by our policy
  python -m matrix check-signoff signoff --identity WHO --issuer URL --ddtrace 2.21.12
      check a keyless signature (needs the package sigstore)

exit codes:
  0 valid    10 refused: the first problem is reported
  2 wrong usage or unreadable input
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the statement, or its folder")
    add_path(parser, "--key", "the trusted public key", metavar="PUB")
    parser.add_argument(
        "--identity", default="", metavar="WHO", help="the trusted identity of a keyless signature"
    )
    parser.add_argument("--issuer", default="", metavar="URL", help="the issuer of the identity")
    group = parser.add_argument_group("required")
    group.add_argument(
        "--ddtrace", default="", metavar="VERSION", help="the release that it must be for"
    )
    add_path(group, "--policy", "the policy that it must use")
    for option, what in (
        ("--artifact", "files that it must vouch for"),
        ("--document", "pages that it must be about, in the version of these files"),
    ):
        group.add_argument(
            option, nargs="+", action="extend", default=[], type=Path, metavar="FILE", help=what
        )
    parser.add_argument(
        "--at",
        type=_moment,
        metavar="DATE",
        help="check as of this day (2026-01-31) or time (default: now)",
    )


def run(args: argparse.Namespace) -> int:
    """Check the sign-off, and print its content or the first problem."""
    path: Path = args.file
    if _is_folder(path):
        path /= ENVELOPE if args.key else BUNDLE
    verify, signer = _verifier(args)
    now = args.at or dt.datetime.now(tz=dt.timezone.utc)
    requirements = _requirements(args)
    try:
        checked = check(path, verify, requirements, now)
    except SignoffRefusedError as error:
        print(f"refused: {error}", file=sys.stderr)
        return ExitCode.SIGN_OFF_REFUSED
    _print(checked, signer, requirements, now)
    return ExitCode.OK


def _is_folder(path: Path) -> bool:
    """Return whether a path is that of a folder; raise `UnreadableInputError` for no path."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or str(error)
        raise UnreadableInputError(f"cannot read {path}: {reason}", _HINT) from error


def _verifier(args: argparse.Namespace) -> tuple[SignatureVerifier, str]:
    """Return the verifier of the signature, and a description of the required signer."""
    if args.key and (args.identity or args.issuer):
        raise UsageError(
            "--key excludes --identity and --issuer", "Use the one that it was signed with."
        )
    if args.key:
        key = load_public_key(args.key)
        return functools.partial(verify_envelope, key=key), f"the key {key.keyid}"
    if not (args.identity and args.issuer):
        raise UsageError(
            "no trusted signer",
            "Use --key PUB, or for a keyless signature --identity WHO and --issuer URL.",
        )
    signer = f"{args.identity}, as {args.issuer} says"
    return keyless_verifier(load_sigstore(), args.identity, args.issuer), signer


def _requirements(args: argparse.Namespace) -> SignoffRequirements:
    for path in (*args.artifact, *args.document, *filter(None, [args.policy])):
        if not os.path.isfile(path):  # noqa: PTH113
            raise UnreadableInputError(f"there is no file {path}", _HINT)
    # A page is known by the digest of its content, as in the statement.
    documents = tuple((path.stem, _digest(path)) for path in args.document)
    policy = _digest(args.policy) if args.policy else ""
    return SignoffRequirements(args.ddtrace, tuple(args.artifact), documents, policy)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UnreadableInputError(f"cannot read {path}: {error.strerror}", _HINT) from error


def _print(
    checked: CheckedSignoff, signer: str, requirements: SignoffRequirements, now: dt.datetime
) -> None:
    statement, decision = checked.statement, checked.decision
    about = statement.about
    print(f"valid        ddtrace {about.ddtrace}: {statement.result}, as of {_minute(now)} UTC")
    print(f"signed by    {signer}")
    print(f"until        {_minute(checked.until)} UTC")
    print(f"policy       sha256 {checked.policy.sha256}")
    print(f"run ended    {about.finished}, made by {about.project}")
    for subject in statement.subjects:
        print(f"vouches for  {subject.name}  sha256 {subject.value}")
    reached = ", ".join(checked.reached)
    print(f"not isolated {reached or 'nothing, as its record says'}")
    passed = decision.with_fate(ClaimFate.PASSED)
    waived = decision.with_fate(ClaimFate.WAIVED)
    print(f"claims       {len(passed)} passed, {len(waived)} waived")
    for judged in waived:
        if (waiver := judged.waiver) is not None:
            print(
                f"waived       {judged.claim.id}, by {waiver.by} until {waiver.until}: {waiver.why}"
            )
    if not (requirements.ddtrace or requirements.artifacts):
        note(
            f"ddtrace {about.ddtrace} and the artifacts above were compared with nothing."
            " To compare: --ddtrace VERSION, --artifact FILE"
        )


def _minute(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _moment(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=dt.timezone.utc)
        return moment.astimezone(dt.timezone.utc)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"invalid date or time {text!r} (expected e.g. 2026-01-31)"
        ) from None
