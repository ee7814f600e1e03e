"""Options and output that commands share, with few imports: every command starts quickly."""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from matrix.errors import UsageError, storage_errors


def note(*texts: str) -> None:
    """Print notes for the user, which are no part of the output."""
    for text in texts:
        print(f"note: {text}", file=sys.stderr)


def add_document_options(parser: argparse.ArgumentParser, lenient: str) -> None:
    """Declare documents as globs, and how they are read; `lenient` is the help of --lenient."""
    parser.add_argument(
        "documents", nargs="*", metavar="DOCUMENT", help="a file, a folder or a quoted glob"
    )
    parser.add_argument(
        "--language",
        metavar="CODE",
        help="the language of the documents (default: detected for each)",
    )
    add_flag(parser, "--lenient", lenient)
    add_partials_option(parser)


def add_partials_option(parser: argparse.ArgumentParser) -> None:
    """Declare the folder of what pages include."""
    add_path(
        parser,
        "--partials",
        "the folder of the partials that pages include: their tables are read at that place",
        "DIR",
    )


def add_index_options(parser: argparse._ActionsContainer) -> None:
    """Declare how new the package index must be, for a parser or a group of its options."""
    index = parser.add_mutually_exclusive_group()
    add_flag(index, "--offline", "use the cached index only")
    add_flag(index, "--refresh", "ask the index again, however new the cache is")


def add_flag(parser: argparse._ActionsContainer, option: str, help_text: str) -> None:
    """Declare an option that is given or not."""
    parser.add_argument(option, action="store_true", help=help_text)


def add_path(
    parser: argparse._ActionsContainer, option: str, help_text: str, metavar: str = "FILE"
) -> None:
    """Declare an option for a path."""
    parser.add_argument(option, type=Path, metavar=metavar, help=help_text)


def add_json_option(parser: argparse._ActionsContainer, content: str) -> None:
    """Declare --json, for the file that gets the `content`."""
    add_path(parser, "--json", f"write {content} as JSON ('-': standard output)")


def to_stdout(path: Path | None) -> bool:
    """Return whether a path of an option means standard output."""
    return str(path) == "-"


def check_folders(*paths: Path | None) -> None:
    """Raise UsageError for a file in a missing folder: before a run, which may take an hour."""
    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent}", "Make it, or name another file.")


def project_data(path: Path) -> AbstractContextManager[None]:
    """Raise StorageError where a file of the project's own data cannot be written."""
    hint = "It is in the project's own data folder."
    return storage_errors(f"cannot write {path}", hint, brief=True)
