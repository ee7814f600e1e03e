"""The catalog: images that are ready, built once, or cannot be provided, with the reasons."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.image_fakes import AnsweringEngine, FakeTool

from matrix.docker.images.build import KEY_LABEL
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.images.debian import DebianSource
from matrix.docker.images.interface import ImageError, ImageOffer, ImageSource, ReportLine
from matrix.docker.interface import ContainerEngine, EngineLostError
from matrix.model.reason import Reason

I686 = "linux_i686"


class FakeCatalog:
    """A catalog of Debian's images with a fake engine and tool."""

    def __init__(self, folder: Path, engine: AnsweringEngine | None = None) -> None:
        self.engine = engine or AnsweringEngine()
        self.tool = FakeTool()
        self.folder = folder
        self.catalog = self.create_catalog()
        self.lines: list[str] = []

    def create_catalog(self, *more: ImageSource) -> ImageCatalog:
        return ImageCatalog(self.engine, self.folder, (DebianSource(self.tool), *more))

    def ensure(self, python: str = "3.11", target: str = I686) -> object:
        return self.catalog.ensure(python, target, self.lines.append)


@pytest.fixture
def fakes(tmp_path: Path) -> FakeCatalog:
    return FakeCatalog(tmp_path)


def test_an_image_is_made_once_and_then_ready(fakes: FakeCatalog) -> None:
    assert fakes.catalog.find("3.11", I686) is None
    image = fakes.catalog.ensure("3.11", I686, fakes.lines.append)
    assert (image.python, image.target, image.platform) == ("3.11.7", I686, "linux/386")
    assert image.launch == ("/usr/bin/linux32",)
    assert image.executable == "/usr/bin/python3.11"
    assert fakes.lines
    assert fakes.create_catalog().find("3.11", I686) == image
    assert fakes.create_catalog().ensure("3.11", I686, fakes.lines.append) == image
    assert len(fakes.tool.jobs) == 1
    assert "--architectures=i386" in fakes.tool.jobs[0].argv
    # The image without byte code does not stay.
    assert [info.id for info in fakes.engine.images()] == [image.id]


def test_two_cpythons_of_a_suite_are_one_image(fakes: FakeCatalog) -> None:
    old = fakes.catalog.ensure("2.7", I686, fakes.lines.append)
    new = fakes.catalog.ensure("3.9", I686, fakes.lines.append)
    assert old.id == new.id
    assert (old.python, new.python) == ("2.7.7", "3.9.7")
    assert old.executable != new.executable
    assert len(fakes.tool.jobs) == 1


def test_an_image_that_the_engine_lost_is_made_again(fakes: FakeCatalog) -> None:
    fakes.ensure()
    fakes.engine.local_images.clear()
    assert fakes.catalog.find("3.11", I686) is None
    fakes.ensure()
    assert len(fakes.tool.jobs) == 2


def test_what_was_forgotten_is_asked_again_and_not_made(fakes: FakeCatalog) -> None:
    image = fakes.ensure()
    (fakes.folder / "images.json").write_text("{broken")
    runs = len(fakes.engine.ran)
    assert fakes.create_catalog().find("3.11", I686) is None
    assert fakes.create_catalog().ensure("3.11", I686, fakes.lines.append) == image
    assert (len(fakes.tool.jobs), len(fakes.engine.ran) - runs) == (1, 1)


def test_threads_that_want_the_same_make_it_once(fakes: FakeCatalog) -> None:
    gate = threading.Barrier(2)

    def ensure(catalog: ImageCatalog) -> str:
        gate.wait()
        return catalog.ensure("3.11", I686, fakes.lines.append).id

    with ThreadPoolExecutor(2) as pool:
        ids = set(pool.map(ensure, [fakes.create_catalog(), fakes.create_catalog()]))
    assert len(ids) == 1
    assert len(fakes.tool.jobs) == 1


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"bits": 64}, "pointers have 64 bits"),
        ({"machine": "x86_64"}, "machine is x86_64"),
        ({"python": "3.12.1"}, "CPython is 3.12.1"),
        ({"implementation": "PyPy"}, "PyPy"),
        ({"path": []}, "not on its path"),
    ],
)
def test_an_image_that_tells_of_something_else_is_an_error(
    fakes: FakeCatalog, facts: dict[str, object], message: str
) -> None:
    fakes.engine.facts = facts
    with pytest.raises(ImageError, match=message) as caught:
        fakes.ensure()
    assert caught.value.reason is Reason.WRONG_IMAGE
    assert fakes.catalog.find("3.11", I686) is None


def test_an_image_that_lacks_a_module_says_which_and_why(fakes: FakeCatalog) -> None:
    fakes.engine.modules = {"ctypes": "libffi.so.8: cannot open shared object file"}
    with pytest.raises(ImageError, match=r"ctypes \(libffi.so.8") as caught:
        fakes.ensure()
    assert caught.value.reason is Reason.NO_IMAGE


def test_a_label_does_not_make_an_image_of_another_platform_the_right_one(
    fakes: FakeCatalog,
) -> None:
    fakes.ensure()
    for image in list(fakes.engine.local_images.values()):
        fakes.engine.local_images[image.id] = dataclasses.replace(image, platform="linux/amd64")
    assert fakes.catalog.find("3.11", I686) is None


class Broken:
    """A source whose offer fails."""

    name, rank = "broken", 1

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:
        return (ImageOffer("broken", "a broken one", "3.11", I686, "linux/386", "k", "/p", "/s"),)

    def provide(
        self, offer: ImageOffer, engine: ContainerEngine, report: ReportLine
    ) -> tuple[str, str]:
        raise ImageError(Reason.DISK_FULL, "the disk is full")


def test_the_next_source_is_tried_and_the_failure_told(fakes: FakeCatalog) -> None:
    image = fakes.create_catalog(Broken()).ensure("3.11", I686, fakes.lines.append)
    assert image.source == "debian"
    assert any("the disk is full" in line for line in fakes.lines)


def test_what_is_held_is_asked_before_another_is_got(fakes: FakeCatalog) -> None:
    image = fakes.ensure()
    (fakes.folder / "images.json").unlink()
    assert fakes.create_catalog(Broken()).ensure("3.11", I686, fakes.lines.append) == image
    assert not any("the disk is full" in line for line in fakes.lines)


def test_where_no_source_can_all_obstacles_are_said(fakes: FakeCatalog) -> None:
    fakes.tool.failure = "E: Failed to fetch http://mirror.example/x  Could not connect\n"
    with pytest.raises(ImageError) as caught:
        fakes.create_catalog(Broken()).ensure("3.11", I686, fakes.lines.append)
    assert caught.value.reason is Reason.DISK_FULL
    assert "broken: the disk is full" in caught.value.detail
    assert "debian: exit code 25: Failed to fetch" in caught.value.detail


def test_nobody_offers_it(fakes: FakeCatalog) -> None:
    with pytest.raises(ImageError, match=r"no source has CPython 3\.4"):
        fakes.ensure("3.4")


def test_a_cpu_that_the_engine_does_not_run_is_not_offered_and_nothing_is_made(
    tmp_path: Path,
) -> None:
    fakes = FakeCatalog(tmp_path, AnsweringEngine(["linux/amd64", "linux/386"]))
    with pytest.raises(ImageError, match=r"does not run linux/arm64.*qemu-user-static"):
        fakes.ensure("3.11", "linux_aarch64")
    assert not fakes.tool.jobs


def test_only_an_emulated_cpu_gets_the_emulators_settings(fakes: FakeCatalog) -> None:
    arm = fakes.catalog.ensure("3.11", "linux_aarch64", fakes.lines.append)
    assert dict(arm.environment) == {"QEMU_CPU": "cortex-a72"}
    assert {dict(spec.environment).get("QEMU_CPU") for spec in fakes.engine.ran} == {"cortex-a72"}
    native = dataclasses.replace(fakes.engine.info, platform="linux/arm64")
    engine = AnsweringEngine()
    engine._info, engine.local_images = native, fakes.engine.local_images
    native_catalog = ImageCatalog(engine, fakes.folder, (DebianSource(fakes.tool),))
    image = native_catalog.find("3.11", "linux_aarch64")
    assert image is not None
    assert image.environment == ()
    assert fakes.catalog.find("3.11", "linux_aarch64") == arm


def test_an_engine_that_goes_away_is_no_missing_image(fakes: FakeCatalog) -> None:
    fakes.engine.lost = True
    with pytest.raises(EngineLostError):
        fakes.ensure()


def test_the_list_names_what_is_held(fakes: FakeCatalog) -> None:
    image = fakes.catalog.ensure("2.7", I686, fakes.lines.append)
    ids = {
        (entry.offer.python, entry.offer.target): entry.image.id
        for entry in fakes.catalog.entries()
        if entry.image
    }
    assert ids == {("2.7", I686): image.id, ("3.9", I686): image.id}
    labels = fakes.engine.local_images[image.id].labels
    assert labels[KEY_LABEL]
    assert labels["compat-matrix.project"] == "compat-matrix"
