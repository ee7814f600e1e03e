"""Entry point of `python -m matrix COMMAND`; each command is also a nox session."""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import sys
from collections.abc import Sequence

from matrix.errors import ExitCode, UserError, did_you_mean

__all__ = ["COMMANDS", "main", "main_inner"]

COMMANDS = {
    "claims": "read documents and list what they promise",
    "audit": "find contradictions in the documents without running anything",
    "plan": "show which cells answer which claims, and what is left out and why",
    "verify": "run the cells and say which promises hold",
    "collect": "put together what the shards of a run found, and judge it",
    "minimum": "search for the least release in which something really works",
    "reproduce": "print (or run) the commands that repeat one cell by hand",
    "report": "make a recorded run into a page, and into files for other programs",
    "diff": "say what changed between two recorded runs",
    "suggest": "print diffs that correct documents, with the evidence",
    "qualify": "say whether a release keeps what is promised of it, and sign that",
    "check-signoff": "check a sign-off, without network",
    "worker": "let this machine run cells for a cluster",
    "images": "list container images and how to get them; make or refresh them",
    "services": "list back ends and how to get them; keep one for work by hand",
    "clean": "remove what this project made: on the engine, in the cache, of results",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; turn an error that the user can cause into a message and its exit code."""
    # Its log names retries only; our own messages tell their outcome.
    logging.getLogger("stamina").addHandler(logging.NullHandler())
    _use_utf8()
    try:
        return main_inner(sys.argv[1:] if argv is None else argv)
    except UserError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output (`| head`) has ended, which is no failure.
        sys.stderr.close()
        return ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _use_utf8() -> None:
    """Make output in any language possible, also in a pipe with an old code page (Windows).

    Letters that the locale's encoding lacks are escaped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            piped = sys.platform == "win32" and not stream.isatty()
            stream.reconfigure(encoding="utf-8" if piped else None, errors="backslashreplace")


def main_inner(argv: Sequence[str]) -> int:
    """Run a command; raise `UserError` for errors that the user can fix."""
    parser = argparse.ArgumentParser(
        prog="python -m matrix",
        description="Find out whether a compatibility document tells the truth.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    command = next((word for word in argv if not word.startswith("-")), None)
    for name, summary in COMMANDS.items():
        if name == command:
            # Only this command is imported: start-up time counts.
            importlib.import_module(f"matrix.cli.{name.replace('-', '_')}").add_parser(commands)
        else:
            commands.add_parser(name, help=summary)
    if command is not None and command not in COMMANDS:
        parser.error(f"unknown command {command!r}{did_you_mean(command, COMMANDS)}")
    args = parser.parse_args(argv)
    return int(args.run(args))


if __name__ == "__main__":
    sys.exit(main())
