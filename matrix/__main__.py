"""Entry point of `python -m matrix COMMAND`; each command is also a nox session."""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import logging
import sys
from collections.abc import Sequence

from matrix.errors import ExitCode, StorageError, UserError, did_you_mean
from matrix.system.files import is_disk_full
from matrix.system.proxies import ask_loopback_directly
from matrix.system.streams import safe_output

COMMANDS = {
    "claims": "list the claims of documents",
    "audit": "find contradictions in the documents without running anything",
    "plan": "show the cells that check the claims, and what is left out and why",
    "verify": "run the cells and report the verdict on each claim",
    "collect": "merge the results of a run's shards and judge them",
    "minimum": "search for the lowest release in which a capability works",
    "reproduce": "print (or run) the commands that repeat one cell",
    "report": "write a recorded run as a page, and as files for other programs",
    "diff": "show what changed between two recorded runs",
    "suggest": "print diffs that correct documents, with the evidence",
    "qualify": "check that a release keeps its documented claims, and sign the result",
    "check-signoff": "check a sign-off, offline",
    "worker": "run cells for a cluster on this machine",
    "images": "list container images and how to get them; build or refresh them",
    "services": "list back ends and how to get them; start one for work by hand",
    "places": "list the places that stand for deployment types, and how to get missing ones",
    "clean": "remove what this project made: in the engine, in the cache, of results",
}


_COLLECTED = 100_000  # objects between two runs of the garbage collector


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; print errors of the user, and return the exit code.

    An error of ours ends with 70, and a file that holds its traceback. Where the output of a
    command that succeeds cannot be written, the code is that of a full disk.
    """
    # A plan is a million objects without cycles, which the collector would look through again and
    # again: it takes a tenth of the time of a plan.
    gc.set_threshold(_COLLECTED)
    # It logs retries only; the messages of the commands include their outcome.
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    ask_loopback_directly()
    _use_utf8()
    argv = sys.argv[1:] if argv is None else argv
    with safe_output() as failures:
        try:
            code = _run(argv)
            sys.stdout.flush()
        except SystemExit as error:  # of argparse: help, or wrong usage
            sys.stdout.flush()
            if error.code or not failures:
                raise
            code = ExitCode.OK
        if failures and code == ExitCode.OK:
            cause = failures[0].strerror or failures[0]
            hint = "Free space, or write to another place."
            return _report(StorageError(f"cannot write the output: {cause}", hint))
        return code


def _run(argv: Sequence[str]) -> int:
    try:
        return main_inner(argv)
    except UserError as error:
        return _report(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - any error of ours
        if isinstance(error, OSError) and is_disk_full(error):
            return _report(StorageError(f"the disk is full: {error}", "Free space, and try again."))
        from matrix.cli.internal_error import report_internal_error  # noqa: PLC0415 - rarely needed

        return report_internal_error(error, argv)


def _report(error: UserError) -> int:
    print(f"error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return error.exit_code


def _use_utf8() -> None:
    """Print text of any language, also into a pipe with an old code page (Windows).

    Characters that the locale's encoding lacks are escaped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            piped = sys.platform == "win32" and not stream.isatty()
            stream.reconfigure(encoding="utf-8" if piped else None, errors="backslashreplace")


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str) -> None:
    """Import a command's module, and declare the command with its options."""
    module = importlib.import_module(f"matrix.cli.{name.replace('-', '_')}")
    parser = commands.add_parser(
        name,
        description=module.DESCRIPTION,
        epilog=module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_options(parser)
    parser.set_defaults(run=module.run)


def main_inner(argv: Sequence[str]) -> int:
    """Run a command; raise `UserError` for errors that the user can fix."""
    parser = argparse.ArgumentParser(
        prog="python -m matrix", description="Verify compatibility documents by experiments."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = argv[0] if argv and not argv[0].startswith("-") else None
    for name, summary in COMMANDS.items():
        if name == command:
            # Only this command is imported, to start quickly.
            add_command(commands, name)
        else:
            commands.add_parser(name, help=summary)
    if command is not None and command not in COMMANDS:
        parser.error(f"unknown command {command!r}{did_you_mean(command, COMMANDS)}")
    args = parser.parse_args(argv)
    return int(args.run(args))


if __name__ == "__main__":
    sys.exit(main())
