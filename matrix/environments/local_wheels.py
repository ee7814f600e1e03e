"""Local wheels (`Requirements.given`): the only files of a pinned release.

They may be of no index, or of another one. They are installed the same way as all others:
installers that resolve get a small index of them, and their hashes are locked.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.utils import parse_wheel_filename

from matrix.environments.dated_index import format_page
from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile
from matrix.environments.toolbox import Toolbox
from matrix.model.environment import Requirements
from matrix.model.index import ReleaseFiles
from matrix.model.reason import Reason
from matrix.pypi.index import Index, ReplacingIndex
from matrix.system.atomic import write_atomic


def local_project(requirements: Requirements) -> str:
    """Return the canonical name of the project of the local wheels, "" where there are none."""
    if not requirements.given:
        return ""
    return str(parse_wheel_filename(requirements.given[0].filename)[0])


def index_with_local_wheels(index: Index, requirements: Requirements) -> Index:
    """Return an index whose release of the local wheels has these files only."""
    if not requirements.given:
        return index
    name, version = parse_wheel_filename(requirements.given[0].filename)[:2]
    uploaded = requirements.given[0].uploaded
    release = ReleaseFiles(
        str(version), uploaded, yanked=False, requires_python="", files=requirements.given
    )
    return ReplacingIndex(index, name, release)


def write_simple_index(tools: Toolbox, requirements: Requirements) -> Path:
    """Write a simple index of the local wheels and nothing else; return its folder.

    The folder is named by the content, because tools cache by an index's address.
    """
    page = format_page((file, file.url) for file in requirements.given)
    digest = hashlib.sha256(page.encode("utf-8")).hexdigest()[:32]
    folder = tools.root / "given" / digest
    file = folder / local_project(requirements) / "index.html"
    if not file.exists():
        with tools.guard(f"given-{digest}"):
            write_atomic(file, page)
    return folder


def check_lock(requirements: Requirements, lock: Sequence[LockedFile]) -> None:
    """Raise BuildError where the lock has another file of the project of the local wheels."""
    project = local_project(requirements)
    hashes = {file.sha256 for file in requirements.given}
    for locked in lock:
        if locked.name == project and not hashes.issuperset(locked.hashes):
            detail = f"{project} {locked.version} was resolved to files that are not local wheels"
            raise BuildError(Reason.WRONG_INSTALL, detail)


def is_file_url(url: str) -> bool:
    """Return whether the address is that of a file on this machine."""
    return urlsplit(url).scheme == "file"


def copy_file(url: str, path: Path, _seconds: float) -> None:
    """Copy a file of this machine; raise BuildError where it is gone."""
    source = Path(url2pathname(urlsplit(url).path))
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        detail = f"cannot read the local wheel {source.name}: {error.strerror}"
        raise BuildError(Reason.WRONG_INSTALL, detail) from error
