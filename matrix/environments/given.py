"""Files that are given for a pinned release: the only ones that count of it.

A wheel that nobody published, or one of another index, is installed through the same doors as all
others: tools that resolve are shown a small index of it, and these files' hashes are locked.
"""

from __future__ import annotations

import hashlib
import html
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.utils import parse_wheel_filename

from matrix.environments.failures import BuildError
from matrix.environments.lock import Locked
from matrix.environments.toolbox import Toolbox
from matrix.index import Index
from matrix.index.replacing import ReplacingIndex
from matrix.model.environment import Requirements
from matrix.model.index import Release
from matrix.model.reason import Reason

__all__ = ["check_given", "copy_here", "given_project", "is_here", "simple_index", "with_given"]


def given_project(requirements: Requirements) -> str:
    """Return the canonical name of the project whose files are given, "" where none are."""
    if not requirements.given:
        return ""
    return str(parse_wheel_filename(requirements.given[0].filename)[0])


def with_given(index: Index, requirements: Requirements) -> Index:
    """Return an index that knows the given files as all that there is of their release."""
    if not requirements.given:
        return index
    name, version = parse_wheel_filename(requirements.given[0].filename)[:2]
    uploaded = requirements.given[0].uploaded
    release = Release(
        str(version), uploaded, yanked=False, requires_python="", files=requirements.given
    )
    return ReplacingIndex(index, name, release)


def simple_index(tools: Toolbox, requirements: Requirements) -> Path:
    """Return a folder that is a simple index of the given files and of nothing else.

    Its place follows from what is given, for tools keep what they know by an index's address.
    https://packaging.python.org/en/latest/specifications/simple-repository-api/
    """
    page = "\n".join(
        ["<!DOCTYPE html><html><body>"]
        + [
            f'<a href="{html.escape(file.url)}#sha256={file.sha256}"'
            f' data-requires-python="{html.escape(file.requires_python)}">'
            f"{html.escape(file.filename)}</a><br>"
            for file in requirements.given
        ]
        + ["</body></html>", ""]
    )
    digest = hashlib.sha256(page.encode("utf-8")).hexdigest()[:32]
    folder = tools.root / "given" / digest
    own = folder / given_project(requirements)
    if not (own / "index.html").exists():
        with tools.guard(f"given-{digest}"):
            own.mkdir(parents=True, exist_ok=True)
            part = own / "index.part"
            part.write_text(page, "utf-8")
            part.replace(own / "index.html")
    return folder


def check_given(requirements: Requirements, lock: Sequence[Locked]) -> None:
    """Raise BuildError where the lock would take any other file of the given project's."""
    own, hashes = given_project(requirements), {file.sha256 for file in requirements.given}
    for locked in lock:
        if locked.name == own and not hashes.issuperset(locked.hashes):
            said = f"{own} {locked.version} was resolved to files that were not given"
            raise BuildError(Reason.WRONG_INSTALL, said)


def is_here(url: str) -> bool:
    """Return whether the address is that of a file on this machine."""
    return urlsplit(url).scheme == "file"


def copy_here(url: str, path: Path, _seconds: float) -> None:
    """Copy a file of this machine; raise BuildError where it is gone."""
    source = Path(url2pathname(urlsplit(url).path))
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        said = f"{source.name} is not where it was given: {error.strerror}"
        raise BuildError(Reason.WRONG_INSTALL, said) from error
