"""The identity of the project: a commit and the changed files, or a digest of the sources."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from matrix.errors import UsageError
from matrix.features.qualification.statement import identify, refuse_changes


def git(folder: Path, *arguments: str) -> None:
    author = ("-c", "user.name=Emma", "-c", "user.email=emma@example.test")
    command = ("git", *author, "-C", str(folder), *arguments)
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for part in ("matrix", "apps", "docs"):
        (root / part).mkdir(parents=True)
        (root / part / "file.py").write_text("1\n")
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def test_a_clean_commit_identifies_the_project(project: Path) -> None:
    identity = identify(project)
    refuse_changes(identity)
    assert [(one.name, one.algorithm) for one in identity.digests()] == [("project", "gitCommit")]
    assert identity.commit in str(identity)


@pytest.mark.parametrize("name", ["matrix/file.py", "apps/new.py", "matrix/odd name\n.py"])
def test_a_changed_file_is_refused_and_named(project: Path, name: str) -> None:
    clean = identify(project)
    (project / name).write_text("2\n")
    identity = identify(project)
    assert identity.changed == (name,)
    assert identity.sources != clean.sources
    with pytest.raises(UsageError, match="differ from the commit"):
        refuse_changes(identity)
    assert {one.name for one in identity.digests()} == {"project", "project-sources"}
    assert "with 1 file changed" in str(identity)


def test_files_outside_the_relevant_folders_do_not_count(project: Path) -> None:
    (project / "docs" / "file.py").write_text("2\n")
    (project / "note.txt").write_text("2\n")
    refuse_changes(identify(project))


def test_outside_of_git_the_sources_identify_it(tmp_path: Path) -> None:
    (tmp_path / "matrix").mkdir()
    (tmp_path / "matrix" / "file.py").write_text("1\n")
    identity = identify(tmp_path)
    refuse_changes(identity)
    assert [one.name for one in identity.digests()] == ["project-sources"]


def test_inside_another_repository_it_has_no_commit(project: Path) -> None:
    inner = project / "vendor" / "ours"
    (inner / "matrix").mkdir(parents=True)
    (inner / "matrix" / "file.py").write_text("1\n")
    assert identify(inner).commit == ""


def test_without_git_the_sources_identify_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [one.name for one in identify(project).digests()] == ["project-sources"]
