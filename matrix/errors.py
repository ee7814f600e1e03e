"""Errors that a user can cause: what happened, where, what it usually means, the next command.

`matrix.__main__` is the only place that catches them; everything else raises.
Codes 0, 1 and 4 of `verify` are answers, not errors, and stand in `ExitCode` with the rest.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
from collections.abc import Iterable, Sequence

__all__ = [
    "AnotherRunError",
    "ClusterUnavailableError",
    "DocumentProblems",
    "EngineUnavailableError",
    "ExitCode",
    "IncompleteRunError",
    "IndexUnavailableError",
    "NothingSelectedError",
    "Problem",
    "StorageError",
    "UnreadableInputError",
    "UsageError",
    "UserError",
    "did_you_mean",
    "nearest",
]


class ExitCode(enum.IntEnum):
    """Every exit code there is; the README lists them."""

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
    INTERRUPTED = 130


class UserError(Exception):
    """Base of all of them; `hint` is what it usually means and the next command."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(UserError):
    """An option or argument that cannot be what was meant."""


class UnreadableInputError(UserError):
    """A file that is not there, not text, or not what it should be."""


class NothingSelectedError(UserError):
    """A selector that matches nothing."""

    exit_code = ExitCode.NOTHING_SELECTED


class EngineUnavailableError(UserError):
    """A container engine is asked for, and none answers."""

    exit_code = ExitCode.ENGINE_UNAVAILABLE


class IndexUnavailableError(UserError):
    """The package index does not answer and no cached answer stands in."""

    exit_code = ExitCode.INDEX_UNAVAILABLE


class StorageError(UserError):
    """The disk is full or not writable where results must be kept."""

    exit_code = ExitCode.STORAGE


class AnotherRunError(UserError):
    """Another run holds the journal."""

    exit_code = ExitCode.ANOTHER_RUN


class ClusterUnavailableError(UserError):
    """A cluster is asked for, and no scheduler answers, or it has no worker of ours."""

    exit_code = ExitCode.CLUSTER_UNAVAILABLE


class IncompleteRunError(UserError):
    """A part of a run that was shared out is missing, broken, or not of this run."""

    exit_code = ExitCode.INCOMPLETE


@dataclasses.dataclass(frozen=True)
class Problem:
    """One row or word of a document that was not understood."""

    document: str
    line: int
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        tail = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        return f"{self.document}:{self.line}: {self.message}{tail}"


class DocumentProblems(UserError):  # noqa: N818 - a group of problems, not one error
    """All problems of the documents given, together."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(
            f"{count} thing{'s' if count != 1 else ''} in the documents not understood:\n{lines}",
            "Add the word to matrix/data/vocabulary, or pass --lenient to go on with the rest.",
        )


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return the choice that is closest to `word`, or "" where none is close."""
    return next(iter(difflib.get_close_matches(word, list(choices), n=1, cutoff=0.6)), "")


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the choice closest to `word`, "" where none is close."""
    choice = nearest(word, choices)
    return f"; did you mean {choice!r}?" if choice else ""
