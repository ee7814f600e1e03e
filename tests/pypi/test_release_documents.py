"""The files of a release that promise something, from a folder or from one of its wheels."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path

import pytest

from matrix.errors import IndexUnavailableError, UsageError
from matrix.model.index import File, Project, ReleaseFiles
from matrix.pypi.release_documents import folder_documents, release_documents
from matrix.pypi.remote_file import FileChunk

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def wheel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ddtrace/__init__.py", "")
        archive.writestr("ddtrace/contrib/integration_registry/registry.yaml", "integrations: []\n")
        archive.writestr("ddtrace-4.1.0.dist-info/METADATA", "Metadata-Version: 2.1\n")
    return buffer.getvalue()


class OneFile:
    """Serves a whole file for any request, and counts requests."""

    def __init__(self, body: bytes) -> None:
        self.body, self.requests = body, 0

    def get(self, url: str, span: str, most: int, deadline: float) -> FileChunk:
        del url, span, most, deadline
        self.requests += 1
        return FileChunk(0, self.body, len(self.body))


class OneRelease:
    """An index with one release of ddtrace."""

    def project(self, name: str) -> Project:
        filename = "ddtrace-4.1.0-cp39-cp39-manylinux2014_x86_64.whl"
        tags = "cp39-cp39-manylinux2014_x86_64"
        file = File(filename, f"https://host/{filename}", "", NOW, ">=3.9", yanked=False, tags=tags)
        release = ReleaseFiles("4.1.0", NOW, yanked=False, requires_python=">=3.9", files=(file,))
        return Project(name, NOW, (release,))


def test_a_wheel_is_read_once_and_then_found_in_the_cache(tmp_path: Path) -> None:
    transport = OneFile(wheel())
    first = release_documents(OneRelease(), "ddtrace==4.1.0", tmp_path, transport=transport)
    assert [path.name for path in first] == [
        "ddtrace-4.1.0-METADATA.txt", "ddtrace-4.1.0-registry.yaml",
    ]  # fmt: skip
    requests = transport.requests
    again = release_documents(
        OneRelease(), "ddtrace == 4.1", tmp_path, offline=True, transport=transport
    )
    assert again == first
    assert transport.requests == requests > 0


@pytest.mark.parametrize(
    ("requirement", "offline", "error", "message"),
    [
        ("ddtrace==4.1.0", True, IndexUnavailableError, "not cached"),
        ("ddtrace==4.2.0", False, UsageError, "no wheel of ddtrace 4.2.0"),
        ("ddtrace==new", False, UsageError, "invalid version 'new'"),
        ("ddtrace", False, UsageError, "neither a folder nor a release"),
        ("redis==4.1.0", False, UsageError, "neither a folder nor a release"),
    ],
)
def test_what_cannot_be_had_is_said(
    tmp_path: Path, requirement: str, offline: bool, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        release_documents(OneRelease(), requirement, tmp_path, offline=offline)


def test_a_damaged_wheel_is_said(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailableError, match="not a whole zip archive"):
        release_documents(
            OneRelease(), "ddtrace==4.1.0", tmp_path, transport=OneFile(wheel()[:-30])
        )


def test_the_files_of_a_checkout_are_found(tmp_path: Path) -> None:
    registry = tmp_path / "scripts" / "integration_registry"
    registry.mkdir(parents=True)
    (registry / "registry.yaml").write_text("integrations: []\n", encoding="utf-8")
    (tmp_path / "supported_versions.json").write_text("[]", encoding="utf-8")
    installed = tmp_path / "ddtrace-4.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\n", encoding="utf-8")
    assert [path.name for path in folder_documents(tmp_path)] == [
        "supported_versions.json", "registry.yaml", "METADATA",
    ]  # fmt: skip


def test_a_folder_without_ddtrace_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither metadata of ddtrace nor its registry"):
        folder_documents(tmp_path)
