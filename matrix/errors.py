"""Errors that a user can cause, each with a hint and an exit code.

Only `matrix.__main__` catches them. Exit codes 0, 1 and 4 of `verify` are results, not errors.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import enum
from collections.abc import Iterable, Iterator, Sequence


class ExitCode(enum.IntEnum):
    """All exit codes; the README explains them."""

    OK = 0
    REFUTED = 1
    USAGE = 2
    NOTHING_SELECTED = 3
    UNVERIFIED = 4
    INDEX_UNAVAILABLE = 5
    STORAGE = 6
    ANOTHER_RUN = 7
    ENGINE_UNAVAILABLE = 8
    DOES_NOT_QUALIFY = 9
    SIGN_OFF_REFUSED = 10
    INCOMPLETE = 11
    CLUSTER_UNAVAILABLE = 12
    INTERNAL = 70
    INTERRUPTED = 130


class UserError(Exception):
    """Base of all errors of a user; `hint` is the usual cause and the next command."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(UserError):
    """An invalid option or argument."""


class UnreadableInputError(UserError):
    """A file that is missing, no text, or of the wrong kind."""


class NothingSelectedError(UserError):
    """A selector that matches nothing."""

    exit_code = ExitCode.NOTHING_SELECTED


class EngineUnavailableError(UserError):
    """A container engine is required, and none answers."""

    exit_code = ExitCode.ENGINE_UNAVAILABLE


class IndexUnavailableError(UserError):
    """The package index does not answer, and no answer is cached."""

    exit_code = ExitCode.INDEX_UNAVAILABLE


class NoUploadTimesError(IndexUnavailableError):
    """The package index gives no upload times, and the time of each release is asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the package index gives no upload times of {name}: what could be installed at the"
            " time of each release cannot be told",
            "Resolve everything as of today (--as-of today), or name an index with the upload-time"
            " of PEP 700, such as PyPI's, in UV_DEFAULT_INDEX or PIP_INDEX_URL.",
        )


class StorageError(UserError):
    """The disk is full, or the folder of results is not writable."""

    exit_code = ExitCode.STORAGE


class AnotherRunError(UserError):
    """Another run has locked the journal."""

    exit_code = ExitCode.ANOTHER_RUN


class ClusterUnavailableError(UserError):
    """A cluster is required, and it does not answer, has no worker of ours, or refuses them."""

    exit_code = ExitCode.CLUSTER_UNAVAILABLE


class IncompleteRunError(UserError):
    """A shard of a run is missing, damaged, or of another run."""

    exit_code = ExitCode.INCOMPLETE


@dataclasses.dataclass(frozen=True)
class Problem:
    """A row or word of a document that cannot be parsed."""

    document: str
    line: int
    message: str
    suggestion: str = ""
    column: int = 0
    """1-based position in the line, 0 if the problem is about all of it."""

    def __str__(self) -> str:
        tail = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        place = f"{self.line}:{self.column}" if self.column else str(self.line)
        return f"{self.document}:{place}: {self.message}{tail}"


class DocumentProblems(UserError):  # noqa: N818 - a group of problems, not one error
    """All problems of the documents, together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''} in the documents:\n{lines}",
            "Add the word to matrix/data/vocabulary, or pass --lenient to go on with the rest.",
        )


@contextlib.contextmanager
def storage_errors(action: str, hint: str, *, brief: bool = False) -> Iterator[None]:
    """Raise a StorageError, `action: cause`, for an OSError; `brief` leaves its paths out."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{action}: {error.strerror if brief else error}", hint) from error


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return the choice that is closest to `word`, or "" where none is close."""
    return next(iter(difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the choice closest to `word`, "" where none is close."""
    choice = nearest(word, choices)
    return f"; did you mean {choice!r}?" if choice else ""
