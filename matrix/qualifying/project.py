"""Which version of this project states something: a commit of git, else a digest of its sources."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from matrix.errors import UsageError
from matrix.journal import Sources
from matrix.qualifying.statement import Digest

__all__ = ["PROJECT", "Identity", "identify", "refuse_changes"]

_COMMIT, _SOURCES = "project", "project-sources"
PROJECT = frozenset({_COMMIT, _SOURCES})
"""The names of the project's own digests in a statement's configuration."""

# What can change an answer.
_PARTS = ("matrix", "apps", "fixtures", "requirements")
_TIMEOUT = 60.0
_HINT = "Commit it, or say --allow-dirty: the statement then tells."


@dataclasses.dataclass(frozen=True)
class Identity:
    """`commit` is "" outside of git, `changed` what differs from it, `sources` a sha256."""

    commit: str
    changed: tuple[str, ...]
    sources: str

    def __str__(self) -> str:
        if not self.commit:
            return f"compat-matrix, sources sha256 {self.sources}"
        count = len(self.changed)
        changed = f", with {count} file{'s' if count > 1 else ''} changed" if count else ""
        return f"compat-matrix {self.commit}{changed}"

    def digests(self) -> Iterator[Digest]:
        """Yield what stands for it; a commit alone does not where files were changed."""
        if self.commit:
            yield Digest(_COMMIT, self.commit, "gitCommit")
        if self.changed or not self.commit:
            yield Digest(_SOURCES, self.sources)


def identify(root: Path) -> Identity:
    """Return the identity of the project in `root`."""
    sources = Sources.of(root / part for part in _PARTS if (root / part).is_dir()).digest
    top = _git(root, "rev-parse", "--show-toplevel")
    # Unpacked within a repository of something else, it is no part of that.
    if not top or Path(top.rstrip("\n")).resolve() != root.resolve():
        return Identity("", (), sources)
    commit = _git(root, "rev-parse", "--verify", "HEAD").strip()
    status = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--", *_PARTS)
    changed = tuple(line[3:] for line in status.split("\0") if line[2:3] == " ")
    return Identity(commit, changed if commit else (), sources)


def refuse_changes(identity: Identity) -> None:
    """Raise UsageError where the project is not what its commit says."""
    if identity.changed:
        first = ", ".join(identity.changed[:3])
        more = f" and {len(identity.changed) - 3} more" if len(identity.changed) > 3 else ""  # noqa: PLR2004
        raise UsageError(f"files differ from the commit: {first}{more}", _HINT)


def _git(root: Path, *words: str) -> str:
    """Return what git says, "" where there is none or it fails."""
    # Not asked by the user's own settings: a file system monitor is a program to run.
    command = ("git", "-c", "core.fsmonitor=false", "-C", str(root), *words)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_TIMEOUT, check=True, env=environ
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")
