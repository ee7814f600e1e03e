"""What is ready, what gets made, by whom, how often, and what is said where nothing can be had."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.image_fakes import AnsweringEngine, FakeTool

from matrix.docker.images.build import KEY
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.images.debian import DebianSource
from matrix.docker.images.source import ImageError, ImageOffer, ImageSource, Tell
from matrix.docker.interface import ContainerEngine, EngineLostError
from matrix.model.reason import Reason

I686 = "linux_i686"


class Pair:
    """A catalog of Debian's images with its fakes."""

    def __init__(self, folder: Path, engine: AnsweringEngine | None = None) -> None:
        self.engine = engine or AnsweringEngine()
        self.tool = FakeTool()
        self.folder = folder
        self.catalog = self.another()
        self.told: list[str] = []

    def another(self, *more: ImageSource) -> ImageCatalog:
        return ImageCatalog(self.engine, self.folder, (DebianSource(self.tool), *more))

    def ensure(self, python: str = "3.11", target: str = I686) -> object:
        return self.catalog.ensure(python, target, self.told.append)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_an_image_is_made_once_and_then_ready(pair: Pair) -> None:
    assert pair.catalog.find("3.11", I686) is None
    image = pair.catalog.ensure("3.11", I686, pair.told.append)
    assert (image.python, image.target, image.platform) == ("3.11.7", I686, "linux/386")
    assert image.launch == ("/usr/bin/linux32",)
    assert image.executable == "/usr/bin/python3.11"
    assert pair.told
    assert pair.another().find("3.11", I686) == image
    assert pair.another().ensure("3.11", I686, pair.told.append) == image
    assert len(pair.tool.jobs) == 1
    assert "--architectures=i386" in pair.tool.jobs[0].argv
    # The image without byte code does not stay.
    assert [held.id for held in pair.engine.images()] == [image.id]


def test_two_cpythons_of_a_suite_are_one_image(pair: Pair) -> None:
    old = pair.catalog.ensure("2.7", I686, pair.told.append)
    new = pair.catalog.ensure("3.9", I686, pair.told.append)
    assert old.id == new.id
    assert (old.python, new.python) == ("2.7.7", "3.9.7")
    assert old.executable != new.executable
    assert len(pair.tool.jobs) == 1


def test_an_image_that_the_engine_lost_is_made_again(pair: Pair) -> None:
    pair.ensure()
    pair.engine.held.clear()
    assert pair.catalog.find("3.11", I686) is None
    pair.ensure()
    assert len(pair.tool.jobs) == 2


def test_what_was_forgotten_is_asked_again_and_not_made(pair: Pair) -> None:
    image = pair.ensure()
    (pair.folder / "images.json").write_text("{broken")
    asked = len(pair.engine.ran)
    assert pair.another().find("3.11", I686) is None
    assert pair.another().ensure("3.11", I686, pair.told.append) == image
    assert (len(pair.tool.jobs), len(pair.engine.ran) - asked) == (1, 1)


def test_threads_that_want_the_same_make_it_once(pair: Pair) -> None:
    gate = threading.Barrier(2)

    def want(catalog: ImageCatalog) -> str:
        gate.wait()
        return catalog.ensure("3.11", I686, pair.told.append).id

    with ThreadPoolExecutor(2) as pool:
        ids = set(pool.map(want, [pair.another(), pair.another()]))
    assert len(ids) == 1
    assert len(pair.tool.jobs) == 1


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"bits": 64}, "pointers have 64 bits"),
        ({"machine": "x86_64"}, "machine is x86_64"),
        ({"python": "3.12.1"}, "CPython is 3.12.1"),
        ({"implementation": "PyPy"}, "PyPy"),
        ({"path": []}, "not on its path"),
    ],
)
def test_an_image_that_tells_of_something_else_is_an_error(
    pair: Pair, says: dict[str, object], words: str
) -> None:
    pair.engine.says = says
    with pytest.raises(ImageError, match=words) as caught:
        pair.ensure()
    assert caught.value.reason is Reason.WRONG_IMAGE
    assert pair.catalog.find("3.11", I686) is None


def test_an_image_that_lacks_a_module_says_which_and_why(pair: Pair) -> None:
    pair.engine.modules = {"ctypes": "libffi.so.8: cannot open shared object file"}
    with pytest.raises(ImageError, match=r"ctypes \(libffi.so.8") as caught:
        pair.ensure()
    assert caught.value.reason is Reason.NO_IMAGE


def test_a_label_does_not_make_an_image_of_another_platform_the_right_one(pair: Pair) -> None:
    pair.ensure()
    for held in list(pair.engine.held.values()):
        pair.engine.held[held.id] = dataclasses.replace(held, platform="linux/amd64")
    assert pair.catalog.find("3.11", I686) is None


class Broken:
    """A source that offers and fails."""

    name, rank = "broken", 1

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:
        return (ImageOffer("broken", "a broken one", "3.11", I686, "linux/386", "k", "/p", "/s"),)

    def provide(self, offer: ImageOffer, engine: ContainerEngine, tell: Tell) -> tuple[str, str]:
        raise ImageError(Reason.DISK_FULL, "the disk is full")


def test_the_next_source_is_tried_and_the_failure_told(pair: Pair) -> None:
    image = pair.another(Broken()).ensure("3.11", I686, pair.told.append)
    assert image.source == "debian"
    assert any("the disk is full" in line for line in pair.told)


def test_what_is_held_is_asked_before_another_is_got(pair: Pair) -> None:
    image = pair.ensure()
    (pair.folder / "images.json").unlink()
    assert pair.another(Broken()).ensure("3.11", I686, pair.told.append) == image
    assert not any("the disk is full" in line for line in pair.told)


def test_where_no_source_can_all_obstacles_are_said(pair: Pair) -> None:
    pair.tool.fails = "E: Failed to fetch http://mirror.example/x  Could not connect\n"
    with pytest.raises(ImageError) as caught:
        pair.another(Broken()).ensure("3.11", I686, pair.told.append)
    assert caught.value.reason is Reason.DISK_FULL
    assert "broken: the disk is full" in caught.value.detail
    assert "debian: exit code 25: Failed to fetch" in caught.value.detail


def test_nobody_offers_it(pair: Pair) -> None:
    with pytest.raises(ImageError, match=r"no source has CPython 3\.4"):
        pair.ensure("3.4")


def test_a_cpu_that_the_engine_does_not_run_is_not_offered_and_nothing_is_made(
    tmp_path: Path,
) -> None:
    pair = Pair(tmp_path, AnsweringEngine(["linux/amd64", "linux/386"]))
    with pytest.raises(ImageError, match=r"does not run linux/arm64.*qemu-user-static"):
        pair.ensure("3.11", "linux_aarch64")
    assert not pair.tool.jobs


def test_only_an_emulated_cpu_gets_the_emulators_settings(pair: Pair) -> None:
    arm = pair.catalog.ensure("3.11", "linux_aarch64", pair.told.append)
    assert dict(arm.environment) == {"QEMU_CPU": "cortex-a72"}
    assert {dict(spec.environment).get("QEMU_CPU") for spec in pair.engine.ran} == {"cortex-a72"}
    native = dataclasses.replace(pair.engine.info, platform="linux/arm64")
    engine = AnsweringEngine()
    engine._info, engine.held = native, pair.engine.held
    here = ImageCatalog(engine, pair.folder, (DebianSource(pair.tool),))
    found = here.find("3.11", "linux_aarch64")
    assert found is not None
    assert found.environment == ()
    assert pair.catalog.find("3.11", "linux_aarch64") == arm


def test_an_engine_that_goes_away_is_no_missing_image(pair: Pair) -> None:
    pair.engine.lost = True
    with pytest.raises(EngineLostError):
        pair.ensure()


def test_the_list_names_what_is_held(pair: Pair) -> None:
    image = pair.catalog.ensure("2.7", I686, pair.told.append)
    held = {
        (each.offer.python, each.offer.target): each.held.id
        for each in pair.catalog.listed()
        if each.held
    }
    assert held == {("2.7", I686): image.id, ("3.9", I686): image.id}
    labels = pair.engine.held[image.id].labels
    assert labels[KEY]
    assert labels["compat-matrix.project"] == "compat-matrix"
