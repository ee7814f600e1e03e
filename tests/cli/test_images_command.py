"""Tests of the command `images`: its list, its builds, and its errors."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from helpers.fake_registry import OCI_INDEX, build_index, fake_registry
from helpers.image_fakes import AnsweringEngine, FakeTool

from matrix.__main__ import main
from matrix.cli import images
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.images.debian import DebianSource
from matrix.docker.images.registry import (
    DigestTable,
    RegistrySource,
    digests_path,
    read_digests,
    write_digests,
)
from matrix.docker.interface import ContainerResult
from matrix.system.paths import data_dir


def without_digests(folder: Path) -> Path:
    file = folder / "digests.toml"
    file.write_text(digests_path().read_text("utf-8"), "utf-8")
    write_digests(file, DigestTable(read_digests(file).pattern, ()))
    return file


class ImageSetup:
    """A catalog of two sources, with a fake engine and a fake mmdebstrap."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = AnsweringEngine(["linux/amd64", "linux/386"])
        self.tool = FakeTool()
        self.digests = without_digests(folder)

    @contextlib.contextmanager
    def catalog(self) -> Iterator[ImageCatalog]:
        sources = (RegistrySource(self.digests), DebianSource(self.tool))
        yield ImageCatalog(self.engine, self.folder, sources)


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageSetup:
    setup = ImageSetup(tmp_path)
    monkeypatch.setattr(images, "_catalog", setup.catalog)
    return setup


def states(capsys: pytest.CaptureFixture[str], *options: str) -> dict[tuple[str, str], str]:
    assert main(["images", "--json", "-", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    schema = json.loads((data_dir() / "schemas" / "images.schema.json").read_text("utf-8"))
    jsonschema.validate(document, schema)
    return {(row["python"], row["target"]): row["state"] for row in document["images"]}


@pytest.mark.usefixtures("setup")
def test_the_list_says_what_can_be_had(capsys: pytest.CaptureFixture[str]) -> None:
    by_key = states(capsys)
    assert by_key["3.11", "linux_i686"] == "can be made"
    assert by_key["3.11", "linux_aarch64"] == "missing"  # this engine does not run it
    assert by_key["3.5", "linux_x86_64"] == "missing"


def test_build_makes_what_was_selected_and_nothing_twice(
    setup: ImageSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["images", "build", "--target", "linux_i686", "--python", "*.?"]
    assert main(command) == 0
    output = capsys.readouterr().out
    assert "CPython 2.7.7 for linux_i686: ready in" in output
    assert len(setup.tool.jobs) == 1
    assert states(capsys)["2.7", "linux_i686"] == "ready"
    assert main(command) == 0
    assert len(setup.tool.jobs) == 1


def test_what_a_registry_has_is_made_where_none_answers(
    setup: ImageSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.digests = digests_path()
    selected = ["--target", "linux_i686", "--python", "*.?"]
    assert set(states(capsys, *selected).values()) == {"can be pulled"}
    assert main(["images", *selected]) == 0
    table = capsys.readouterr().out
    assert "build --python 2.7 --target linux_i686" in table
    assert "build --all --python 3.5 --target linux_i686" in table
    assert main(["images", "build", *selected]) == 0
    assert "CPython 2.7.7 for linux_i686: ready in" in capsys.readouterr().out
    assert len(setup.tool.jobs) == 1
    assert main(["images", "build", "--all", *selected]) == 4
    assert "CPython 3.5 for linux_i686: FAILED" in capsys.readouterr().out
    assert states(capsys, *selected)["2.7", "linux_i686"] == "ready"


def test_build_says_what_failed_and_goes_on(
    setup: ImageSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.tool.failure = "E: Unable to locate package x\n"
    assert main(["images", "build", "--target", "linux_i686", "--python", "3.1?"]) == 4
    output = capsys.readouterr().out
    failed = output.count("FAILED")
    assert failed > 2
    assert f"0 images ready, {failed} failed" in output


@pytest.mark.parametrize("arguments", [[], ["build", "--target", "linux_i686"]])
def test_an_engine_that_goes_away_is_an_error_with_a_hint(
    setup: ImageSetup, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    setup.engine.lost = True
    assert main(["images", *arguments]) == 8
    assert "hint: " in capsys.readouterr().err


def test_byte_code_that_comes_damaged_is_a_failure_of_its_image(
    setup: ImageSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.engine.compile_result = ContainerResult(0, b"no archive", b"")
    assert main(["images", "build", "--target", "linux_i686", "--python", "3.11"]) == 4
    output = capsys.readouterr().out
    assert "FAILED" in output
    assert "debian: damaged byte code" in output


def test_a_full_disk_has_its_own_code(
    setup: ImageSetup, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.tool.failure = "E: tar: No space left on device\n"
    assert main(["images", "build", "--python", "3.11", "--target", "linux_i686"]) == 6
    assert "TMPDIR" in capsys.readouterr().err


@pytest.mark.usefixtures("setup")
def test_a_glob_that_matches_nothing_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "--python", "4.*"]) == 3
    assert "4.*" in capsys.readouterr().err


@pytest.mark.usefixtures("setup")
def test_the_table_says_how_to_get_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images"]) == 0
    output = capsys.readouterr().out
    assert "nox -s images -- build --python 3.11 --target linux_i686" in output
    assert "nox -s images -- refresh" in output


def test_refresh_writes_what_the_registry_tells_and_names_what_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = without_digests(tmp_path)
    monkeypatch.setattr(images, "digests_path", lambda: file)
    with fake_registry() as registry:
        body = build_index(OCI_INDEX, {"linux/386": f"sha256:{'b' * 64}"})
        registry.add("library/python", OCI_INDEX, body, "3.11-slim")
        monkeypatch.setenv("COMPAT_MATRIX_REGISTRY", f"{registry.host}/library")
        assert main(["images", "refresh"]) == 5
    captured = capsys.readouterr()
    assert "1 digests, 1 of them new" in captured.out
    assert "python:3.11-slim is not made for linux/arm64" in captured.out
    assert "python:2.7-slim: http://127.0.0.1" in captured.err
    assert [image.python for image in read_digests(file).images] == ["3.11"]
